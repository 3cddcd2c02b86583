/* The CPU as a device: a thread pool, the instruction set in use, and the table of kernels.
 *
 * kernels.def lists every kernel, one line each, best first within an op; select takes the first that applies and falls
 * back to the op's reference, which always does. A kernel is a `const lm_kernel` in the file of its op group and
 * instruction set; its `applies` looks at the device's isa and at the node's shapes and types.
 */
#ifndef LM_BACKEND_CPU_CPU_H
#define LM_BACKEND_CPU_CPU_H

#include "base/pool.h"
#include "compute/backend.h"

/* Instruction sets in use, each with all before it: plain C, then those of isas.def. */
typedef enum lm_cpu_isa {
    LM_CPU_SCALAR,
#define LM_CPU_ISA(id, name, present) LM_CPU_##id,
#include "backend/cpu/isas.def"
#undef LM_CPU_ISA
    LM_CPU_N_ISAS,
} lm_cpu_isa;

typedef struct lm_cpu_device {
    lm_device base;
    lm_pool *pool;
    lm_cpu_isa isa;
    bool vnni, bf16;                   /* AVX-512 extensions; false below that set */
    lm_kernel references[LM_OP_COUNT]; /* every op's reference as a kernel, "add/reference" */
} lm_cpu_device;

extern const lm_backend lm_backend_cpu;

/* A line of kernels.def. */
typedef struct lm_cpu_kernel {
    lm_op_id op;
    const lm_kernel *kernel;
} lm_cpu_kernel;

/* All kernels in the order of kernels.def, references not among them. Static storage. */
const lm_cpu_kernel *lm_cpu_kernels(int *out_n);

/* "scalar", "avx2": what lm_device_options.isa takes. Static storage. */
const char *lm_cpu_isa_name(lm_cpu_isa isa);

/* lm_backend.run of the CPU; never fails. */
loam_status lm_cpu_run(lm_device *device, const lm_step *steps, int n_steps, const int64_t *extents,
                       void *workspace, int64_t *profile_ns, loam_error *err) LM_MUST_USE;

/* A node that one thread runs by itself as a piece of another node's work, whose arguments are `args`. `kernel` is what select
 * gives for it; workspace: lm_cpu_alone_bytes of it, whole lines. */
void lm_cpu_run_alone(const lm_kernel *kernel, const lm_kernel_args *args, const lm_node *node,
                      void *workspace);
size_t lm_cpu_alone_bytes(const lm_device *device, const lm_node *node);

/* Packing, as in lm_backend. */
size_t lm_cpu_packed_bytes(const lm_device *device, const lm_weight *weight);
void lm_cpu_pack(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out);
/* Bytes of the first n rows of each matrix of w [n_matrices, n_out, n_in], in the order that it has; n in whole panels or all. */
size_t lm_cpu_matrix_bytes(const lm_device *device, const lm_tensor *w, int64_t n);
const char *lm_cpu_pack_order(const lm_device *device);

/* Memory cut into parts that begin on lines of their own. Where base is NULL the parts are, too, and only bytes are counted. */
typedef struct lm_cpu_parts {
    char *base;
    size_t bytes;
} lm_cpu_parts;

static inline void *lm_cpu_next_part(lm_cpu_parts *parts, size_t bytes) {
    void *part = parts->base ? parts->base + parts->bytes : NULL;
    parts->bytes += (bytes + 63) / 64 * 64;
    return part;
}

static inline const lm_cpu_device *lm_cpu_of(const lm_device *device) {
    return (const lm_cpu_device *)device;
}

#endif
