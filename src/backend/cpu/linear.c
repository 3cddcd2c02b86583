/* LINEAR, LINEAR_DX and LINEAR_DW as products of gemm.h, for each instruction set. */
#include "backend/cpu/linear.h"

#include "backend/cpu/cpu.h"
#include "base/cpu.h"

static bool is_half_or_f32(const lm_tensor *tensor) {
    return tensor->dtype == LM_F32 || tensor->dtype == LM_BF16 || tensor->dtype == LM_F16;
}

/* Quantized weights are quant_linear.c's. */
static bool has_plain_weight(const lm_node *node) {
    return node->op == LM_OP_LINEAR_DW || is_half_or_f32(node->in[1]);
}

/* Whether the node's products are added in pairs (ops/linear.c, ops/linear_dw.c). */
static bool in_pairs(const lm_node *node) {
    bool other_is = node->op != LM_OP_LINEAR_DW || node->in[0]->dtype == LM_BF16;
    return node->in[1]->dtype == LM_BF16 && other_is;
}

static lm_gemm_order b_order_of(const lm_node *node) {
    if (node->op != LM_OP_LINEAR) return LM_GEMM_K_ROWS;
    return node->in[1]->layout == LM_LAYOUT_PANELS ? LM_GEMM_PANELS : LM_GEMM_N_ROWS;
}

static size_t scratch_bytes(const lm_device *device, const lm_node *node) {
    return (size_t)device->n_threads * sizeof(float) *
           (size_t)lm_gemm_scratch_elems(b_order_of(node), node->in[1]->shape[1]);
}

lm_gemm lm_linear_y(int64_t n_rows, lm_matrix x, const lm_tensor *w, float *y, int64_t y_stride) {
    return (lm_gemm){
        .m = n_rows,
        .n = w->shape[0],
        .k = w->shape[1],
        .a = x.data,
        .a_dtype = x.dtype,
        .a_stride = x.stride,
        .b = w->data,
        .b_dtype = w->dtype,
        .b_stride = w->shape[1],
        .b_order = w->layout == LM_LAYOUT_PANELS ? LM_GEMM_PANELS : LM_GEMM_N_ROWS,
        .pairs = w->dtype == LM_BF16,
        .l2_bytes = lm_cpu_get()->l2_bytes,
        .c = y,
        .c_stride = y_stride,
    };
}

lm_gemm lm_linear_dx(int64_t n_rows, lm_matrix dy, const lm_tensor *w, const float *start,
                     float *dx) {
    return (lm_gemm){
        .m = n_rows,
        .n = w->shape[1],
        .k = w->shape[0],
        .a = dy.data,
        .a_dtype = dy.dtype,
        .a_stride = dy.stride,
        .b = w->data,
        .b_dtype = w->dtype,
        .b_stride = w->shape[1],
        .b_order = LM_GEMM_K_ROWS,
        .pairs = w->dtype == LM_BF16,
        .l2_bytes = lm_cpu_get()->l2_bytes,
        .c = dx,
        .c_stride = w->shape[1],
        .start = start,
    };
}

lm_gemm lm_linear_dw(int64_t n_rows, lm_matrix dy, int64_t n_out, lm_matrix x, int64_t n_in,
                     float *dw, bool accumulate) {
    return (lm_gemm){
        .m = n_out,
        .n = n_in,
        .k = n_rows,
        .a = dy.data,
        .a_dtype = dy.dtype,
        .a_stride = dy.stride,
        .a_transposed = true,
        .b = x.data,
        .b_dtype = x.dtype,
        .b_stride = x.stride,
        .b_order = LM_GEMM_K_ROWS,
        .pairs = dy.dtype == LM_BF16 && x.dtype == LM_BF16,
        .l2_bytes = lm_cpu_get()->l2_bytes,
        .c = dw,
        .c_stride = n_in,
        .start = accumulate ? dw : NULL,
    };
}

static lm_matrix matrix_of(const lm_tensor *tensor) {
    return (lm_matrix){tensor->data, tensor->dtype, tensor->shape[1]};
}

static void linear(const lm_kernel_args *args, lm_gemm_fn *gemm) {
    const lm_tensor *x = args->node->in[0], *w = args->node->in[1], *bias = args->node->in[2];
    lm_gemm y = lm_linear_y(lm_tensor_dim0(x, args->extents), matrix_of(x), w,
                            args->node->out[0]->data, w->shape[0]);
    y.bias = bias ? bias->data : NULL;
    if (y.b_order == LM_GEMM_PANELS) y.shared = args;
    gemm(&y, args->thread, args->n_threads, args->workspace);
}

static void linear_dx(const lm_kernel_args *args, lm_gemm_fn *gemm) {
    const lm_tensor *dy = args->node->in[0], *start = args->node->in[2];
    lm_gemm dx = lm_linear_dx(lm_tensor_dim0(dy, args->extents), matrix_of(dy), args->node->in[1],
                              start ? start->data : NULL, args->node->out[0]->data);
    gemm(&dx, args->thread, args->n_threads, args->workspace);
}

static void linear_dw(const lm_kernel_args *args, lm_gemm_fn *gemm) {
    const lm_tensor *dy = args->node->in[0], *x = args->node->in[1];
    lm_gemm dw =
        lm_linear_dw(lm_tensor_dim0(dy, args->extents), matrix_of(dy), dy->shape[1], matrix_of(x),
                     x->shape[1], args->node->out[0]->data, args->node->in[2] != NULL);
    gemm(&dw, args->thread, args->n_threads, args->workspace);
}

static bool any(const lm_node *node) {
    return true;
}

/* The three kernels of one instruction set, for nodes of which `takes` is true. */
#define LINEAR_KERNELS(set, name, SET, takes)                                                     \
    static bool applies_##set(const lm_device *device, const lm_node *node) {                     \
        return lm_cpu_of(device)->isa >= LM_CPU_##SET && has_plain_weight(node) && takes(node);   \
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
    const lm_kernel lm_kernel_linear_##set = {"linear/" name, applies_##set, scratch_bytes,       \
                                              linear_##set};                                      \
    const lm_kernel lm_kernel_linear_dx_##set = {"linear_dx/" name, applies_##set, scratch_bytes, \
                                                 linear_dx_##set};                                \
    const lm_kernel lm_kernel_linear_dw_##set = {"linear_dw/" name, applies_##set, scratch_bytes, \
                                                 linear_dw_##set};

#if defined(__x86_64__)
LINEAR_KERNELS(avx2, "avx2", AVX2, any)
LINEAR_KERNELS(avx512, "avx512", AVX512, any)
LINEAR_KERNELS(avx512_bf16, "avx512-bf16", AVX512_BF16, in_pairs)
#elif defined(__aarch64__)
LINEAR_KERNELS(neon, "neon", NEON, any)
#endif
