/* Ops and their gradients against torch (tests/golden/make_ops.py). The values come from f64, so
 * the tolerance is the error of f32: some dozen operations on numbers of order 1. Rope's angles
 * at far positions carry the rounding of pos * freq, which the golden values share. */
#include "testing.h"

#include <math.h>

#include "../golden/ops/ops.inc"
#include "backend/cpu/cpu.h"
#include "compute/numerics.h"
#include "compute/plan.h"
#include "weighted_sum.h"

static const double abs_tol = 2e-6, rel_tol = 2e-5;

typedef struct golden_input {
    const void *data; /* NULL: no such input */
    int n_dims;
    int64_t shape[2];
    const float *grad; /* NULL: not trained */
    bool is_i32;
} golden_input;

typedef struct golden_op {
    const char *name;
    lm_op_id op;
    golden_input in[LM_MAX_INPUTS];
    lm_attrs attrs;
    const float *out, *d_out;
} golden_op;

#define MATRIX(op, name, rows, columns) \
    { op##_##name, 2, {rows, columns}, op##_d_##name }
#define VECTOR(op, name, n) \
    { op##_##name, 1, {n}, op##_d_##name }
#define CONSTANT(op, name, n) \
    {                         \
        op##_##name, 1, {     \
            n                 \
        }                     \
    }
#define IDS(op, name, n) \
    { op##_##name, 1, {n}, .is_i32 = true }

/* clang-format off: tables read by row */
static const golden_op golden_ops[] = {
    {"rms_norm",
     LM_OP_RMS_NORM,
     {MATRIX(rms_norm, x, 3, 20), VECTOR(rms_norm, w, 20)},
     {.eps = 1e-5f},
     rms_norm_out,
     rms_norm_d_out},
    {"swiglu",
     LM_OP_SWIGLU,
     {MATRIX(swiglu, gate, 3, 9), MATRIX(swiglu, up, 3, 9)},
     {0},
     swiglu_out,
     swiglu_d_out},
    {"linear",
     LM_OP_LINEAR,
     {MATRIX(linear, x, 4, 19), MATRIX(linear, w, 6, 19), VECTOR(linear, bias, 6)},
     {0},
     linear_out,
     linear_d_out},
    {"embed",
     LM_OP_EMBED,
     {MATRIX(embed, table, 5, 3), IDS(embed, ids, 6)},
     {0},
     embed_out,
     embed_d_out},
    {"attention",
     LM_OP_ATTENTION,
     {MATRIX(attention, q, 36, 8), MATRIX(attention, k, 36, 4), MATRIX(attention, v, 36, 4)},
     {.n_heads = 2, .n_kv_heads = 1, .head_dim = 4, .seq_len = 18, .scale = 0.7f},
     attention_out,
     attention_d_out},
    {"rope",
     LM_OP_ROPE,
     {MATRIX(rope, x, 5, 16), IDS(rope, pos, 5), CONSTANT(rope, freqs, 4)},
     {.n_heads = 2, .head_dim = 8},
     rope_out,
     rope_d_out},
    {"cross_entropy",
     LM_OP_CROSS_ENTROPY,
     {MATRIX(cross_entropy, logits, 5, 21), IDS(cross_entropy, targets, 5)},
     {0},
     cross_entropy_out,
     cross_entropy_d_out},
};
/* clang-format on */

static void *copy_of(const void *data, size_t size) {
    void *copy = lm_alloc(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    return copy;
}

static int64_t input_elems(const golden_input *in) {
    return in->n_dims == 2 ? in->shape[0] * in->shape[1] : in->shape[0];
}

static lm_tensor *make_input(lm_graph *graph, const golden_input *in) {
    lm_dtype dtype = in->is_i32 ? LM_I32 : LM_F32;
    size_t size = (size_t)input_elems(in) * 4;
    lm_tensor *grad = NULL;
    if (in->grad) {
        grad = lm_graph_state(graph, "grad", LM_F32, in->n_dims, in->shape, copy_of(in->data, size),
                              NULL);
        memset(grad->data, 0, size);
    }
    return lm_graph_state(graph, "input", dtype, in->n_dims, in->shape, copy_of(in->data, size),
                          grad);
}

static void check_array(const char *what, const float *got, const float *wanted, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)wanted[i]) <=
              abs_tol + rel_tol * fabs((double)wanted[i])))
            fail_msg("%s[%ld] is %.9g, torch has %.9g", what, (long)i, (double)got[i],
                     (double)wanted[i]);
}

static void test_against_torch(void **state) {
    const golden_op *g = *state;
    lm_device *device;
    lm_graph *graph;
    lm_plan *plan;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    assert_ok(lm_graph_new(&graph, &err));
    lm_op_args args = {.attrs = g->attrs};
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (g->in[i].data) args.in[i] = make_input(graph, &g->in[i]);
    lm_tensor *out = lm_graph_op(graph, g->op, &args);
    assert_ok(lm_graph_status(graph, &err));
    lm_graph_output(graph, out);
    assert_ok(lm_graph_backward(graph, weighted_sum(graph, out, g->d_out), &err));
    assert_ok(lm_plan_new(graph, device, &plan, &err));
    assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    check_array("out", out->data, g->out, lm_tensor_n_elems(out));
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        if (!args.in[i]) continue;
        if (g->in[i].grad) {
            check_array("gradient", args.in[i]->grad->data, g->in[i].grad, input_elems(&g->in[i]));
            lm_free(args.in[i]->grad->data);
        }
        lm_free(args.in[i]->data);
    }
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(device);
}

enum { SEQS = 2, LEN = 18, Q = 8, KV = 4, BLOCK = LM_PAGED_BLOCK, N_BLOCKS = 6, CAPACITY = 8 };
static const int32_t blocks[SEQS][2] = {{4, 1}, {2, 5}};

/* kv_write and attention_paged over the sequences of the golden attention. */
typedef struct paged {
    float k_cache[N_BLOCKS * BLOCK * KV], v_cache[N_BLOCKS * BLOCK * KV];
    lm_tensor *rows[3]; /* q, k, v */
    lm_tensor *pos, *seq, *slot, *table, *out;
} paged;

static void build_paged(lm_graph *graph, paged *p) {
    int64_t column[] = {CAPACITY};
    int64_t keys[] = {N_BLOCKS, 1, KV, BLOCK}, values[] = {N_BLOCKS, 1, BLOCK, KV};
    for (int i = 0; i < 3; i++)
        p->rows[i] = lm_graph_input(graph, "qkv", LM_F32, LM_EXTENT_ROWS, 2,
                                    (int64_t[]){CAPACITY, i ? KV : Q});
    p->pos = lm_graph_input(graph, "pos", LM_I32, LM_EXTENT_ROWS, 1, column);
    p->seq = lm_graph_input(graph, "seq", LM_I32, LM_EXTENT_ROWS, 1, column);
    p->slot = lm_graph_input(graph, "slot", LM_I32, LM_EXTENT_ROWS, 1, column);
    p->table = lm_graph_input(graph, "blocks", LM_I32, LM_EXTENT_SEQS, 2, (int64_t[]){SEQS, 2});
    lm_tensor *k = lm_graph_state(graph, "k", LM_F32, 4, keys, p->k_cache, NULL);
    lm_tensor *v = lm_graph_state(graph, "v", LM_F32, 4, values, p->v_cache, NULL);
    lm_tensor *kept = lm_graph_op(graph, LM_OP_KV_WRITE,
                                  &(lm_op_args){.in = {p->rows[1], p->rows[2], k, v, p->slot}});
    lm_op_args args = {
        .in = {p->rows[0], kept, lm_graph_out(kept, 1), p->pos, p->seq, p->table},
        .attrs = {.n_heads = 2, .n_kv_heads = 1, .head_dim = 4, .scale = 0.7f},
    };
    p->out = lm_graph_op(graph, LM_OP_ATTENTION_PAGED, &args);
    lm_graph_output(graph, p->out);
}

/* Rows [first, first + n) of the golden data into the inputs. */
static void load_paged(paged *p, int64_t first, int64_t n) {
    const float *const sources[3] = {attention_q, attention_k, attention_v};
    for (int i = 0; i < 3; i++) {
        int64_t width = i ? KV : Q;
        memcpy(p->rows[i]->data, sources[i] + first * width, (size_t)(n * width) * sizeof(float));
    }
    for (int64_t r = 0; r < n; r++) {
        int32_t seq = (int32_t)((first + r) / LEN), pos = (int32_t)((first + r) % LEN);
        ((int32_t *)p->pos->data)[r] = pos;
        ((int32_t *)p->seq->data)[r] = seq;
        ((int32_t *)p->slot->data)[r] = blocks[seq][pos / BLOCK] * BLOCK + pos % BLOCK;
    }
}

static void check_paged(const char *isa) {
    lm_device *device;
    lm_graph *graph;
    lm_plan *plan;
    paged p = {0};
    for (size_t i = 0; i < LM_COUNT_OF(p.k_cache); i++) p.k_cache[i] = p.v_cache[i] = NAN;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2, .isa = isa}, &device, &err));
    assert_ok(lm_graph_new(&graph, &err));
    build_paged(graph, &p);
    assert_ok(lm_plan_new(graph, device, &plan, &err));
    memcpy(p.table->data, blocks, sizeof blocks);
    for (int64_t first = 0, n = 1; first < SEQS * LEN; first += n, n = n % CAPACITY + 1) {
        if (first + n > SEQS * LEN) n = SEQS * LEN - first;
        load_paged(&p, first, n);
        assert_ok(lm_plan_run(
            plan, (int64_t[LM_N_EXTENTS]){[LM_EXTENT_ROWS] = n, [LM_EXTENT_SEQS] = SEQS}, &err));
        check_array("paged", p.out->data, attention_out + first * Q, n * Q);
    }
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(device);
}

/* Attention over the paged cache gives what it gives over whole sequences, wherever the blocks lie and
 * however the rows are cut into steps. What nobody wrote yet is NaN, and nobody must see it. */
static void test_paged_equals_whole(void **state) {
    check_paged("scalar");
    check_paged(NULL);
}

static void test_adamw(void **state) {
    enum { N = 12, STEPS = 3 };
    float param[N], grad[N], m[N] = {0}, v[N] = {0};
    uint16_t rounded[N];
    memcpy(param, adamw_param, sizeof param);
    lm_device *device;
    lm_graph *graph;
    lm_plan *plan;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    assert_ok(lm_graph_new(&graph, &err));
    int64_t shape[1] = {N};
    lm_tensor *scalars =
        lm_graph_input(graph, "scalars", LM_F32, LM_EXTENT_FIXED, 1, (int64_t[]){4});
    lm_op_args args = {
        .in = {lm_graph_state(graph, "p", LM_F32, 1, shape, param, NULL),
               lm_graph_state(graph, "g", LM_F32, 1, shape, grad, NULL),
               lm_graph_state(graph, "m", LM_F32, 1, shape, m, NULL),
               lm_graph_state(graph, "v", LM_F32, 1, shape, v, NULL), scalars,
               lm_graph_state(graph, "r", LM_BF16, 1, shape, rounded, NULL)},
        .attrs = {.beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .weight_decay = 0.1f}};
    lm_graph_op(graph, LM_OP_ADAMW, &args);
    assert_ok(lm_plan_new(graph, device, &plan, &err));
    for (int step = 1; step <= STEPS; step++) {
        /* The gradient comes doubled and is halved by the factor. */
        for (int i = 0; i < N; i++) grad[i] = 2.0f * adamw_grads[(step - 1) * N + i];
        memcpy(
            scalars->data,
            (float[]){0.01f, 1.0f - powf(0.9f, (float)step), 1.0f - powf(0.95f, (float)step), 0.5f},
            16);
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    }
    check_array("param", param, adamw_out, N);
    for (int i = 0; i < N; i++) assert_int_equal(rounded[i], lm_f32_to_bf16(param[i]));
    lm_plan_free(plan);
    lm_graph_free(graph);
    lm_device_close(device);
}

int main(void) {
    enum { N_OPS = LM_COUNT_OF(golden_ops) };
    struct CMUnitTest tests[N_OPS + 2] = {cmocka_unit_test(test_paged_equals_whole),
                                          cmocka_unit_test(test_adamw)};
    for (int i = 0; i < N_OPS; i++)
        tests[i + 2] = (struct CMUnitTest){.name = golden_ops[i].name,
                                           .test_func = test_against_torch,
                                           .initial_state = (void *)&golden_ops[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
