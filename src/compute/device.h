/* A device's memory and threads for those above the backend: models, sessions, training.
 *
 * Where device memory is host memory (lm_backend.transfer is NULL) these are plain memory
 * operations, and a view is the memory itself: nothing is copied twice. As for the backend: one
 * thread at a time. LOAM_UNAVAILABLE: the device is lost; never on the CPU.
 */
#ifndef LM_COMPUTE_DEVICE_H
#define LM_COMPUTE_DEVICE_H

#include "compute/backend.h"

loam_status lm_device_alloc(lm_device *device, size_t size_bytes, void **out,
                            loam_error *err) LM_MUST_USE; /* zeroed; LOAM_NO_MEMORY */
void lm_device_free(lm_device *device, void *buffer);     /* NULL is fine */

size_t lm_device_memory_bytes(const lm_device *device); /* in all, used or not */

static inline bool lm_device_shares_host_memory(const lm_device *device) {
    return !device->backend->transfer;
}

loam_status lm_device_upload(lm_device *device, void *to, const void *host, size_t size_bytes,
                             loam_error *err) LM_MUST_USE;
loam_status lm_device_download(lm_device *device, void *host, const void *from, size_t size_bytes,
                               loam_error *err) LM_MUST_USE;
loam_status lm_device_copy(lm_device *device, void *to, const void *from, size_t size_bytes,
                           loam_error *err) LM_MUST_USE; /* without overlap */
loam_status lm_device_clear(lm_device *device, void *at, size_t size_bytes,
                            loam_error *err) LM_MUST_USE;

/* Bytes of the weight in the device's order, 0 when it has none for it. */
static inline size_t lm_device_packed_bytes(const lm_device *device, const lm_weight *weight) {
    return device->backend->packed_bytes ? device->backend->packed_bytes(device, weight) : 0;
}

/* The weight in the device's order over device memory of its own (out->data), which the caller
 * frees. LOAM_UNSUPPORTED, quietly: the device has no order for it; LOAM_NO_MEMORY. */
loam_status lm_device_pack(lm_device *device, const lm_weight *weight, lm_weight *out,
                           loam_error *err) LM_MUST_USE;

/* fn(arg, thread, n_threads) on all of the device's host threads. */
void lm_device_parallel(lm_device *device, void (*fn)(void *arg, int thread, int n_threads),
                        void *arg);

/* Device memory where the host can read it: the memory itself, or a copy as of now. */
typedef struct lm_host_view {
    const void *ptr;
    void *copy; /* NULL: there is none */
} lm_host_view;

loam_status lm_host_view_init(lm_host_view *view, lm_device *device, const void *from,
                              size_t size_bytes, loam_error *err) LM_MUST_USE; /* LOAM_NO_MEMORY */
void lm_host_view_deinit(lm_host_view *view); /* a zeroed one is fine */

#endif
