/* LINEAR, LINEAR_DX and LINEAR_DW as products of gemm.h, for each instruction set. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/gemm.h"

static bool is_half_or_f32(const lm_tensor *tensor) {
    return tensor->dtype == LM_F32 || tensor->dtype == LM_BF16 || tensor->dtype == LM_F16;
}

/* Quantized weights are quant_linear.c's. */
static bool has_plain_weight(const lm_node *node) {
    return node->op == LM_OP_LINEAR_DW || is_half_or_f32(node->in[1]);
}

static size_t scratch_bytes(const lm_device *device, const lm_node *node) {
    return (size_t)device->n_threads * LM_GEMM_SCRATCH_ELEMS * sizeof(float);
}

static void linear(const lm_kernel_args *args, lm_gemm_fn *gemm) {
    const lm_tensor *x = args->node->in[0], *w = args->node->in[1], *bias = args->node->in[2];
    gemm(
        &(lm_gemm){
            .m = lm_tensor_dim0(x, args->extents),
            .n = w->shape[0],
            .k = w->shape[1],
            .a = x->data,
            .a_dtype = x->dtype,
            .a_stride = x->shape[1],
            .b = w->data,
            .b_dtype = w->dtype,
            .b_stride = w->shape[1],
            .b_order = w->layout == LM_LAYOUT_PANELS ? LM_GEMM_PANELS : LM_GEMM_N_ROWS,
            .c = args->node->out[0]->data,
            .c_stride = w->shape[0],
            .bias = bias ? bias->data : NULL,
        },
        args->thread, args->n_threads, args->workspace);
}

static void linear_dx(const lm_kernel_args *args, lm_gemm_fn *gemm) {
    const lm_tensor *dy = args->node->in[0], *w = args->node->in[1];
    gemm(
        &(lm_gemm){
            .m = lm_tensor_dim0(dy, args->extents),
            .n = w->shape[1],
            .k = w->shape[0],
            .a = dy->data,
            .a_dtype = dy->dtype,
            .a_stride = dy->shape[1],
            .b = w->data,
            .b_dtype = w->dtype,
            .b_stride = w->shape[1],
            .b_order = LM_GEMM_K_ROWS,
            .c = args->node->out[0]->data,
            .c_stride = w->shape[1],
        },
        args->thread, args->n_threads, args->workspace);
}

static void linear_dw(const lm_kernel_args *args, lm_gemm_fn *gemm) {
    const lm_tensor *dy = args->node->in[0], *x = args->node->in[1];
    gemm(
        &(lm_gemm){
            .m = dy->shape[1],
            .n = x->shape[1],
            .k = lm_tensor_dim0(dy, args->extents),
            .a = dy->data,
            .a_dtype = dy->dtype,
            .a_stride = dy->shape[1],
            .a_transposed = true,
            .b = x->data,
            .b_dtype = x->dtype,
            .b_stride = x->shape[1],
            .b_order = LM_GEMM_K_ROWS,
            .c = args->node->out[0]->data,
            .c_stride = x->shape[1],
            .accumulate = args->node->in[2] != NULL,
        },
        args->thread, args->n_threads, args->workspace);
}

/* The three kernels of one instruction set. */
#define LINEAR_KERNELS(set, SET)                                                                  \
    static bool applies_##set(const lm_device *device, const lm_node *node) {                     \
        return lm_cpu_of(device)->isa >= LM_CPU_##SET && has_plain_weight(node);                  \
    }                                                                                             \
    static void linear_##set(const lm_kernel_args *args) {                                        \
        linear(args, lm_gemm_##set);                                                              \
    }                                                                                             \
    static void linear_dx_##set(const lm_kernel_args *args) {                                     \
        linear_dx(args, lm_gemm_##set);                                                           \
    }                                                                                             \
    static void linear_dw_##set(const lm_kernel_args *args) {                                     \
        linear_dw(args, lm_gemm_##set);                                                           \
    }                                                                                             \
    const lm_kernel lm_kernel_linear_##set = {"linear/" #set, applies_##set, scratch_bytes,       \
                                              linear_##set};                                      \
    const lm_kernel lm_kernel_linear_dx_##set = {"linear_dx/" #set, applies_##set, scratch_bytes, \
                                                 linear_dx_##set};                                \
    const lm_kernel lm_kernel_linear_dw_##set = {"linear_dw/" #set, applies_##set, scratch_bytes, \
                                                 linear_dw_##set};

#if defined(__x86_64__)
LINEAR_KERNELS(avx2, AVX2)
LINEAR_KERNELS(avx512, AVX512)
#elif defined(__aarch64__)
LINEAR_KERNELS(neon, NEON)
#endif
