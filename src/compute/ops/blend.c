/* BLEND: y_j = x_j + sum_t coefs[j * T + t] * z_t, of the S parts x_j of each row of x and the T parts z_t of z
 * x       [R, S * D] f32, optional: 0                         in
 * z       [R, T * D] f32                                      in
 * coefs   [R, S * T] f32, or [S * T], the same for all rows   in
 * y       [R, S * D] f32                                      out
 * attrs   n_groups S
 *
 * Order: acc = acc + coefs * z for t = 0 .. T - 1, from x; products are rounded. Predictions and corrections of AltUp,
 * arXiv:2301.13310, are of this form.
 */
#include <string.h>

#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *z = node->in[1], *coefs = node->in[2];
    int64_t s = node->attrs.n_groups;
    if (s < 1 || !z || !lm_is(z, LM_F32, 2) || !coefs)
        return lm_op_refuse(node, err, "z [R, T * D] f32 and coefs");
    int64_t t = coefs->shape[coefs->n_dims - 1] / s, dim = x       ? x->shape[x->n_dims - 1] / s
                                                           : t > 0 ? z->shape[1] / t
                                                                   : 0;
    if (dim < 1 || z->shape[1] % dim != 0 ||
        (x && (!lm_is(x, LM_F32, 2) || !lm_same_rows(x, z) || x->shape[1] % s != 0)))
        return lm_op_refuse(node, err, "x, if any, [R, n_groups * D] and z [R, T * D] f32");
    int64_t n = s * (z->shape[1] / dim);
    bool of_rows = lm_is(coefs, LM_F32, 2) && lm_same_rows(z, coefs) && coefs->shape[1] == n;
    if (!of_rows && !(lm_is(coefs, LM_F32, 1) && coefs->shape[0] == n))
        return lm_op_refuse(node, err, "coefs [R, n_groups * T] or [n_groups * T] f32");
    lm_out_rows(out[0], z, s * dim);
    return LOAM_OK;
}

static void add_times(float *restrict y, const float *restrict z, float coef, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] += coef * z[i];
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t s = node->attrs.n_groups, dim = node->out[0]->shape[1] / s,
            t = node->in[1]->shape[1] / dim, n_coefs = node->in[2]->n_dims == 2 ? s * t : 0;
    lm_range parts = lm_share(args, lm_rows_now(args, node->in[1]) * s);
    for (int64_t p = parts.begin; p < parts.end; p++) {
        int64_t row = p / s, j = p % s;
        const float *coefs = lm_f32(node->in[2]) + row * n_coefs + j * t;
        float *y = lm_f32(node->out[0]) + p * dim;
        if (node->in[0])
            memcpy(y, lm_f32(node->in[0]) + p * dim, (size_t)dim * sizeof *y);
        else
            memset(y, 0, (size_t)dim * sizeof *y);
        for (int64_t i = 0; i < t; i++)
            add_times(y, lm_f32(node->in[1]) + (row * t + i) * dim, coefs[i], dim);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    int64_t dim = node->out[0]->shape[1] / node->attrs.n_groups;
    out->flops = 2 * node->in[1]->shape[1] / dim * lm_elems_now(node->out[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_blend;
const lm_op lm_op_blend = {
    .name = "blend",
    .min_inputs = 0, /* x need not be there */
    .max_inputs = 3,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
