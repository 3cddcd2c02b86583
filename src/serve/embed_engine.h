/* The engine of models that give embeddings or scores: one thread that steps the model over the texts of all requests, of each
 * in order, of all in turn, so that nobody waits for a request of many texts.
 *
 *     loop   --submit-->  intake  --> jobs  --step by step-->  done --(lm_loop_post)--> loop
 *
 * The loop's thread submits and cancels; the engine's thread owns the model. A cancelled job is dropped before the next
 * step. If a usage journal is given, a job's record is appended before its first step, updated with every step, and
 * finished at its end. A step allocates nothing.
 */
#ifndef LM_SERVE_EMBED_ENGINE_H
#define LM_SERVE_EMBED_ENGINE_H

#include "model/embedder.h"
#include "serve/engine.h"

typedef struct lm_embed_engine lm_embed_engine;
typedef struct lm_embed_job lm_embed_job; /* one request under way */

typedef struct lm_embed_engine_options {
    lm_loop *loop;             /* results are delivered on it */
    lm_usage_journal *journal; /* borrowed; NULL: none */
    int64_t max_waiting;       /* requests under way; submit refuses more */
} lm_embed_engine_options;

typedef struct lm_embed_input {
    const int32_t *tokens;
    int64_t n_tokens, second_begin; /* as in lm_embed_text */
} lm_embed_input;

/* On the loop's thread, once. error NULL: vectors [n_inputs, width of the embedder], the callee may overwrite them. The job is
 * gone when it returns. */
typedef void lm_embed_done_fn(float *vectors, const loam_error *error, void *arg);

typedef struct lm_embed_job_options {
    const lm_embed_input *inputs; /* copied, with their tokens */
    size_t n_inputs;
    const char *request_id; /* key in the usage journal */
    const char *tag;
    lm_embed_done_fn *on_done;
    void *arg;
} lm_embed_job_options;

/* Starts the thread. The embedder is borrowed, and the engine's alone until free. */
loam_status lm_embed_engine_new(lm_embedder *embedder, const lm_embed_engine_options *options,
                                lm_embed_engine **out, loam_error *err) LM_MUST_USE;
/* Ends the thread, finishes the journal's records, drops what is under way. The loop no longer runs. */
void lm_embed_engine_free(lm_embed_engine *engine);

const lm_embedder *
lm_embed_engine_embedder(const lm_embed_engine *engine); /* its sizes and model */

/* Loop's thread. LOAM_LIMIT: the queue is full. */
loam_status lm_embed_engine_submit(lm_embed_engine *engine, const lm_embed_job_options *options,
                                   lm_embed_job **out, loam_error *err) LM_MUST_USE;
/* Loop's thread. on_done is not called any more; the job must not be touched again. */
void lm_embed_job_cancel(lm_embed_job *job);

int64_t lm_embed_engine_n_jobs(const lm_embed_engine *engine); /* under way. Loop's thread */
lm_engine_stats
lm_embed_engine_stats(lm_embed_engine *engine); /* n_active, n_waiting: texts. Loop's thread */

#endif
