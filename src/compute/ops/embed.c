/* EMBED: y[r] = table[ids[r]]
 * table  [V, D] any float type, row order         in
 * ids    [R] i32, each in [0, V)                   in; the caller has checked them
 * y      [R, D] f32                                out
 * attrs  first_beyond: ids from V on stand for 0
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *table = node->in[0], *ids = node->in[1];
    bool table_ok = table->n_dims == 2 && lm_is_weight(table->dtype) &&
                    table->extent == LM_EXTENT_FIXED && table->layout == LM_LAYOUT_ROWS;
    if (!table_ok || !lm_is(ids, LM_I32, 1))
        return lm_op_refuse(node, err, "table [V, D] in row order and ids [R] i32");
    lm_out_rows(out[0], ids, table->shape[1]);
    return LOAM_OK;
}

static void reference(const lm_kernel_args *args) {
    const lm_tensor *table = args->node->in[0];
    const int32_t *ids = lm_i32(args->node->in[1]);
    float *y = lm_f32(args->node->out[0]);
    int64_t dim = table->shape[1];
    lm_range rows = lm_share(args, lm_rows_now(args, args->node->in[1]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        bool beyond = args->node->attrs.first_beyond && ids[r] >= table->shape[0];
        int64_t id = beyond ? 0 : ids[r];
        LM_ASSERT(id >= 0 && id < table->shape[0]);
        lm_load(table, id * dim, y + r * dim, dim);
    }
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    lm_tensor *grad = lm_graph_leaf_grad(graph, node->in[0]);
    if (!grad) {
        lm_graph_fail(graph, LOAM_UNSUPPORTED, "embed: a table that is trained must be a state");
        return;
    }
    lm_graph_op(graph, LM_OP_EMBED_BACKWARD, &(lm_op_args){.in = {d_out[0], node->in[1], grad}});
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_tensor *table = node->in[0];
    int64_t rows = lm_tensor_dim0(node->in[1], extents);
    out->flops = 0;
    out->bytes = lm_bytes_now(node->in[1], extents) + lm_bytes_now(node->out[0], extents) +
                 rows * (int64_t)lm_dtype_bytes(table->dtype, table->shape[1]);
}

extern const lm_op lm_op_embed;
const lm_op lm_op_embed = {
    .name = "embed",
    .min_inputs = 2,
    .max_inputs = 2,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
