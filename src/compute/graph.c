/* Building graphs: tensors and nodes in an arena, checked as they come, the first error kept. */
#include "compute/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/vec.h"
#include "compute/op.h"

struct lm_graph {
    lm_arena arena;
    LM_VEC(lm_tensor *) tensors;
    LM_VEC(lm_node *) nodes;
    loam_error error; /* the first one; status LOAM_OK while there is none */
};

loam_status lm_graph_new(lm_graph **out, loam_error *err) {
    lm_graph *graph = lm_calloc(1, sizeof *graph);
    if (!graph) return lm_error_no_memory(err, sizeof *graph);
    lm_arena_init(&graph->arena, 0, 0);
    *out = graph;
    return LOAM_OK;
}

void lm_graph_free(lm_graph *graph) {
    if (!graph) return;
    lm_vec_deinit(&graph->tensors);
    lm_vec_deinit(&graph->nodes);
    lm_arena_deinit(&graph->arena);
    lm_free(graph);
}

loam_status lm_graph_status(const lm_graph *graph, loam_error *err) {
    if (graph->error.status != LOAM_OK && err) *err = graph->error;
    return graph->error.status;
}

void *lm_graph_fail(lm_graph *graph, loam_status status, const char *fmt, ...) {
    if (graph->error.status != LOAM_OK) return NULL;
    char text[sizeof graph->error.message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    lm_error_set(&graph->error, status, "%s", text);
    return NULL;
}

static void *fail_no_memory(lm_graph *graph) {
    return lm_graph_fail(graph, LOAM_NO_MEMORY, "out of memory while building a graph of %zu nodes",
                         graph->nodes.len);
}

static bool failed(const lm_graph *graph) {
    return graph->error.status != LOAM_OK;
}

/* A zeroed tensor in the graph's list. */
static lm_tensor *new_tensor(lm_graph *graph, const char *name, lm_role role) {
    lm_tensor *tensor = lm_arena_calloc(&graph->arena, 1, sizeof *tensor);
    char *copy = *name ? lm_arena_strndup(&graph->arena, name, strlen(name)) : "";
    if (!tensor || !copy || !lm_vec_push(&graph->tensors, tensor)) return fail_no_memory(graph);
    tensor->name = copy;
    tensor->role = role;
    tensor->id = (int)graph->tensors.len - 1;
    return tensor;
}

static lm_tensor *new_shaped(lm_graph *graph, const char *name, lm_role role, lm_dtype dtype,
                             int n_dims, const int64_t *shape) {
    if (failed(graph)) return NULL;
    if (lm_shape_check(name, dtype, n_dims, shape, &graph->error) != LOAM_OK) return NULL;
    lm_tensor *tensor = new_tensor(graph, name, role);
    if (!tensor) return NULL;
    tensor->dtype = dtype;
    tensor->n_dims = n_dims;
    memcpy(tensor->shape, shape, (size_t)n_dims * sizeof *shape);
    return tensor;
}

lm_tensor *lm_graph_input(lm_graph *graph, const char *name, lm_dtype dtype, lm_extent extent,
                          int n_dims, const int64_t *shape) {
    lm_tensor *tensor = new_shaped(graph, name, LM_ROLE_INPUT, dtype, n_dims, shape);
    if (tensor) tensor->extent = extent;
    return tensor;
}

lm_tensor *lm_graph_constant(lm_graph *graph, const char *name, lm_dtype dtype, int n_dims,
                             const int64_t *shape, const void *host) {
    lm_tensor *tensor = lm_graph_input(graph, name, dtype, LM_EXTENT_FIXED, n_dims, shape);
    if (!tensor) return NULL;
    size_t size_bytes = lm_tensor_bytes(tensor);
    void *bytes = lm_arena_alloc(&graph->arena, size_bytes);
    if (!bytes) return fail_no_memory(graph);
    memcpy(bytes, host, size_bytes);
    tensor->constant = bytes;
    return tensor;
}

lm_tensor *lm_graph_weight(lm_graph *graph, const lm_weight *weight) {
    lm_tensor *tensor = new_shaped(graph, weight->name, LM_ROLE_WEIGHT, weight->dtype,
                                   weight->n_dims, weight->shape);
    if (!tensor) return NULL;
    tensor->layout = weight->layout;
    tensor->data = (void *)weight->data;
    return tensor;
}

lm_tensor *lm_graph_state(lm_graph *graph, const char *name, lm_dtype dtype, int n_dims,
                          const int64_t *shape, void *data, lm_tensor *grad) {
    lm_tensor *tensor = new_shaped(graph, name, LM_ROLE_STATE, dtype, n_dims, shape);
    if (!tensor) return NULL;
    tensor->data = data;
    tensor->grad = grad;
    tensor->requires_grad = grad != NULL;
    if (grad && (grad->role != LM_ROLE_STATE || grad->dtype != LM_F32 ||
                 !lm_tensor_same_shape(grad, tensor))) {
        char text[LM_TENSOR_TEXT_BYTES], grad_text[LM_TENSOR_TEXT_BYTES];
        return lm_graph_fail(graph, LOAM_INVALID,
                             "the gradient of %s must be an f32 state of its shape, not %s",
                             lm_tensor_text(tensor, text), lm_tensor_text(grad, grad_text));
    }
    return tensor;
}

/* Fills in the node's inputs and their number; false after reporting a missing or surplus one. */
static bool take_inputs(lm_graph *graph, const lm_op *op, const lm_op_args *args, lm_node *node) {
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        node->in[i] = args->in[i];
        if (args->in[i]) node->n_inputs = i + 1;
    }
    for (int i = 0; i < op->min_inputs; i++) {
        if (node->in[i]) continue;
        lm_graph_fail(graph, LOAM_INVALID, "%s: input %d is missing", op->name, i);
        return false;
    }
    if (node->n_inputs <= op->max_inputs) return true;
    lm_graph_fail(graph, LOAM_INVALID, "%s: takes at most %d inputs, not %d", op->name,
                  op->max_inputs, node->n_inputs);
    return false;
}

/* Makes the outputs, asks the op's rule for their shapes, and drops absent trailing ones. */
static bool make_outputs(lm_graph *graph, const lm_op *op, lm_node *node) {
    size_t first = graph->tensors.len;
    bool requires_grad = false;
    for (int i = 0; i < node->n_inputs; i++)
        requires_grad |= node->in[i] && node->in[i]->requires_grad;
    for (int i = 0; i < op->n_outputs; i++) {
        node->out[i] = new_tensor(graph, "", LM_ROLE_VALUE);
        if (!node->out[i]) return false;
        node->out[i]->producer = node;
        node->out[i]->requires_grad = requires_grad;
    }
    if (op->shape(node, node->out, &graph->error) != LOAM_OK) return false;
    while (node->n_outputs < op->n_outputs && node->out[node->n_outputs]->n_dims > 0) {
        const lm_tensor *out = node->out[node->n_outputs++];
        if (lm_shape_check(op->name, out->dtype, out->n_dims, out->shape, &graph->error) != LOAM_OK)
            return false;
    }
    for (int i = node->n_outputs; i < op->n_outputs; i++) node->out[i] = NULL;
    graph->tensors.len = first + (size_t)node->n_outputs;
    return true;
}

lm_tensor *lm_graph_op(lm_graph *graph, lm_op_id id, const lm_op_args *args) {
    if (failed(graph)) return NULL;
    const lm_op *op = lm_op_get(id);
    lm_node *node = lm_arena_calloc(&graph->arena, 1, sizeof *node);
    if (!node) return fail_no_memory(graph);
    node->op = id;
    node->id = (int)graph->nodes.len;
    node->attrs = args->attrs;
    if (!take_inputs(graph, op, args, node) || !make_outputs(graph, op, node)) return NULL;
    if (!lm_vec_push(&graph->nodes, node)) return fail_no_memory(graph);
    return node->out[0];
}

lm_tensor *lm_graph_out(lm_tensor *first, int i) {
    if (!first) return NULL;
    LM_ASSERT(first->producer && i >= 0 && i < first->producer->n_outputs);
    return first->producer->out[i];
}

void lm_graph_output(lm_graph *graph, lm_tensor *tensor) {
    if (tensor) tensor->is_output = true;
}

lm_tensor *lm_graph_reshape(lm_graph *graph, lm_tensor *x, int n_dims, const int64_t *shape) {
    if (failed(graph)) return NULL;
    lm_tensor *view = new_shaped(graph, x->name, x->role, x->dtype, n_dims, shape);
    if (!view) return NULL;
    bool same_rows = x->extent == LM_EXTENT_FIXED || shape[0] == x->shape[0];
    if (!same_rows || lm_tensor_n_elems(view) != lm_tensor_n_elems(x) ||
        x->layout != LM_LAYOUT_ROWS) {
        char from[LM_TENSOR_TEXT_BYTES], to[LM_TENSOR_TEXT_BYTES];
        return lm_graph_fail(graph, LOAM_INVALID, "cannot view %s as %s", lm_tensor_text(x, from),
                             lm_tensor_text(view, to));
    }
    view->extent = x->extent;
    view->view_of = lm_tensor_base(x);
    view->data = x->data;
    view->producer = x->producer;
    view->requires_grad = x->requires_grad;
    return view;
}

int lm_graph_n_nodes(const lm_graph *graph) {
    return (int)graph->nodes.len;
}

const lm_node *lm_graph_node(const lm_graph *graph, int i) {
    return graph->nodes.ptr[i];
}

int lm_graph_n_tensors(const lm_graph *graph) {
    return (int)graph->tensors.len;
}

lm_tensor *lm_graph_tensor(const lm_graph *graph, int i) {
    return graph->tensors.ptr[i];
}
