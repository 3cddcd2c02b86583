/* LINEAR_DW: dw += dy^T x
 * dy  [R, N] f32|bf16                              in
 * x   [R, K] f32|bf16                              in
 * dw  [N, K] f32 STATE, optional: then from zero   in, changed in place (out)
 *
 * Order: dw[n, k] starts from what it was and takes fmaf(dy[r, n], x[r, k], acc) for r = 0 .. R-1;
 * where dy and x are both bf16, for r = 1, 0, 3, 2, ... as LINEAR does with bf16 weights.
 */
#include <string.h>

#include "compute/ops/rules.h"

enum { CHUNK = 256 }; /* columns converted at a time */

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *dy = node->in[0], *x = node->in[1];
    lm_tensor *dw = node->in[2];
    bool dy_ok = dy->n_dims == 2 && (dy->dtype == LM_F32 || dy->dtype == LM_BF16);
    bool x_ok = x->n_dims == 2 && (x->dtype == LM_F32 || x->dtype == LM_BF16);
    bool dw_ok = !dw || (lm_is(dw, LM_F32, 2) && dw->role == LM_ROLE_STATE);
    if (!dy_ok || !x_ok || !dw_ok || !lm_same_rows(dy, x) ||
        (dw && (dw->shape[0] != dy->shape[1] || dw->shape[1] != x->shape[1])))
        return lm_op_refuse(
            node, err, "dy [R, N], x [R, K], both f32|bf16, and, if any, a state dw [N, K] f32");
    if (dw) {
        lm_out_in_place(out[0], dw);
    } else {
        lm_out_vector(out[0], dy->shape[1]);
        out[0]->n_dims = 2;
        out[0]->shape[1] = x->shape[1];
    }
    return LOAM_OK;
}

/* What row r adds to rows `share` and columns [k, k + count) of dw; 0 where there is no such row. */
static void add_row(const lm_kernel_args *args, int64_t r, lm_range share, int64_t k,
                    int64_t count) {
    const lm_tensor *dy = args->node->in[0], *x = args->node->in[1];
    int64_t n_out = dy->shape[1], n_in = x->shape[1];
    bool exists = r < lm_rows_now(args, dy);
    float x_chunk[CHUNK] = {0};
    if (exists) lm_load(x, r * n_in + k, x_chunk, count);
    for (int64_t n = share.begin; n < share.end; n++) {
        float scale = 0.0f;
        if (exists) lm_load(dy, r * n_out + n, &scale, 1);
        float *row = lm_f32(args->node->out[0]) + n * n_in + k;
        for (int64_t i = 0; i < count; i++) row[i] = fmaf(scale, x_chunk[i], row[i]);
    }
}

static void reference(const lm_kernel_args *args) {
    const lm_tensor *dy = args->node->in[0], *x = args->node->in[1];
    float *dw = lm_f32(args->node->out[0]);
    int64_t n_rows = lm_rows_now(args, dy), n_in = x->shape[1];
    lm_range share = lm_share(args, dy->shape[1]);
    bool pairs = dy->dtype == LM_BF16 && x->dtype == LM_BF16;
    if (!args->node->in[2])
        memset(dw + share.begin * n_in, 0, (size_t)((share.end - share.begin) * n_in) * sizeof *dw);
    for (int64_t k = 0; k < n_in; k += CHUNK)
        for (int64_t r = 0; r < n_rows + (pairs ? n_rows % 2 : 0); r++)
            add_row(args, pairs ? r ^ 1 : r, share, k, n_in - k < CHUNK ? n_in - k : CHUNK);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 2 * lm_elems_now(node->in[0], extents) * node->in[1]->shape[1];
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_linear_dw;
const lm_op lm_op_linear_dw = {
    .name = "linear_dw",
    .min_inputs = 2,
    .max_inputs = 3,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
