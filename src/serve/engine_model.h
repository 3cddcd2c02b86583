/* What the batching engine needs of a model: the few calls of a session, as a table, so that scheduling can be tested
 * against a model of a dozen lines. The real one is serve/session_model.h.
 *
 * All functions are called by the engine's thread only. See model/session.h for the contracts of like names.
 */
#ifndef LM_SERVE_ENGINE_MODEL_H
#define LM_SERVE_ENGINE_MODEL_H

#include "base/str.h"
#include "model/sampler.h"
#include "model/session.h"
#include "model/tokenizer.h"

typedef struct lm_engine_model lm_engine_model;

typedef struct lm_engine_model_ops {
    loam_status (*seq_new)(lm_engine_model *model, int32_t *out_seq, loam_error *err);
    loam_status (*seq_fork)(lm_engine_model *model, int32_t from, int64_t len, int32_t *out_seq,
                            loam_error *err);
    void (*seq_free)(lm_engine_model *model, int32_t seq);
    loam_status (*seq_reserve)(lm_engine_model *model, int32_t seq, int64_t n_tokens,
                               loam_error *err);
    int64_t (*n_free_blocks)(const lm_engine_model *model);
    loam_status (*step)(lm_engine_model *model, const lm_step_row *rows, int64_t n_rows,
                        loam_error *err);
    float *(*logits)(lm_engine_model *model, int64_t i);
    int64_t (*row_flops)(const lm_engine_model *model, int64_t position, bool want_logits);
    bool (*is_end)(const lm_engine_model *model, int32_t token);
    /* A stream of text begins (any thread); text of one more of its tokens; what it still holds at its end. */
    void (*detokenize_begin)(const lm_engine_model *model, lm_detokenizer *stream, bool at_start);
    void (*detokenize)(const lm_engine_model *model, lm_detokenizer *stream, int32_t token,
                       lm_buf *out);
    void (*detokenize_flush)(const lm_engine_model *model, lm_detokenizer *stream, lm_buf *out);
    /* fn(arg, thread, n_threads) on all of the device's threads. */
    void (*parallel)(lm_engine_model *model, void (*fn)(void *arg, int thread, int n_threads),
                     void *arg);
} lm_engine_model_ops;

/* Implementations begin with this. */
struct lm_engine_model {
    const lm_engine_model_ops *ops;
    int64_t n_vocab;
    int64_t max_rows; /* in one step */
    int64_t max_seqs;
    int64_t max_context; /* tokens in one sequence; never more than all blocks hold */
    int64_t n_blocks;
    int64_t block_tokens;
    bool
        keeps_states; /* sequences cannot be forked at a part of their length (lm_session_seq_keeps) */
};

#endif
