/* What there is to know about an op: shape rule, reference forward, backward, cost. One file an op
 * under ops/, one line in ops.def. Every backend's kernels are compared with the reference, which
 * is plain and serial in each output element.
 */
#ifndef LM_COMPUTE_OP_H
#define LM_COMPUTE_OP_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "compute/graph.h"

/* What one run of a node costs: counted from the op's definition, not from how a kernel does it. */
typedef struct lm_cost {
    int64_t flops; /* multiply and add count one each */
    int64_t bytes; /* inputs read once plus outputs written once */
} lm_cost;

/* Counters from which the threads of a run take pieces of its work; 0 when the kernel begins. */
enum { LM_N_TICKETS = 4 };
typedef struct lm_ticket {
    LM_ALIGNED(64) _Atomic int64_t next;
} lm_ticket;

/* What a kernel gets. Every thread of the run calls the kernel with its own number, and takes
 * either the share that (sizes, thread, n_threads) give it, or pieces as it gets to them
 * (lm_kernel_take). What an element becomes must depend on neither. */
typedef struct lm_kernel_args {
    const lm_node *node;
    const int64_t *extents; /* [LM_N_EXTENTS] */
    int thread, n_threads;
    void *workspace; /* as large as the kernel asked, shared by all threads, 64-byte aligned */
    void (*barrier)(void *device); /* no thread goes on before all have come here */
    void *device;
    lm_ticket *tickets; /* [LM_N_TICKETS], the same for all threads */
} lm_kernel_args;

/* The next piece, counted from 0 without end, of the work that counter `ticket` stands for; the
 * thread is through when the kernel has no such piece. A thread whose core a neighbour slows
 * takes fewer pieces. So cut work into several pieces a thread, each worth some microseconds, and
 * where a kernel has parts with barriers between them, use one counter a part. */
static inline int64_t lm_kernel_take(const lm_kernel_args *args, int ticket) {
    return atomic_fetch_add_explicit(&args->tickets[ticket].next, 1, memory_order_relaxed);
}

typedef void lm_kernel_fn(const lm_kernel_args *args);

typedef struct lm_op {
    const char *name;
    int min_inputs, max_inputs;
    int n_outputs; /* trailing ones may be absent: their shape rule leaves n_dims 0 */
    /* Inputs, as bits, whose storage output 0 may take over when nothing needs them afterwards.
     * An op may set a bit only if every kernel reads whatever an output element depends on in
     * that input before it writes the element. */
    unsigned in_place;
    int start; /* the input, if any, that output 0 starts from: a gradient given before; 0: none */
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

/* For backward functions: the sum of the gradients that this input has been given before, for a
 * node that can start from it (lm_op.start) and so spares an ADD; NULL where there is none. */
lm_tensor *lm_graph_given(const lm_tensor *x);

#endif
