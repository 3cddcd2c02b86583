#include "backend/cpu/cpu.h"

#define LM_KERNEL(op, symbol) extern const lm_kernel symbol;
#include "backend/cpu/kernels.def"
#undef LM_KERNEL

static const lm_cpu_kernel kernels[] = {
#define LM_KERNEL(op, symbol) {LM_OP_##op, &symbol},
#include "backend/cpu/kernels.def"
#undef LM_KERNEL
    {LM_OP_COUNT, NULL}, /* an array must not be empty */
};

const lm_cpu_kernel *lm_cpu_kernels(int *out_n) {
    *out_n = (int)LM_COUNT_OF(kernels) - 1;
    return kernels;
}
