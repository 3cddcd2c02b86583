/* Quantization by search: for any format that quant.h describes, the scales, mins and codes of a block that make
 *
 *     sum of importance[i] * (x[i] - dequantized[i])^2
 *
 * small: candidates of every part's scale, least squares between them, then whole numbers for the parts under the
 * block's f16 numbers, tried against their neighbours. Exact arithmetic in a fixed order: the same bytes on every
 * machine. Any thread.
 */
#ifndef LM_COMPUTE_QUANT_SEARCH_H
#define LM_COMPUTE_QUANT_SEARCH_H

#include "compute/dtype.h"

/* src [n], a multiple of the block; NaN counts as 0, and what no scale reaches as the largest that one does.
 * importance [n], finite and not negative, or NULL: all alike. dst: lm_dtype_bytes. info: of a quantized type. */
void lm_quantize(const lm_dtype_info *info, const float *src, const float *importance, void *dst,
                 int64_t n);

#endif
