/* LINEAR and EXPERTS over packed quantized weights, for each instruction set. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/experts.h"
#include "backend/cpu/quant_gemm.h"

bool lm_cpu_has_quant_kernels(const lm_device *device) {
    return lm_cpu_of(device)->isa > LM_CPU_SCALAR;
}

static inline bool is_packed(const lm_node *node) {
    const lm_tensor *w = node->in[1];
    return w->layout == LM_LAYOUT_PANELS && lm_dtype_is_quantized(w->dtype);
}

/* The kernels of one instruction set; `present`: whether `cpu`, a device, has it. */
#define QUANT_KERNELS(set, name, present)                                                         \
    static bool applies_##set(const lm_device *device, const lm_node *node) {                     \
        const lm_cpu_device *cpu = lm_cpu_of(device);                                             \
        return (present) && is_packed(node);                                                      \
    }                                                                                             \
    static size_t bytes_##set(const lm_device *device, const lm_node *node) {                     \
        return lm_quant_gemm_bytes_##set(node, device->n_threads);                                \
    }                                                                                             \
    const lm_kernel lm_kernel_linear_quant_##set = {"linear_quant/" name, applies_##set,          \
                                                    bytes_##set, lm_quant_gemm_##set};            \
    static size_t experts_bytes_##set(const lm_device *device, const lm_node *node) {             \
        return lm_cpu_quant_experts_bytes(device, node, lm_quant_piece_bytes_##set(node));        \
    }                                                                                             \
    static void experts_##set(const lm_kernel_args *args) {                                       \
        lm_cpu_quant_experts(args, lm_quant_piece_##set, lm_quant_piece_bytes_##set(args->node)); \
    }                                                                                             \
    const lm_kernel lm_kernel_experts_quant_##set = {"experts_quant/" name, applies_##set,        \
                                                     experts_bytes_##set, experts_##set};

#if defined(__x86_64__)
QUANT_KERNELS(avx2, "avx2", cpu->isa >= LM_CPU_AVX2)
QUANT_KERNELS(avx512, "avx512", cpu->vnni)
#elif defined(__aarch64__)
QUANT_KERNELS(neon, "neon", cpu->isa >= LM_CPU_NEON)
QUANT_KERNELS(neon_dotprod, "neon-dotprod", cpu->isa >= LM_CPU_NEON_DOTPROD)
QUANT_KERNELS(neon_i8mm, "neon-i8mm", cpu->isa >= LM_CPU_NEON_I8MM)
#endif
