/* Rotary embedding's inverse frequencies, with the ways in which models stretch them to longer contexts.
 *
 * All kinds of lm_rope_scaling end in one table of rope_dim / 2 inverse frequencies and one factor on cosines and
 * sines, so that kernels know nothing of scaling. Sources: RoPE arXiv:2104.09864; position interpolation
 * arXiv:2306.15595; YaRN arXiv:2309.00071; LongRoPE arXiv:2402.13753; llama3 as Llama 3.1's model card gives it. Pure functions; any thread.
 */
#ifndef LM_MODEL_ROPE_TABLE_H
#define LM_MODEL_ROPE_TABLE_H

#include "base/error.h"
#include "model/hparams.h"

/* Refuses scaling that gives no sensible frequencies, beyond what lm_hparams_check does. */
loam_status lm_rope_check(const lm_hparams *hparams, loam_error *err) LM_MUST_USE;

/* out_inv_freq [rope_dim / 2] for sequences of up to `context` positions; *out_scale multiplies cosines and sines.
 * Only dynamic scaling and longrope look at context: it is computed once for the longest sequence of a session, so that a token's
 * logits do not depend on how long its neighbours are. hparams has passed lm_rope_check. */
void lm_rope_table(const lm_hparams *hparams, int64_t context, float *out_inv_freq,
                   float *out_scale);

/* The same for windowed layers of a model with a local_rope_theta; their scale is 1. */
void lm_rope_local_table(const lm_hparams *hparams, float *out_inv_freq);

/* What queries at this position are multiplied by in a model with query_growth, behind their rotation. */
double lm_query_factor(const lm_hparams *hparams, int64_t position);

#endif
