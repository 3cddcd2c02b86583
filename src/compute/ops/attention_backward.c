/* ATTENTION_BACKWARD: the gradients of ATTENTION, with the probabilities computed again from
 * lse        arXiv:2205.14135
 * d_out, q, k, v, out, lse   as in ATTENTION        in
 * dq, dk, dv                 shaped as q, k, v      out 0, 1, 2
 * attrs                      as in ATTENTION
 *
 * With q' = q * lm_paged_query_scale(scale) and s_i = lm_dot(d_out_i, out_i), for query i of a head and key j of its sequence:
 *     p = lm_exp2(q'_i k_j - lse_i)       g = p * (d_out_i v_j - s_i)       products as fmaf over dimensions in order, from +0
 *     dq_i += g k_j                       dk_j += g q'_i                    dv_j += p d_out_i         each as fmaf, from +0
 * and at the end dq *= scale, dk *= ln 2.
 * Order: dq_i over j ascending; dk_j and dv_j over the heads that share the key, and within a head
 * over i ascending. Rows of a sequence go by LM_ATTENTION_STEP: those of one step count the same keys, which are all of this step
 * and of those before, and p and g are 0 where j > i. A thread takes whole (sequence, key head) pairs.
 */
#include <string.h>

#include "compute/ops/paged_softmax.h"
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *d_out = node->in[0], *q = node->in[1], *k = node->in[2], *v = node->in[3],
                    *o = node->in[4];
    const lm_tensor *lse = node->in[5];
    const lm_attrs *a = &node->attrs;
    bool types_ok = true;
    for (int i = 0; i < 6; i++)
        types_ok &= lm_is(node->in[i], LM_F32, 2) && lm_same_rows(node->in[i], q);
    if (!types_ok || !lm_heads_ok(a) || a->seq_len < 1 || q->shape[1] != a->n_heads * a->head_dim ||
        k->shape[1] != a->n_kv_heads * a->head_dim || !lm_tensor_same_shape(k, v) ||
        !lm_tensor_same_shape(q, o) || !lm_tensor_same_shape(q, d_out) ||
        lse->shape[1] != a->n_heads)
        return lm_op_refuse(node, err,
                            "d_out, q, k, v, out and lse of attention, and its attributes");
    lm_out_like(out[0], q, LM_F32);
    lm_out_like(out[1], k, LM_F32);
    lm_out_like(out[2], v, LM_F32);
    return LOAM_OK;
}

static void add_scaled(float *y, float scale, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = fmaf(scale, x[i], y[i]);
}

static void scale_by(float *y, float scale, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] *= scale;
}

static float dot_in_order(const float *a, const float *b, int64_t n) {
    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++) sum = fmaf(a[i], b[i], sum);
    return sum;
}

/* Query `row` of `head` with all the keys that count. */
static void query_backward(const lm_node *node, int64_t row, int64_t head, lm_range seq) {
    const lm_attrs *a = &node->attrs;
    int64_t dim = a->head_dim, kv_head = head / (a->n_heads / a->n_kv_heads),
            at = (row * a->n_heads + head) * dim,
            end = row + LM_ATTENTION_STEP - (row - seq.begin) % LM_ATTENTION_STEP;
    const float *d_out = lm_f32(node->in[0]) + at;
    float lse = lm_f32(node->in[5])[row * a->n_heads + head];
    float s = lm_dot(d_out, lm_f32(node->in[4]) + at, dim);
    float *dq = lm_f32(node->out[0]) + at, q[LM_MAX_HEAD_DIM];
    memset(dq, 0, (size_t)dim * sizeof *dq);
    memcpy(q, lm_f32(node->in[1]) + at, (size_t)dim * sizeof *q);
    scale_by(q, lm_paged_query_scale(a->scale), dim);
    for (int64_t j = seq.begin; j < end && j < seq.end; j++) {
        int64_t kv_at = (j * a->n_kv_heads + kv_head) * dim;
        const float *k = lm_f32(node->in[2]) + kv_at;
        float p = j > row ? 0.0f : lm_exp2(dot_in_order(q, k, dim) - lse);
        float g = j > row ? 0.0f : p * (dot_in_order(d_out, lm_f32(node->in[3]) + kv_at, dim) - s);
        add_scaled(dq, g, k, dim);
        add_scaled(lm_f32(node->out[1]) + kv_at, g, q, dim);
        add_scaled(lm_f32(node->out[2]) + kv_at, p, d_out, dim);
    }
    scale_by(dq, a->scale, dim);
}

static void sequence_backward(const lm_node *node, lm_range seq, int64_t kv_head) {
    const lm_attrs *a = &node->attrs;
    int64_t group = a->n_heads / a->n_kv_heads, dim = a->head_dim;
    for (int64_t row = seq.begin; row < seq.end; row++) {
        int64_t kv_at = (row * a->n_kv_heads + kv_head) * dim;
        memset(lm_f32(node->out[1]) + kv_at, 0, (size_t)dim * sizeof(float));
        memset(lm_f32(node->out[2]) + kv_at, 0, (size_t)dim * sizeof(float));
    }
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++)
        for (int64_t row = seq.begin; row < seq.end; row++) query_backward(node, row, head, seq);
    for (int64_t row = seq.begin; row < seq.end; row++)
        scale_by(lm_f32(node->out[1]) + (row * a->n_kv_heads + kv_head) * dim, LM_LN_2, dim);
}

static void reference(const lm_kernel_args *args) {
    const lm_attrs *a = &args->node->attrs;
    int64_t n_rows = lm_rows_now(args, args->node->in[1]),
            n_seqs = (n_rows + a->seq_len - 1) / a->seq_len;
    lm_range units = lm_share(args, n_seqs * a->n_kv_heads);
    for (int64_t u = units.begin; u < units.end; u++) {
        int64_t first = u / a->n_kv_heads * a->seq_len;
        int64_t end = first + a->seq_len < n_rows ? first + a->seq_len : n_rows;
        sequence_backward(args->node, (lm_range){first, end}, u % a->n_kv_heads);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_attrs *a = &node->attrs;
    out->flops = lm_causal_pairs(lm_tensor_dim0(node->in[1], extents), a->seq_len) * a->n_heads *
                 (10 * a->head_dim + 6);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_attention_backward;
const lm_op lm_op_attention_backward = {
    .name = "attention_backward",
    .min_inputs = 6,
    .max_inputs = 6,
    .n_outputs = 3,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
