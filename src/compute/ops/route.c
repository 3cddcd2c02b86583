/* ROUTE: which experts a row goes to, and with which weights        arXiv:1701.06538, arXiv:2412.19437
 * logits   [R, E] f32                                                                in
 * bias     [E] f32, optional: added to scores where experts are chosen, not to weights    in
 * factors  [E] f32, optional: of the weights of chosen experts, behind all else; not with jitter    in
 * given    [R, k] f32, optional: the chosen, as numbers in their order; with it neither bias nor jitter    in
 * ids      [R, k] i32, the chosen in the order of their scores, the lower number first of equal ones    out 0
 * weights  [R, k] f32                                                                out 1
 * attrs    n_used k; sigmoid: scores are sigmoids of logits, softplus: roots of their softplus, else their softmax; normalize: weights are divided by their
 *          sum; by_logits: bias is added to logits where experts are chosen, not to scores; scale: of weights, 0 stands for 1; n_groups, n_groups_used: experts are chosen from those n_groups_used of
 *          n_groups runs of E / n_groups experts whose best scores (with sigmoid: two best scores, added) are largest
 *          jitter: instead, experts are chosen one after the other, each the one of the largest logit s, whose weight is its
 *          softmax among those left with (s - logit) / max(|logit|, s) <= 2 * jitter: arXiv:2409.12136
 *
 * Order: a softmax takes the maximum, then lm_exp and their sum in the order of experts; sums of weights go in that of ids.
 */
#include "compute/ops/route.h"

/* A number for each expert, or none. */
static bool is_of_experts(const lm_tensor *x, const lm_tensor *logits) {
    return !x || (lm_is(x, LM_F32, 1) && x->shape[0] == logits->shape[1]);
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *logits = node->in[0];
    const lm_attrs *a = &node->attrs;
    if (!lm_is(logits, LM_F32, 2) || logits->shape[1] > LM_MAX_EXPERTS ||
        !is_of_experts(node->in[1], logits) || !is_of_experts(node->in[2], logits))
        return lm_op_refuse(node, err,
                            "logits [R, E <= 1024] f32 and, if any, bias and factors [E] f32");
    if (node->in[2] && a->jitter > 0.0f)
        return lm_op_refuse(node, err, "no factors of experts that are chosen with jitter");
    const lm_tensor *given = node->in[3];
    if (given && (!lm_is(given, LM_F32, 2) || !lm_same_rows(logits, given) ||
                  given->shape[1] != a->n_used || node->in[1] || a->jitter > 0.0f))
        return lm_op_refuse(node, err, "given, if any, [R, n_used] f32, without bias and jitter");
    int64_t n_groups = a->n_groups > 0 ? a->n_groups : 1,
            n_open = a->n_groups_used > 0 ? a->n_groups_used : n_groups;
    if (logits->shape[1] % n_groups || n_open > n_groups || a->n_used < 1 ||
        a->n_used > logits->shape[1] / n_groups * n_open)
        return lm_op_refuse(node, err, "as many experts to choose from as are chosen");
    lm_out_rows(out[0], logits, a->n_used);
    out[0]->dtype = LM_I32;
    lm_out_rows(out[1], logits, a->n_used);
    return LOAM_OK;
}

static void score(const lm_attrs *a, const float *logits, int64_t n, float *out) {
    float max = -INFINITY, sum = 0.0f;
    for (int64_t e = 0; e < n; e++)
        if (logits[e] > max) max = logits[e];
    for (int64_t e = 0; e < n; e++) {
        out[e] = a->sigmoid    ? lm_sigmoid(logits[e])
                 : a->softplus ? sqrtf(lm_softplus(logits[e]))
                               : lm_exp(logits[e] - max);
        sum += out[e];
    }
    for (int64_t e = 0; !a->sigmoid && !a->softplus && e < n; e++) out[e] /= sum;
}

/* The number of the largest; those of -infinity are out. NaN loses to everything. */
static int64_t best_of(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best] || x[best] != x[best]) best = i;
    return best;
}

static float group_score(const lm_attrs *a, float *choice, int64_t n) {
    int64_t first = best_of(choice, n);
    float best = choice[first];
    if (!a->sigmoid || n < 2) return best;
    choice[first] = -INFINITY;
    float second = choice[best_of(choice, n)];
    choice[first] = best;
    return best + second;
}

/* Takes all experts but those of the best groups out of the choice. */
static void close_groups(const lm_attrs *a, float *choice, int64_t n) {
    if (a->n_groups < 2 || a->n_groups_used >= a->n_groups || a->n_groups_used < 1) return;
    float of_group[LM_MAX_EXPERTS];
    bool open[LM_MAX_EXPERTS] = {false};
    int64_t size = n / a->n_groups;
    for (int64_t g = 0; g < a->n_groups; g++) of_group[g] = group_score(a, choice + g * size, size);
    for (int64_t i = 0; i < a->n_groups_used; i++) {
        int64_t g = best_of(of_group, a->n_groups);
        open[g] = true;
        of_group[g] = -INFINITY;
    }
    for (int64_t e = 0; e < n; e++)
        if (!open[e / size]) choice[e] = -INFINITY;
}

/* Whether x goes before y, which has a lower number. */
static bool precedes(float x, float y) {
    return x > y || (isnan(y) && !isnan(x));
}

/* The n_used best of n, in their order: one pass, as few belong among the best of those before them. */
static void choose(const float *choice, int64_t n, int64_t n_used, int32_t *ids) {
    for (int64_t e = 0, n_ids = 0; e < n; e++) {
        if (n_ids == n_used && !precedes(choice[e], choice[ids[n_used - 1]])) continue;
        int64_t at = n_ids < n_used ? n_ids++ : n_used - 1;
        for (; at > 0 && precedes(choice[e], choice[ids[at - 1]]); at--) ids[at] = ids[at - 1];
        ids[at] = (int32_t)e;
    }
}

/* What `best` has of the softmax of itself and its rivals. */
static float sole_weight(const lm_attrs *a, const float *logits, const bool *out, int64_t n,
                         int64_t best) {
    float top = logits[best], sum = 0.0f;
    for (int64_t e = 0; e < n; e++) {
        float size = logits[e] < 0.0f ? -logits[e] : logits[e], scale = size > top ? size : top;
        if (out[e] || (top - logits[e]) / scale > 2.0f * a->jitter) continue;
        sum += lm_exp(logits[e] - top);
    }
    return 1.0f / sum;
}

void lm_route_mix(const lm_node *node, int64_t row, const float *logits) {
    const lm_attrs *a = &node->attrs;
    int64_t n = node->in[0]->shape[1];
    bool out[LM_MAX_EXPERTS] = {false};
    int32_t *ids = (int32_t *)node->out[0]->data + row * a->n_used;
    float *weights = lm_f32(node->out[1]) + row * a->n_used;
    choose(logits, n, a->n_used, ids);
    for (int64_t i = 0; i < a->n_used; i++) {
        weights[i] = sole_weight(a, logits, out, n, ids[i]);
        out[ids[i]] = true;
    }
}

static void take_given(const lm_node *node, int64_t row, int32_t *ids) {
    int64_t n_used = node->attrs.n_used;
    const float *given = lm_f32(node->in[3]) + row * n_used;
    for (int64_t i = 0; i < n_used; i++) {
        LM_ASSERT(given[i] >= 0 &&
                  given[i] < (float)node->in[0]->shape[1]); /* seen when it was read */
        ids[i] = (int32_t)given[i];
    }
}

void lm_route_choose(const lm_node *node, int64_t row, const float *logits, const float *scores) {
    const lm_attrs *a = &node->attrs;
    int64_t n = node->in[0]->shape[1];
    const float *by = a->by_logits ? logits : scores;
    float choice[LM_MAX_EXPERTS], sum = 0.0f;
    int32_t *ids = (int32_t *)node->out[0]->data + row * a->n_used;
    float *weights = lm_f32(node->out[1]) + row * a->n_used;
    for (int64_t e = 0; e < n; e++)
        choice[e] = node->in[1] ? by[e] + lm_f32(node->in[1])[e] : by[e];
    close_groups(a, choice, n);
    if (node->in[3])
        take_given(node, row, ids);
    else
        choose(choice, n, a->n_used, ids);
    for (int64_t i = 0; i < a->n_used; i++) {
        weights[i] = scores[ids[i]];
        sum += weights[i];
    }
    float factor =
        (a->normalize ? 1.0f / (sum + 1e-20f) : 1.0f) * (a->scale == 0.0f ? 1.0f : a->scale);
    for (int64_t i = 0; i < a->n_used; i++) {
        weights[i] *= factor;
        if (node->in[2]) weights[i] *= lm_f32(node->in[2])[ids[i]];
    }
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t n = node->in[0]->shape[1];
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const float *logits = lm_f32(node->in[0]) + r * n;
        float scores[LM_MAX_EXPERTS];
        if (node->attrs.jitter > 0.0f) {
            lm_route_mix(node, r, logits);
            continue;
        }
        score(&node->attrs, logits, n, scores);
        lm_route_choose(node, r, logits, scores);
    }
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = (5 + node->attrs.n_used) * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_route;
const lm_op lm_op_route = {
    .name = "route",
    .min_inputs = 1,
    .max_inputs = 4,
    .n_outputs = 2,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
