/* Any bytes as a safetensors file: refused, or every tensor lies inside the bytes. */
#include <stdint.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint64_t sum; /* keeps the reads from being optimized away */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_safetensors *file;
    if (lm_safetensors_open_bytes("fuzz", bytes, size, &file, &err) != LOAM_OK) return 0;
    const lm_stored_tensors *tensors = lm_safetensors_tensors(file);
    for (size_t i = 0; i < tensors->items.len; i++) {
        const uint8_t *data = tensors->items.ptr[i].data;
        size_t n = tensors->items.ptr[i].size_bytes;
        if (n) sum += data[0] + data[n - 1];
    }
    lm_safetensors_close(file);
    return 0;
}
