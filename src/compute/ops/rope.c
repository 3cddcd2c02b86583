/* ROPE: rotary position embedding        arXiv:2104.09864
 * x        [R, H * D] f32                                                      in
 * pos      [R] i32                                                             in
 * freqs    [F] f32, inverse frequencies, 2 F <= D: any scaling is another table in
 * y        [R, H * D] f32; may take over x                                     out
 * attrs    n_heads H, head_dim D; first: of a head's elements that turn; interleaved: pairs (2i, 2i + 1), counted from there, else
 *          (i, i + F); inverse: rotate back; ratio: positions are the first
 *          of so many that follow each other, 0: their own; scale: of both sine and cosine (YaRN's attention factor), 0 stands for 1
 *
 * angle = (float)pos * freqs[i] in f32, then cosf and sinf; a pair (a, b) becomes (a c - b s,
 * a s + b c), as fmaf(a, c, -(b s)) and fmaf(a, s, b c). Elements of a head before `first` and past 2 F more are unchanged.
 */
#include "compute/ops/rules.h"

static loam_status shape(const lm_node *node, lm_tensor *const *out, loam_error *err) {
    const lm_tensor *x = node->in[0], *pos = node->in[1], *freqs = node->in[2];
    const lm_attrs *a = &node->attrs;
    bool heads_ok = a->n_heads > 0 && a->head_dim > 0 && a->head_dim <= LM_MAX_HEAD_DIM;
    if (!heads_ok || !lm_is(x, LM_F32, 2) || !lm_is(pos, LM_I32, 1) || !lm_is(freqs, LM_F32, 1) ||
        !lm_same_rows(x, pos) || x->shape[1] / a->head_dim != a->n_heads ||
        x->shape[1] % a->head_dim != 0 || a->first < 0 ||
        2 * freqs->shape[0] > a->head_dim - a->first)
        return lm_op_refuse(node, err,
                            "x [R, n_heads * head_dim] f32, pos [R] i32, freqs [at most (head_dim "
                            "- first) / 2] f32");
    lm_out_like(out[0], x, LM_F32);
    return LOAM_OK;
}

typedef struct rotation {
    const lm_attrs *attrs;
    int64_t n_pairs;
    float cosine[LM_MAX_HEAD_DIM / 2], sine[LM_MAX_HEAD_DIM / 2];
} rotation;

static void rotation_at(rotation *rot, const float *freqs, int32_t pos) {
    float scale = rot->attrs->scale == 0.0f ? 1.0f : rot->attrs->scale;
    if (rot->attrs->ratio > 0) pos -= pos % (int32_t)rot->attrs->ratio;
    for (int64_t i = 0; i < rot->n_pairs; i++) {
        float angle = (float)pos * freqs[i];
        rot->cosine[i] = cosf(angle) * scale;
        rot->sine[i] = (rot->attrs->inverse ? -sinf(angle) : sinf(angle)) * scale;
    }
}

static void rotate_head(const rotation *rot, const float *x, float *y) {
    bool interleaved = rot->attrs->interleaved;
    int64_t turned = rot->attrs->first, end = turned + 2 * rot->n_pairs;
    for (int64_t i = 0; i < rot->n_pairs; i++) {
        int64_t first = turned + (interleaved ? 2 * i : i),
                second = first + (interleaved ? 1 : rot->n_pairs);
        float a = x[first], b = x[second], c = rot->cosine[i], s = rot->sine[i];
        y[first] = fmaf(a, c, -(b * s));
        y[second] = fmaf(a, s, b * c);
    }
    for (int64_t i = 0; i < turned; i++) y[i] = x[i];
    for (int64_t i = end; i < rot->attrs->head_dim; i++) y[i] = x[i];
}

static void reference(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t width = node->in[0]->shape[1], dim = node->attrs.head_dim;
    rotation rot = {.attrs = &node->attrs, .n_pairs = node->in[2]->shape[0]};
    lm_range rows = lm_share(args, lm_rows_now(args, node->in[0]));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        rotation_at(&rot, lm_f32(node->in[2]), lm_i32(node->in[1])[r]);
        for (int64_t at = r * width; at < (r + 1) * width; at += dim)
            rotate_head(&rot, lm_f32(node->in[0]) + at, lm_f32(node->out[0]) + at);
    }
}

static void backward(lm_graph *graph, const lm_node *node, lm_tensor *const *d_out,
                     lm_tensor **d_in) {
    lm_op_args args = {.in = {d_out[0], node->in[1], node->in[2]}, .attrs = node->attrs};
    args.attrs.inverse = !args.attrs.inverse;
    d_in[0] = lm_graph_op(graph, LM_OP_ROPE, &args);
}

static void cost(const lm_node *node, const int64_t *extents, lm_cost *out) {
    out->flops = 3 * lm_elems_now(node->in[0], extents);
    out->bytes = lm_node_bytes(node, extents);
}

extern const lm_op lm_op_rope;
const lm_op lm_op_rope = {
    .name = "rope",
    .min_inputs = 3,
    .max_inputs = 3,
    .n_outputs = 1,
    .in_place = 1,
    .shape = shape,
    .reference = reference,
    .backward = backward,
    .cost = cost,
};
