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

/* This thread's share of n elements, in whole vectors. */
static inline lm_range lanes_share(const lm_kernel_args *args, int64_t n) {
    return lm_range_split(n, LM_LANES, args->thread, args->n_threads);
}

#endif
