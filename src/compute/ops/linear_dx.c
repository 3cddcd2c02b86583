/* LINEAR_DX: dx = start + dy w
 * dy  [R, N] f32|bf16                         in
 * w   [N, K] any float type, in row order     in
 * start [R, K] f32, optional: then from +0    in
 * dx  [R, K] f32; may take over start         out
 *
 * Order: dx[r, k] is one f32 accumulator, from start[r, k], fmaf(dy[r, n], w[n, k], acc) for n = 0 .. N-1;
 * types, and where w is bf16 the rounding of dy and the order 1, 0, 3, 2, ..., as in LINEAR.
 */
#include "compute/ops/rules.h"

enum { CHUNK = 256 }; /* columns a thread works on at a time; a multiple of every format's block */

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *dy = node->in[0], *w = node->in[1], *start = node->in[2];
    bool start_ok = !start || (lm_is(start, LM_F32, 2) && lm_same_rows(start, dy) &&
                               start->shape[1] == w->shape[w->n_dims - 1]);
    bool dy_ok = dy->n_dims == 2 && (dy->dtype == LM_F32 || dy->dtype == LM_BF16);
    bool w_ok = w->n_dims == 2 && lm_is_weight(w->dtype) && w->layout == LM_LAYOUT_ROWS;
    if (!dy_ok || !w_ok || dy->shape[1] != w->shape[0] || !start_ok)
        return lm_op_refuse(
            node, err, "dy [R, N] f32|bf16, w [N, K] in row order and, if any, a start [R, K] f32");
    lm_out_rows(out[0], dy, w->shape[1]);
    return LOAM_OK;
}

/* What row n of w adds to columns [k, k + count) of dx; nothing where there is no such row. */
static void add_row_of_w(const lm_kernel_args *args, int64_t n, int64_t k, int64_t count) {
    const lm_tensor *dy = args->node->in[0], *w = args->node->in[1];
    float *dx = lm_f32(args->node->out[0]), w_chunk[CHUNK] = {0};
    int64_t n_rows = lm_rows_now(args, dy), n_out = w->shape[0], n_in = w->shape[1];
    if (n < n_out) lm_load(w, n * n_in + k, w_chunk, count);
    for (int64_t r = 0; r < n_rows; r++) {
        float scale = 0.0f;
        if (n < n_out) lm_load(dy, r * n_out + n, &scale, 1);
        if (w->dtype == LM_BF16) scale = lm_round_bf16(scale);
        float *row = dx + r * n_in + k;
        for (int64_t i = 0; i < count; i++) row[i] = fmaf(scale, w_chunk[i], row[i]);
    }
}

/* Columns [k, k + count) of dx. */
static void columns_of_dx(const lm_kernel_args *args, int64_t k, int64_t count) {
    const lm_tensor *dy = args->node->in[0], *w = args->node->in[1], *start = args->node->in[2];
    float *dx = lm_f32(args->node->out[0]);
    int64_t n_rows = lm_rows_now(args, dy), n_out = w->shape[0], n_in = w->shape[1];
    bool pairs = w->dtype == LM_BF16;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t at = r * n_in + k; at < r * n_in + k + count; at++)
            dx[at] = start ? lm_f32(start)[at] : 0.0f;
    for (int64_t n = 0; n < n_out + (pairs ? n_out % 2 : 0); n++)
        add_row_of_w(args, pairs ? n ^ 1 : n, k, count);
}

static void reference(const lm_kernel_args *args) {
    const lm_tensor *w = args->node->in[1];
    lm_range columns = lm_range_split(w->shape[1], lm_dtype_get(w->dtype)->block_elems,
                                      args->thread, args->n_threads);
    for (int64_t k = columns.begin; k < columns.end; k += CHUNK)
        columns_of_dx(args, k, columns.end - k < CHUNK ? columns.end - k : CHUNK);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_tensor *w = node->in[1];
    out->flops = 2 * lm_tensor_dim0(node->in[0], extents) * w->shape[0] * w->shape[1];
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_linear_dx;
const lm_op lm_op_linear_dx = {
    .name = "linear_dx",
    .min_inputs = 2,
    .max_inputs = 3,
    .n_outputs = 1,
    .in_place = 4,
    .start = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
