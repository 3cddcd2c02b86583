/* COLUMNS: y[r] = x[r][first : first + n_columns] * w
 * x      [R, D] f32                      in
 * w      [n_columns] f32, optional       in
 * y      [R, n_columns] f32              out
 * attrs  first, n_columns: at least 1, and no more than D together
 */
#include <string.h>

#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1];
    int64_t first = node->attrs.first, n = node->attrs.n_columns;
    if (!lm_is(x, LM_F32, 2) || first < 0 || n < 1 || first > x->shape[1] - n)
        return lm_op_refuse(node, err, "x [R, D] f32 and columns that it has");
    if (w && (!lm_is(w, LM_F32, 1) || w->shape[0] != n))
        return lm_op_refuse(node, err, "w, if any, [n_columns] f32");
    lm_out_rows(out[0], x, n);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[0]->shape[1], n = node->attrs.n_columns;
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *x = lm_f32(node->in[0]) + r * dim + node->attrs.first;
        float *y = lm_f32(node->out[0]) + r * n;
        memcpy(y, x, (size_t)n * sizeof *y);
        for (int64_t i = 0; node->in[1] && i < n; i++) y[i] *= lm_f32(node->in[1])[i];
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = node->in[1] ? lm_elems_now(node->out[0], extents) : 0;
    out->bytes = 2 * lm_bytes_now(node->out[0], extents);
}

extern const lm_op lm_op_columns;
const lm_op lm_op_columns = {
    .name = "columns",
    .min_inputs = 1,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
