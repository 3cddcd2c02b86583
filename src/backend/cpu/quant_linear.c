/* LINEAR over a packed quantized weight, for each instruction set. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/quant_gemm.h"

bool lm_cpu_has_quant_kernels(const lm_device *device) {
#if defined(__x86_64__)
    return lm_cpu_of(device)->isa >= LM_CPU_AVX2;
#else
    return false;
#endif
}

#if defined(__x86_64__)

static bool is_packed(const lm_node *node) {
    const lm_tensor *w = node->in[1];
    return w->layout == LM_LAYOUT_PANELS && lm_dtype_is_quantized(w->dtype);
}

static bool applies_avx2(const lm_device *device, const lm_node *node) {
    return lm_cpu_of(device)->isa >= LM_CPU_AVX2 && is_packed(node);
}

static bool applies_avx512(const lm_device *device, const lm_node *node) {
    return lm_cpu_of(device)->vnni && is_packed(node);
}

static size_t bytes_avx2(const lm_device *device, const lm_node *node) {
    return lm_quant_gemm_bytes_avx2(node, device->n_threads);
}

static size_t bytes_avx512(const lm_device *device, const lm_node *node) {
    return lm_quant_gemm_bytes_avx512(node, device->n_threads);
}

const lm_kernel lm_kernel_linear_quant_avx2 = {"linear_quant/avx2", applies_avx2, bytes_avx2,
                                               lm_quant_gemm_avx2};
const lm_kernel lm_kernel_linear_quant_avx512 = {"linear_quant/avx512", applies_avx512,
                                                 bytes_avx512, lm_quant_gemm_avx512};

#endif
