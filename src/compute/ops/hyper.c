/* HYPER: by what streams are weighted where a block reads them and adds to them        arXiv:2409.19606, arXiv:2512.24880
 * logits   [R, M] f32: S of what is read, S of what is added to, S * S of what becomes of them; the first M that there are    in
 * scale    f32, a number for each of these three                                        in
 * base     [M] f32                                                                      in
 * read     [R, S] f32: sigmoid(z) + eps                                                 out 0
 * add      [R, S] f32, where M >= 2 S: attrs.scale * sigmoid(z), and eps where M = 2 S  out 1
 * become   [R, S * S] f32, where M > 2 S: element j * S + i is what stream j has of stream i    out 2
 * attrs    n_groups S, eps, scale, n_used: rounds
 *
 * z = fmaf(logits, scale, base). What becomes of stream i is the softmax of its S numbers, and eps; then, so that nothing grows, what each stream has
 * is divided by its sum and eps, and n_used - 1 times what becomes of each by its sum and eps, and what each has again. Order: a softmax takes the
 * maximum, then lm_exp and their sum; sums go in the order of streams, from the first on.
 */
#include "compute/ops/rules.h"

enum { MAX_STREAMS = 16 };

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *logits = node->in[0], *scale = node->in[1], *base = node->in[2];
    int64_t s = node->attrs.n_groups;
    if (s < 1 || s > MAX_STREAMS || !lm_is(logits, LM_F32, 2) || !lm_is(base, LM_F32, 1) ||
        base->shape[0] != logits->shape[1])
        return lm_op_refuse(node, err, "logits [R, M] and base [M] f32 of 1 to 16 streams");
    int64_t m = logits->shape[1], kinds = m == s ? 1 : m == 2 * s ? 2 : 3;
    if ((kinds == 3 && (m != (s + 2) * s || node->attrs.n_used < 1)) || !lm_is(scale, LM_F32, 1) ||
        scale->shape[0] != kinds)
        return lm_op_refuse(node, err,
                            "n_groups, twice as many or (n_groups + 2) * n_groups logits, which "
                            "want a round, and a scale for each kind");
    lm_out_rows(out[0], logits, s);
    if (kinds > 1) lm_out_rows(out[1], logits, s);
    if (kinds > 2) lm_out_rows(out[2], logits, s * s);
    return LOAM_OK;
}

/* n sigmoids of numbers from `first` on, of which `kind` says the scale, times a factor, and eps. */
static void weigh(const lm_node *node, int64_t row, int64_t first, int kind, float factor,
                  float eps, float *out) {
    const float *logits = lm_f32(node->in[0]) + row * node->in[0]->shape[1] + first,
                *base = lm_f32(node->in[2]) + first, scale = lm_f32(node->in[1])[kind];
    for (int64_t i = 0; i < node->attrs.n_groups; i++)
        out[i] = fmaf(factor, lm_sigmoid(fmaf(logits[i], scale, base[i])), eps);
}

/* x: n numbers `step` from each other, divided by their sum and eps. */
static void divide(float *x, int64_t n, int64_t step, float eps) {
    float sum = x[0];
    for (int64_t i = 1; i < n; i++) sum += x[i * step];
    for (int64_t i = 0; i < n; i++) x[i * step] /= sum + eps;
}

static void become(const lm_node *node, int64_t row, float *out) {
    int64_t s = node->attrs.n_groups, first = 2 * s;
    const float *logits = lm_f32(node->in[0]) + row * node->in[0]->shape[1] + first,
                *base = lm_f32(node->in[2]) + first, scale = lm_f32(node->in[1])[2],
                eps = node->attrs.eps;
    for (int64_t i = 0; i < s; i++) { /* stream i's numbers are column i of `out` */
        float max = -INFINITY, sum = 0.0f;
        for (int64_t j = 0; j < s; j++) {
            float z = fmaf(logits[i * s + j], scale, base[i * s + j]);
            out[j * s + i] = z;
            if (z > max) max = z;
        }
        for (int64_t j = 0; j < s; j++) {
            out[j * s + i] = lm_exp(out[j * s + i] - max);
            sum += out[j * s + i];
        }
        for (int64_t j = 0; j < s; j++) out[j * s + i] = out[j * s + i] / sum + eps;
    }
    for (int64_t round = 0; round < node->attrs.n_used; round++) {
        for (int64_t i = 0; round > 0 && i < s; i++) divide(out + i, s, s, eps);
        for (int64_t j = 0; j < s; j++) divide(out + j * s, s, 1, eps);
    }
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t s = node->attrs.n_groups;
    float eps = node->attrs.eps;
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        weigh(node, r, 0, 0, 1.0f, eps, lm_f32(node->out[0]) + r * s);
        if (node->n_outputs > 1)
            weigh(node, r, s, 1, node->attrs.scale, node->n_outputs > 2 ? 0.0f : eps,
                  lm_f32(node->out[1]) + r * s);
        if (node->n_outputs > 2) become(node, r, lm_f32(node->out[2]) + r * s * s);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = (6 + (node->n_outputs > 2 ? 4 * node->attrs.n_used : 0)) *
                 lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_hyper;
const lm_op lm_op_hyper = {
    .name = "hyper",
    .min_inputs = 3,
    .max_inputs = 3,
    .n_outputs = 3,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
