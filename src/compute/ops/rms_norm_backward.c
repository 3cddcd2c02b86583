/* RMS_NORM_BACKWARD: the gradients of RMS_NORM
 * dy       [R, D] f32                              in
 * x        [R, D] f32                              in
 * w        [G] f32                                 in
 * inverse  [R, D / G] f32, from RMS_NORM           in
 * dw       [G] f32 STATE, optional: then from zero in, changed in place (out 1)
 * start    [R, D] f32, optional: then 0            in
 * dx       [R, D] f32; may take over start         out 0
 *
 * With s = sum of dy * w * x over the group (as lm_dot of dy * w with x):
 *     dx = start + inverse * (dy * w - x * (inverse^2 * s / G))
 *     dw += dy * (x * inverse), groups in order
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *dy = node->in[0], *x = node->in[1], *w = node->in[2], *inverse = node->in[3];
    lm_tensor *dw = node->in[4];
    const lm_tensor *start = node->in[5];
    bool dw_ok =
        !dw || (lm_is(dw, LM_F32, 1) && dw->role == LM_ROLE_STATE && dw->shape[0] == w->shape[0]);
    if (!lm_is(dy, LM_F32, 2) || !lm_is(x, LM_F32, 2) || !lm_is(w, LM_F32, 1) ||
        !lm_is(inverse, LM_F32, 2) || !dw_ok || !lm_tensor_same_shape(dy, x) ||
        (start && (!lm_is(start, LM_F32, 2) || !lm_tensor_same_shape(start, x))) ||
        x->shape[1] != w->shape[0] * inverse->shape[1] || !lm_same_rows(x, inverse))
        return lm_op_refuse(
            node, err,
            "dy and x [R, D], w [G], inverse [R, D / G] and, if any, a state dw [G] and a start "
            "[R, D], all f32");
    lm_out_like(out[0], x, LM_F32);
    if (dw)
        lm_out_in_place(out[1], dw);
    else
        lm_out_vector(out[1], w->shape[0]);
    return LOAM_OK;
}

/* start: NULL for 0. */
static void row_dx(const float *dy, const float *x, const float *w, float inverse,
                   const float *start, float *dx, int64_t dim) {
    float lanes[LM_LANES] = {0};
    for (int64_t i = 0; i < dim; i++)
        lanes[i % LM_LANES] = fmaf(dy[i] * w[i], x[i], lanes[i % LM_LANES]);
    float factor = inverse * inverse * lm_lanes_fold(lanes) / (float)dim;
    for (int64_t i = 0; i < dim; i++) {
        float d = inverse * fmaf(-factor, x[i], dy[i] * w[i]);
        dx[i] = start ? start[i] + d : d;
    }
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const float *dy = lm_f32(node->in[0]), *x = lm_f32(node->in[1]), *inverse = lm_f32(node->in[3]);
    float *dw = lm_f32(node->out[1]);
    int64_t dim = node->in[2]->shape[0], n_rows = lm_elems_now(node->in[1], args->extents) / dim;
    lm_range rows = lm_share(args, n_rows);
    for (int64_t r = rows.begin; r < rows.end; r++)
        row_dx(dy + r * dim, x + r * dim, lm_f32(node->in[2]), inverse[r],
               node->in[5] ? lm_f32(node->in[5]) + r * dim : NULL, lm_f32(node->out[0]) + r * dim,
               dim);
    lm_range columns = lm_range_split(dim, LM_LANES, args->thread, args->n_threads);
    for (int64_t i = columns.begin; i < columns.end && !node->in[4]; i++) dw[i] = 0.0f;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = columns.begin; i < columns.end; i++)
            dw[i] = fmaf(dy[r * dim + i], x[r * dim + i] * inverse[r], dw[i]);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 10 * lm_elems_now(node->in[1], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_rms_norm_backward;
const lm_op lm_op_rms_norm_backward = {
    .name = "rms_norm_backward",
    .min_inputs = 4,
    .max_inputs = 6,
    .n_outputs = 2,
    .in_place = 32,
    .start = 5,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
