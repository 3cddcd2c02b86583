/* EXPERTS: LINEAR with a matrix that each row chooses, k times        arXiv:1701.06538
 * x     [R, K] f32|bf16: the same for all k; or [R, k * K]: one after the other for each     in
 * w     [E, N, K] any float type, each expert in row order or the backend's                 in
 * ids   [R, k] i32: ROUTE's; those of E and beyond choose no matrix, and their y is 0           in
 * bias  [E, N] f32, optional                                                                 in
 * y     [R, k * N] f32                                                                       out
 *
 * Order: each product is LINEAR's, whatever rows go to the same expert.
 */
#include "compute/ops/experts.h"

#include <string.h>

static bool x_ok(const lm_node *node) {
    const lm_tensor *x = node->in[0], *w = node->in[1], *ids = node->in[2];
    return x->n_dims == 2 && lm_is_f32_or_bf16(x->dtype) && lm_same_rows(x, ids) &&
           (x->shape[1] == w->shape[2] || x->shape[1] == ids->shape[1] * w->shape[2]);
}

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *w = node->in[1], *ids = node->in[2], *bias = node->in[3];
    bool w_ok = w->n_dims == 3 && lm_is_weight(w->dtype) && w->extent == LM_EXTENT_FIXED;
    bool bias_ok = !bias || (lm_is(bias, LM_F32, 2) && w_ok && bias->shape[0] == w->shape[0] &&
                             bias->shape[1] == w->shape[1]);
    if (!w_ok || !lm_is(ids, LM_I32, 2) || !bias_ok || !x_ok(node))
        return lm_op_refuse(node, err,
                            "x [R, K] or [R, k * K] f32|bf16, w [E, N, K], ids [R, k] i32 and, if "
                            "any, bias [E, N] f32");
    lm_out_rows(out[0], ids, ids->shape[1] * w->shape[1]);
    return LOAM_OK;
}

void lm_expert_product_init(lm_expert_product *p, const lm_node *experts, int64_t expert,
                            size_t expert_bytes, int64_t n_rows, const void *x, float *y) {
    const lm_tensor *w = experts->in[1], *bias = experts->in[3];
    int64_t n_out = w->shape[1], n_in = w->shape[2];
    *p = (lm_expert_product){.x = {.name = "x", .dtype = experts->in[0]->dtype, .n_dims = 2},
                             .w = *w,
                             .y = {.name = "y", .dtype = LM_F32, .n_dims = 2}};
    p->x.shape[0] = p->y.shape[0] = n_rows;
    p->x.shape[1] = n_in;
    p->x.data = (void *)x;
    p->y.shape[1] = n_out;
    p->y.data = y;
    p->w.n_dims = 2;
    p->w.shape[0] = n_out;
    p->w.shape[1] = n_in;
    p->w.data = (char *)w->data + (size_t)expert * expert_bytes;
    if (bias) {
        p->bias = *bias;
        p->bias.n_dims = 1;
        p->bias.shape[0] = n_out;
        p->bias.data = lm_f32(bias) + expert * n_out;
    }
    p->node = (lm_node){.op = LM_OP_LINEAR, .n_inputs = bias ? 3 : 2, .n_outputs = 1};
    p->node.in[0] = &p->x;
    p->node.in[1] = &p->w;
    p->node.in[2] = bias ? &p->bias : NULL;
    p->node.out[0] = &p->y;
}

void lm_expert_product_reference(const lm_kernel_args *args, const lm_expert_product *p) {
    lm_kernel_args alone = *args;
    alone.node = &p->node;
    alone.thread = 0;
    alone.n_threads = 1;
    lm_op_get(LM_OP_LINEAR)->reference(&alone);
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const lm_tensor *x = node->in[0], *w = node->in[1], *ids = node->in[2];
    int64_t n_used = ids->shape[1], n_out = w->shape[1], n_in = w->shape[2];
    bool shared = x->shape[1] == n_in;
    size_t expert_bytes = lm_dtype_bytes(w->dtype, n_out * n_in);
    lm_range slots = lm_share(args, lm_rows_now(args, ids) * n_used);
    for (int64_t s = slots.begin; s < slots.end; s++) {
        lm_expert_product p;
        if (lm_i32(ids)[s] >= w->shape[0]) {
            memset(lm_f32(node->out[0]) + s * n_out, 0, (size_t)n_out * sizeof(float));
            continue;
        }
        lm_expert_product_init(&p, node, lm_i32(ids)[s], expert_bytes, 1,
                               lm_at(x, (shared ? s / n_used : s) * n_in),
                               lm_f32(node->out[0]) + s * n_out);
        lm_expert_product_reference(args, &p);
    }
}

/* As if no two rows chose the same expert: which do is data. */
static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    const lm_tensor *w = node->in[1], *ids = node->in[2];
    int64_t n_products = lm_elems_now(ids, extents),
            n_read = n_products < w->shape[0] ? n_products : w->shape[0];
    out->flops = n_products * w->shape[1] * (2 * w->shape[2] + (node->in[3] ? 1 : 0));
    out->bytes = lm_bytes_now(node->in[0], extents) + lm_bytes_now(ids, extents) +
                 lm_bytes_now(node->out[0], extents) +
                 n_read * (int64_t)lm_dtype_bytes(w->dtype, w->shape[1] * w->shape[2]);
}

extern const lm_op lm_op_experts;
const lm_op lm_op_experts = {
    .name = "experts",
    .min_inputs = 3,
    .max_inputs = 4,
    .n_outputs = 1,
    .shape = shape,
    .reference = reference,
    .cost = cost,
};
