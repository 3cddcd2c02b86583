/* A graph: a list of op nodes over tensors, in an order in which they can run. The same kind of
 * graph infers and trains.
 *
 *     lm_graph *g;
 *     LM_TRY(lm_graph_new(&g, err));
 *     lm_tensor *x = lm_graph_input(g, "x", LM_F32, LM_EXTENT_ROWS, 2, (int64_t[]){512, 64});
 *     lm_tensor *w = lm_graph_weight(g, &model->w);
 *     lm_tensor *y = lm_graph_op(g, LM_OP_LINEAR, &(lm_op_args){.in = {x, w}});
 *     lm_graph_output(g, y);
 *     LM_TRY(lm_graph_status(g, err));
 *
 * Building keeps the first error and gives NULL from then on; ops take NULL inputs quietly after an
 * error, so builders read straight and check once, with lm_graph_status. All objects live in the
 * graph's arena until lm_graph_free. One thread at a time.
 */
#ifndef LM_COMPUTE_GRAPH_H
#define LM_COMPUTE_GRAPH_H

#include "base/error.h"
#include "compute/tensor.h"

typedef struct lm_graph lm_graph;

typedef enum lm_op_id {
#define LM_OP(id, name) LM_OP_##id,
#include "compute/ops.def"
#undef LM_OP
    LM_OP_COUNT,
} lm_op_id;

enum { LM_MAX_INPUTS = 12, LM_MAX_OUTPUTS = 4 };

/* Functions of one number, or of two where an activation is gated: MAP, ops/map.c. */
typedef enum lm_function {
    LM_FN_SCALE,        /* x * scale */
    LM_FN_SOFT_CAP,     /* scale * tanh(x / scale) */
    LM_FN_SILU,         /* x * sigmoid(x) */
    LM_FN_GELU,         /* x * P(normal <= x), arXiv:1606.08415 */
    LM_FN_GELU_TANH,    /* the same, approximated by a tanh */
    LM_FN_RELU,         /* max(x, 0) */
    LM_FN_RELU_SQUARED, /* its square */
    LM_FN_TANH,
    LM_FN_SIGMOID,
    LM_FN_SOFTPLUS,    /* log(1 + e^x) */
    LM_FN_CLAMP,       /* to [-scale, scale] */
    LM_FN_SWIGLU_CLAMPED, /* of two: min(x, 7) * sigmoid(1.702 * min(x, 7)), and up is clamp(up, -7, 7) + 1 */
    LM_N_FUNCTIONS,
} lm_function;

/* Parameters of ops by the field's names; each op reads the few that its file documents. */
typedef struct lm_attrs {
    float eps;
    float scale; /* of attention scores; of rope's sines and cosines, where 0 stands for 1; map's number; recur's bound */
    float beta1, beta2, weight_decay; /* optimizers */
    int64_t n_heads, n_kv_heads, head_dim;
    int64_t seq_len;      /* training attention: rows are n_seqs * seq_len */
    int64_t
        value_dim; /* paged attention: values' width where it is not head_dim; without a cache of them they are so many first elements of keys; recur */
    int64_t window;       /* paged attention: positions that a row sees, its own among them; 0: all */
    int64_t
        ratio; /* positions that a pooled key stands for: pool, place, list; choose, paged attention and rope, where 0: there are none such */
    bool chunked;         /* paged attention: that window is the run of so many positions that the row is in */
    float soft_cap;       /* paged attention: scores become cap * tanh(score / cap); 0: they stay */
    lm_function function; /* map */
    int64_t n_used, n_groups,
        n_groups_used; /* route; the first of choose, mix and hyper, the second of blend, mix and hyper, too */
    bool sigmoid, softplus, normalize, by_logits; /* route */
    float jitter;         /* route: a choice's rivals are those that are less than so far behind it; 0: all are */
    bool delta, tiled;                       /* recur */
    int64_t first, n_columns;                /* columns; the first of rope, too */
    bool first_beyond;                       /* embed: ids beyond the table read its first row */
    bool silu;                               /* causal_conv: what it gives goes through LM_FN_SILU */
    bool interleaved;     /* rotary pairs (2i, 2i+1) instead of (i, i + head_dim / 2) */
    bool inverse;         /* rotate back: the backward of rope */
    lm_dtype dtype;       /* of the output: cast, rms_norm, swiglu */
} lm_attrs;

typedef struct lm_op_args {
    lm_tensor *in[LM_MAX_INPUTS];
    lm_attrs attrs;
} lm_op_args;

struct lm_node {
    lm_op_id op;
    int n_inputs, n_outputs;
    lm_tensor *in[LM_MAX_INPUTS]; /* optional inputs may be NULL */
    lm_tensor *out[LM_MAX_OUTPUTS];
    lm_attrs attrs;
    int id;
};

loam_status lm_graph_new(lm_graph **out, loam_error *err) LM_MUST_USE;
void lm_graph_free(lm_graph *graph);
loam_status lm_graph_status(const lm_graph *graph, loam_error *err) LM_MUST_USE;

lm_tensor *lm_graph_input(lm_graph *graph, const char *name, lm_dtype dtype, lm_extent extent,
                          int n_dims, const int64_t *shape);
/* An input of fixed shape that never changes: the host's bytes are copied, and planning brings them
 * to the device. */
lm_tensor *lm_graph_constant(lm_graph *graph, const char *name, lm_dtype dtype, int n_dims,
                             const int64_t *shape, const void *host);
lm_tensor *lm_graph_weight(lm_graph *graph, const lm_weight *weight);
/* grad NULL: not trained; otherwise lm_graph_backward adds the gradient into it. */
lm_tensor *lm_graph_state(lm_graph *graph, const char *name, lm_dtype dtype, int n_dims,
                          const int64_t *shape, void *data, lm_tensor *grad);

/* Appends a node; returns its first output. Shapes and dtypes are checked by the op's rule. */
lm_tensor *lm_graph_op(lm_graph *graph, lm_op_id op, const lm_op_args *args);
/* Output i of the node that made `first`. */
lm_tensor *lm_graph_out(lm_tensor *first, int i);
void lm_graph_output(lm_graph *graph, lm_tensor *tensor); /* keep its storage to the end of a run */

/* A view of the same elements under another shape (same row count in dimension 0 if it is an
 * extent). */
lm_tensor *lm_graph_reshape(lm_graph *graph, lm_tensor *x, int n_dims, const int64_t *shape);

/* Appends nodes that add d(loss)/d(p) into p->grad for every trained state p. loss: one f32
 * element. */
loam_status lm_graph_backward(lm_graph *graph, lm_tensor *loss, loam_error *err) LM_MUST_USE;

int lm_graph_n_nodes(const lm_graph *graph);
const lm_node *lm_graph_node(const lm_graph *graph, int i);
int lm_graph_n_tensors(const lm_graph *graph);
lm_tensor *lm_graph_tensor(const lm_graph *graph, int i);

/* For ops and builders: report the first building error. Returns NULL. */
void *lm_graph_fail(lm_graph *graph, loam_status status, const char *fmt, ...) LM_PRINTF(3, 4);

#endif
