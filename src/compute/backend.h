/* What a backend offers: a device with memory, and for every op an ordered list of kernels ending
 * in the reference.
 *
 * Nothing above this interface knows a vendor. The CPU is one backend among others and stands
 * behind exactly this; docs/adding/backend.md tells how to add one.
 *
 *     plan (compute/plan.h)  --select-->  kernel per node
 *                            --alloc--->  one arena and one workspace in device memory
 *                            --run----->  all steps in order, for the extents of this run
 *
 * Device memory is named by addresses: base plus offset is an address, and whoever is above the
 * backend reads or writes what is there through compute/device.h alone. A device is one stream:
 * what is asked of it happens in the order in which it was asked. One thread at a time uses a
 * device and its memory.
 */
#ifndef LM_COMPUTE_BACKEND_H
#define LM_COMPUTE_BACKEND_H

#include "compute/op.h"

typedef struct lm_device lm_device;

typedef struct lm_kernel {
    const char *name;                                              /* "linear/f32-avx512" */
    bool (*applies)(const lm_device *device, const lm_node *node); /* NULL: always */
    /* At capacity; NULL: none. */
    size_t (*workspace_bytes)(const lm_device *device, const lm_node *node);
    lm_kernel_fn *run;
} lm_kernel;

/* One node with the kernel chosen for it. */
typedef struct lm_step {
    const lm_node *node;
    const lm_kernel *kernel;
} lm_step;

typedef struct lm_device_options {
    int n_threads;   /* 0: all usable CPUs */
    const char *isa; /* at most this: "scalar", "avx2", "neon"; NULL: the best there is */
} lm_device_options;

/* How bytes come into, out of and around memory that the host does not address. All are ordered
 * with the runs. LOAM_UNAVAILABLE: the device is lost, now or in work asked for before. */
typedef struct lm_transfer {
    /* The host's bytes have been read when it returns. */
    loam_status (*upload)(lm_device *device, void *to, const void *host, size_t size_bytes,
                          loam_error *err);
    /* Waits for all work before it. */
    loam_status (*download)(lm_device *device, void *host, const void *from, size_t size_bytes,
                            loam_error *err);
    /* Within the device; the two do not overlap. */
    loam_status (*copy)(lm_device *device, void *to, const void *from, size_t size_bytes,
                        loam_error *err);
    loam_status (*clear)(lm_device *device, void *at, size_t size_bytes, loam_error *err);
} lm_transfer;

/* A backend's functions. Those said to be optional may be NULL. */
typedef struct lm_backend {
    const char *name; /* "cpu" */
    loam_status (*open)(const lm_device_options *options, lm_device **out, loam_error *err);
    void (*close)(lm_device *device);
    /* Optional. NULL: device memory is host memory, an address is a pointer. */
    const lm_transfer *transfer;
    /* Optional. Bytes of memory that the device has in all. NULL: the host's. */
    size_t (*memory_bytes)(const lm_device *device);
    /* size bytes aligned to 64, zeroed. LOAM_NO_MEMORY. */
    loam_status (*alloc)(lm_device *device, size_t size_bytes, void **out, loam_error *err);
    void (*free)(lm_device *device, void *buffer);
    /* The first kernel of the op's list that applies. Never NULL: the reference always applies
     * on the CPU; a backend that lacks an op returns NULL, and planning fails with
     * LOAM_UNSUPPORTED naming op and backend. */
    const lm_kernel *(*select)(const lm_device *device, const lm_node *node);
    /* Optional, with the two below. Bytes that a constant [n_out, n_in] matrix, or several [n, n_out,
     * n_in] one after the other, takes in the order that LINEAR's (and EXPERTS') kernels want; 0, or NULL: they read it as it is. A function of the device's options and of the weight's dtype, layout and shape. */
    size_t (*packed_bytes)(const lm_device *device, const lm_weight *weight);
    /* Writes a weight whose packed_bytes are not 0 in that order to dst [packed_bytes], every byte
     * of it: host memory of any origin, aligned to 64. *out becomes the packed weight over dst,
     * which stays the caller's. */
    void (*pack)(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out);
    /* Names the order and its version, "cpu-panels-1": equal names mean equal bytes for equal
     * weights, so that packed bytes may be kept and used again. Static storage. */
    const char *(*pack_order)(const lm_device *device);
    /* Runs the steps in order, or sees to it that they will have run before whatever is asked for
     * next. `profile_ns`, when not NULL, gets each step's time ([n_steps], added to); a backend
     * that cannot tell leaves it as it is. LOAM_UNAVAILABLE as for transfers; never on the CPU. */
    loam_status (*run)(lm_device *device, const lm_step *steps, int n_steps, const int64_t *extents,
                       void *workspace, int64_t *profile_ns, loam_error *err);
    /* Optional. fn(arg, thread, n_threads) on the device's host threads: for work that is no graph
     * (packing, sampling). NULL: the caller's thread does it all. */
    void (*parallel)(lm_device *device, void (*fn)(void *arg, int thread, int n_threads),
                     void *arg);
} lm_backend;

/* Every device begins with its backend, so that callers reach the functions through any device. */
struct lm_device {
    const lm_backend *backend;
    int n_threads; /* of `parallel`; 1 without it */
};

static inline void lm_device_close(lm_device *device) {
    if (device) device->backend->close(device);
}

#endif
