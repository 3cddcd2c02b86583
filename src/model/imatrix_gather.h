/* Gathers an importance matrix: runs a model over the chunks of a text and sums the squares of what enters every product with a
 * weight. Names are GGUF's, whatever the model came from. The output matrix is left out: few quantizations use it.
 */
#ifndef LM_MODEL_IMATRIX_GATHER_H
#define LM_MODEL_IMATRIX_GATHER_H

#include "model/imatrix.h"
#include "model/text_chunks.h"

/* Called after each chunk. */
typedef void lm_imatrix_progress_fn(void *ctx, int64_t n_done);

/* Adds to `imatrix`. fn may be NULL. LOAM_INVALID: a context that the model was not made for. */
loam_status lm_imatrix_gather(lm_imatrix *imatrix, const lm_model *model,
                              const lm_text_chunks *chunks, lm_imatrix_progress_fn *fn, void *ctx,
                              loam_error *err) LM_MUST_USE;

#endif
