/* Perplexity of a model on a text: how unlikely it finds each next token, the measure of what a quantization costs.
 *
 * Of every chunk of the text (model/text_chunks.h) the tokens of the second half count (positions n_ctx / 2 + 1 to
 * n_ctx - 1), so that each has seen at least half a context: the definition that the llama.cpp family uses, and figures
 * on the same file and text compare.
 *
 *     perplexity = exp(mean of -ln p(token | those before it in its chunk))
 */
#ifndef LM_MODEL_PERPLEXITY_H
#define LM_MODEL_PERPLEXITY_H

#include "model/session.h"
#include "model/text_chunks.h"

typedef struct lm_perplexity {
    int64_t n_chunks, n_done;       /* chunks to come and done */
    int64_t n_scored;               /* tokens that counted so far */
    double nll_sum, nll_square_sum; /* of -ln p and of its square over them */
} lm_perplexity;

/* What the sums stand for; 0 before anything was scored. The error is one standard error of the mean, carried over. */
double lm_perplexity_value(const lm_perplexity *p);
double lm_perplexity_error(const lm_perplexity *p);

/* Called after each chunk. */
typedef void lm_perplexity_fn(void *ctx, const lm_perplexity *so_far);

/* fn may be NULL. LOAM_INVALID: a context that the model was not made for; LOAM_CORRUPT: logits are no finite numbers. */
loam_status lm_perplexity_run(const lm_model *model, const lm_text_chunks *chunks,
                              lm_dtype kv_dtype, lm_perplexity_fn *fn, void *ctx,
                              lm_perplexity *out, loam_error *err) LM_MUST_USE;

#endif
