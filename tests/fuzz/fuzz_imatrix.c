/* Any bytes as an importance matrix, in either form: refused, or means that are numbers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/imatrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_imatrix *imatrix;
    void *aligned = aligned_alloc(8, (size + 8) / 8 * 8);
    if (!aligned) return 0;
    memcpy(aligned, bytes, size);
    if (lm_imatrix_read_bytes("fuzz", aligned, size, &imatrix, &err) == LOAM_OK) {
        size_t n;
        const float *means = lm_imatrix_find(imatrix, "blk.0.attn_q.weight", &n);
        for (size_t i = 0; means && i < n; i++)
            if (!isfinite(means[i])) abort();
        lm_imatrix_free(imatrix);
    }
    free(aligned);
    return 0;
}
