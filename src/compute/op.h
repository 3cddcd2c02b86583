/* What there is to know about an op: shape rule, reference forward, backward, cost. One file an op
 * under ops/, one line in ops.def. Every backend's kernels are compared with the reference, which
 * is plain and serial in each output element.
 */
#ifndef LM_COMPUTE_OP_H
#define LM_COMPUTE_OP_H

#include "compute/graph.h"

/* What one run of a node costs: counted from the op's definition, not from how a kernel does it. */
typedef struct lm_cost {
    int64_t flops; /* multiply and add count one each */
    int64_t bytes; /* inputs read once plus outputs written once */
} lm_cost;

/* What a kernel gets. Every thread of the run calls the kernel with its own number; which
 * elements it takes is a function of (sizes, thread, n_threads), and what an element becomes
 * must not depend on either. */
typedef struct lm_kernel_args {
    const lm_node *node;
    const int64_t *extents; /* [LM_N_EXTENTS] */
    int thread, n_threads;
    void *workspace; /* as large as the kernel asked, shared by all threads, 64-byte aligned */
    void (*barrier)(void *device); /* no thread goes on before all have come here */
    void *device;
} lm_kernel_args;

typedef void lm_kernel_fn(const lm_kernel_args *args);

typedef struct lm_op {
    const char *name;
    int min_inputs, max_inputs;
    int n_outputs; /* trailing ones may be absent: their shape rule leaves n_dims 0 */
    /* Inputs, as bits, whose storage output 0 may take over when nothing needs them afterwards.
     * An op may set a bit only if every kernel reads whatever an output element depends on in
     * that input before it writes the element. */
    unsigned in_place;
    /* Checks inputs and attributes, fills dtype, extent, n_dims and shape of the outputs (and
     * alias for those changed in place). On a mismatch returns a status with a message that
     * names the shapes. */
    loam_status (*shape)(const lm_node *node, lm_tensor *const *out, loam_error *err);
    lm_kernel_fn *reference;
    /* Appends the nodes that give the inputs' gradients. d_out[i] is the gradient of output i or
     * NULL (then it is zero). Sets d_in[i] for the inputs whose requires_grad is set. NULL: not
     * differentiable, and an error if it must be. */
    void (*backward)(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in);
    void (*cost)(const lm_node *node, const int64_t *extents, lm_cost *out);
} lm_op;

const lm_op *lm_op_get(lm_op_id id);
lm_cost lm_node_cost(const lm_node *node, const int64_t *extents);

/* For backward functions: where the gradient of this input accumulates if it is a trained state
 * (or a view of one), in the input's shape; NULL for anything else. An op that adds into it in
 * place leaves d_in of that input NULL. */
lm_tensor *lm_graph_leaf_grad(lm_graph *graph, lm_tensor *tensor);

#endif
