#include "compute/measure.h"

#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

enum { SAMPLE_ROWS = 64 }; /* a multiple of the rows that any device packs together */

static lm_measure *measure_of(const lm_device *device) {
    return (lm_measure *)device->backend;
}

/* Address space that takes memory only where somebody writes: planning writes a few constants. */
static loam_status give(lm_device *device, size_t size_bytes, void **out, loam_error *err) {
    lm_measure *m = measure_of(device);
    void *ptr = mmap(NULL, size_bytes ? size_bytes : 1, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ptr == MAP_FAILED) return lm_error_no_memory(err, size_bytes);
    if (!lm_vec_push(&m->given, ((lm_measured_block){ptr, size_bytes}))) {
        munmap(ptr, size_bytes ? size_bytes : 1);
        return lm_error_no_memory(err, size_bytes);
    }
    m->n_bytes += size_bytes;
    *out = ptr;
    return LOAM_OK;
}

static void take_back(lm_device *device, void *buffer) {
    lm_measure *m = measure_of(device);
    for (size_t i = 0; i < m->given.len; i++) {
        lm_measured_block *block = &m->given.ptr[i];
        if (block->ptr != buffer) continue;
        munmap(block->ptr, block->size_bytes ? block->size_bytes : 1);
        m->n_bytes -= block->size_bytes;
        *block = m->given.ptr[--m->given.len];
        return;
    }
}

/* How a packed weight is described is the backend's: it tells by a few rows. */
static void describe_packed(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out) {
    const lm_measure *m = measure_of(device);
    lm_weight sample = *weight;
    if (sample.shape[0] > SAMPLE_ROWS) sample.shape[0] = SAMPLE_ROWS;
    *out = *weight;
    size_t sample_bytes = m->real->packed_bytes(device, &sample);
    void *packed = lm_alloc_aligned(64, sample_bytes);
    if (packed) m->real->pack(device, &sample, packed, out);
    lm_free(packed);
    memcpy(out->shape, weight->shape, sizeof out->shape);
    out->data = dst;
}

void lm_measure_begin(lm_measure *measure, lm_device *device) {
    LM_ASSERT(lm_device_shares_host_memory(device));
    *measure = (lm_measure){.backend = *device->backend, .real = device->backend};
    measure->backend.alloc = give;
    measure->backend.free = take_back;
    if (measure->backend.pack) measure->backend.pack = describe_packed;
    device->backend = &measure->backend;
}

void lm_measure_end(lm_measure *measure, lm_device *device) {
    LM_ASSERT(measure->n_bytes == 0);
    device->backend = measure->real;
    lm_vec_deinit(&measure->given);
}
