/* LINEAR: y = x w^T + bias
 * x     [R, K] f32|bf16                                            in
 * w     [N, K] any float type, in row order or the backend's      in
 * bias  [N] f32, optional                                         in
 * y     [R, N] f32                                                out
 *
 * Order: y[r, n] is one f32 accumulator, from +0, acc = fmaf(x[r, k], w[n, k], acc) for k = 0 ..
 * K-1, then + bias[n]. Types other than f32 are converted to f32 exactly first. Every kernel of
 * every instruction set keeps this order, with a vector lane as an output column or row, so that
 * the bits are the same for one row and for a thousand.
 *
 * Where w is bf16, x is rounded to bf16 and k runs 1, 0, 3, 2, ... (the partner that an odd K lacks
 * is 0): two products are one step of the dot-product instructions, which add the second first.
 * These take subnormal numbers for 0; with the others the bits are the same again.
 *
 * Quantized w (quant/quant.h) is multiplied in integers. Every 32 consecutive k of a row of x become
 * a piece of one f32 scale and 32 integers:
 *
 *     amax = max |x|;  an x that is NaN or infinite: d = NaN, q = 0;  amax < 1e-30: d = 0, q = 0;
 *     otherwise d = amax / 127, q = x * (127 / amax) rounded to nearest even, -127 to 127
 *
 * and for each part s of w's block that shares a scale (the whole piece, or its two halves in order)
 *
 *     i = sum of q * (value - zero), exact     t = i * scale[s] + 0      (+ 0: -0 becomes +0)
 *     with mins: t = fmaf(min[s], -sum of q, t)       acc = fmaf(t, d, acc)
 *
 * A scale that is not finite, or 2^104 or more, counts as NaN. Integer sums have no order, so the
 * bits are again the same for all kernels, threads and numbers of rows.
 */
#include "compute/ops/linear_sums.h"
#include "compute/quant/quant.h"

enum {
    CHUNK = 256, /* elements converted at a time; a multiple of every format's block */
    PIECE = 32,  /* elements of x quantized together */
};

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1], *bias = node->in[2];
    bool x_ok = x->n_dims == 2 && (x->dtype == LM_F32 || x->dtype == LM_BF16);
    bool w_ok = w->n_dims == 2 && lm_is_weight(w->dtype) && w->extent == LM_EXTENT_FIXED;
    if (!x_ok || !w_ok || x->shape[1] != w->shape[1] ||
        (bias && (!lm_is(bias, LM_F32, 1) || bias->shape[0] != w->shape[0])))
        return lm_op_refuse(node, err, "x [R, K] f32|bf16, w [N, K] and, if any, bias [N] f32");
    lm_out_rows(out[0], x, w->shape[0]);
    return LOAM_OK;
}

typedef struct x_piece {
    float d;
    int q[PIECE];
} x_piece;

static void quantize_piece(const float *x, x_piece *out) {
    float amax = 0.0f;
    bool finite = true;
    for (int i = 0; i < PIECE; i++) {
        finite = finite && isfinite(x[i]);
        amax = fmaxf(amax, fabsf(x[i]));
    }
    bool any = finite && amax >= 1e-30f;
    out->d = !finite ? NAN : any ? amax / 127.0f : 0.0f;
    for (int i = 0; i < PIECE; i++) out->q[i] = any ? (int)rintf(x[i] * (127.0f / amax)) : 0;
}

/* acc after one block of w and the pieces of x beside it. */
static float add_block(const lm_dtype_info *type, const void *src, const x_piece *x, float acc) {
    const lm_quant_info *quant = type->quant;
    int n_subs = (int)type->block_elems / quant->sub_elems;
    lm_quant_block block;
    float scale[LM_QUANT_MAX_SUBS], min[LM_QUANT_MAX_SUBS];
    quant->read(src, &block);
    lm_quant_scales_of(quant, &block, n_subs, scale, min);
    for (int s = 0; s < n_subs; s++) {
        const x_piece *piece = x + s * quant->sub_elems / PIECE;
        int product = 0, sum = 0;
        for (int i = s * quant->sub_elems; i < (s + 1) * quant->sub_elems; i++) {
            int value = quant->values ? quant->values[block.codes[i]] : block.codes[i];
            product += piece->q[i % PIECE] * (value - quant->zero);
            sum += piece->q[i % PIECE];
        }
        float t = (float)product * (fabsf(scale[s]) < 0x1p104f ? scale[s] : NAN) + 0.0f;
        if (lm_quant_has_min(quant)) t = fmaf(min[s], -(float)sum, t);
        acc = fmaf(t, piece->d, acc);
    }
    return acc;
}

static void reference_quantized(const lm_kernel_args *args) {
    const lm_tensor *x = args->node->in[0], *w = args->node->in[1], *bias = args->node->in[2];
    float *y = lm_f32(args->node->out[0]);
    int64_t n_in = w->shape[1], n_out = w->shape[0];
    const lm_dtype_info *type = lm_dtype_get(w->dtype);
    lm_range columns = lm_share(args, n_out);
    for (int64_t r = 0; r < lm_rows_now(args, x); r++, y += n_out) {
        for (int64_t n = columns.begin; n < columns.end; n++) y[n] = 0.0f;
        for (int64_t k = 0; k < n_in; k += type->block_elems) {
            float chunk[LM_QUANT_MAX_BLOCK];
            x_piece pieces[LM_QUANT_MAX_BLOCK / PIECE];
            lm_load(x, r * n_in + k, chunk, type->block_elems);
            for (int64_t i = 0; i < type->block_elems; i += PIECE)
                quantize_piece(chunk + i, &pieces[i / PIECE]);
            for (int64_t n = columns.begin; n < columns.end; n++)
                y[n] = add_block(type, lm_at(w, n * n_in + k), pieces, y[n]);
        }
        for (int64_t n = columns.begin; bias && n < columns.end; n++) y[n] += lm_f32(bias)[n];
    }
}

static void reference_plain(const lm_kernel_args *args) {
    const lm_tensor *x = args->node->in[0], *w = args->node->in[1], *bias = args->node->in[2];
    float *y = lm_f32(args->node->out[0]);
    int64_t n_rows = lm_rows_now(args, x), n_in = w->shape[1], n_out = w->shape[0];
    float x_chunk[CHUNK], w_chunk[CHUNK];
    lm_range columns = lm_share(args, n_out);
    for (int64_t n = columns.begin; n < columns.end; n++) {
        for (int64_t r = 0; r < n_rows; r++) y[r * n_out + n] = 0.0f;
        for (int64_t k = 0; k < n_in; k += CHUNK) {
            int64_t count = n_in - k < CHUNK ? n_in - k : CHUNK;
            lm_load(w, n * n_in + k, w_chunk, count);
            for (int64_t r = 0; r < n_rows; r++) {
                lm_load(x, r * n_in + k, x_chunk, count);
                y[r * n_out + n] = w->dtype == LM_BF16
                                       ? lm_add_pairs(x_chunk, w_chunk, count, y[r * n_out + n])
                                       : lm_add_products(x_chunk, w_chunk, count, y[r * n_out + n]);
            }
        }
        for (int64_t r = 0; bias && r < n_rows; r++) y[r * n_out + n] += lm_f32(bias)[n];
    }
}

static void reference(const lm_kernel_args *args) {
    const lm_tensor *w = args->node->in[1];
    LM_ASSERT(w->layout == LM_LAYOUT_ROWS);
    if (lm_dtype_is_quantized(w->dtype))
        reference_quantized(args);
    else
        reference_plain(args);
}

/* Where the weight is bf16 the products of the backward pass are too: dy is rounded once for
 * both. */
static lm_tensor *rounded_like(lm_graph *graph, lm_tensor *dy, const lm_tensor *w) {
    if (w->dtype != LM_BF16) return dy;
    return lm_graph_op(graph, LM_OP_CAST, &(lm_op_args){.in = {dy}, .attrs.dtype = LM_BF16});
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    lm_tensor *x = node->in[0], *w = node->in[1], *bias = node->in[2];
    if (bias && bias->requires_grad) {
        lm_tensor *grad = lm_graph_leaf_grad(graph, bias);
        lm_tensor *d_bias =
            lm_graph_op(graph, LM_OP_COLUMN_SUM, &(lm_op_args){.in = {d_out[0], grad}});
        if (!grad) d_in[2] = d_bias;
    }
    lm_tensor *dy = rounded_like(graph, d_out[0], w);
    if (w->requires_grad) {
        lm_tensor *grad = lm_graph_leaf_grad(graph, w);
        lm_tensor *d_w = lm_graph_op(graph, LM_OP_LINEAR_DW, &(lm_op_args){.in = {dy, x, grad}});
        if (!grad) d_in[1] = d_w;
    }
    if (x->requires_grad)
        d_in[0] = lm_graph_op(graph, LM_OP_LINEAR_DX, &(lm_op_args){.in = {dy, w}});
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_tensor *w = node->in[1];
    int64_t rows = lm_tensor_dim0(node->in[0], extents);
    out->flops = rows * w->shape[0] * (2 * w->shape[1] + (node->in[2] ? 1 : 0));
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_linear;
const lm_op lm_op_linear = {
    .name = "linear",
    .min_inputs = 2,
    .max_inputs = 3,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
