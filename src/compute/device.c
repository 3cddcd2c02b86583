#include "compute/device.h"

#include <string.h>
#include <unistd.h>

#include "base/usable.h"
#include "base/mem.h"
#include "base/pool.h"

enum { CLEAR_SHARE_BYTES = 1 << 14 };

loam_status lm_device_alloc(lm_device *device, size_t size_bytes, void **out, loam_error *err) {
    return device->backend->alloc(device, size_bytes, out, err);
}

void lm_device_free(lm_device *device, void *buffer) {
    if (buffer) device->backend->free(device, buffer);
}

size_t lm_device_memory_bytes(const lm_device *device) {
    if (device->backend->memory_bytes) return device->backend->memory_bytes(device);
    return lm_machine_memory_read().total_bytes;
}

loam_status lm_device_upload(lm_device *device, void *to, const void *host, size_t size_bytes,
                             loam_error *err) {
    const lm_transfer *transfer = device->backend->transfer;
    if (transfer) return transfer->upload(device, to, host, size_bytes, err);
    memcpy(to, host, size_bytes);
    return LOAM_OK;
}

loam_status lm_device_download(lm_device *device, void *host, const void *from, size_t size_bytes,
                               loam_error *err) {
    const lm_transfer *transfer = device->backend->transfer;
    if (transfer) return transfer->download(device, host, from, size_bytes, err);
    memcpy(host, from, size_bytes);
    return LOAM_OK;
}

loam_status lm_device_copy(lm_device *device, void *to, const void *from, size_t size_bytes,
                           loam_error *err) {
    const lm_transfer *transfer = device->backend->transfer;
    if (transfer) return transfer->copy(device, to, from, size_bytes, err);
    memcpy(to, from, size_bytes);
    return LOAM_OK;
}

typedef struct clear_job {
    char *at;
    size_t size_bytes;
} clear_job;

static void clear_share(void *arg, int thread, int n_threads) {
    const clear_job *job = arg;
    lm_range r = lm_range_split((int64_t)job->size_bytes, CLEAR_SHARE_BYTES, thread, n_threads);
    memset(job->at + r.begin, 0, (size_t)(r.end - r.begin));
}

loam_status lm_device_clear(lm_device *device, void *at, size_t size_bytes, loam_error *err) {
    const lm_transfer *transfer = device->backend->transfer;
    if (transfer) return transfer->clear(device, at, size_bytes, err);
    lm_device_parallel(device, clear_share, &(clear_job){at, size_bytes});
    return LOAM_OK;
}

loam_status lm_device_pack(lm_device *device, const lm_weight *weight, lm_weight *out,
                           loam_error *err) {
    size_t size_bytes = lm_device_packed_bytes(device, weight);
    if (size_bytes == 0) return LOAM_UNSUPPORTED;
    bool direct = lm_device_shares_host_memory(device);
    void *buffer;
    LM_TRY(lm_device_alloc(device, size_bytes, &buffer, err));
    void *host = direct ? buffer : lm_alloc_aligned(64, size_bytes);
    if (!host) {
        lm_device_free(device, buffer);
        return lm_error_no_memory(err, size_bytes);
    }
    lm_weight packed;
    device->backend->pack(device, weight, host, &packed);
    packed.data = buffer;
    loam_status status = LOAM_OK;
    if (!direct) {
        status = lm_device_upload(device, buffer, host, size_bytes, err);
        lm_free(host);
    }
    if (status == LOAM_OK)
        *out = packed;
    else
        lm_device_free(device, buffer);
    return status;
}

void lm_device_parallel(lm_device *device, void (*fn)(void *arg, int thread, int n_threads),
                        void *arg) {
    if (device->backend->parallel)
        device->backend->parallel(device, fn, arg);
    else
        fn(arg, 0, 1);
}

loam_status lm_host_view_init(lm_host_view *view, lm_device *device, const void *from,
                              size_t size_bytes, loam_error *err) {
    if (lm_device_shares_host_memory(device)) {
        *view = (lm_host_view){.ptr = from};
        return LOAM_OK;
    }
    void *copy = lm_alloc(size_bytes);
    if (!copy) return lm_error_no_memory(err, size_bytes);
    loam_status status = lm_device_download(device, copy, from, size_bytes, err);
    if (status != LOAM_OK) {
        lm_free(copy);
        return status;
    }
    *view = (lm_host_view){.ptr = copy, .copy = copy};
    return LOAM_OK;
}

void lm_host_view_deinit(lm_host_view *view) {
    lm_free(view->copy);
    *view = (lm_host_view){0};
}
