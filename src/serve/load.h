/* A load of streaming clients on an OpenAI-compatible server, and what they see of it: each sends a prompt of random tokens
 * to /v1/completions, reads the answer as it comes, and sends the next when it has ended.
 *
 *     sent --ttft--> first event --itl--> event --itl--> ... end
 *
 * The server may be any; its answers are cut at the same number of tokens (max_tokens with ignore_eos), and counted by the
 * usage at the stream's end, or by events where there is none.
 */
#ifndef LM_SERVE_LOAD_H
#define LM_SERVE_LOAD_H

#include <stdint.h>

#include "base/error.h"

typedef struct lm_load_options {
    const char *url;                              /* http://host:port */
    const char *model;                            /* what requests call it */
    const char *bearer;                           /* API key, or NULL */
    int64_t n_clients;                            /* side by side */
    int64_t n_requests;                           /* of all together */
    int64_t min_prompt_tokens, max_prompt_tokens; /* drawn evenly between */
    int64_t answer_tokens;
    int64_t vocab_size; /* prompts are of ids below it */
    uint64_t seed;
} lm_load_options;

typedef struct lm_load_times {
    double p50_ms, p99_ms;
} lm_load_times;

typedef struct lm_load_result {
    int64_t n_done, n_failed;             /* requests */
    int64_t prompt_tokens, answer_tokens; /* of those done */
    double seconds;                       /* first request to last answer */
    lm_load_times ttft, itl, request;     /* to the first event, between events, whole requests */
    char failure[200];                    /* the first one's message, or "" */
} lm_load_result;

/* Failed requests are counted, not returned. LOAM_INVALID for a count out of reason, LOAM_NO_MEMORY. */
loam_status lm_load_run(const lm_load_options *options, lm_load_result *out,
                        loam_error *err) LM_MUST_USE;

#endif
