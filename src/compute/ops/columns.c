/* COLUMNS: y[r] = x[r][first : first + n_columns]
 * x      [R, D] f32                in
 * y      [R, n_columns] f32        out
 * attrs  first, n_columns: at least 1, and no more than D together
 */
#include <string.h>

#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0];
    int64_t first = node->attrs.first, n = node->attrs.n_columns;
    if (!lm_is(x, LM_F32, 2) || first < 0 || n < 1 || first > x->shape[1] - n)
        return lm_op_refuse(node, err, "x [R, D] f32 and columns that it has");
    lm_out_rows(out[0], x, n);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t dim = node->in[0]->shape[1], n = node->attrs.n_columns;
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++)
        memcpy(lm_f32(node->out[0]) + r * n, lm_f32(node->in[0]) + r * dim + node->attrs.first,
               (size_t)n * sizeof(float));
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 0;
    out->bytes = 2 * lm_bytes_now(node->out[0], extents);
}

extern const lm_op lm_op_columns;
const lm_op lm_op_columns = {
    .name = "columns",
    .min_inputs = 1,
    .max_inputs = 1,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
