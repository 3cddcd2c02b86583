#include "cases.h"

#include "base/compiler.h"

/* clang-format off: tables read by row */
#define ROWS(type, ...) {.dtype = type, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {__VA_ARGS__}}
#define COLUMN_I32(how, n, below)                                                                                      \
    {.dtype = LM_I32, .n_dims = 1, .extent = LM_EXTENT_ROWS, .shape = {n}, .fill = how, .limit = below}
#define COLUMN_F32(how, n) {.dtype = LM_F32, .n_dims = 1, .extent = LM_EXTENT_ROWS, .shape = {n}, .fill = how}
#define VECTOR(n) {.dtype = LM_F32, .n_dims = 1, .shape = {n}, .role = LM_ROLE_WEIGHT}
#define MATRIX(type, ...) {.dtype = type, .n_dims = 2, .shape = {__VA_ARGS__}, .role = LM_ROLE_WEIGHT}
#define STATE(type, ...) {.dtype = type, .n_dims = 2, .shape = {__VA_ARGS__}, .role = LM_ROLE_STATE}
#define STATE_VECTOR(n) {.dtype = LM_F32, .n_dims = 1, .shape = {n}, .role = LM_ROLE_STATE}
#define TRAINED(...) {.dtype = LM_F32, .n_dims = 2, .shape = {__VA_ARGS__}, .role = LM_ROLE_STATE, .grad = true}
#define TRAINED_VECTOR(n) {.dtype = LM_F32, .n_dims = 1, .shape = {n}, .role = LM_ROLE_STATE, .grad = true}
#define IDS(how, n, below) {.dtype = LM_I32, .n_dims = 1, .shape = {n}, .fill = how, .limit = below}
#define FREQS(n) {.dtype = LM_F32, .n_dims = 1, .shape = {n}, .role = LM_ROLE_WEIGHT, .fill = FILL_POSITIVE}

#define INVERSES(...) {.dtype = LM_F32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {__VA_ARGS__}, .fill = FILL_POSITIVE}

#define HEADS(q, kv, dim) .n_heads = q, .n_kv_heads = kv, .head_dim = dim
#define HEADS_TRAINED(q, kv, dim) HEADS(q, kv, dim), .scale = 0.3f

static const op_case cases[] = {
    {"add", LM_OP_ADD, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)}, .rows = true},
    {"add gradient", LM_OP_ADD, {TRAINED(3, 5), TRAINED(3, 5)}},

    {"accumulate", LM_OP_ACCUMULATE, {STATE(LM_F32, 13, 21), MATRIX(LM_F32, 13, 21)}},

    {"cast f32 bf16", LM_OP_CAST, {ROWS(LM_F32, 5, 67)}, {.dtype = LM_BF16}, .rows = true},
    {"cast f32 f16", LM_OP_CAST, {ROWS(LM_F32, 5, 67)}, {.dtype = LM_F16}, .rows = true},
    {"cast bf16 f32", LM_OP_CAST, {ROWS(LM_BF16, 5, 67)}, {.dtype = LM_F32}, .rows = true},
    {"cast f16 f32", LM_OP_CAST, {ROWS(LM_F16, 5, 67)}, {.dtype = LM_F32}, .rows = true},
    {"cast f32 q8_0", LM_OP_CAST, {ROWS(LM_F32, 5, 96)}, {.dtype = LM_Q8_0}, .rows = true},
    {"cast q4_0 f32", LM_OP_CAST, {ROWS(LM_Q4_0, 5, 96)}, {.dtype = LM_F32}, .rows = true},

    {"embed f32", LM_OP_EMBED, {MATRIX(LM_F32, 19, 33), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed beyond", LM_OP_EMBED, {MATRIX(LM_F32, 19, 33), COLUMN_I32(FILL_BELOW, 9, 40)}, {.first_beyond = true}, .rows = true},
    {"embed bf16", LM_OP_EMBED, {MATRIX(LM_BF16, 19, 33), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed f16", LM_OP_EMBED, {MATRIX(LM_F16, 19, 33), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q8_0", LM_OP_EMBED, {MATRIX(LM_Q8_0, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q4_0", LM_OP_EMBED, {MATRIX(LM_Q4_0, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q4_1", LM_OP_EMBED, {MATRIX(LM_Q4_1, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q5_0", LM_OP_EMBED, {MATRIX(LM_Q5_0, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q5_1", LM_OP_EMBED, {MATRIX(LM_Q5_1, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q2_k", LM_OP_EMBED, {MATRIX(LM_Q2_K, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q3_k", LM_OP_EMBED, {MATRIX(LM_Q3_K, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q4_k", LM_OP_EMBED, {MATRIX(LM_Q4_K, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q5_k", LM_OP_EMBED, {MATRIX(LM_Q5_K, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed q6_k", LM_OP_EMBED, {MATRIX(LM_Q6_K, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed iq4_nl", LM_OP_EMBED, {MATRIX(LM_IQ4_NL, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed iq4_xs", LM_OP_EMBED, {MATRIX(LM_IQ4_XS, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed mxfp4", LM_OP_EMBED, {MATRIX(LM_MXFP4, 19, 64), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed tq1_0", LM_OP_EMBED, {MATRIX(LM_TQ1_0, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed tq2_0", LM_OP_EMBED, {MATRIX(LM_TQ2_0, 19, 256), COLUMN_I32(FILL_BELOW, 9, 19)}, .rows = true},
    {"embed gradient", LM_OP_EMBED, {TRAINED(5, 3), IDS(FILL_BELOW, 8, 5)}},
    {"embed_backward", LM_OP_EMBED_BACKWARD, {ROWS(LM_F32, 9, 37), COLUMN_I32(FILL_BELOW, 9, 5), STATE(LM_F32, 5, 37)}},

    {"gather_rows", LM_OP_GATHER_ROWS, {MATRIX(LM_F32, 7, 21), COLUMN_I32(FILL_BELOW, 4, 7)}, .rows = true},

    {"linear f32", LM_OP_LINEAR, {ROWS(LM_F32, 7, 67), MATRIX(LM_F32, 37, 67)}, .rows = true},
    {"linear f32 bias", LM_OP_LINEAR, {ROWS(LM_F32, 7, 64), MATRIX(LM_F32, 48, 64), VECTOR(48)}, .rows = true},
    {"linear f32 wide", LM_OP_LINEAR, {ROWS(LM_F32, 33, 600), MATRIX(LM_F32, 131, 600)}, .rows = true},
    {"linear f32 one column", LM_OP_LINEAR, {ROWS(LM_F32, 3, 5), MATRIX(LM_F32, 1, 5)}, .rows = true},
    {"linear bf16 weight", LM_OP_LINEAR, {ROWS(LM_F32, 7, 66), MATRIX(LM_BF16, 37, 66)}, .rows = true},
    {"linear f16 weight", LM_OP_LINEAR, {ROWS(LM_F32, 7, 66), MATRIX(LM_F16, 37, 66), VECTOR(37)}, .rows = true},
    {"linear q8_0 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 352), MATRIX(LM_Q8_0, 37, 352)}, .rows = true},
    {"linear q4_0 weight", LM_OP_LINEAR, {ROWS(LM_F32, 17, 352), MATRIX(LM_Q4_0, 37, 352)}, .rows = true},
    {"linear q4_1 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 352), MATRIX(LM_Q4_1, 37, 352)}, .rows = true},
    {"linear q5_0 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 352), MATRIX(LM_Q5_0, 37, 352)}, .rows = true},
    {"linear q5_1 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 352), MATRIX(LM_Q5_1, 37, 352)}, .rows = true},
    {"linear q2_k weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_Q2_K, 37, 768)}, .rows = true},
    {"linear q3_k weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_Q3_K, 37, 768)}, .rows = true},
    {"linear q4_k weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_Q4_K, 37, 768)}, .rows = true},
    {"linear q5_k weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_Q5_K, 37, 768)}, .rows = true},
    {"linear q6_k weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_Q6_K, 37, 768)}, .rows = true},
    {"linear iq4_nl weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 352), MATRIX(LM_IQ4_NL, 37, 352)}, .rows = true},
    {"linear iq4_xs weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_IQ4_XS, 37, 768)}, .rows = true},
    {"linear mxfp4 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 352), MATRIX(LM_MXFP4, 37, 352)}, .rows = true},
    {"linear tq1_0 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_TQ1_0, 37, 768)}, .rows = true},
    {"linear tq2_0 weight", LM_OP_LINEAR, {ROWS(LM_F32, 9, 768), MATRIX(LM_TQ2_0, 37, 768)}, .rows = true},
    {"linear bf16 q4_0", LM_OP_LINEAR, {ROWS(LM_BF16, 9, 96), MATRIX(LM_Q4_0, 37, 96)}, .rows = true},
    {"linear q8_0 even", LM_OP_LINEAR, {ROWS(LM_F32, 4, 256), MATRIX(LM_Q8_0, 64, 256), VECTOR(64)}, .rows = true},
    {"linear bf16 bf16", LM_OP_LINEAR, {ROWS(LM_BF16, 7, 266), MATRIX(LM_BF16, 37, 266)}, .rows = true},
    {"linear bf16 bf16 odd", LM_OP_LINEAR, {ROWS(LM_BF16, 19, 33), MATRIX(LM_BF16, 16, 33)}, .rows = true},
    {"linear bf16 f32", LM_OP_LINEAR, {ROWS(LM_BF16, 5, 40), MATRIX(LM_F32, 24, 40)}, .rows = true},
    {"linear gradient", LM_OP_LINEAR, {TRAINED(3, 5), TRAINED(4, 5), TRAINED_VECTOR(4)}},

    {"linear_dx f32", LM_OP_LINEAR_DX, {ROWS(LM_F32, 7, 37), MATRIX(LM_F32, 37, 67)}, .rows = true},
    {"linear_dx f32 wide", LM_OP_LINEAR_DX, {ROWS(LM_F32, 33, 131), MATRIX(LM_F32, 131, 600)}, .rows = true},
    {"linear_dx bf16", LM_OP_LINEAR_DX, {ROWS(LM_BF16, 7, 66), MATRIX(LM_BF16, 66, 70)}, .rows = true},
    {"linear_dx f32 on",
     LM_OP_LINEAR_DX,
     {ROWS(LM_F32, 33, 300), MATRIX(LM_F32, 300, 70), ROWS(LM_F32, 33, 70)},
     .rows = true},
    {"linear_dx bf16 on", LM_OP_LINEAR_DX, {ROWS(LM_BF16, 7, 66), MATRIX(LM_BF16, 66, 70), ROWS(LM_F32, 7, 70)}, .rows = true},
    {"linear_dx q8_0", LM_OP_LINEAR_DX, {ROWS(LM_F32, 5, 12), MATRIX(LM_Q8_0, 12, 96)}, .rows = true},
    {"linear_dw f32", LM_OP_LINEAR_DW, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 67), STATE(LM_F32, 37, 67)}},
    {"linear_dw f32 fresh", LM_OP_LINEAR_DW, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 67)}},
    {"linear_dw f32 wide", LM_OP_LINEAR_DW, {ROWS(LM_F32, 65, 131), ROWS(LM_F32, 65, 300), STATE(LM_F32, 131, 300)}},
    {"linear_dw bf16", LM_OP_LINEAR_DW, {ROWS(LM_BF16, 66, 37), ROWS(LM_BF16, 66, 70), STATE(LM_F32, 37, 70)}},
    {"column_sum", LM_OP_COLUMN_SUM, {ROWS(LM_F32, 7, 37), STATE_VECTOR(37)}},
    {"column_sum fresh", LM_OP_COLUMN_SUM, {ROWS(LM_F32, 7, 37)}},

    {"rms_norm", LM_OP_RMS_NORM, {ROWS(LM_F32, 7, 69), VECTOR(69)}, {.eps = 1e-5f}, .rows = true},
    {"rms_norm bf16", LM_OP_RMS_NORM, {ROWS(LM_F32, 7, 69), VECTOR(69)}, {.eps = 1e-5f, .dtype = LM_BF16}, .rows = true},
    {"rms_norm short", LM_OP_RMS_NORM, {ROWS(LM_F32, 3, 5), VECTOR(5)}, {.eps = 1e-5f}, .rows = true},
    {"rms_norm of heads", LM_OP_RMS_NORM, {ROWS(LM_F32, 7, 3 * 38), VECTOR(38)}, {.eps = 1e-5f}, .rows = true},
    {"rms_norm of each head", LM_OP_RMS_NORM, {ROWS(LM_F32, 7, 3 * 38), VECTOR(3 * 38)}, {.eps = 1e-5f, .n_heads = 3}, .rows = true},
    {"rms_norm gradient of heads", LM_OP_RMS_NORM, {TRAINED(3, 8), TRAINED_VECTOR(4)}, {.eps = 1e-5f}},
    {"rms_norm gradient", LM_OP_RMS_NORM, {TRAINED(3, 6), TRAINED_VECTOR(6)}, {.eps = 1e-5f}},
    {"rms_norm_backward",
     LM_OP_RMS_NORM_BACKWARD,
     {ROWS(LM_F32, 7, 69), ROWS(LM_F32, 7, 69), VECTOR(69), INVERSES(7, 1), STATE_VECTOR(69)}},
    {"rms_norm_backward on",
     LM_OP_RMS_NORM_BACKWARD,
     {ROWS(LM_F32, 7, 69), ROWS(LM_F32, 7, 69), VECTOR(69), INVERSES(7, 1), STATE_VECTOR(69), ROWS(LM_F32, 7, 69)}},
    {"rms_norm_backward fresh",
     LM_OP_RMS_NORM_BACKWARD,
     {ROWS(LM_F32, 7, 48), ROWS(LM_F32, 7, 48), VECTOR(48), INVERSES(7, 1)}},
    {"rms_norm_backward of heads",
     LM_OP_RMS_NORM_BACKWARD,
     {ROWS(LM_F32, 7, 3 * 38), ROWS(LM_F32, 7, 3 * 38), VECTOR(38), INVERSES(7, 3), STATE_VECTOR(38)}},

    {"rope halves",
     LM_OP_ROPE,
     {ROWS(LM_F32, 5, 3 * 38), COLUMN_I32(FILL_BELOW, 5, 4000), FREQS(19)},
     {.n_heads = 3, .head_dim = 38},
     .rows = true},
    {"rope interleaved",
     LM_OP_ROPE,
     {ROWS(LM_F32, 5, 3 * 64), COLUMN_I32(FILL_BELOW, 5, 4000), FREQS(32)},
     {.n_heads = 3, .head_dim = 64, .interleaved = true},
     .rows = true},
    {"rope partial inverse",
     LM_OP_ROPE,
     {ROWS(LM_F32, 5, 2 * 40), COLUMN_I32(FILL_BELOW, 5, 4000), FREQS(16)},
     {.n_heads = 2, .head_dim = 40, .inverse = true, .scale = 1.25f},
     .rows = true},
    {"rope gradient",
     LM_OP_ROPE,
     {TRAINED(3, 12), IDS(FILL_BELOW, 3, 50), FREQS(2)},
     {.n_heads = 2, .head_dim = 6, .scale = 1.5f}},
    {"rope interleaved gradient",
     LM_OP_ROPE,
     {TRAINED(3, 12), IDS(FILL_BELOW, 3, 50), FREQS(3)},
     {.n_heads = 2, .head_dim = 6, .interleaved = true}},

#define MATRICES(type, ...) {.dtype = type, .n_dims = 3, .shape = {__VA_ARGS__}, .role = LM_ROLE_WEIGHT}
#define CHOICES(rows, k, below)                                                                                        \
    {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {rows, k}, .fill = FILL_BELOW, .limit = below}
    {"route", LM_OP_ROUTE, {ROWS(LM_F32, 7, 19)}, {.n_used = 3, .normalize = true}, .rows = true},
    {"route biased", LM_OP_ROUTE, {ROWS(LM_F32, 7, 19), VECTOR(19)}, {.n_used = 19, .scale = 2.5f}, .rows = true},
    {"route by logits",
     LM_OP_ROUTE,
     {ROWS(LM_F32, 7, 19), VECTOR(19)},
     {.n_used = 5, .sigmoid = true, .normalize = true, .by_logits = true},
     .rows = true},
    {"route factors", LM_OP_ROUTE, {ROWS(LM_F32, 7, 19), {0}, VECTOR(19)}, {.n_used = 3, .normalize = true}, .rows = true},
    {"route groups",
     LM_OP_ROUTE,
     {ROWS(LM_F32, 9, 32), VECTOR(32)},
     {.n_used = 5, .n_groups = 4, .n_groups_used = 2, .sigmoid = true, .normalize = true},
     .rows = true},
    {"route jitter", LM_OP_ROUTE, {ROWS(LM_F32, 7, 19)}, {.n_used = 3, .jitter = 0.2f}, .rows = true},
    {"experts f32", LM_OP_EXPERTS, {ROWS(LM_F32, 9, 33), MATRICES(LM_F32, 5, 37, 33), CHOICES(9, 3, 5)}, .rows = true},
    {"experts bias own rows",
     LM_OP_EXPERTS,
     {ROWS(LM_F32, 9, 2 * 40), MATRICES(LM_F16, 4, 17, 40), CHOICES(9, 2, 4), MATRIX(LM_F32, 4, 17)},
     .rows = true},
    {"experts bf16", LM_OP_EXPERTS, {ROWS(LM_F32, 5, 34), MATRICES(LM_BF16, 3, 32, 34), CHOICES(5, 2, 3)}, .rows = true},
    {"experts q4_0", LM_OP_EXPERTS, {ROWS(LM_F32, 9, 64), MATRICES(LM_Q4_0, 6, 37, 64), CHOICES(9, 4, 6)}, .rows = true},
    {"experts mxfp4", LM_OP_EXPERTS, {ROWS(LM_F32, 19, 96), MATRICES(LM_MXFP4, 3, 32, 96), CHOICES(19, 2, 3)}, .rows = true},
    {"experts slices", LM_OP_EXPERTS, {ROWS(LM_F32, 9, 64), MATRICES(LM_Q8_0, 3, 293, 64), CHOICES(9, 2, 3)}, .rows = true},
    {"experts q4_1 more rows than a block has",
     LM_OP_EXPERTS,
     {ROWS(LM_F32, 530, 32), MATRICES(LM_Q4_1, 2, 37, 32), CHOICES(530, 2, 2)}},
    {"experts q6_k bias own rows",
     LM_OP_EXPERTS,
     {ROWS(LM_F32, 9, 2 * 768), MATRICES(LM_Q6_K, 4, 160, 768), CHOICES(9, 2, 4), MATRIX(LM_F32, 4, 160)},
     .rows = true},
    {"experts q2_k bias",
     LM_OP_EXPERTS,
     {ROWS(LM_F32, 15, 768), MATRICES(LM_Q2_K, 3, 70, 768), CHOICES(15, 2, 3), MATRIX(LM_F32, 3, 70)},
     .rows = true},
    {"experts slices f32",
     LM_OP_EXPERTS,
     {ROWS(LM_F32, 3, 2 * 40), MATRICES(LM_F32, 4, 280, 40), CHOICES(3, 2, 4), MATRIX(LM_F32, 4, 280)},
     .rows = true},
    {"experts many rows", LM_OP_EXPERTS, {ROWS(LM_F32, 300, 34), MATRICES(LM_BF16, 2, 21, 34), CHOICES(300, 2, 2)}, .rows = true},
#define BY_HEAD(type, rows, heads, n_out, n_in) ROWS(LM_F32, rows, (heads) * (n_in)), MATRICES(type, heads, n_out, n_in)
    {"head_linear f32", LM_OP_HEAD_LINEAR, {BY_HEAD(LM_F32, 9, 5, 37, 33)}, .rows = true},
    {"head_linear f16", LM_OP_HEAD_LINEAR, {BY_HEAD(LM_F16, 1, 3, 16, 20)}, .rows = true},
    {"head_linear bf16 chunks", LM_OP_HEAD_LINEAR, {BY_HEAD(LM_BF16, 131, 2, 24, 34)}, .rows = true},
    {"head_linear q8_0", LM_OP_HEAD_LINEAR, {BY_HEAD(LM_Q8_0, 70, 6, 37, 64)}, .rows = true},
    {"head_linear q5_0", LM_OP_HEAD_LINEAR, {BY_HEAD(LM_Q5_0, 2, 3, 32, 96)}, .rows = true},
#define STATE3(...) {.dtype = LM_F32, .n_dims = 3, .shape = {__VA_ARGS__}, .role = LM_ROLE_STATE}
#define STATE4(...) {.dtype = LM_F32, .n_dims = 4, .shape = {__VA_ARGS__}, .role = LM_ROLE_STATE}
/* Rows of three sequences that take turns, some of them first ones. */
#define TURNS(rows) COLUMN_I32(FILL_BELOW, rows, 4), COLUMN_I32(FILL_BELOW, rows, 3)
    {"causal_conv", LM_OP_CAUSAL_CONV, {ROWS(LM_F32, 19, 37), MATRIX(LM_F32, 4, 37), VECTOR(37), STATE3(3, 3, 37), TURNS(19)}, {.silu = true}},
    {"causal_conv plain", LM_OP_CAUSAL_CONV, {ROWS(LM_F32, 7, 64), MATRIX(LM_F32, 3, 64), {0}, STATE3(3, 2, 64), TURNS(7)}},
    {"causal_conv short", LM_OP_CAUSAL_CONV, {ROWS(LM_F32, 5, 3), MATRIX(LM_F32, 2, 3), VECTOR(3), STATE3(3, 1, 3), TURNS(5)}},
#define RECUR(rows, hk, dk, h, dv)                                                                                     \
    ROWS(LM_F32, rows, (hk) * (dk)), ROWS(LM_F32, rows, (hk) * (dk)), ROWS(LM_F32, rows, (h) * (dv)),                   \
        STATE4(3, h, dk, dv), TURNS(rows), INVERSES(rows, h), VECTOR(h), INVERSES(rows, h)
#define RECUR_ATTRS(hk, dk, h, dv) .n_kv_heads = hk, .head_dim = dk, .n_heads = h, .value_dim = dv
    {"recur", LM_OP_RECUR, {RECUR(19, 2, 21, 4, 37), VECTOR(4)}, {RECUR_ATTRS(2, 21, 4, 37)}},
    {"recur delta", LM_OP_RECUR, {RECUR(19, 2, 16, 6, 64)}, {RECUR_ATTRS(2, 16, 6, 64), .delta = true}},
    {"recur delta tiled", LM_OP_RECUR, {RECUR(7, 2, 8, 4, 150), VECTOR(4)}, {RECUR_ATTRS(2, 8, 4, 150), .delta = true, .tiled = true}},
    {"recur short", LM_OP_RECUR, {RECUR(3, 1, 1, 1, 1)}, {RECUR_ATTRS(1, 1, 1, 1)}},
#define RECUR_BY_KEY(rows, h, dk, dv)                                                                                  \
    ROWS(LM_F32, rows, (h) * (dk)), ROWS(LM_F32, rows, (h) * (dk)), ROWS(LM_F32, rows, (h) * (dv)),                     \
        STATE4(3, h, dk, dv), TURNS(rows), INVERSES(rows, (h) * (dk)), VECTOR(h), INVERSES(rows, h)
    {"recur delta by key", LM_OP_RECUR, {RECUR_BY_KEY(19, 3, 21, 75)}, {RECUR_ATTRS(3, 21, 3, 75), .delta = true}},
    {"recur delta bounded", LM_OP_RECUR, {RECUR_BY_KEY(9, 2, 8, 37)}, {RECUR_ATTRS(2, 8, 2, 37), .delta = true, .scale = 5}},
#define SCAN(rows, n, c)                                                                                               \
    ROWS(LM_F32, rows, n), ROWS(LM_F32, rows, n), ROWS(LM_F32, rows, c), STATE3(3, n, c), TURNS(rows),                  \
        INVERSES(rows, c), MATRIX(LM_F32, n, c), VECTOR(c)
    {"scan", LM_OP_SCAN, {SCAN(19, 16, 85)}},
    {"scan wide", LM_OP_SCAN, {SCAN(6, 3, 128)}},
    {"scan short", LM_OP_SCAN, {SCAN(3, 1, 1)}},
    {"columns", LM_OP_COLUMNS, {ROWS(LM_F32, 7, 37)}, {.first = 5, .n_columns = 11}, .rows = true},
    {"columns weighted", LM_OP_COLUMNS, {ROWS(LM_F32, 7, 37), VECTOR(11)}, {.first = 26, .n_columns = 11}, .rows = true},
    {"blend", LM_OP_BLEND, {ROWS(LM_F32, 7, 3 * 37), ROWS(LM_F32, 7, 2 * 37), ROWS(LM_F32, 7, 3 * 2)}, {.n_groups = 3}, .rows = true},
    {"blend all alike", LM_OP_BLEND, {ROWS(LM_F32, 7, 3 * 37), ROWS(LM_F32, 7, 37), VECTOR(3)}, {.n_groups = 3}, .rows = true},
    {"match", LM_OP_MATCH, {ROWS(LM_F32, 7, 3 * 37), ROWS(LM_F32, 7, 37)}, {.eps = 1e-5f}, .rows = true},
    {"match short", LM_OP_MATCH, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)}, {.eps = 1e5f}, .rows = true},
    {"cutoff", LM_OP_CUTOFF, {ROWS(LM_F32, 7, 67)}, {.scale = 0.7f}, .rows = true},
    {"join", LM_OP_JOIN, {ROWS(LM_F32, 7, 3 * 37), ROWS(LM_F32, 7, 3 * 5)}, {.n_heads = 3}, .rows = true},
    {"mix", LM_OP_MIX, {ROWS(LM_F32, 7, 3 * 37), ROWS(LM_F32, 7, 3)}, .rows = true},
    {"mix heads", LM_OP_MIX, {ROWS(LM_F32, 7, 5 * 21), ROWS(LM_F32, 7, 5)}, {.n_groups = 5}, .rows = true},
    {"mix parts", LM_OP_MIX, {ROWS(LM_F32, 7, 2 * 3 * 37), ROWS(LM_F32, 7, 2 * 3)}, {.n_groups = 2}, .rows = true},

    {"layer_norm", LM_OP_LAYER_NORM, {ROWS(LM_F32, 7, 69), VECTOR(69), VECTOR(69)}, {.eps = 1e-5f}, .rows = true},
    {"layer_norm bf16", LM_OP_LAYER_NORM, {ROWS(LM_F32, 7, 69), VECTOR(69)}, {.eps = 1e-5f, .dtype = LM_BF16}, .rows = true},
    {"layer_norm plain", LM_OP_LAYER_NORM, {ROWS(LM_F32, 3, 5)}, {.eps = 1e-5f}, .rows = true},
    {"layer_norm by head", LM_OP_LAYER_NORM, {ROWS(LM_F32, 7, 3 * 37), VECTOR(37), VECTOR(37)}, {.eps = 1e-5f, .n_heads = 3}, .rows = true},
    {"layer_norm of each head", LM_OP_LAYER_NORM, {ROWS(LM_F32, 7, 3 * 37), VECTOR(3 * 37)}, {.eps = 1e-5f, .n_heads = 3}, .rows = true},

    {"map scale", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_SCALE, .scale = 0.3f}, .rows = true},
    {"map scale gradient", LM_OP_MAP, {TRAINED(3, 5)}, {.function = LM_FN_SCALE, .scale = 0.3f}},
    {"map soft cap", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_SOFT_CAP, .scale = 0.7f}, .rows = true},
    {"map silu", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_SILU}, .rows = true},
    {"map gelu", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_GELU}, .rows = true},
    {"map gelu gated", LM_OP_MAP, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)}, {.function = LM_FN_GELU}, .rows = true},
    {"map gelu_tanh gated bf16",
     LM_OP_MAP,
     {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)},
     {.function = LM_FN_GELU_TANH, .dtype = LM_BF16},
     .rows = true},
    {"map relu", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_RELU}, .rows = true},
    {"map relu squared", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_RELU_SQUARED}, .rows = true},
    {"map clamped swiglu",
     LM_OP_MAP,
     {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)},
     {.function = LM_FN_SWIGLU_CLAMPED},
     .rows = true},
    {"map sigmoid", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_SIGMOID}, .rows = true},
    {"map softplus", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_SOFTPLUS}, .rows = true},
    {"map clamp", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_CLAMP, .scale = 0.4f}, .rows = true},
    {"map times one number", LM_OP_MAP, {ROWS(LM_F32, 7, 37), VECTOR(1)}, {.function = LM_FN_SCALE, .scale = 1}, .rows = true},
    {"map tanh", LM_OP_MAP, {ROWS(LM_F32, 7, 37)}, {.function = LM_FN_TANH}, .rows = true},

    {"xielu", LM_OP_XIELU, {ROWS(LM_F32, 7, 37), VECTOR(1), VECTOR(1), VECTOR(1), VECTOR(1)}, .rows = true},
    {"xielu bf16", LM_OP_XIELU, {ROWS(LM_F32, 7, 37), VECTOR(1), VECTOR(1), VECTOR(1), VECTOR(1)}, {.dtype = LM_BF16}, .rows = true},

    {"swiglu", LM_OP_SWIGLU, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)}, .rows = true},
    {"swiglu bf16", LM_OP_SWIGLU, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)}, {.dtype = LM_BF16}, .rows = true},
    {"swiglu gradient", LM_OP_SWIGLU, {TRAINED(3, 5), TRAINED(3, 5)}},
    {"swiglu_backward", LM_OP_SWIGLU_BACKWARD, {ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37), ROWS(LM_F32, 7, 37)}, .rows = true},

#define CACHE_OF(type, blocks, kv, dim, tokens)                                                                        \
    {.dtype = type, .n_dims = 4, .shape = {blocks, kv, dim, tokens}, .role = LM_ROLE_STATE},                            \
        {.dtype = type, .n_dims = 4, .shape = {blocks, kv, tokens, dim}, .role = LM_ROLE_STATE}
#define SCALES_OF(blocks, kv, tokens, how)                                                                             \
    {.dtype = LM_F32, .n_dims = 3, .shape = {blocks, kv, tokens}, .role = LM_ROLE_STATE, .fill = how},                  \
        {.dtype = LM_F32, .n_dims = 3, .shape = {blocks, kv, tokens}, .role = LM_ROLE_STATE, .fill = how}
#define WRITE(rows, type, how)                                                                                         \
    ROWS(LM_F32, rows, 3 * 24), ROWS(LM_F32, rows, 3 * 24), CACHE_OF(type, 4, 3, 24, 32), COLUMN_I32(how, rows, 128)
    {"kv_write f32", LM_OP_KV_WRITE, {WRITE(7, LM_F32, FILL_DISTINCT)}},
    {"kv_write f16", LM_OP_KV_WRITE, {WRITE(7, LM_F16, FILL_DISTINCT)}},
    {"kv_write bf16", LM_OP_KV_WRITE, {WRITE(7, LM_BF16, FILL_DISTINCT)}},
    {"kv_write i8", LM_OP_KV_WRITE, {WRITE(7, LM_I8, FILL_DISTINCT), SCALES_OF(4, 3, 32, FILL_POSITIVE)}},
    {"kv_write prompt", /* consecutive slots, as in a prefill */
     LM_OP_KV_WRITE,
     {ROWS(LM_F32, 75, 2 * 33), ROWS(LM_F32, 75, 2 * 33), CACHE_OF(LM_F16, 4, 2, 33, 64), COLUMN_I32(FILL_RAMP, 75, 42)}},
    {"kv_write i8 prompt",
     LM_OP_KV_WRITE,
     {ROWS(LM_F32, 75, 2 * 34), ROWS(LM_F32, 75, 2 * 34), CACHE_OF(LM_I8, 4, 2, 34, 64), COLUMN_I32(FILL_RAMP, 75, 42),
      SCALES_OF(4, 2, 64, FILL_POSITIVE)}},
    {"kv_write i16", LM_OP_KV_WRITE, {WRITE(7, LM_I16, FILL_DISTINCT), SCALES_OF(4, 3, 32, FILL_POSITIVE)}},
    {"kv_write i16 prompt", /* from an odd slot on: pairs of tokens of two runs */
     LM_OP_KV_WRITE,
     {ROWS(LM_F32, 75, 2 * 34), ROWS(LM_F32, 75, 2 * 34), CACHE_OF(LM_I16, 4, 2, 34, 64), COLUMN_I32(FILL_RAMP, 75, 41),
      SCALES_OF(4, 2, 64, FILL_POSITIVE)}},

/* Values of another width than keys. */
#define WIDTHS_OF(type, blocks, kv, dim, value_dim, tokens)                                                            \
    {.dtype = type, .n_dims = 4, .shape = {blocks, kv, dim, tokens}, .role = LM_ROLE_STATE},                            \
        {.dtype = type, .n_dims = 4, .shape = {blocks, kv, tokens, value_dim}, .role = LM_ROLE_STATE}
#define WRITE_WIDTHS(rows, type, how)                                                                                  \
    ROWS(LM_F32, rows, 2 * 34), ROWS(LM_F32, rows, 2 * 21), WIDTHS_OF(type, 4, 2, 34, 21, 64), COLUMN_I32(how, rows, 128)
    {"kv_write narrow values f16", LM_OP_KV_WRITE, {WRITE_WIDTHS(75, LM_F16, FILL_RAMP)}},
    {"kv_write narrow values i8",
     LM_OP_KV_WRITE,
     {WRITE_WIDTHS(7, LM_I8, FILL_DISTINCT), SCALES_OF(4, 2, 64, FILL_POSITIVE)}},
    {"kv_write narrow values i16",
     LM_OP_KV_WRITE,
     {WRITE_WIDTHS(75, LM_I16, FILL_RAMP), SCALES_OF(4, 2, 64, FILL_POSITIVE)}},

/* Values are parts of the keys. */
#define KEYS_OF(type, blocks, kv, dim, tokens)                                                                         \
    {.dtype = type, .n_dims = 4, .shape = {blocks, kv, dim, tokens}, .role = LM_ROLE_STATE}, {0}
#define KEY_SCALES_OF(blocks, kv, tokens, how)                                                                         \
    {.dtype = LM_F32, .n_dims = 3, .shape = {blocks, kv, tokens}, .role = LM_ROLE_STATE, .fill = how}
#define WRITE_KEYS(rows, type, how)                                                                                    \
    ROWS(LM_F32, rows, 2 * 34), {0}, KEYS_OF(type, 4, 2, 34, 64), COLUMN_I32(how, rows, 128)
    {"kv_write keys f16", LM_OP_KV_WRITE, {WRITE_KEYS(7, LM_F16, FILL_DISTINCT)}},
    {"kv_write keys i8", LM_OP_KV_WRITE, {WRITE_KEYS(7, LM_I8, FILL_DISTINCT), KEY_SCALES_OF(4, 2, 64, FILL_POSITIVE)}},
    {"kv_write keys i16", LM_OP_KV_WRITE, {WRITE_KEYS(75, LM_I16, FILL_RAMP), KEY_SCALES_OF(4, 2, 64, FILL_POSITIVE)}},
    {"kv_write keys prompt", LM_OP_KV_WRITE, {WRITE_KEYS(75, LM_BF16, FILL_RAMP)}},

/* Nine rows, at positions below 250 of three sequences. */
#define PAGED(type, q, kv, dim)                                                                                        \
    ROWS(LM_F32, 9, (q) * (dim)), CACHE_OF(type, 12, kv, dim, 64), COLUMN_I32(FILL_BELOW, 9, 250),                      \
        COLUMN_I32(FILL_BELOW, 9, 3),                                                                                  \
        {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 4}, .fill = FILL_BELOW, .limit = 12}
/* Consecutive rows of one sequence, as in a prefill. */
#define PROMPT(type, rows, from, q, kv, dim)                                                                           \
    ROWS(LM_F32, rows, (q) * (dim)), CACHE_OF(type, 8, kv, dim, 64), COLUMN_I32(FILL_RAMP, rows, from),                 \
        COLUMN_I32(FILL_BELOW, rows, 1),                                                                               \
        {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {1, 8}, .fill = FILL_BELOW, .limit = 8}
    {"attention_paged f32", LM_OP_ATTENTION_PAGED, {PAGED(LM_F32, 4, 2, 24)}, {HEADS(4, 2, 24), .scale = 0.2f}, .rows = true},
#define PROMPT_WIDTHS(type, rows, from, q, kv, dim, value_dim)                                                         \
    ROWS(LM_F32, rows, (q) * (dim)), WIDTHS_OF(type, 8, kv, dim, value_dim, 64), COLUMN_I32(FILL_RAMP, rows, from),     \
        COLUMN_I32(FILL_BELOW, rows, 1),                                                                               \
        {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {1, 8}, .fill = FILL_BELOW, .limit = 8}
    {"attention_paged narrow values",
     LM_OP_ATTENTION_PAGED,
     {PROMPT_WIDTHS(LM_F16, 40, 150, 4, 2, 24, 16)},
     {HEADS(4, 2, 24), .value_dim = 16, .scale = 0.2f},
     .rows = true},
    {"attention_paged wide values f32",
     LM_OP_ATTENTION_PAGED,
     {PROMPT_WIDTHS(LM_F32, 3, 150, 2, 1, 12, 37)},
     {HEADS(2, 1, 12), .value_dim = 37, .scale = 0.2f},
     .rows = true},
    {"attention_paged narrow values i8",
     LM_OP_ATTENTION_PAGED,
     {PROMPT_WIDTHS(LM_I8, 3, 150, 4, 2, 24, 18), SCALES_OF(8, 2, 64, FILL_POSITIVE)},
     {HEADS(4, 2, 24), .value_dim = 18, .scale = 0.2f},
     .rows = true},
    {"attention_paged narrow values i16",
     LM_OP_ATTENTION_PAGED,
     {PROMPT_WIDTHS(LM_I16, 40, 150, 4, 2, 24, 18), SCALES_OF(8, 2, 64, FILL_POSITIVE)},
     {HEADS(4, 2, 24), .value_dim = 18, .scale = 0.2f},
     .rows = true},
    {"attention_paged f32 one head",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_F32, 1, 1, 64)},
     {HEADS(1, 1, 64), .scale = 0.125f},
     .rows = true},
    {"attention_paged f16", LM_OP_ATTENTION_PAGED, {PAGED(LM_F16, 6, 2, 16)}, {HEADS(6, 2, 16), .scale = 0.25f}, .rows = true},
    {"attention_paged f16 wide", LM_OP_ATTENTION_PAGED, {PAGED(LM_F16, 5, 1, 80)}, {HEADS(5, 1, 80), .scale = 0.1f}, .rows = true},
    {"attention_paged bf16 odd", LM_OP_ATTENTION_PAGED, {PAGED(LM_BF16, 3, 3, 11)}, {HEADS(3, 3, 11), .scale = 0.3f}, .rows = true},
    {"attention_paged i8",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_I8, 8, 2, 32), SCALES_OF(12, 2, 64, FILL_POSITIVE)},
     {HEADS(8, 2, 32), .scale = 0.2f},
     .rows = true},
    {"attention_paged many key heads", LM_OP_ATTENTION_PAGED, {PAGED(LM_F16, 11, 11, 8)}, {HEADS(11, 11, 8), .scale = 0.3f}, .rows = true},
    {"attention_paged i16 many key heads",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_I16, 26, 13, 16), SCALES_OF(12, 13, 64, FILL_POSITIVE)},
     {HEADS(26, 13, 16), .scale = 0.2f},
     .rows = true},
    {"attention_paged long blocks",
     LM_OP_ATTENTION_PAGED,
     {ROWS(LM_F32, 9, 2 * 16), CACHE_OF(LM_F16, 5, 1, 16, 128), COLUMN_I32(FILL_BELOW, 9, 250), COLUMN_I32(FILL_BELOW, 9, 3),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 2}, .fill = FILL_BELOW, .limit = 5}},
     {HEADS(2, 1, 16), .scale = 0.25f},
     .rows = true},
    {"attention_paged prompt", LM_OP_ATTENTION_PAGED, {PROMPT(LM_F16, 60, 251, 4, 2, 24)}, {HEADS(4, 2, 24), .scale = 0.2f}, .rows = true},
    {"attention_paged prompt from 0",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_BF16, 67, 0, 3, 1, 64)},
     {HEADS(3, 1, 64), .scale = 0.125f},
     .rows = true},
    {"attention_paged i8 prompt",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I8, 40, 300, 4, 1, 40), SCALES_OF(8, 1, 64, FILL_POSITIVE)},
     {HEADS(4, 1, 40), .scale = 0.1f},
     .rows = true},
    {"attention_paged i16",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_I16, 8, 2, 32), SCALES_OF(12, 2, 64, FILL_POSITIVE)},
     {HEADS(8, 2, 32), .scale = 0.2f},
     .rows = true},
    {"attention_paged i16 prompt", /* tiles of many queries, values that do not fill whole vectors */
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I16, 30, 150, 4, 1, 42), SCALES_OF(8, 1, 64, FILL_POSITIVE)},
     {HEADS(4, 1, 42), .scale = 0.1f},
     .rows = true},
    {"attention_paged i16 prompt from 0",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I16, 67, 0, 3, 1, 64), SCALES_OF(8, 1, 64, FILL_POSITIVE)},
     {HEADS(3, 1, 64), .scale = 0.125f},
     .rows = true},
    {"attention_paged i16 long blocks",
     LM_OP_ATTENTION_PAGED,
     {ROWS(LM_F32, 9, 2 * 16), CACHE_OF(LM_I16, 5, 1, 16, 128), COLUMN_I32(FILL_BELOW, 9, 250), COLUMN_I32(FILL_BELOW, 9, 3),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 2}, .fill = FILL_BELOW, .limit = 5},
      SCALES_OF(5, 1, 128, FILL_POSITIVE)},
     {HEADS(2, 1, 16), .scale = 0.25f},
     .rows = true},
    {"attention_paged i16 narrow window prompt",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I16, 90, 0, 2, 2, 16), SCALES_OF(8, 2, 64, FILL_POSITIVE)},
     {HEADS(2, 2, 16), .scale = 0.25f, .window = 3},
     .rows = true},
    {"attention_paged i16 window around",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I16, 60, 130, 2, 1, 24), SCALES_OF(8, 1, 64, FILL_POSITIVE), {0}, COLUMN_I32(FILL_RAMP, 60, 100)},
     {HEADS(2, 1, 24), .scale = 0.2f, .window = 77},
     .rows = true},
    {"attention_paged window",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_F16, 4, 2, 24)},
     {HEADS(4, 2, 24), .scale = 0.2f, .window = 70},
     .rows = true},
    {"attention_paged window prompt",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_F32, 140, 100, 2, 1, 24)},
     {HEADS(2, 1, 24), .scale = 0.2f, .window = 75},
     .rows = true},
    {"attention_paged chunks",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_F16, 4, 2, 24)},
     {HEADS(4, 2, 24), .scale = 0.2f, .window = 70, .chunked = true},
     .rows = true},
    {"attention_paged chunks prompt", /* rows of one tile are in several */
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_F32, 140, 100, 2, 1, 24)},
     {HEADS(2, 1, 24), .scale = 0.2f, .window = 21, .chunked = true},
     .rows = true},
    {"attention_paged narrow window prompt", /* rows of one tile see nothing in common */
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_F16, 90, 0, 2, 2, 16)},
     {HEADS(2, 2, 16), .scale = 0.25f, .window = 3},
     .rows = true},
    {"attention_paged around",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_F32, 60, 300, 4, 2, 24), {0}, {0}, {0}, COLUMN_I32(FILL_RAMP, 60, 250)},
     {HEADS(4, 2, 24), .scale = 0.2f},
     .rows = true},
    {"attention_paged window around",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_F32, 140, 130, 2, 1, 24), {0}, {0}, {0}, COLUMN_I32(FILL_RAMP, 140, 100)},
     {HEADS(2, 1, 24), .scale = 0.2f, .window = 77},
     .rows = true},
    {"attention_paged bias",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_F16, 4, 2, 24), {0}, {0}, {0}, {0}, STATE(LM_F32, 4, 250)},
     {HEADS(4, 2, 24), .scale = 0.2f},
     .rows = true},
    {"attention_paged bias prompt",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I8, 40, 300, 4, 1, 40), SCALES_OF(8, 1, 64, FILL_POSITIVE), {0}, {0}, STATE(LM_F32, 4, 345)},
     {HEADS(4, 1, 40), .scale = 0.1f, .window = 90},
     .rows = true},
    {"attention_paged bias around",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_F32, 60, 300, 4, 2, 24), {0}, {0}, {0}, COLUMN_I32(FILL_RAMP, 60, 250), STATE(LM_F32, 4, 721)},
     {HEADS(4, 2, 24), .scale = 0.2f, .window = 77},
     .rows = true},
    {"attention_paged soft cap",
     LM_OP_ATTENTION_PAGED,
     {PROMPT(LM_I8, 40, 50, 4, 1, 40), SCALES_OF(8, 1, 64, FILL_POSITIVE)},
     {HEADS(4, 1, 40), .scale = 0.3f, .soft_cap = 2.0f, .window = 33},
     .rows = true},
    {"attention_paged sinks",
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_F32, 4, 2, 24), {0}, {0}, VECTOR(4)},
     {HEADS(4, 2, 24), .scale = 0.2f, .window = 100},
     .rows = true},
    {"attention_paged many heads", /* more of a key head than a tile takes */
     LM_OP_ATTENTION_PAGED,
     {PAGED(LM_F16, 98, 1, 16)},
     {HEADS(98, 1, 16), .scale = 0.25f}},

#define PAGED_KEYS(type, q, kv, dim)                                                                                   \
    ROWS(LM_F32, 9, (q) * (dim)), KEYS_OF(type, 12, kv, dim, 64), COLUMN_I32(FILL_BELOW, 9, 250),                       \
        COLUMN_I32(FILL_BELOW, 9, 3),                                                                                  \
        {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 4}, .fill = FILL_BELOW, .limit = 12}
    {"attention_paged keys f32",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_F32, 4, 1, 32)},
     {HEADS(4, 1, 32), .value_dim = 16, .scale = 0.2f},
     .rows = true},
    {"attention_paged keys bf16 odd",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_BF16, 6, 2, 43)},
     {HEADS(6, 2, 43), .value_dim = 37, .scale = 0.15f, .window = 90},
     .rows = true},
    {"attention_paged keys i8",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_I8, 5, 1, 40), KEY_SCALES_OF(12, 1, 64, FILL_POSITIVE)},
     {HEADS(5, 1, 40), .value_dim = 40, .scale = 0.1f},
     .rows = true},
    {"attention_paged keys i16",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_I16, 6, 2, 44), KEY_SCALES_OF(12, 2, 64, FILL_POSITIVE)},
     {HEADS(6, 2, 44), .value_dim = 38, .scale = 0.15f, .window = 90},
     .rows = true},
    {"attention_paged keys i16 prompt",
     LM_OP_ATTENTION_PAGED,
     {ROWS(LM_F32, 14, 3 * 576), KEYS_OF(LM_I16, 8, 1, 576, 64), COLUMN_I32(FILL_RAMP, 14, 120),
      COLUMN_I32(FILL_BELOW, 14, 1),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {1, 8}, .fill = FILL_BELOW, .limit = 8},
      KEY_SCALES_OF(8, 1, 64, FILL_POSITIVE)},
     {HEADS(3, 1, 576), .value_dim = 512, .scale = 0.05f},
     .rows = true},
    {"attention_paged keys as wide as can be",
     LM_OP_ATTENTION_PAGED,
     {ROWS(LM_F32, 14, 3 * 576), KEYS_OF(LM_F16, 8, 1, 576, 64), COLUMN_I32(FILL_RAMP, 14, 120),
      COLUMN_I32(FILL_BELOW, 14, 1),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {1, 8}, .fill = FILL_BELOW, .limit = 8}},
     {HEADS(3, 1, 576), .value_dim = 512, .scale = 0.05f},
     .rows = true},

/* Behind six inputs of attention, and scales or none: positions that were chosen, of which rows with no more than those see all. */
#define CHOSEN(rows, n, below)                                                                                         \
    {0}, {0}, {0}, {0},                                                                                                \
        {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {rows, n}, .fill = FILL_BELOW, .limit = below}
    {"attention_paged chosen f32",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_F32, 4, 1, 32), {0}, CHOSEN(9, 100, 256)},
     {HEADS(4, 1, 32), .value_dim = 16, .scale = 0.2f},
     .rows = true},
    {"attention_paged chosen f16 long blocks",
     LM_OP_ATTENTION_PAGED,
     {ROWS(LM_F32, 9, 5 * 43), KEYS_OF(LM_F16, 6, 1, 43, 128), COLUMN_I32(FILL_BELOW, 9, 250), COLUMN_I32(FILL_BELOW, 9, 3),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 2}, .fill = FILL_BELOW, .limit = 6},
      {0}, CHOSEN(9, 64, 256)},
     {HEADS(5, 1, 43), .value_dim = 37, .scale = 0.15f},
     .rows = true},
    {"attention_paged chosen bf16 by two key heads, with sinks",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_BF16, 6, 2, 43), {0}, {0}, VECTOR(6), {0}, {0},
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {9, 70}, .fill = FILL_BELOW, .limit = 256}},
     {HEADS(6, 2, 43), .value_dim = 37, .scale = 0.15f},
     .rows = true},
    {"attention_paged chosen i8",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_I8, 5, 1, 40), KEY_SCALES_OF(12, 1, 64, FILL_POSITIVE), CHOSEN(9, 90, 256)},
     {HEADS(5, 1, 40), .value_dim = 40, .scale = 0.1f},
     .rows = true},
    {"attention_paged chosen i16",
     LM_OP_ATTENTION_PAGED,
     {PAGED_KEYS(LM_I16, 6, 2, 44), KEY_SCALES_OF(12, 2, 64, FILL_POSITIVE), CHOSEN(9, 33, 256)},
     {HEADS(6, 2, 44), .value_dim = 38, .scale = 0.15f},
     .rows = true},
    {"attention_paged chosen prompt", /* in which rows begin to choose */
     LM_OP_ATTENTION_PAGED,
     {ROWS(LM_F32, 14, 30 * 80), KEYS_OF(LM_F16, 8, 1, 80, 64), COLUMN_I32(FILL_RAMP, 14, 120),
      COLUMN_I32(FILL_BELOW, 14, 1),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {1, 8}, .fill = FILL_BELOW, .limit = 8},
      {0}, CHOSEN(14, 127, 512)},
     {HEADS(30, 1, 80), .value_dim = 64, .scale = 0.05f},
     .rows = true},

/* Nine rows, at positions below 250 of three sequences. */
#define CHOICE(type, heads, dim)                                                                                       \
    ROWS(LM_F32, 9, (heads) * (dim)), {.dtype = type, .n_dims = 4, .shape = {12, 1, dim, 64}, .role = LM_ROLE_STATE},   \
        ROWS(LM_F32, 9, heads), COLUMN_I32(FILL_BELOW, 9, 250), COLUMN_I32(FILL_BELOW, 9, 3),                          \
        {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 4}, .fill = FILL_BELOW, .limit = 12}
    {"choose f32", LM_OP_CHOOSE, {CHOICE(LM_F32, 4, 24)}, {.n_heads = 4, .head_dim = 24, .n_used = 20, .scale = 0.1f}, .rows = true},
    {"choose f16", LM_OP_CHOOSE, {CHOICE(LM_F16, 7, 24)}, {.n_heads = 7, .head_dim = 24, .n_used = 100, .scale = 0.1f}, .rows = true},
    {"choose bf16 odd", LM_OP_CHOOSE, {CHOICE(LM_BF16, 13, 11)}, {.n_heads = 13, .head_dim = 11, .n_used = 33, .scale = 1}, .rows = true},
    {"choose one", LM_OP_CHOOSE, {CHOICE(LM_F32, 1, 1)}, {.n_heads = 1, .head_dim = 1, .n_used = 1, .scale = 1}, .rows = true},
    {"choose of equal ones", LM_OP_CHOOSE, {CHOICE(LM_F32, 1, 5)}, {.n_heads = 1, .head_dim = 5, .n_used = 200, .scale = 1}, .rows = true},
    {"choose all", LM_OP_CHOOSE, {CHOICE(LM_F32, 2, 5)}, {.n_heads = 2, .head_dim = 5, .n_used = 300, .scale = 1}, .rows = true},
    {"choose long blocks",
     LM_OP_CHOOSE,
     {ROWS(LM_F32, 9, 6 * 24), {.dtype = LM_F16, .n_dims = 4, .shape = {6, 1, 24, 128}, .role = LM_ROLE_STATE}, ROWS(LM_F32, 9, 6),
      COLUMN_I32(FILL_BELOW, 9, 250), COLUMN_I32(FILL_BELOW, 9, 3),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {3, 2}, .fill = FILL_BELOW, .limit = 6}},
     {.n_heads = 6, .head_dim = 24, .n_used = 40, .scale = 0.3f},
     .rows = true},
    {"choose prompt", /* longer than what a thread scores at a time */
     LM_OP_CHOOSE,
     {ROWS(LM_F32, 7, 8 * 16), {.dtype = LM_F16, .n_dims = 4, .shape = {4, 1, 16, 640}, .role = LM_ROLE_STATE}, ROWS(LM_F32, 7, 8),
      COLUMN_I32(FILL_RAMP, 7, 2400), COLUMN_I32(FILL_BELOW, 7, 1),
      {.dtype = LM_I32, .n_dims = 2, .extent = LM_EXTENT_SEQS, .shape = {1, 4}, .fill = FILL_BELOW, .limit = 4}},
     {.n_heads = 8, .head_dim = 16, .n_used = 2403, .scale = 0.3f},
     .rows = true},

    {"attention",
     LM_OP_ATTENTION,
     {ROWS(LM_F32, 42, 4 * 24), ROWS(LM_F32, 42, 2 * 24), ROWS(LM_F32, 42, 2 * 24)},
     {HEADS(4, 2, 24), .seq_len = 21, .scale = 0.2f}},
    {"attention short last",
     LM_OP_ATTENTION,
     {ROWS(LM_F32, 45, 32), ROWS(LM_F32, 45, 32), ROWS(LM_F32, 45, 32)},
     {HEADS(1, 1, 32), .seq_len = 32, .scale = 0.2f}},
    {"attention long",
     LM_OP_ATTENTION,
     {ROWS(LM_F32, 150, 32), ROWS(LM_F32, 150, 16), ROWS(LM_F32, 150, 16)},
     {HEADS(2, 1, 16), .seq_len = 150, .scale = 0.2f}},
    {"attention gradient",
     LM_OP_ATTENTION,
     {TRAINED(10, 4 * 3), TRAINED(10, 2 * 3), TRAINED(10, 2 * 3)},
     {HEADS(4, 2, 3), .seq_len = 5, .scale = 0.5f}},
    {"attention_backward",
     LM_OP_ATTENTION_BACKWARD,
     {ROWS(LM_F32, 42, 4 * 24), ROWS(LM_F32, 42, 4 * 24), ROWS(LM_F32, 42, 2 * 24), ROWS(LM_F32, 42, 2 * 24),
      ROWS(LM_F32, 42, 4 * 24), {.dtype = LM_F32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {42, 4}, .fill = FILL_LOG_SUM}},
     {HEADS(4, 2, 24), .seq_len = 21, .scale = 0.2f}},
    {"attention_backward short last",
     LM_OP_ATTENTION_BACKWARD,
     {ROWS(LM_F32, 45, 32), ROWS(LM_F32, 45, 32), ROWS(LM_F32, 45, 32), ROWS(LM_F32, 45, 32), ROWS(LM_F32, 45, 32),
      {.dtype = LM_F32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {45, 1}, .fill = FILL_LOG_SUM}},
     {HEADS(1, 1, 32), .seq_len = 32, .scale = 0.2f}},

    {"attention wide", /* vectors beside whole tiles of them, blocks of 64 and what is left */
     LM_OP_ATTENTION,
     {ROWS(LM_F32, 151, 2 * 72), ROWS(LM_F32, 151, 72), ROWS(LM_F32, 151, 72)},
     {HEADS(2, 1, 72), .seq_len = 77, .scale = 0.1f}},
    {"attention_backward wide",
     LM_OP_ATTENTION_BACKWARD,
     {ROWS(LM_F32, 151, 2 * 72), ROWS(LM_F32, 151, 2 * 72), ROWS(LM_F32, 151, 72), ROWS(LM_F32, 151, 72),
      ROWS(LM_F32, 151, 2 * 72), {.dtype = LM_F32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {151, 2}, .fill = FILL_LOG_SUM}},
     {HEADS(2, 1, 72), .seq_len = 77, .scale = 0.1f}},
    {"attention_backward long",
     LM_OP_ATTENTION_BACKWARD,
     {ROWS(LM_F32, 150, 32), ROWS(LM_F32, 150, 32), ROWS(LM_F32, 150, 16), ROWS(LM_F32, 150, 16), ROWS(LM_F32, 150, 32),
      {.dtype = LM_F32, .n_dims = 2, .extent = LM_EXTENT_ROWS, .shape = {150, 2}, .fill = FILL_LOG_SUM}},
     {HEADS(2, 1, 16), .seq_len = 150, .scale = 0.2f}},

    {"cross_entropy", LM_OP_CROSS_ENTROPY, {ROWS(LM_F32, 7, 101), COLUMN_I32(FILL_TARGETS, 7, 101)}},
    {"cross_entropy gradient", LM_OP_CROSS_ENTROPY, {TRAINED(4, 7), IDS(FILL_TARGETS, 4, 7)}},
    {"cross_entropy_backward",
     LM_OP_CROSS_ENTROPY_BACKWARD,
     {ROWS(LM_F32, 7, 101), COLUMN_I32(FILL_TARGETS, 7, 101), COLUMN_F32(FILL_LOG_SUM, 7), VECTOR(1)}},

#define LOSS_OF(x_type, w_type, rows, classes, dim)                                                                     \
    ROWS(x_type, rows, dim), MATRIX(w_type, classes, dim), COLUMN_I32(FILL_TARGETS, rows, classes)
    {"linear_cross_entropy", LM_OP_LINEAR_CROSS_ENTROPY, {LOSS_OF(LM_F32, LM_F32, 7, 101, 37)}},
    {"linear_cross_entropy f32", LM_OP_LINEAR_CROSS_ENTROPY, {LOSS_OF(LM_F32, LM_F32, 7, 101, 37), STATE(LM_F32, 101, 37)}},
    {"linear_cross_entropy bf16", LM_OP_LINEAR_CROSS_ENTROPY, {LOSS_OF(LM_BF16, LM_BF16, 9, 67, 35), STATE(LM_F32, 67, 35)}},
    {"linear_cross_entropy f32 bf16", LM_OP_LINEAR_CROSS_ENTROPY, {LOSS_OF(LM_F32, LM_BF16, 7, 33, 34), STATE(LM_F32, 33, 34)}},
    {"linear_cross_entropy f16", LM_OP_LINEAR_CROSS_ENTROPY, {LOSS_OF(LM_F32, LM_F16, 5, 1, 17), STATE(LM_F32, 1, 17)}},
    {"linear_cross_entropy chunks", LM_OP_LINEAR_CROSS_ENTROPY, {LOSS_OF(LM_F32, LM_F32, 515, 35, 9), STATE(LM_F32, 35, 9)}},
    {"linear_cross_entropy bf16 chunks",
     LM_OP_LINEAR_CROSS_ENTROPY,
     {LOSS_OF(LM_BF16, LM_BF16, 515, 34, 9), STATE(LM_F32, 34, 9)}},
    {"linear_cross_entropy gradient",
     LM_OP_LINEAR_CROSS_ENTROPY,
     {TRAINED(4, 5), TRAINED(7, 5), IDS(FILL_TARGETS, 4, 7), {.dtype = LM_F32, .n_dims = 2, .shape = {7, 5}, .grad_of = 2}},
     .is_loss = true},

    {"sum_squares", LM_OP_SUM_SQUARES, {MATRIX(LM_F32, 3, 5001)}},
    {"sum_squares with sum so far", LM_OP_SUM_SQUARES, {MATRIX(LM_F32, 9, 11), VECTOR(1)}},

#define MOMENT {.dtype = LM_F32, .n_dims = 2, .shape = {9, 37}, .role = LM_ROLE_STATE, .fill = FILL_POSITIVE}
#define SCALARS {.dtype = LM_F32, .n_dims = 1, .shape = {4}, .fill = FILL_POSITIVE}
#define ADAM .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .weight_decay = 0.1f
    {"adamw", LM_OP_ADAMW, {STATE(LM_F32, 9, 37), STATE(LM_F32, 9, 37), MOMENT, MOMENT, SCALARS}, {ADAM}},
    {"adamw bf16 copy",
     LM_OP_ADAMW,
     {STATE(LM_F32, 9, 37), STATE(LM_F32, 9, 37), MOMENT, MOMENT, SCALARS, STATE(LM_BF16, 9, 37)},
     {ADAM}},
};
/* clang-format on */

const op_case *conformance_cases(int *out_n) {
    *out_n = (int)LM_COUNT_OF(cases);
    return cases;
}
