/* Shape rules: what they refuse, with which words, and that what they accept runs within its
 * bounds (under ASan). */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "base/rng.h"
#include "compute/plan.h"

typedef struct operand {
    lm_dtype dtype;
    lm_role role;
    int n_dims; /* 0: none */
    int64_t shape[LM_MAX_DIMS];
} operand;

typedef struct op_call {
    lm_op_id op;
    operand in[LM_MAX_INPUTS];
    lm_attrs attrs;
} op_call;

#define F(...)                      \
    {                               \
        LM_F32, LM_ROLE_INPUT, 2, { \
            __VA_ARGS__             \
        }                           \
    }
#define F3(...)                     \
    {                               \
        LM_F32, LM_ROLE_INPUT, 3, { \
            __VA_ARGS__             \
        }                           \
    }
#define F1(n)                       \
    {                               \
        LM_F32, LM_ROLE_INPUT, 1, { \
            n                       \
        }                           \
    }
#define I1(n)                       \
    {                               \
        LM_I32, LM_ROLE_INPUT, 1, { \
            n                       \
        }                           \
    }
#define I(...)                      \
    {                               \
        LM_I32, LM_ROLE_INPUT, 2, { \
            __VA_ARGS__             \
        }                           \
    }
#define C(type, ...)              \
    {                             \
        type, LM_ROLE_STATE, 4, { \
            __VA_ARGS__           \
        }                         \
    }
#define S(...)                      \
    {                               \
        LM_F32, LM_ROLE_STATE, 2, { \
            __VA_ARGS__             \
        }                           \
    }
#define S3(...)                     \
    {                               \
        LM_F32, LM_ROLE_STATE, 3, { \
            __VA_ARGS__             \
        }                           \
    }
#define S1(n)                       \
    {                               \
        LM_F32, LM_ROLE_STATE, 1, { \
            n                       \
        }                           \
    }
#define HEADS .n_heads = 2, .n_kv_heads = 1, .head_dim = 4

/* clang-format off: tables read by row */
/* Each differs from a right call in one thing. */
static const op_call wrong_calls[] = {
    {LM_OP_ADD, {F(2, 3), F(3, 2)}},
    {LM_OP_ADD, {F(2, 3), I(2, 3)}},
    {LM_OP_ACCUMULATE, {F(2, 3), F(2, 3)}}, /* not a state */
    {LM_OP_ACCUMULATE, {S(2, 3), F(3, 3)}},
    {LM_OP_CAST, {F(2, 3)}, {.dtype = LM_I32}},
    {LM_OP_CAST, {F(2, 3)}, {.dtype = LM_Q8_0}}, /* rows are no whole blocks */
    {LM_OP_CAST, {{LM_BF16, LM_ROLE_INPUT, 2, {2, 3}}}, {.dtype = LM_F16}},
    {LM_OP_EMBED, {F(5, 3), F1(2)}},
    {LM_OP_EMBED, {F1(5), I1(2)}},
    {LM_OP_EMBED_BACKWARD, {F(2, 3), I1(2), F(5, 3)}},
    {LM_OP_EMBED_BACKWARD, {F(2, 3), I1(3), S(5, 3)}},
    {LM_OP_EMBED_BACKWARD, {F(2, 3), I1(2), S(5, 4)}},
    {LM_OP_GATHER_ROWS, {F1(4), I1(2)}},
    {LM_OP_LINEAR, {F(2, 3), F(4, 5)}},
    {LM_OP_LINEAR, {F(2, 3), F(4, 3), F1(3)}},
    {LM_OP_LINEAR, {I(2, 3), F(4, 3)}},
    {LM_OP_LINEAR_DX, {F(2, 3), F(4, 3)}},
    {LM_OP_LINEAR_DX, {F(2, 3), F(3, 4), F(2, 3)}},
    {LM_OP_LINEAR_DW, {F(2, 3), F(3, 5), S(3, 5)}},
    {LM_OP_LINEAR_DW, {F(2, 3), F(2, 5), S(5, 3)}},
    {LM_OP_LINEAR_DW, {F(2, 3), F(2, 5), F(3, 5)}},
    {LM_OP_COLUMN_SUM, {F(2, 3), S1(2)}},
    {LM_OP_RMS_NORM, {F(2, 3), F1(2)}},
    {LM_OP_RMS_NORM_BACKWARD, {F(2, 3), F(2, 3), F1(3), F(3, 1)}},
    {LM_OP_RMS_NORM_BACKWARD, {F(2, 3), F(2, 3), F1(3), F(2, 1), F1(3)}},
    {LM_OP_RMS_NORM_BACKWARD, {F(2, 3), F(2, 3), F1(3), F(2, 1), S1(3), F(3, 3)}},
    {LM_OP_ROPE, {F(2, 8), I1(2), F1(3)}, {HEADS}}, /* more pairs than a head has */
    {LM_OP_ROPE, {F(2, 9), I1(2), F1(2)}, {HEADS}},
    {LM_OP_ROPE, {F(2, 8), I1(3), F1(2)}, {HEADS}},
    {LM_OP_ROPE, {F(2, 8), I1(2), F1(2)}, {.n_heads = 2}},
    {LM_OP_SWIGLU, {F(2, 3), F(2, 4)}},
    {LM_OP_MAP, {F(2, 3), F(2, 4)}},
    {LM_OP_XIELU, {F(2, 3), F1(1), F1(1), F1(2), F1(1)}},
    {LM_OP_MAP, {F1(3)}, {.function = LM_N_FUNCTIONS}},
    {LM_OP_LAYER_NORM, {F(2, 3), F1(2)}},
    {LM_OP_ROUTE, {F(2, 3)}, {.n_used = 4}},
    {LM_OP_ROUTE, {F(2, 3), {0}, F1(2)}, {.n_used = 2}},
    {LM_OP_ROUTE, {F(2, 3), {0}, F1(3)}, {.n_used = 2, .jitter = 0.1f}},
    {LM_OP_ROUTE, {F(2, 4)}, {.n_used = 3, .n_groups = 2, .n_groups_used = 1}},
    {LM_OP_EXPERTS, {F(2, 3), F(4, 3), I(2, 1)}},
    {LM_OP_HEAD_LINEAR, {F(2, 8), F3(2, 5, 3)}},
    {LM_OP_HEAD_LINEAR, {F(2, 8), F(5, 8)}},
    {LM_OP_JOIN, {F(2, 8), F(2, 3)}, {.n_heads = 2}},
    {LM_OP_JOIN, {F(2, 8), F(3, 4)}, {.n_heads = 2}},
    {LM_OP_JOIN, {F(2, 8), F(2, 4)}},
    {LM_OP_COLUMNS, {F(2, 8)}},
    {LM_OP_COLUMNS, {F(2, 8), F1(8)}, {.n_columns = 4}},
    {LM_OP_BLEND, {F(2, 8), F(2, 4), F(2, 2)}},
    {LM_OP_BLEND, {F(2, 8), F(2, 3), F(2, 2)}, {.n_groups = 2}},
    {LM_OP_BLEND, {F(2, 8), F(2, 4), F(2, 3)}, {.n_groups = 2}},
    {LM_OP_BLEND, {F(2, 8), F(2, 4), F1(4)}, {.n_groups = 2}},
    {LM_OP_BLEND, {F(2, 8), F(3, 4), F1(2)}, {.n_groups = 2}},
    {LM_OP_BLEND, {{0}, F(2, 4), F(2, 3)}, {.n_groups = 2}},
    {LM_OP_BLEND, {{0}, {0}, F(2, 4)}, {.n_groups = 2}},
    {LM_OP_HYPER, {F(2, 3), F1(1), F1(3)}, {.n_groups = 2}},
    {LM_OP_HYPER, {F(2, 4), F1(1), F1(4)}, {.n_groups = 2}},
    {LM_OP_HYPER, {F(2, 8), F1(3), F1(8)}, {.n_groups = 2}}, /* no round */
    {LM_OP_HYPER, {F(2, 8), F1(3), F1(4)}, {.n_groups = 2, .n_used = 1}},
    {LM_OP_MATCH, {F(2, 8), F(2, 3)}},
    {LM_OP_MATCH, {F(2, 8), F(3, 4)}},
    {LM_OP_CUTOFF, {F1(8)}},
    {LM_OP_RECALL, {F(2, 8), F(2, 12), F1(8)}},
    {LM_OP_RECALL, {F(2, 8), F(2, 16), F1(4)}},
    {LM_OP_RECALL, {F(2, 8), F(3, 16), F1(8)}},
    {LM_OP_ROUND_ROWS, {F1(8)}},
    {LM_OP_COLUMNS, {F(2, 8)}, {.first = 5, .n_columns = 4}},
    {LM_OP_COLUMNS, {F(2, 8)}, {.first = -1, .n_columns = 4}},
    {LM_OP_MIX, {F(2, 5), F(2, 2)}},
    {LM_OP_CAUSAL_CONV, {F(2, 4), F(3, 4), F1(4), F3(2, 2, 4), I1(2), I1(2)}}, /* not a state */
    {LM_OP_CAUSAL_CONV, {F(2, 4), F(3, 4), F1(4), S3(2, 3, 4), I1(2), I1(2)}},
    {LM_OP_CAUSAL_CONV, {F(2, 4), F(1, 4), F1(4), S3(2, 1, 4), I1(2), I1(2)}},
    {LM_OP_CAUSAL_CONV, {F(2, 4), F(3, 4), F1(4), S3(2, 2, 4), I1(2), I1(3)}},
    {LM_OP_RECUR,
     {F(2, 4), F(2, 4), F(2, 8), C(LM_F32, 2, 2, 4, 4), I1(2), I1(2), F(2, 2), F1(2), F(2, 1)},
     {HEADS, .value_dim = 4}},
    {LM_OP_RECUR,
     {F(2, 4), F(2, 4), F(2, 8), C(LM_F32, 2, 2, 4, 5), I1(2), I1(2), F(2, 2), F1(2), F(2, 2)},
     {HEADS, .value_dim = 4}},
    {LM_OP_POOL, {F(2, 4), F(2, 4), F(3, 4), C(LM_F32, 2, 2, 3, 4), I1(2), I1(2)}, {.ratio = 4, .head_dim = 4}},
    {LM_OP_POOL, {F(2, 8), F(2, 8), F(4, 8), C(LM_F32, 2, 2, 3, 8), I1(2), I1(2)}, {.ratio = 4, .head_dim = 4}},
    {LM_OP_POOL, {F(2, 4), F(2, 8), F(4, 4), C(LM_F32, 2, 2, 3, 4), I1(2), I1(2)}, {.ratio = 4, .head_dim = 4}},
    {LM_OP_PLACE, {I1(2), I1(3)}, {.ratio = 4}},
    {LM_OP_PLACE, {I1(2), I1(2)}, {.ratio = 5}},
    {LM_OP_LIST, {I1(2)}, {.ratio = 4, .window = 3}},
    {LM_OP_LIST, {I1(2), I(3, 2)}, {.ratio = 4, .window = 3}},
    {LM_OP_LIST, {I1(2), I(2, 2)}, {.ratio = 4}},
    {LM_OP_ROUTE, {F(2, 4), F1(4), {0}, F(2, 2)}, {.n_used = 2}},
    {LM_OP_SCAN, {F(2, 3), F(2, 3), F(2, 4), S3(2, 4, 3), I1(2), I1(2), F(2, 4), F(3, 4), F1(4)}},
    {LM_OP_SCAN, {F(2, 3), F(2, 3), F(2, 4), S3(2, 3, 4), I1(2), I1(2), F(2, 4), F(4, 3), F1(4)}},
    {LM_OP_SCAN, {F(2, 3), F(2, 3), F(2, 4), S3(2, 3, 4), I1(2), I1(2), F(2, 1), F(3, 4), F1(4)}},
    {LM_OP_LAYER_NORM, {F(2, 3), F1(3), F1(4)}},
    {LM_OP_SWIGLU_BACKWARD, {F(2, 3), F(2, 3), F(3, 3)}},
    {LM_OP_KV_WRITE, {F(2, 4), F(2, 4), C(LM_F32, 2, 1, 5, 16), C(LM_F32, 2, 1, 16, 5), I1(2)}},
    {LM_OP_KV_WRITE, {F(2, 4), F(2, 4), C(LM_F32, 2, 1, 4, 16), C(LM_F32, 2, 1, 4, 16), I1(2)}},
    {LM_OP_KV_WRITE, {F(2, 4), F(2, 4), S(32, 4), C(LM_F32, 2, 1, 16, 4), I1(2)}},
    {LM_OP_KV_WRITE, {F(2, 4), F(2, 4), C(LM_F32, 2, 1, 4, 16), C(LM_F32, 2, 1, 16, 4), I1(3)}},
    {LM_OP_KV_WRITE, {F(2, 4), F(2, 4), C(LM_I8, 2, 1, 4, 16), C(LM_I8, 2, 1, 16, 4), I1(2)}},
    {LM_OP_KV_WRITE, /* values of another width than their cache's */
     {F(2, 4), F(2, 4), C(LM_F32, 2, 1, 4, 16), C(LM_F32, 2, 1, 16, 3), I1(2)}},
    {LM_OP_KV_WRITE,
     {F(2, 4), {0}, C(LM_F32, 2, 1, 4, 16), C(LM_F32, 2, 1, 16, 4), I1(2)}}, /* no values */
    {LM_OP_KV_WRITE, {F(2, 4), F(2, 4), C(LM_F32, 2, 1, 4, 16), {0}, I1(2)}},
    {LM_OP_KV_WRITE, {F(2, 4), {0}, C(LM_F32, 2, 1, 4, 16)}},
    {LM_OP_KV_WRITE, {F(2, 4)}},
    {LM_OP_ATTENTION_PAGED, /* neither values nor how much of the keys they are */
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), {0}, I1(2), I1(2), I(1, 2)},
     {HEADS}},
    {LM_OP_ATTENTION_PAGED, /* both */
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), C(LM_F32, 2, 1, 64, 4), I1(2), I1(2), I(1, 2)},
     {HEADS, .value_dim = 2}},
    {LM_OP_ATTENTION_PAGED, /* more than a key has */
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), {0}, I1(2), I1(2), I(1, 2)},
     {HEADS, .value_dim = 5}},
    {LM_OP_ATTENTION_PAGED,
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), {0}, I1(2), I1(2)},
     {HEADS, .value_dim = 2}},
    {LM_OP_ATTENTION_PAGED, /* 32 tokens in a block */
     {F(2, 8), C(LM_F32, 2, 1, 4, 32), C(LM_F32, 2, 1, 32, 4), I1(2), I1(2), I(1, 2)},
     {HEADS}},
    {LM_OP_ATTENTION_PAGED,
     {F(2, 8), C(LM_F32, 3, 1, 4, 64), C(LM_F32, 2, 1, 64, 4), I1(2), I1(2), I(1, 2)},
     {HEADS}},
    {LM_OP_ATTENTION_PAGED,
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), C(LM_F32, 2, 1, 64, 4), I1(2), I1(3), I(1, 2)},
     {HEADS}},
    {LM_OP_ATTENTION_PAGED,
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), C(LM_F32, 2, 1, 64, 4), I1(2), I1(2), I1(2)},
     {HEADS}},
    {LM_OP_ATTENTION_PAGED,
     {F(2, 8), C(LM_I8, 2, 1, 4, 64), C(LM_I8, 2, 1, 64, 4), I1(2), I1(2), I(1, 2)},
     {HEADS}},
#define PAGED F(2, 8), C(LM_F32, 2, 1, 4, 64), C(LM_F32, 2, 1, 64, 4), I1(2), I1(2), I(1, 2)
    {LM_OP_ATTENTION_PAGED, {PAGED, {0}, {0}, {0}, I1(3)}, {HEADS}}, /* where other rows are */
    {LM_OP_ATTENTION_PAGED, {PAGED, {0}, {0}, {0}, {0}, F(3, 9)}, {HEADS}},   /* of other heads */
    {LM_OP_ATTENTION_PAGED, {PAGED, {0}, {0}, {0}, I1(2), F(2, 8)}, {HEADS}}, /* without a middle */
    {LM_OP_ATTENTION_PAGED,
     {PAGED, {0}, {0}, {0}, {0}, {0}, I(2, 5)},
     {HEADS}}, /* chosen, of values */
#define PAGED_KEYS F(2, 8), C(LM_F32, 2, 1, 4, 64), {0}, I1(2), I1(2), I(1, 2), {0}, {0}, {0}
    {LM_OP_ATTENTION_PAGED, {PAGED_KEYS, {0}, {0}, I(3, 5)}, {HEADS, .value_dim = 2}},
    {LM_OP_ATTENTION_PAGED, {PAGED_KEYS, I1(2), {0}, I(2, 5)}, {HEADS, .value_dim = 2}},
    {LM_OP_ATTENTION_PAGED, {PAGED_KEYS, {0}, {0}, I(2, 5)}, {HEADS, .value_dim = 2, .window = 3}},
    {LM_OP_CHOOSE, /* two key heads */
     {F(2, 8), C(LM_F32, 2, 2, 4, 64), F(2, 2), I1(2), I1(2), I(1, 2)},
     {.n_heads = 2, .head_dim = 4, .n_used = 3}},
    {LM_OP_CHOOSE,
     {F(2, 8), C(LM_I8, 2, 1, 4, 64), F(2, 2), I1(2), I1(2), I(1, 2)},
     {.n_heads = 2, .head_dim = 4, .n_used = 3}},
#define CHOICE F(2, 8), C(LM_F32, 2, 1, 4, 64), F(2, 2), I1(2), I1(2), I(1, 2)
    {LM_OP_CHOOSE, {CHOICE}, {.n_heads = 2, .head_dim = 4}}, /* none */
    {LM_OP_CHOOSE, {CHOICE}, {.n_heads = 2, .head_dim = 3, .n_used = 3}},
    {LM_OP_CHOOSE, {CHOICE}, {.n_heads = 3, .head_dim = 4, .n_used = 3}},
    {LM_OP_CHOOSE,
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), F(2, 3), I1(2), I1(2), I(1, 2)},
     {.n_heads = 2, .head_dim = 4, .n_used = 3}},
    {LM_OP_CHOOSE,
     {F(2, 8), C(LM_F32, 2, 1, 4, 64), F(2, 2), I1(3), I1(2), I(1, 2)},
     {.n_heads = 2, .head_dim = 4, .n_used = 3}},
    {LM_OP_ATTENTION, {F(4, 8), F(4, 4), F(4, 4)}, {HEADS}}, /* seq_len 0 */
    {LM_OP_ATTENTION,
     {F(4, 8), F(4, 4), F(4, 4)},
     {.n_heads = 3, .n_kv_heads = 2, .head_dim = 4, .seq_len = 2}},
    {LM_OP_ATTENTION, {F(4, 8), F(4, 4), F(3, 4)}, {HEADS, .seq_len = 2}},
    {LM_OP_ATTENTION,
     {F(4, 4096), F(4, 2048), F(4, 2048)},
     {.n_heads = 2, .n_kv_heads = 1, .head_dim = 2048, .seq_len = 2}},
    {LM_OP_ATTENTION_BACKWARD,
     {F(4, 8), F(4, 8), F(4, 4), F(4, 4), F(4, 8), F(4, 1)},
     {HEADS, .seq_len = 2}},
    {LM_OP_CROSS_ENTROPY, {F(2, 3), I1(3)}},
    {LM_OP_CROSS_ENTROPY_BACKWARD, {F(2, 3), I1(2), F1(2), F1(2)}},
    {LM_OP_LINEAR_CROSS_ENTROPY, {F(2, 3), F(5, 4), I1(2)}},
    {LM_OP_LINEAR_CROSS_ENTROPY, {F(2, 3), F(5, 3), I1(3)}},
    {LM_OP_LINEAR_CROSS_ENTROPY, {F(2, 3), F(5, 3), I1(2), S(5, 4)}},
    {LM_OP_LINEAR_CROSS_ENTROPY, {F(2, 3), F(5, 3), I1(2), F(5, 3)}}, /* no state */
    {LM_OP_SUM_SQUARES, {I(2, 3)}},
    {LM_OP_SUM_SQUARES, {F(2, 3), F1(2)}},
    {LM_OP_ADAMW, {S(2, 3), S(2, 3), S(2, 3), S(2, 3), F1(3)}},
    {LM_OP_ADAMW, {S(2, 3), S(2, 3), F(2, 3), S(2, 3), F1(4)}},
    {LM_OP_ADAMW, {S(2, 3), S(2, 3), S(2, 3), S(2, 3), F1(4), S(2, 3)}}, /* the copy is bf16 */
};
/* clang-format on */

static lm_tensor *make_tensor(lm_graph *graph, const operand *o, void *data) {
    if (o->role == LM_ROLE_STATE)
        return lm_graph_state(graph, "s", o->dtype, o->n_dims, o->shape, data, NULL);
    return lm_graph_input(graph, "x", o->dtype, LM_EXTENT_FIXED, o->n_dims, o->shape);
}

static void test_refusals(void **state) {
    for (size_t i = 0; i < LM_COUNT_OF(wrong_calls); i++) {
        const op_call *call = &wrong_calls[i];
        lm_graph *graph;
        assert_ok(lm_graph_new(&graph, &err));
        lm_op_args args = {.attrs = call->attrs};
        for (int k = 0; k < LM_MAX_INPUTS; k++)
            if (call->in[k].n_dims) args.in[k] = make_tensor(graph, &call->in[k], NULL);
        assert_ok(lm_graph_status(graph, &err));
        const char *name = lm_op_get(call->op)->name;
        if (lm_graph_op(graph, call->op, &args))
            fail_msg("wrong call %zu of %s is accepted", i, name);
        loam_error refusal = {0};
        assert_int_equal(lm_graph_status(graph, &refusal), LOAM_INVALID);
        assert_non_null(strstr(refusal.message, name));
        lm_graph_free(graph);
    }
}

static int64_t pick(lm_rng *rng, const int64_t *from, size_t n) {
    return from[lm_rng_below(rng, n)];
}

#define PICK(rng, ...) \
    pick(rng, (const int64_t[]){__VA_ARGS__}, LM_COUNT_OF(((const int64_t[]){__VA_ARGS__})))

/* clang-format off: tables read by row */
/* One right call of every op. */
static const op_call right_calls[] = {
    {LM_OP_ADD, {F(4, 8), F(4, 8)}},
    {LM_OP_ACCUMULATE, {S(4, 8), F(4, 8)}},
    {LM_OP_CAST, {F(4, 32)}, {.dtype = LM_Q8_0}},
    {LM_OP_EMBED, {F(4, 8), I1(4)}},
    {LM_OP_EMBED_BACKWARD, {F(4, 8), I1(4), S(4, 8)}},
    {LM_OP_GATHER_ROWS, {F(4, 8), I1(4)}},
    {LM_OP_LINEAR, {F(4, 8), F(4, 8), F1(4)}},
    {LM_OP_LINEAR_DX, {F(4, 8), F(8, 4), F(4, 4)}},
    {LM_OP_LINEAR_DW, {F(4, 8), F(4, 4), S(8, 4)}},
    {LM_OP_COLUMN_SUM, {F(4, 8), S1(8)}},
    {LM_OP_RMS_NORM, {F(4, 8), F1(8)}},
    {LM_OP_RMS_NORM_BACKWARD, {F(4, 8), F(4, 8), F1(8), F(4, 1), S1(8), F(4, 8)}},
    {LM_OP_ROPE, {F(4, 8), I1(4), F1(2)}, {HEADS}},
    {LM_OP_SWIGLU, {F(4, 8), F(4, 8)}},
    {LM_OP_XIELU, {F(4, 8), F1(1), F1(1), F1(1), F1(1)}},
    {LM_OP_MAP, {F(4, 8), F(4, 8)}, {.function = LM_FN_GELU}},
    {LM_OP_LAYER_NORM, {F(4, 8), F1(8), F1(8)}, {.eps = 1e-5f}},
    {LM_OP_ROUTE, {F(4, 8)}, {.n_used = 2}},
    {LM_OP_EXPERTS, {F(4, 8), F3(3, 5, 8), I(4, 2)}},
    {LM_OP_HEAD_LINEAR, {F(4, 8), F3(2, 5, 4)}},
    {LM_OP_JOIN, {F(4, 8), F(4, 4)}, {HEADS}},
    {LM_OP_COLUMNS, {F(4, 8), F1(4)}, {.first = 4, .n_columns = 4}},
    {LM_OP_BLEND, {F(4, 8), F(4, 8), F(4, 4)}, {.n_groups = 2}},
    {LM_OP_HYPER, {F(4, 8), F1(3), F1(8)}, {.n_groups = 2, .n_used = 1}},
    {LM_OP_MATCH, {F(4, 8), F(4, 4)}, {.eps = 1e-5f}},
    {LM_OP_CUTOFF, {F(4, 8)}, {.scale = 1}},
    {LM_OP_RECALL, {F(4, 8), F(4, 16), F1(8)}, {.eps = 1e-5f}},
    {LM_OP_ROUND_ROWS, {F(4, 8)}},
    {LM_OP_CAUSAL_CONV, {F(4, 8), F(3, 8), F1(8), S3(2, 2, 8), I1(4), I1(4)}},
    {LM_OP_RECUR,
     {F(4, 4), F(4, 4), F(4, 8), C(LM_F32, 2, 2, 4, 4), I1(4), I1(4), F(4, 2), F1(2), F(4, 2),
      F1(2)},
     {HEADS, .value_dim = 4}},
    {LM_OP_POOL, {F(4, 4), F(4, 4), F(8, 4), C(LM_F32, 2, 2, 3, 4), I1(4), I1(4)}, {.ratio = 8, .head_dim = 4}},
    {LM_OP_PLACE, {I1(4), I1(4)}, {.ratio = 8}},
    {LM_OP_LIST, {I1(4), I(4, 2)}, {.ratio = 8, .window = 4}},
    {LM_OP_SCAN, {F(4, 3), F(4, 3), F(4, 8), S3(2, 3, 8), I1(4), I1(4), F(4, 8), F(3, 8), F1(8)}},
    {LM_OP_MIX, {F(4, 8), F(4, 2)}},
    {LM_OP_SWIGLU_BACKWARD, {F(4, 8), F(4, 8), F(4, 8)}},
    {LM_OP_KV_WRITE, {F(4, 8), F(4, 8), C(LM_F32, 2, 2, 4, 16), C(LM_F32, 2, 2, 16, 4), I1(4)}},
    {LM_OP_ATTENTION_PAGED,
     {F(4, 8), C(LM_F32, 2, 1, 4, 64), C(LM_F32, 2, 1, 64, 4), I1(4), I1(4), I(1, 2)},
     {HEADS}},
    {LM_OP_CHOOSE,
     {F(4, 8), C(LM_F32, 2, 1, 4, 64), F(4, 2), I1(4), I1(4), I(1, 2)},
     {.n_heads = 2, .head_dim = 4, .n_used = 3}},
    {LM_OP_ATTENTION, {F(4, 8), F(4, 4), F(4, 4)}, {HEADS, .seq_len = 2}},
    {LM_OP_ATTENTION_BACKWARD,
     {F(4, 8), F(4, 8), F(4, 4), F(4, 4), F(4, 8), F(4, 2)},
     {HEADS, .seq_len = 2}},
    {LM_OP_CROSS_ENTROPY, {F(4, 8), I1(4)}},
    {LM_OP_CROSS_ENTROPY_BACKWARD, {F(4, 8), I1(4), F1(4), F1(1)}},
    {LM_OP_LINEAR_CROSS_ENTROPY, {F(4, 8), F(8, 8), I1(4), S(8, 8)}},
    {LM_OP_SUM_SQUARES, {F(4, 8), F1(1)}},
    {LM_OP_ADAMW, {S(4, 8), S(4, 8), S(4, 8), S(4, 8), F1(4), {LM_BF16, LM_ROLE_STATE, 2, {4, 8}}}},
};
/* clang-format on */

/* Changes one thing of an input. */
static void mutate_operand(lm_rng *rng, operand *o) {
    switch (lm_rng_below(rng, 4)) {
    case 0: o->dtype = (lm_dtype)PICK(rng, LM_F32, LM_I32, LM_BF16, LM_F16); break;
    case 1: o->role = (lm_role)PICK(rng, LM_ROLE_INPUT, LM_ROLE_STATE); break;
    case 2:
        if (o->n_dims)
            o->shape[lm_rng_below(rng, (uint64_t)o->n_dims)] = PICK(rng, 1, 2, 4, 8, 16, 64);
        break;
    default:
        o->n_dims = (int)PICK(rng, 1, 2, 3);
        for (int i = 0; i < o->n_dims; i++)
            if (o->shape[i] == 0) o->shape[i] = PICK(rng, 1, 2, 4);
    }
}

static void mutate_attrs(lm_rng *rng, lm_attrs *attrs) {
    switch (lm_rng_below(rng, 5)) {
    case 0: attrs->n_heads = PICK(rng, 1, 2, 4, 0, -2); break;
    case 1: attrs->n_kv_heads = PICK(rng, 1, 2, 0, -1); break;
    case 2: attrs->head_dim = PICK(rng, 2, 4, 8, 0, -4, 1024); break;
    case 3: attrs->seq_len = PICK(rng, 1, 3, 100, 0, -1); break;
    default: attrs->dtype = (lm_dtype)PICK(rng, LM_F32, LM_BF16, LM_F16, LM_Q4_0, LM_I32);
    }
}

/* True when the rule accepts; the call has then run. */
static bool try_call(lm_rng *rng, const op_call *right, lm_device *device) {
    op_call call = *right;
    for (uint64_t i = lm_rng_below(rng, 4); i > 0; i--) {
        mutate_operand(rng, &call.in[lm_rng_below(rng, (uint64_t)lm_op_get(call.op)->max_inputs)]);
        if (lm_rng_below(rng, 3) == 0) mutate_attrs(rng, &call.attrs);
    }
    lm_graph *graph;
    lm_plan *plan;
    assert_ok(lm_graph_new(&graph, &err));
    lm_op_args args = {.attrs = call.attrs};
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        if (call.in[i].n_dims) args.in[i] = make_tensor(graph, &call.in[i], NULL);
        if (!args.in[i] || args.in[i]->role != LM_ROLE_STATE) continue;
        args.in[i]->data = lm_calloc(1, lm_tensor_bytes(args.in[i]));
        assert_non_null(args.in[i]->data);
    }
    bool accepted = lm_graph_op(graph, call.op, &args) != NULL;
    if (accepted) {
        assert_ok(lm_plan_new(graph, device, &plan, &err));
        assert_ok(lm_plan_run(plan, (int64_t[LM_N_EXTENTS]){0}, &err));
        lm_plan_free(plan);
    } else {
        assert_status(LOAM_INVALID, lm_graph_status(graph, &err));
    }
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (args.in[i] && args.in[i]->role == LM_ROLE_STATE) lm_free(args.in[i]->data);
    lm_graph_free(graph);
    return accepted;
}

static void test_accepted_calls_stay_in_bounds(void **state) {
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    lm_rng rng;
    lm_rng_init(&rng, 9);
    assert_int_equal(LM_COUNT_OF(right_calls), LM_OP_COUNT);
    for (size_t op = 0; op < LM_COUNT_OF(right_calls); op++) {
        int n_accepted = 0;
        for (int i = 0; i < 1000; i++) n_accepted += try_call(&rng, &right_calls[op], device);
        assert_in_range(n_accepted, 250, 990); /* a quarter of the calls is left right */
    }
    lm_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepted_calls_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
