/* A loss for tests of gradients. */
#ifndef LM_TESTS_WEIGHTED_SUM_H
#define LM_TESTS_WEIGHTED_SUM_H

#include "compute/graph.h"

/* The sum of weights * out as a graph op, so that `weights` [elements of out] is the gradient of out. Borrows them; they are
 * read when the graph runs. */
static inline lm_tensor *weighted_sum(lm_graph *graph, lm_tensor *out, const float *weights) {
    int64_t n = lm_tensor_n_elems(out);
    lm_weight row = {
        .name = "weights", .dtype = LM_F32, .n_dims = 2, .shape = {1, n}, .data = weights};
    lm_tensor *flat = lm_graph_reshape(graph, out, 2, (int64_t[]){1, n});
    return lm_graph_op(graph, LM_OP_LINEAR,
                       &(lm_op_args){.in = {flat, lm_graph_weight(graph, &row)}});
}

#endif
