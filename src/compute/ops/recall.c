/* RECALL: y = sum over t of p_t * z_t + p * x, of the T parts z_t of each row of z and of x, by the softmax of what each scores: (u / rms(u)) . w
 * x       [R, D] f32                  in
 * z       [R, T * D] f32              in
 * w       [D] f32                     in
 * y       [R, D] f32                  out
 * attrs   eps, added to the mean square
 *
 * Order: a score is lm_dot(u, w) * inverse, inverse = 1 / sqrt(lm_dot(u, u) / D + eps); the largest is subtracted from all, e^ them is
 * summed in order, x's last, and divides each; y = p_0 * z_0, then fused multiply-adds in the same order. e^x is lm_exp.
 */
#include "compute/ops/rules.h"

enum { MAX_PARTS = 512 };

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *z = node->in[1], *w = node->in[2];
    if (!lm_is(x, LM_F32, 2) || !lm_is(z, LM_F32, 2) || !lm_same_rows(x, z) ||
        !lm_is(w, LM_F32, 1) || w->shape[0] != x->shape[1] || z->shape[1] % x->shape[1] != 0 ||
        z->shape[1] / x->shape[1] >= MAX_PARTS)
        return lm_op_refuse(node, err, "x [R, D], z [R, T * D] and w [D] f32, T below 512");
    lm_out_like(out[0], x, LM_F32);
    return LOAM_OK;
}

static float score(const lm_node *node, const float *u) {
    int64_t dim = node->in[0]->shape[1];
    float inverse = 1.0f / sqrtf(lm_dot(u, u, dim) / (float)dim + node->attrs.eps);
    return lm_dot(u, lm_f32(node->in[2]), dim) * inverse;
}

/* p, of n scores. */
static void weigh(float *p, int64_t n) {
    float largest = p[0], sum = 0.0f;
    for (int64_t i = 1; i < n; i++) largest = p[i] > largest ? p[i] : largest;
    for (int64_t i = 0; i < n; i++) sum += p[i] = lm_exp(p[i] - largest);
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[0]->shape[1], n_parts = node->in[1]->shape[1] / dim;
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *x = lm_f32(node->in[0]) + r * dim,
                    *z = lm_f32(node->in[1]) + r * n_parts * dim;
        float *restrict y = lm_f32(node->out[0]) + r * dim, p[MAX_PARTS];
        for (int64_t t = 0; t < n_parts; t++) p[t] = score(node, z + t * dim);
        p[n_parts] = score(node, x);
        weigh(p, n_parts + 1);
        for (int64_t i = 0; i < dim; i++) y[i] = p[0] * z[i];
        for (int64_t t = 1; t <= n_parts; t++) {
            const float *u = t < n_parts ? z + t * dim : x;
            for (int64_t i = 0; i < dim; i++) y[i] = fmaf(p[t], u[i], y[i]);
        }
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 6 * (lm_elems_now(node->in[0], extents) + lm_elems_now(node->in[1], extents));
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_recall;
const lm_op lm_op_recall = {
    .name = "recall",
    .min_inputs = 3,
    .max_inputs = 3,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
