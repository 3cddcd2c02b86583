/* `loam serve`: one model behind an OpenAI-compatible HTTP server.
 *
 *     POST /v1/completions, /v1/chat/completions     GET /v1/models, /v1/models/{model}
 *     POST /v1/embeddings, or /v1/rerank, of a model made for it
 *     POST /tokenize, /detokenize                    GET /health, /metrics
 *
 * SIGTERM or SIGINT drains: nothing new is accepted, what runs is finished. A second one quits at once.
 */
#ifndef LM_SERVE_SERVER_H
#define LM_SERVE_SERVER_H

#include "model/model.h"

typedef struct lm_serve_options {
    const char *host; /* NULL: 127.0.0.1 */
    int port;         /* 0: any free one */
    const char
        *port_file;   /* gets the port, as decimal text, once requests are answered; NULL: none */
    const char *name; /* what requests call the model; NULL: lm_model_name */
    const char *journal; /* path of the usage journal; NULL: none */
    int64_t max_context; /* tokens in one sequence; 0: the model's */
    int64_t max_seqs;    /* in the batch at once; 0: 64 */
    int64_t
        n_blocks; /* of the KV cache; 0: enough for every sequence, within a quarter of the machine's memory */
    int64_t max_waiting; /* sequences that may wait; 0: 256 */
    int64_t max_rows;    /* in one step; 0: 256 */
    int64_t prefill_ms;  /* what prompts may add to a step while others stream; 0: 50 */
    lm_dtype kv_dtype;   /* 0: f32 */
} lm_serve_options;

/* Serves until drained. The calling thread becomes the loop; the model is borrowed and its device in use meanwhile.
 * LOAM_CANCELLED after a second signal. */
loam_status lm_serve(const lm_model *model, const lm_serve_options *options,
                     loam_error *err) LM_MUST_USE;

#endif
