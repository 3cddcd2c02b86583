/* What a file of kernels for one instruction set starts with. Included only by files compiled for that set. */
#ifndef LM_BACKEND_CPU_GROUP_H
#define LM_BACKEND_CPU_GROUP_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/simd.h"
#include "compute/ops/rules.h"

static inline bool has_isa(const lm_device *device, const lm_node *node) {
    return lm_cpu_of(device)->isa >= LM_ISA_LEVEL;
}

/* Defines lm_kernel_<op>_<isa>, named "<op>/<isa>". */
#define LM_ISA_KERNEL(op, applies, workspace_bytes, run) \
    extern const lm_kernel LM_ISA(lm_kernel_##op);       \
    const lm_kernel LM_ISA(lm_kernel_##op) = {#op "/" LM_ISA_NAME, applies, workspace_bytes, run}

/* n <= 16 elements from `at` on of an f32 or bf16 tensor, rounded to its type. */
static inline void store_as(const lm_tensor *tensor, int64_t at, lm_v16 x, int64_t n) {
    if (tensor->dtype == LM_BF16)
        lm_v16_store_bf16_n((uint16_t *)tensor->data + at, x, n);
    else
        lm_v16_store_n((float *)tensor->data + at, x, n);
}

/* This thread's share of n elements, in whole vectors. */
static inline lm_range lanes_share(const lm_kernel_args *args, int64_t n) {
    return lm_range_split(n, LM_LANES, args->thread, args->n_threads);
}

#endif
