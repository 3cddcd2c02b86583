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
 * Quantized w (quant/quant.h) is multiplied in integers. Every 128 consecutive k of a row of x (fewer at
 * the end) are a group of one f32 scale d, and every 32 of them a piece of 32 integers in units of d * 2^-e:
 *
 *     amax = max |x| of the group;  an x that is NaN or infinite: d = NaN, q = 0;  amax < 1e-30: d = 0, q = 0;
 *     otherwise d = amax / 127, q = x * (127 / amax * 2^e) rounded to nearest even, -127 to 127, where
 *     e <= 16 is the largest with (max |x| of the piece) * 2^e <= amax; 16 where that maximum is below 1e-30
 *
 * and for each part s of w's blocks that shares a scale (a whole piece, or its two halves in order), g = +0 at
 * the beginning of each group:
 *
 *     t = 2^-e * sum of q * (value - zero), exact       g = fmaf(t, scale[s], g)
 *     with mins: g = fmaf(min[s], -sum of q * 2^-e, g)       at the group's end: acc = fmaf(g, d, acc)
 *
 * Units of powers of two save kernels a product for each sum, as bits of integer sums can be made those of t plus
 * a constant. A finite scale of 2^104 or more counts as NaN. Integer sums have no order, so the bits are again the
 * same for all kernels, threads and numbers of rows.
 */
#include "compute/ops/linear_sums.h"
#include "compute/quant/quant.h"

enum {
    CHUNK = 256, /* elements converted at a time; a multiple of every format's block */
    PIECE = 32,  /* elements of x quantized in the same units */
    GROUP = 128, /* and those that share a scale */
    MAX_SHIFT = 16,
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
    float d;    /* of its group */
    float unit; /* 2^-e */
    int q[PIECE];
} x_piece;

/* max |x|; NaN where one is. */
static float max_magnitude(const float *x, int64_t n) {
    float amax = 0.0f;
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= amax) && !isnan(amax)) amax = fabsf(x[i]);
    return amax;
}

static int shift_of(float amax, float group_amax) {
    if (!(amax >= 1e-30f)) return MAX_SHIFT;
    int of, of_group;
    float fraction = frexpf(amax, &of), group_fraction = frexpf(group_amax, &of_group);
    int e = of_group - of - (group_fraction < fraction);
    return e < MAX_SHIFT ? e : MAX_SHIFT;
}

static void quantize_group(const float *x, int64_t n, x_piece *out) {
    float amax = max_magnitude(x, n);
    bool finite = amax < INFINITY, any = finite && amax >= 1e-30f;
    for (int64_t k = 0; k < n; k += PIECE, out++) {
        int e = any ? shift_of(max_magnitude(x + k, PIECE), amax) : 0;
        out->d = any ? amax / 127.0f : finite ? 0.0f : NAN;
        out->unit = ldexpf(1.0f, -e);
        for (int i = 0; i < PIECE; i++)
            out->q[i] = any ? (int)rintf(x[k + i] * (127.0f / amax * ldexpf(1.0f, e))) : 0;
    }
}

/* g after part s of a block, which begins in `piece`. */
static float add_part(const lm_quant_info *quant, const lm_quant_block *block, int s, float scale,
                      float min, const x_piece *piece, float g) {
    int product = 0, sum = 0;
    for (int i = s * quant->sub_elems; i < (s + 1) * quant->sub_elems; i++) {
        int value = quant->values ? quant->values[block->codes[i]] : block->codes[i];
        product += piece->q[i % PIECE] * (value - quant->zero);
        sum += piece->q[i % PIECE];
    }
    bool large = isfinite(scale) && fabsf(scale) >= 0x1p104f;
    g = fmaf((float)product * piece->unit, large ? NAN : scale, g);
    return lm_quant_has_min(quant) ? fmaf(min, -(float)sum * piece->unit, g) : g;
}

/* acc after n_k elements of w in whole blocks and the pieces of x beside them, whole groups or all that are left. */
static float add_quantized(const lm_dtype_info *type, const char *src, const x_piece *x,
                           int64_t n_k, float acc) {
    const lm_quant_info *quant = type->quant;
    int n_subs = (int)type->block_elems / quant->sub_elems;
    float g = 0.0f;
    for (int64_t k = 0; k < n_k; src += type->block_bytes) {
        lm_quant_block block;
        float scale[LM_QUANT_MAX_SUBS], min[LM_QUANT_MAX_SUBS] = {0};
        quant->read(src, &block);
        lm_quant_scales_of(quant, &block, n_subs, scale, min);
        for (int s = 0; s < n_subs; s++) {
            const x_piece *piece = x + k / PIECE;
            g = add_part(quant, &block, s, scale[s], min[s], piece, g);
            k += quant->sub_elems;
            if (k % GROUP != 0 && k != n_k) continue;
            acc = fmaf(g, piece->d, acc);
            g = 0.0f;
        }
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
        for (int64_t k = 0; k < n_in; k += CHUNK) {
            int64_t n_k = n_in - k < CHUNK ? n_in - k : CHUNK;
            float chunk[CHUNK];
            x_piece pieces[CHUNK / PIECE];
            lm_load(x, r * n_in + k, chunk, n_k);
            for (int64_t i = 0; i < n_k; i += GROUP)
                quantize_group(chunk + i, n_k - i < GROUP ? n_k - i : GROUP, &pieces[i / PIECE]);
            for (int64_t n = columns.begin; n < columns.end; n++)
                y[n] = add_quantized(type, lm_at(w, n * n_in + k), pieces, n_k, y[n]);
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
        d_in[0] =
            lm_graph_op(graph, LM_OP_LINEAR_DX, &(lm_op_args){.in = {dy, w, lm_graph_given(x)}});
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
