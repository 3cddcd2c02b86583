/* The product of attention over caches of codes: integers of 8 and 16 bits in pairs, summed exactly (ops/paged_softmax.h).
 *
 * A row of a is pairs of 16-bit integers, b is pairs of the cache's type, [pair][column], and a column's sum is over both
 * elements of a pair. Sums never run across lanes, which are columns: positions in the product with keys, dimensions in that with values.
 */
#ifndef LM_BACKEND_CPU_CODES_H
#define LM_BACKEND_CPU_CODES_H

#include "compute/dtype.h"

enum { LM_CODES_MANY_ROWS = 12 }; /* that go by b at once */

/* y[i][c] = fmaf((float)(sum of a[i][t] * b[t][c] over t), unit[i], y[i][c] * keep[i]), or from +0 where keep is NULL. */
typedef struct lm_codes_product {
    float *y;
    int64_t y_stride;
    const float *keep, *unit;
    const void *a, *b;
    int64_t a_stride, b_at, b_stride; /* in pairs */
    int64_t n;                        /* pairs of a row */
    int64_t ahead; /* bytes from what is read of b to what is asked for meanwhile; 0: nothing is */
} lm_codes_product;

/* n_rows <= LM_CODES_MANY_ROWS rows of n_columns, which fill whole vectors of 16; dtype is i8 or i16. The one of an instruction
 * set may only be called on a processor that has it; avx512 stands for VNNI too. */
typedef void lm_codes_multiply_fn(const lm_codes_product *product, int n_rows, int64_t n_columns,
                                  lm_dtype dtype);
lm_codes_multiply_fn lm_codes_multiply_avx2, lm_codes_multiply_avx512, lm_codes_multiply_neon;

#endif
