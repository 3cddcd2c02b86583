/* Reverse-mode differentiation: walks the nodes backwards and appends those that compute gradients.
 *
 * Gradients are f32 whatever the value's type and have the shape of the value itself (never of a
 * view). Contributions to one value are added in the order of the walk, so the sum is a property of
 * the graph. A trained state is a leaf: ops that can add into its gradient in place do
 * (lm_graph_leaf_grad), for others an ACCUMULATE follows.
 */
#include "compute/op.h"

/* d(loss)/d(loss), in the loss's shape. */
static lm_tensor *seed(lm_graph *graph, const lm_tensor *loss) {
    return lm_graph_constant(graph, "one", LM_F32, loss->n_dims, loss->shape, &(float){1.0f});
}

lm_tensor *lm_graph_leaf_grad(lm_graph *graph, lm_tensor *tensor) {
    lm_tensor *base = lm_tensor_base(tensor);
    if (!base->grad) return NULL;
    return tensor == base ? base->grad
                          : lm_graph_reshape(graph, base->grad, tensor->n_dims, tensor->shape);
}

lm_tensor *lm_graph_given(const lm_tensor *x) {
    return x->view_of ? NULL : x->given;
}

/* Adds a contribution to the gradient of `x`. */
static void add_gradient(lm_graph *graph, lm_tensor *x, lm_tensor *gradient) {
    lm_tensor *base = lm_tensor_base(x);
    if (gradient && base != x)
        gradient = lm_graph_reshape(graph, gradient, base->n_dims, base->shape);
    if (!gradient) return;
    if (base->grad)
        lm_graph_op(graph, LM_OP_ACCUMULATE, &(lm_op_args){.in = {base->grad, gradient}});
    else if (base->given)
        base->given = lm_graph_op(graph, LM_OP_ADD, &(lm_op_args){.in = {base->given, gradient}});
    else
        base->given = gradient;
}

/* Whether one of the nodes from first_node on gives `gradient` and has started it from what `x` was given before. */
static bool starts_from_given(const lm_tensor *gradient, const lm_tensor *x, int first_node) {
    const lm_node *node = gradient->producer;
    int start = node && node->id >= first_node ? lm_op_get(node->op)->start : 0;
    return start > 0 && gradient == node->out[0] && node->in[start] &&
           node->in[start] == lm_graph_given(x);
}

static void node_backward(lm_graph *graph, const lm_node *node) {
    lm_tensor *d_out[LM_MAX_OUTPUTS] = {0}, *d_in[LM_MAX_INPUTS] = {0};
    bool reached = false;
    for (int i = 0; i < node->n_outputs; i++) {
        if (!node->out[i]->requires_grad) return;
        d_out[i] = node->out[i]->given;
        reached |= d_out[i] != NULL;
    }
    if (!reached) return;
    const lm_op *op = lm_op_get(node->op);
    if (!op->backward) {
        lm_graph_fail(graph, LOAM_UNSUPPORTED,
                      "%s has no gradient, and a trained parameter depends on it", op->name);
        return;
    }
    int first_node = lm_graph_n_nodes(graph);
    op->backward(graph, node, d_out, d_in);
    for (int i = 0; i < node->n_inputs; i++) {
        lm_tensor *x = node->in[i];
        if (!d_in[i] || !x->requires_grad) continue;
        if (starts_from_given(d_in[i], x, first_node))
            x->given = d_in[i];
        else
            add_gradient(graph, x, d_in[i]);
    }
}

loam_status lm_graph_backward(lm_graph *graph, lm_tensor *loss, loam_error *err) {
    LM_TRY(lm_graph_status(graph, err));
    if (!loss || loss->dtype != LM_F32 || lm_tensor_n_elems(loss) != 1 || !loss->requires_grad)
        return lm_error_set(err, LOAM_INVALID,
                            "the loss must be one f32 element that depends on a trained state");
    for (int i = 0; i < lm_graph_n_tensors(graph); i++) lm_graph_tensor(graph, i)->given = NULL;
    int n_nodes = lm_graph_n_nodes(graph);
    add_gradient(graph, loss, seed(graph, loss));
    for (int i = n_nodes - 1; i >= 0; i--) node_backward(graph, lm_graph_node(graph, i));
    return lm_graph_status(graph, err);
}
