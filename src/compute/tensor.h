/* A tensor: shape, element type, and where its elements are. Row-major, contiguous, outermost
 * dimension first.
 *
 * The outermost dimension may be an *extent*: a number that is known only when the graph runs (rows
 * of this step's batch, rows whose logits are wanted, sequences). shape[0] is then its capacity.
 * One graph thus serves a decode step of one token and a prefill chunk of its capacity, and nothing
 * is planned or allocated in between.
 */
#ifndef LM_COMPUTE_TENSOR_H
#define LM_COMPUTE_TENSOR_H

#include "base/error.h"
#include "compute/dtype.h"

enum { LM_MAX_DIMS = 4 };

typedef enum lm_extent {
    LM_EXTENT_FIXED, /* shape[0] is what it says */
    LM_EXTENT_ROWS,  /* tokens of this step */
    LM_EXTENT_OUTS,  /* rows whose logits are wanted */
    LM_EXTENT_SEQS,  /* sequences in this step's batch */
    /* Sum over this step's rows of the positions each attends to; only attention's cost reads
     * it. */
    LM_EXTENT_CONTEXT,
    /* Sum over this step's sequences of the positions that any of their rows attends to: likewise. */
    LM_EXTENT_CACHED,
    /* The same two where attention sees a window (lm_attrs.window) or chosen positions; all of a graph's windows are alike. */
    LM_EXTENT_WINDOW_CONTEXT,
    LM_EXTENT_WINDOW_CACHED,
    LM_N_EXTENTS,
} lm_extent;

typedef enum lm_role {
    LM_ROLE_INPUT,  /* filled by the caller before a run; storage is the plan's, content stays */
    LM_ROLE_WEIGHT, /* constant; storage belongs to the caller and outlives the graph */
    LM_ROLE_STATE, /* read and written across runs (parameters, gradients, KV cache); caller's storage */
    LM_ROLE_VALUE, /* made by a node; storage is the plan's, kept until the next run for outputs */
} lm_role;

/* How a matrix [n_out, n_in] is laid out. PANELS is the backend's own order, made by
 * lm_backend.pack. */
typedef enum lm_layout { LM_LAYOUT_ROWS, LM_LAYOUT_PANELS } lm_layout;

typedef struct lm_node lm_node;

typedef struct lm_tensor lm_tensor;
struct lm_tensor {
    const char *name; /* for messages and profiles; may be "" */
    lm_dtype dtype;
    lm_role role;
    lm_layout layout;
    lm_extent extent; /* of dimension 0 */
    int n_dims;       /* 1 to LM_MAX_DIMS */
    int64_t shape[LM_MAX_DIMS];
    /* In device memory. WEIGHT, STATE: set by the caller; INPUT, VALUE: set by the planner. */
    void *data;
    /* INPUT, outputs: where the host fills and reads them, set by the planner; `data` itself where
     * device memory is host memory. NULL for constants and all others. */
    void *host;
    const void *constant; /* INPUT that never changes: its content, for planning; NULL otherwise */
    lm_node *producer;  /* VALUE: the node that makes it; NULL otherwise */
    lm_tensor *given;   /* VALUE: the sum of its gradients, while nodes for them are made */
    lm_tensor *alias;   /* output that is an input changed in place: that input; NULL otherwise */
    lm_tensor *view_of; /* whose elements these are under another shape (never a view); or NULL */
    lm_tensor *grad;    /* STATE: its gradient, an f32 STATE of equal shape; NULL: not trained */
    bool requires_grad; /* a trained parameter depends on it */
    bool is_output;     /* its storage is kept to the end of the run */
    int id;             /* position in the graph */
};

/* The tensor that gradients and storage of a view belong to. */
static inline lm_tensor *lm_tensor_base(lm_tensor *tensor) {
    return tensor->view_of ? tensor->view_of : tensor;
}

/* "w f32 [4, 8]" into buf, cut when too long; returns buf. For messages. */
enum { LM_TENSOR_TEXT_BYTES = 128 };
const char *lm_tensor_text(const lm_tensor *tensor, char buf[LM_TENSOR_TEXT_BYTES]);

/* Checks what may come from outside: 1 to LM_MAX_DIMS dimensions of at least 1, whole
 * quantization blocks in the last one, and a size in bytes that fits. LOAM_INVALID with name and
 * shape otherwise. */
loam_status lm_shape_check(const char *name, lm_dtype dtype, int n_dims, const int64_t *shape,
                           loam_error *err) LM_MUST_USE;

/* Elements in one row of dimension 0, all elements at capacity, bytes at capacity. */
int64_t lm_tensor_row_elems(const lm_tensor *tensor);
int64_t lm_tensor_n_elems(const lm_tensor *tensor);
size_t lm_tensor_bytes(const lm_tensor *tensor);

/* Same dimensions, the extent among them. */
bool lm_tensor_same_shape(const lm_tensor *a, const lm_tensor *b);

static inline bool lm_tensor_is_number(const lm_tensor *tensor) {
    return tensor->n_dims == 1 && tensor->shape[0] == 1 && tensor->extent == LM_EXTENT_FIXED;
}

/* Dimension 0 in a run with these extents ([LM_N_EXTENTS]; extents[LM_EXTENT_FIXED] is not
 * read). */
static inline int64_t lm_tensor_dim0(const lm_tensor *tensor, const int64_t *extents) {
    return tensor->extent == LM_EXTENT_FIXED ? tensor->shape[0] : extents[tensor->extent];
}

/* A constant matrix or vector as a model holds it: shared by all graphs made from the model,
 * never changed. */
typedef struct lm_weight {
    const char *name;
    lm_dtype dtype;
    lm_layout layout;
    int n_dims;
    int64_t shape[LM_MAX_DIMS];
    const void *data;
} lm_weight;

#endif
