/* Perplexity of a model on a text: how unlikely it finds each next token, the measure of what a quantization costs.
 *
 * The text is cut in chunks of n_ctx tokens that know nothing of each other; a model that wants a token that begins a text
 * has it in place of each chunk's first. Of every chunk the tokens of the second half count (positions n_ctx / 2 + 1 to
 * n_ctx - 1), so that each has seen at least half a context: the definition that the llama.cpp family uses, and figures
 * on the same file and text compare.
 *
 *     perplexity = exp(mean of -ln p(token | those before it in its chunk))
 */
#ifndef LM_MODEL_PERPLEXITY_H
#define LM_MODEL_PERPLEXITY_H

#include "model/session.h"

typedef struct lm_perplexity {
    int64_t n_chunks, n_done;       /* chunks to come and done */
    int64_t n_scored;               /* tokens that counted so far */
    double nll_sum, nll_square_sum; /* of -ln p and of its square over them */
} lm_perplexity;

/* What the sums stand for; 0 before anything was scored. The error is one standard error of the mean, carried over. */
double lm_perplexity_value(const lm_perplexity *p);
double lm_perplexity_error(const lm_perplexity *p);

typedef struct lm_perplexity_options {
    int64_t n_ctx;      /* tokens of a chunk, at least 4; 0: 512 */
    int64_t max_chunks; /* 0: all that the text has */
    int32_t bos;        /* takes the place of each chunk's first token; -1: none does */
    lm_dtype kv_dtype;
} lm_perplexity_options;

/* Called after each chunk. */
typedef void lm_perplexity_fn(void *ctx, const lm_perplexity *so_far);

/* tokens: of the text, with the one that begins it if the model wants it. fn may be NULL. LOAM_INVALID: fewer tokens than
 * one chunk has, or a context that the model was not made for. */
loam_status lm_perplexity_run(const lm_model *model, const int32_t *tokens, int64_t n_tokens,
                              const lm_perplexity_options *options, lm_perplexity_fn *fn, void *ctx,
                              lm_perplexity *out, loam_error *err) LM_MUST_USE;

#endif
