/* LINEAR_CROSS_ENTROPY: CROSS_ENTROPY of x w^T, and its gradients, without the logits of all rows ever being there
 * x        [R, K] f32|bf16                                                     in
 * w        [V, K] f32|bf16|f16, in row order                                   in
 * targets  [R] i32, in [0, V); negative: row is left out                       in
 * dw       [V, K] f32 STATE, optional: w's gradient                            in, changed in place (out 3)
 * loss     [1] f32                                                             out 0
 * lse      [R] f32                                                             out 1
 * dx       [R, K] f32; absent when neither dw is given nor x wants a gradient  out 2
 *
 * Bit for bit what LINEAR, CROSS_ENTROPY, their gradients for a d_loss of 1 (with CAST to bf16 where
 * w is bf16), LINEAR_DX and LINEAR_DW give, so that kernels are free to take some rows after the
 * others. The gradients come with the loss, since making the logits once more for them would take
 * half the work again: so the loss must be what is differentiated, not something made from it.
 */
#include <string.h>

#include "compute/ops/linear_sums.h"
#include "compute/ops/mean_loss.h"

enum { CHUNK = 256 }; /* elements converted at a time; even, for pairs */

static bool dw_ok(const lm_tensor *dw, const lm_tensor *w) {
    return !dw || (lm_is(dw, LM_F32, 2) && dw->role == LM_ROLE_STATE &&
                   dw->shape[0] == w->shape[0] && dw->shape[1] == w->shape[1]);
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1], *targets = node->in[2];
    lm_tensor *dw = node->in[3];
    bool x_ok = x->n_dims == 2 && lm_is_f32_or_bf16(x->dtype);
    bool w_ok = w->n_dims == 2 && lm_is_float(w) && w->layout == LM_LAYOUT_ROWS;
    if (!x_ok || !w_ok || x->shape[1] != w->shape[1] || !lm_is(targets, LM_I32, 1) ||
        !lm_same_rows(x, targets) || !dw_ok(dw, w))
        return lm_op_refuse(node, err,
                            "x [R, K] f32|bf16, w [V, K] f32|bf16|f16, targets [R] i32 and, if "
                            "any, a state dw [V, K] f32");
    lm_out_vector(out[0], 1);
    lm_out_column(out[1], x);
    if (dw || x->requires_grad) lm_out_like(out[2], x, LM_F32);
    if (dw) lm_out_in_place(out[3], dw);
    return LOAM_OK;
}

/* Logit of row r and class n. */
static float logit_at(const lm_node *node, int64_t r, int64_t n) {
    const lm_tensor *x = node->in[0], *w = node->in[1];
    int64_t n_in = w->shape[1];
    float x_chunk[CHUNK], w_chunk[CHUNK], acc = 0.0f;
    for (int64_t k = 0; k < n_in; k += CHUNK) {
        int64_t count = n_in - k < CHUNK ? n_in - k : CHUNK;
        lm_load(x, r * n_in + k, x_chunk, count);
        lm_load(w, n * n_in + k, w_chunk, count);
        acc = w->dtype == LM_BF16 ? lm_add_pairs(x_chunk, w_chunk, count, acc)
                                  : lm_add_products(x_chunk, w_chunk, count, acc);
    }
    return acc;
}

static float log_sum_exp(const lm_node *node, int64_t r) {
    int64_t n_classes = node->in[1]->shape[0];
    float max = logit_at(node, r, 0), lanes[LM_LANES] = {0};
    for (int64_t n = 1; n < n_classes; n++) {
        float logit = logit_at(node, r, n);
        max = logit > max ? logit : max;
    }
    for (int64_t n = 0; n < n_classes; n++)
        lanes[n % LM_LANES] += lm_exp(logit_at(node, r, n) - max);
    return max + logf(lm_lanes_fold(lanes));
}

/* Gradient of the logit of row r and class n; 0 where there is no such row or class. */
static float d_logit_at(const lm_kernel_args *args, int64_t r, int64_t n, float scale) {
    const lm_node *node = args->node;
    const lm_tensor *w = node->in[1], *targets = node->in[2];
    if (r >= lm_rows_now(args, targets) || n >= w->shape[0] || lm_i32(targets)[r] < 0) return 0.0f;
    float p = lm_exp(logit_at(node, r, n) - lm_f32(node->out[1])[r]);
    float d = (n == lm_i32(targets)[r] ? p - 1.0f : p) * scale;
    return w->dtype == LM_BF16 ? lm_round_bf16(d) : d;
}

/* y[i] = fmaf(factor, element at + i of x, y[i]) for all of a row; elements of no row are 0. */
static void add_row(float *y, float factor, const lm_tensor *x, int64_t row, int64_t n_rows) {
    float chunk[CHUNK] = {0};
    int64_t n = x->shape[1];
    for (int64_t k = 0; k < n; k += CHUNK) {
        int64_t count = n - k < CHUNK ? n - k : CHUNK;
        if (row < n_rows) lm_load(x, row * n + k, chunk, count);
        for (int64_t i = 0; i < count; i++) y[k + i] = fmaf(factor, chunk[i], y[k + i]);
    }
}

static void dx_of_rows(const lm_kernel_args *args, lm_range rows, float scale) {
    const lm_tensor *w = args->node->in[1];
    int64_t n_in = w->shape[1], n_classes = w->shape[0];
    bool pairs = w->dtype == LM_BF16;
    for (int64_t r = rows.begin; r < rows.end; r++) {
        float *dx = lm_f32(args->node->out[2]) + r * n_in;
        memset(dx, 0, (size_t)n_in * sizeof *dx);
        for (int64_t i = 0; i < n_classes + (pairs ? n_classes % 2 : 0); i++) {
            int64_t n = pairs ? i ^ 1 : i;
            add_row(dx, d_logit_at(args, r, n, scale), w, n, n_classes);
        }
    }
}

static void dw_of_classes(const lm_kernel_args *args, lm_range classes, float scale) {
    const lm_tensor *x = args->node->in[0], *w = args->node->in[1];
    int64_t n_rows = lm_rows_now(args, x);
    bool pairs = w->dtype == LM_BF16 && x->dtype == LM_BF16;
    for (int64_t n = classes.begin; n < classes.end; n++) {
        float *dw = lm_f32(args->node->out[3]) + n * w->shape[1];
        for (int64_t i = 0; i < n_rows + (pairs ? n_rows % 2 : 0); i++) {
            int64_t r = pairs ? i ^ 1 : i;
            add_row(dw, d_logit_at(args, r, n, scale), x, r, n_rows);
        }
    }
}

static float mean_loss(const lm_node *node, int64_t n_rows) {
    const int32_t *targets = lm_i32(node->in[2]);
    lm_mean_loss mean = {0};
    for (int64_t r = 0; r < n_rows; r++) {
        if (targets[r] < 0) continue;
        LM_ASSERT(targets[r] < node->in[1]->shape[0]);
        lm_mean_loss_add(&mean, lm_f32(node->out[1])[r], logit_at(node, r, targets[r]));
    }
    return lm_mean_loss_end(&mean);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t n_rows = lm_rows_now(args, node->in[0]);
    lm_range rows = lm_share(args, n_rows);
    for (int64_t r = rows.begin; r < rows.end; r++) lm_f32(node->out[1])[r] = log_sum_exp(node, r);
    args->barrier(args->device);
    if (args->thread == 0) *lm_f32(node->out[0]) = mean_loss(node, n_rows);
    float scale = lm_mean_loss_scale(lm_i32(node->in[2]), n_rows, 1.0f);
    if (node->n_outputs > 2) dx_of_rows(args, rows, scale);
    if (node->n_outputs > 3) dw_of_classes(args, lm_share(args, node->in[1]->shape[0]), scale);
}

static bool is_one(const lm_tensor *tensor) {
    return tensor->constant && *(const float *)tensor->constant == 1.0f;
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    if (d_out[1] || !is_one(d_out[0])) {
        lm_graph_fail(graph, LOAM_UNSUPPORTED,
                      "linear_cross_entropy must be the loss itself to be differentiated");
    } else if (node->in[1]->requires_grad && !node->in[3]) {
        lm_graph_fail(graph, LOAM_UNSUPPORTED,
                      "linear_cross_entropy was not given where the gradient of w belongs");
    } else if (node->n_outputs > 2) {
        d_in[0] = node->out[2];
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_tensor *w = node->in[1];
    int64_t n_logits = lm_tensor_dim0(node->in[0], extents) * w->shape[0];
    int n_products = node->n_outputs > 3 ? 3 : node->n_outputs - 1; /* n_outputs is at least 2 */
    out->flops = n_logits * (2 * n_products * w->shape[1] + (n_products > 1 ? 7 : 4));
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_linear_cross_entropy;
const lm_op lm_op_linear_cross_entropy = {
    .name = "linear_cross_entropy",
    .min_inputs = 3,
    .max_inputs = 4,
    .n_outputs = 4,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
