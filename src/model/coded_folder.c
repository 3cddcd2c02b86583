#include "model/coded_folder.h"

#include <ctype.h>
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/near.h"
#include "model/gguf.h"
#include "model/text_part.h"

struct lm_coded_folder {
    lm_stored_tensors tensors;
    lm_arena coded;
    const char *method;
};

/* What quantization_config says. */
typedef struct settings {
    const json_t *config;
    const char *path;
    lm_str method, format;
    int64_t bits, group_size; /* 0: not said; group_size -1: a row is one group */
    int64_t block[2];         /* rows and columns that share a scale; 0: not said */
} settings;

/* The tensors of one matrix; NULL where there is none. */
typedef struct parts {
    const lm_stored_tensor *codes, *scales, *zeros, *groups, *shape;
} parts;

/* Fills `out`, and the shape of the matrix. */
typedef loam_status layout_fn(const settings *s, const parts *p, lm_coded_tensor *out,
                              lm_stored_tensor *matrix, loam_error *err);
static layout_fn gptq, awq, plain, packed, blocks, ternary;

typedef struct scheme {
    const char *method, *format_key, *formats;
    layout_fn *layout;
    const char *weight, *codes, *scales, *zeros, *groups, *shape;
} scheme;

static const scheme schemes[] = {
#define LM_SCHEME(...) {__VA_ARGS__},
#include "model/coded_schemes.def"
#undef LM_SCHEME
};

/* --- Checks of what makes a matrix. */

/* Whether the word is one of those in "a|b|c". */
static bool is_among(lm_str word, const char *list) {
    for (const char *at = list, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, "|");
        if (lm_str_equal(word, (lm_str){at, (size_t)(end - at)})) return true;
    }
    return false;
}

static LM_MUST_USE loam_status wrong(const lm_stored_tensor *t, const char *types, int64_t rows,
                                     int64_t columns, loam_error *err) {
    char shape[LM_SHAPE_TEXT_BYTES];
    return lm_error_set(err, LOAM_INVALID,
                        "tensor '%s' is %s %s, the others of its matrix want %s [%lld, %lld]",
                        t->name, t->type->name, lm_stored_shape_text(t->n_dims, t->shape, shape),
                        types, (long long)rows, (long long)columns);
}

static bool has_type(const lm_stored_tensor *t, const char *types) {
    return is_among(lm_str_of(t->type->name), types);
}

/* [rows, columns], where a dimension of 1 at the end may be left out. */
static bool has_shape(const lm_stored_tensor *t, int64_t rows, int64_t columns) {
    int64_t r = t->n_dims > 0 ? t->shape[0] : 1, c = t->n_dims > 1 ? t->shape[1] : 1;
    return t->n_dims <= 2 && r == rows && c == columns;
}

static LM_MUST_USE loam_status check(const lm_stored_tensor *t, const char *types, int64_t rows,
                                     int64_t columns, loam_error *err) {
    return has_type(t, types) && has_shape(t, rows, columns) ? LOAM_OK
                                                             : wrong(t, types, rows, columns, err);
}

#define FLOATS "F32|F16|BF16"

static LM_MUST_USE loam_status check_matrix(const lm_stored_tensor *t, const char *types,
                                            loam_error *err) {
    char shape[LM_SHAPE_TEXT_BYTES];
    bool full = t->n_dims == 2 && t->shape[0] > 0 && t->shape[1] > 0 && t->shape[0] < INT32_MAX &&
                t->shape[1] < INT32_MAX;
    if (full && has_type(t, types)) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "tensor '%s' is %s %s, no matrix of %s", t->name,
                        t->type->name, lm_stored_shape_text(t->n_dims, t->shape, shape), types);
}

static LM_MUST_USE loam_status check_bits(const settings *s, int64_t bits, loam_error *err) {
    if (bits == 4 || bits == 8) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "%.*s of %lld bits", (int)s->method.len, s->method.ptr,
                 (long long)bits);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam reads 4 and 8");
}

/* A list that says of every column which group it is of. */
static LM_MUST_USE loam_status set_groups(const lm_stored_tensor *t, lm_coded_tensor *out,
                                          loam_error *err) {
    const int32_t *groups = t->data;
    LM_TRY(check(t, "I32", out->n_columns, 1, err));
    for (int64_t i = 0; i < out->n_columns; i++)
        if (groups[i] < 0 || groups[i] >= out->n_groups)
            return lm_error_set(err, LOAM_INVALID,
                                "tensor '%s': column %lld is of group %d, there are %lld", t->name,
                                (long long)i, groups[i], (long long)out->n_groups);
    out->groups = groups;
    return LOAM_OK;
}

/* Groups of equal size, the last one maybe smaller. */
static LM_MUST_USE loam_status set_group_size(const settings *s, const lm_stored_tensor *scales,
                                              lm_coded_tensor *out, loam_error *err) {
    int64_t n = out->n_groups, size = s->group_size;
    if (size == 0 && out->n_columns % n == 0) size = out->n_columns / n;
    if (size < 0 || size > out->n_columns) size = out->n_columns;
    out->group_columns = size;
    if (size > 0 && (out->n_columns + size - 1) / size == n) return LOAM_OK;
    return lm_error_set(
        err, LOAM_INVALID,
        "tensor '%s' has scales for %lld groups, %lld columns are not so many of %lld",
        scales->name, (long long)n, (long long)out->n_columns, (long long)size);
}

static void set_matrix(const lm_coded_tensor *coded, lm_stored_tensor *matrix) {
    matrix->n_dims = 2;
    matrix->shape[0] = coded->n_rows;
    matrix->shape[1] = coded->n_columns;
}

static lm_dtype dtype_of(const lm_stored_tensor *floats) {
    return floats->type->is_loadable ? floats->type->dtype : LM_I8;
}

/* --- Layouts. */

/* [n_in, n_out]: codes packed along n_in, zeros along n_out; version 1 keeps zeros less one. */
static loam_status gptq(const settings *s, const parts *p, lm_coded_tensor *out,
                        lm_stored_tensor *matrix, loam_error *err) {
    LM_TRY(check_matrix(p->codes, "I32", err));
    int64_t n_words = p->codes->shape[0], n_out = p->codes->shape[1], bits = s->bits ? s->bits : 4;
    bool listed = p->groups && p->groups->n_dims == 1 && p->groups->shape[0] > 0;
    if (listed) bits = 32 * n_words / p->groups->shape[0];
    LM_TRY(check_bits(s, bits, err));
    int64_t per_word = 32 / bits, n_groups = p->scales->n_dims > 0 ? p->scales->shape[0] : 0;
    if (n_groups < 1 || n_out % per_word != 0) return wrong(p->scales, FLOATS, 1, n_out, err);
    LM_TRY(check(p->scales, FLOATS, n_groups, n_out, err));
    LM_TRY(check(p->zeros, "I32", n_groups, n_out / per_word, err));
    bool is_v1 = lm_str_is(s->format, "gptq");
    *out = (lm_coded_tensor){
        .n_rows = n_out,
        .n_columns = n_words * per_word,
        .n_groups = n_groups,
        .codes = {p->codes->data, 4, (int)bits, .row_step = 1, .column_step = n_out},
        .zeros = {p->zeros->data, 4, (int)bits, .below = true, .row_step = 1,
                  .column_step = n_out / per_word},
        .zero = is_v1,
        .zero_mask = is_v1 ? (1 << bits) - 1 : 0,
        .scales = {p->scales->data, dtype_of(p->scales), .rows_of_one = 1, .row_step = 1,
                   .group_step = n_out}};
    set_matrix(out, matrix);
    return p->groups ? set_groups(p->groups, out, err) : set_group_size(s, p->scales, out, err);
}

/* [n_in, n_out]: codes and zeros packed along n_out, those of a word in an order of their own. */
static loam_status awq(const settings *s, const parts *p, lm_coded_tensor *out,
                       lm_stored_tensor *matrix, loam_error *err) {
    static const uint8_t places[] = {0, 4, 1, 5, 2, 6, 3, 7};
    enum { BITS = 4, PER_WORD = 8 };
    if (s->bits != 0 && s->bits != BITS)
        return lm_error_set(err, LOAM_UNSUPPORTED, "awq of %lld bits; loam reads 4",
                            (long long)s->bits);
    LM_TRY(check_matrix(p->codes, "I32", err));
    int64_t n_in = p->codes->shape[0], n_words = p->codes->shape[1], n_out = n_words * PER_WORD;
    int64_t n_groups = p->scales->n_dims > 0 ? p->scales->shape[0] : 0;
    if (n_groups < 1) return wrong(p->scales, FLOATS, 1, n_out, err);
    LM_TRY(check(p->scales, FLOATS, n_groups, n_out, err));
    LM_TRY(check(p->zeros, "I32", n_groups, n_words, err));
    lm_code_grid grid = {
        NULL, 4, BITS, .below = true, .places = places, .row_step = 1, .column_step = n_words};
    *out = (lm_coded_tensor){.n_rows = n_out,
                             .n_columns = n_in,
                             .n_groups = n_groups,
                             .codes = grid,
                             .zeros = grid,
                             .scales = {p->scales->data, dtype_of(p->scales), .rows_of_one = 1,
                                        .row_step = 1, .group_step = n_out}};
    out->codes.data = p->codes->data;
    out->zeros.data = p->zeros->data;
    set_matrix(out, matrix);
    return set_group_size(s, p->scales, out, err);
}

/* Scales of codes that lie as the matrix does: one, one a row, or one for each block of rows and columns. */
static LM_MUST_USE loam_status set_scales(const settings *s, const lm_stored_tensor *t,
                                          lm_coded_tensor *out, loam_error *err) {
    const char *types = FLOATS "|F8_E8M0";
    int64_t rows = t->n_dims > 0 ? t->shape[0] : 1, columns = t->n_dims > 1 ? t->shape[1] : 1;
    if (!has_type(t, types) || t->n_dims > 2 || rows < 1 || columns < 1)
        return wrong(t, types, out->n_rows, 1, err);
    out->n_groups = columns;
    out->group_columns = out->n_columns;
    out->scales = (lm_scale_grid){.data = t->data, .dtype = dtype_of(t)};
    if (rows == 1 && columns == 1) return LOAM_OK;
    out->scales.rows_of_one = 1;
    out->scales.row_step = columns;
    out->scales.group_step = 1;
    if (rows == out->n_rows && columns == 1) return LOAM_OK;
    int64_t block_rows = s->block[0], block_columns = s->block[1];
    if (rows == out->n_rows) block_rows = 1;
    if (block_rows == 0 && out->n_rows % rows == 0) block_rows = out->n_rows / rows;
    if (block_columns == 0 && out->n_columns % columns == 0)
        block_columns = out->n_columns / columns;
    out->scales.rows_of_one = block_rows;
    out->group_columns = block_columns;
    if (block_rows > 0 && block_columns > 0 &&
        (out->n_rows + block_rows - 1) / block_rows == rows &&
        (out->n_columns + block_columns - 1) / block_columns == columns)
        return LOAM_OK;
    return wrong(t, types, out->n_rows, 1, err);
}

/* DeepSeek-V4's experts: MXFP4, a byte has codes of two columns, the lower first; powers of two of each 32 columns. */
static bool is_halved(const parts *p) {
    enum { GROUP_BYTES = 16 };
    const lm_stored_tensor *c = p->codes, *s = p->scales;
    return has_type(c, "I8|U8") && has_type(s, "F8_E8M0") && c->n_dims == 2 && s->n_dims == 2 &&
           c->shape[0] > 0 && c->shape[1] > 0 && c->shape[0] < INT32_MAX &&
           c->shape[1] < INT32_MAX / 2 && s->shape[0] == c->shape[0] &&
           c->shape[1] % GROUP_BYTES == 0 && s->shape[1] == c->shape[1] / GROUP_BYTES;
}

static void halved(const parts *p, lm_coded_tensor *out, lm_stored_tensor *matrix) {
    enum { GROUP_COLUMNS = 32 };
    int64_t n_bytes = p->codes->shape[1], n_groups = p->scales->shape[1];
    *out = (lm_coded_tensor){.kind = LM_CODE_MXFP4,
                             .n_rows = p->codes->shape[0],
                             .n_columns = 2 * n_bytes,
                             .n_groups = n_groups,
                             .group_columns = GROUP_COLUMNS,
                             .codes = {p->codes->data, 1, 4, .row_step = n_bytes, .column_step = 1},
                             .scales = {p->scales->data, LM_I8, .rows_of_one = 1,
                                        .row_step = n_groups, .group_step = 1}};
    set_matrix(out, matrix);
}

/* Codes of a byte that lie as the matrix does. */
static loam_status plain(const settings *s, const parts *p, lm_coded_tensor *out,
                         lm_stored_tensor *matrix, loam_error *err) {
    if (lm_str_is(s->method, "fp8") && is_halved(p)) {
        halved(p, out, matrix);
        return LOAM_OK;
    }
    LM_TRY(check_matrix(p->codes, "I8|F8_E4M3", err));
    bool whole = has_type(p->codes, "I8");
    *out = (lm_coded_tensor){.kind = whole ? LM_CODE_INTEGER : LM_CODE_E4M3,
                             .n_rows = p->codes->shape[0],
                             .n_columns = p->codes->shape[1],
                             .codes = {p->codes->data, 1, 8, .is_signed = whole,
                                       .row_step = p->codes->shape[1], .column_step = 1}};
    set_matrix(out, matrix);
    LM_TRY(set_scales(s, p->scales, out, err));
    if (!p->zeros || !whole) return LOAM_OK;
    bool of_all = has_shape(p->zeros, 1, 1);
    LM_TRY(check(p->zeros, "I8", of_all ? 1 : out->n_rows, of_all ? 1 : out->n_groups, err));
    out->zeros = (lm_code_grid){p->zeros->data,
                                1,
                                8,
                                .is_signed = true,
                                .row_step = of_all ? 0 : out->n_groups,
                                .column_step = of_all ? 0 : 1};
    return LOAM_OK;
}

/* -1, 0 and 1: a byte has codes of four rows, a quarter of them apart. One scale, which multiplies or divides. */
static loam_status ternary(const settings *s, const parts *p, lm_coded_tensor *out,
                           lm_stored_tensor *matrix, loam_error *err) {
    LM_TRY(check_matrix(p->codes, "U8", err));
    int64_t n = p->codes->shape[0];
    *out = (lm_coded_tensor){.kind = LM_CODE_INTEGER,
                             .n_rows = 4 * n,
                             .n_columns = p->codes->shape[1],
                             .codes = {p->codes->data, 1, 2, .below = true, .apart = n,
                                       .row_step = p->codes->shape[1], .column_step = 1},
                             .zero = 1};
    set_matrix(out, matrix);
    if (!has_shape(p->scales, 1, 1)) return wrong(p->scales, FLOATS, 1, 1, err);
    LM_TRY(set_scales(s, p->scales, out, err));
    out->scales.divides = lm_str_is(s->format, "bitlinear");
    return LOAM_OK;
}

/* The sizes that a tensor of two integers gives. */
static LM_MUST_USE loam_status read_shape(const lm_stored_tensor *t, int64_t out[2],
                                          loam_error *err) {
    LM_TRY(check(t, "I64|I32", 2, 1, err));
    for (int i = 0; i < 2; i++) {
        int32_t narrow;
        if (t->type->block_bytes == sizeof out[i]) {
            memcpy(&out[i], (const char *)t->data + i * sizeof out[i], sizeof out[i]);
        } else {
            memcpy(&narrow, (const char *)t->data + i * sizeof narrow, sizeof narrow);
            out[i] = narrow;
        }
        if (out[i] < 1 || out[i] >= INT32_MAX)
            return lm_error_set(err, LOAM_INVALID, "tensor '%s' gives a size of %lld", t->name,
                                (long long)out[i]);
    }
    return LOAM_OK;
}

/* Zeros beside packed codes: packed along rows, as older files do not. */
static LM_MUST_USE loam_status set_packed_zeros(const lm_stored_tensor *t, lm_coded_tensor *out,
                                                loam_error *err) {
    int64_t n_groups = out->n_groups, per_word = 32 / out->codes.bits;
    if (has_type(t, "I8")) {
        LM_TRY(check(t, "I8", out->n_rows, n_groups, err));
        out->zeros = (lm_code_grid){t->data,         1, 8, .is_signed = true, .row_step = n_groups,
                                    .column_step = 1};
        return LOAM_OK;
    }
    LM_TRY(check(t, "I32", (out->n_rows + per_word - 1) / per_word, n_groups, err));
    out->zero = 0;
    out->zeros = (lm_code_grid){
        t->data, 4, out->codes.bits, .below = true, .row_step = n_groups, .column_step = 1};
    return LOAM_OK;
}

/* [n_out, n_in] packed along n_in, codes from 0 on; a row's last word may be filled in part. */
static loam_status packed(const settings *s, const parts *p, lm_coded_tensor *out,
                          lm_stored_tensor *matrix, loam_error *err) {
    int64_t size[2], bits = s->bits ? s->bits : 4;
    LM_TRY(check_matrix(p->codes, "I32", err));
    size[0] = p->codes->shape[0];
    size[1] = p->codes->shape[1] * (32 / (bits == 8 ? 8 : 4));
    if (p->shape) LM_TRY(read_shape(p->shape, size, err));
    int64_t n_words = p->codes->shape[1];
    if (n_words != (size[1] * bits + 31) / 32) bits = bits == 4 ? 8 : 4;
    LM_TRY(check_bits(s, bits, err));
    LM_TRY(check(p->codes, "I32", size[0], (size[1] * bits + 31) / 32, err));
    *out = (lm_coded_tensor){
        .n_rows = size[0],
        .n_columns = size[1],
        .zero = 1 << (bits - 1),
        .codes = {p->codes->data, 4, (int)bits, .row_step = n_words, .column_step = 1}};
    set_matrix(out, matrix);
    const settings by_shape = {.path = s->path};
    LM_TRY(set_scales(&by_shape, p->scales, out, err));
    if (p->zeros) LM_TRY(set_packed_zeros(p->zeros, out, err));
    bool listed = p->groups && p->groups->size_bytes >= sizeof(int32_t) &&
                  *(const int32_t *)p->groups->data != -1; /* -1: never set */
    return listed ? set_groups(p->groups, out, err) : LOAM_OK;
}

/* MXFP4: [..., n_in / 32, 16] bytes of two codes, the lower first, and [..., n_in / 32] powers of two. */
static loam_status blocks(const settings *s, const parts *p, lm_coded_tensor *out,
                          lm_stored_tensor *matrix, loam_error *err) {
    enum { BLOCK_BYTES = 16, BLOCK_COLUMNS = 32 };
    const lm_stored_tensor *c = p->codes;
    int n_dims = c->n_dims - 1;
    int64_t n_rows = 1, n_blocks = n_dims >= 2 ? c->shape[n_dims - 1] : 0;
    for (int i = 0; i < n_dims - 1; i++) n_rows *= c->shape[i];
    if (n_blocks < 1 || n_blocks > INT32_MAX / BLOCK_COLUMNS || n_rows < 1 || !has_type(c, "U8") ||
        c->shape[n_dims] != BLOCK_BYTES)
        return wrong(c, "U8 [...]", BLOCK_COLUMNS, BLOCK_BYTES, err);
    if (p->scales->n_dims != n_dims || !has_type(p->scales, "U8") ||
        memcmp(p->scales->shape, c->shape, (size_t)n_dims * sizeof *c->shape) != 0)
        return wrong(p->scales, "U8", n_rows, n_blocks, err);
    *out = (lm_coded_tensor){
        .kind = LM_CODE_MXFP4,
        .n_rows = n_rows,
        .n_columns = n_blocks * BLOCK_COLUMNS,
        .n_groups = n_blocks,
        .group_columns = BLOCK_COLUMNS,
        .codes = {c->data, 1, 4, .row_step = n_blocks * BLOCK_BYTES, .column_step = 1},
        .scales = {p->scales->data, LM_I8, .rows_of_one = 1, .row_step = n_blocks,
                   .group_step = 1}};
    matrix->n_dims = n_dims;
    memcpy(matrix->shape, c->shape, (size_t)n_dims * sizeof *c->shape);
    matrix->shape[n_dims - 1] = out->n_columns;
    return LOAM_OK;
}

/* --- What the config says. */

/* The first of config_groups whose weights say a thing; NULL: none does. */
static const json_t *of_some_group(const json_t *config, const char *key) {
    const char *name;
    json_t *group;
    json_object_foreach(json_object_get(config, "config_groups"), name, group) {
        const json_t *value = json_object_get(json_object_get(group, "weights"), key);
        if (value && !json_is_null(value)) return value;
    }
    return NULL;
}

static LM_MUST_USE loam_status unknown_method(const settings *s, loam_error *err) {
    char method[64];
    lm_near near;
    snprintf(method, sizeof method, "%.*s", (int)s->method.len, s->method.ptr);
    lm_near_init(&near, method);
    for (size_t i = 0; i < LM_COUNT_OF(schemes); i++)
        if (i == 0 || strcmp(schemes[i].method, schemes[i - 1].method) != 0)
            lm_near_offer(&near, schemes[i].method);
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: quantized by method '%s', which is not known", s->path,
                 method);
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "near are %s, %s and %s; docs/models.md lists all that loam reads",
                         near.names[0], near.names[1], near.names[2]);
}

static bool lower_is_among(lm_str word, const char *list) {
    char lower[64];
    size_t n = word.len < sizeof lower ? word.len : sizeof lower;
    for (size_t i = 0; i < n; i++) lower[i] = (char)tolower((unsigned char)word.ptr[i]);
    return is_among(word, list) || is_among((lm_str){lower, n}, list);
}

/* Whether some row of the method reads the format; in files that do not name it it is the first. */
static LM_MUST_USE loam_status read_format(settings *s, loam_error *err) {
    const scheme *last = NULL;
    for (size_t i = 0; i < LM_COUNT_OF(schemes); i++) {
        const scheme *row = &schemes[i];
        if (!lm_str_is(s->method, row->method)) continue;
        last = row;
        lm_str first = {row->formats, strcspn(row->formats, "|")};
        if (!row->format_key[0]) return LOAM_OK;
        LM_TRY(lm_json_str_or(s->config, s->path, row->format_key, first, &s->format, err));
        if (lower_is_among(s->format, row->formats)) return LOAM_OK;
    }
    if (!last) return unknown_method(s, err);
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: quantized as '%.*s' of %.*s, which is not read",
                 s->path, (int)s->format.len, s->format.ptr, (int)s->method.len, s->method.ptr);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam reads %s", last->formats);
}

/* BitNet's folders may hold what is to be rounded yet, or norm what matrices read. */
static LM_MUST_USE loam_status check_ternary(const settings *s, loam_error *err) {
    const char *mode = json_string_value(json_object_get(s->config, "quantization_mode"));
    bool online = mode && strcmp(mode, "online") == 0;
    if (!lm_str_is(s->method, "bitnet")) return LOAM_OK;
    if (!online && !json_is_true(json_object_get(s->config, "use_rms_norm"))) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: '%s' of bitnet is not known", s->path,
                 online ? "quantization_mode" : "use_rms_norm");
    return lm_error_hint(err, LOAM_UNSUPPORTED, "take the folder whose matrices are packed");
}

static LM_MUST_USE loam_status read_settings(settings *s, loam_error *err) {
    const json_t *bits = of_some_group(s->config, "num_bits"), *block;
    LM_TRY(lm_json_str(s->config, s->path, "quant_method", &s->method, err));
    LM_TRY(read_format(s, err));
    LM_TRY(check_ternary(s, err));
    LM_TRY(lm_json_i64_or(s->config, s->path, "bits", json_integer_value(bits), &s->bits, err));
    LM_TRY(lm_json_i64_or(s->config, s->path, "group_size", 0, &s->group_size, err));
    if (s->bits != 0 && check_bits(s, s->bits, err) != LOAM_OK)
        return lm_error_prefix(err, LOAM_UNSUPPORTED, "%s", s->path);
    block = json_object_get(s->config, "weight_block_size");
    if (!json_is_array(block)) block = of_some_group(s->config, "block_structure");
    for (size_t i = 0; i < 2; i++) {
        s->block[i] = json_integer_value(json_array_get(block, i));
        if (s->block[i] < 0 || s->block[i] > INT32_MAX)
            return lm_error_set(err, LOAM_INVALID, "%s: blocks of %lld rows or columns", s->path,
                                (long long)s->block[i]);
    }
    const json_t *sparse = json_object_get(s->config, "sparsity_config");
    const char *format = json_string_value(json_object_get(sparse, "format"));
    if (!format || strcmp(format, "dense") == 0) return LOAM_OK;
    return lm_error_set(err, LOAM_UNSUPPORTED, "%s: sparse matrices ('%s') are not read", s->path,
                        format);
}

/* --- The tensors. */

typedef struct collector {
    lm_coded_folder *folder;
    const lm_stored_tensors *stored;
    settings settings;
    lm_map *used; /* names of tensors that are part of a coded one */
} collector;

/* The tensor of a matrix whose name ends in one of "a|b"; NULL: there is none. */
static LM_MUST_USE loam_status find_part(const collector *c, lm_str stem, const char *ends,
                                         const lm_stored_tensor **out, loam_error *err) {
    *out = NULL;
    for (const char *at = ends, *end; *ends && at && !*out; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, "|");
        char *name = lm_asprintf("%.*s%.*s", (int)stem.len, stem.ptr, (int)(end - at), at);
        if (!name) return lm_error_no_memory(err, stem.len);
        *out = lm_stored_tensors_find(c->stored, name);
        lm_free(name);
    }
    bool marked = !*out || lm_map_set(c->used, lm_str_of((*out)->name), 1);
    return marked ? LOAM_OK : lm_error_no_memory(err, 1);
}

static LM_MUST_USE loam_status find_parts(const collector *c, const scheme *row, lm_str stem,
                                          parts *out, loam_error *err) {
    LM_TRY(find_part(c, stem, row->codes, &out->codes, err));
    LM_TRY(find_part(c, stem, row->scales, &out->scales, err));
    LM_TRY(find_part(c, stem, row->zeros, &out->zeros, err));
    LM_TRY(find_part(c, stem, row->groups, &out->groups, err));
    LM_TRY(find_part(c, stem, row->shape, &out->shape, err));
    bool lacks_zeros = !out->zeros && (row->layout == gptq || row->layout == awq);
    if (out->scales && !lacks_zeros) return LOAM_OK;
    return lm_error_set(err, LOAM_NOT_FOUND, "tensor '%s' has no '%s' beside it", out->codes->name,
                        out->scales ? row->zeros : row->scales);
}

static LM_MUST_USE loam_status add_coded(const collector *c, const scheme *row, lm_str stem,
                                         loam_error *err) {
    parts p;
    lm_stored_tensor matrix = {0};
    lm_coded_tensor *coded = lm_arena_calloc(&c->folder->coded, 1, sizeof *coded);
    if (!coded) return lm_error_no_memory(err, sizeof *coded);
    LM_TRY(find_parts(c, row, stem, &p, err));
    LM_TRY(row->layout(&c->settings, &p, coded, &matrix, err));
    matrix.coded = coded;
    matrix.type = lm_gguf_stored_type(lm_gguf_type_of_dtype(lm_coded_tensor_dtype(coded)));
    LM_TRY(lm_stored_size(matrix.type, matrix.n_dims, matrix.shape, &matrix.size_bytes, err));
    char *name = lm_asprintf("%.*s%s", (int)stem.len, stem.ptr, row->weight);
    if (!name) return lm_error_no_memory(err, stem.len);
    loam_status status = lm_stored_tensors_add(&c->folder->tensors, lm_str_of(name), &matrix, err);
    lm_free(name);
    return status;
}

/* The row by which the tensor is the codes of a matrix; NULL: it is none. */
static const scheme *row_for(const settings *s, const lm_stored_tensor *t) {
    for (size_t i = 0; i < LM_COUNT_OF(schemes); i++) {
        const scheme *row = &schemes[i];
        if (!lm_str_is(s->method, row->method) ||
            !lm_str_ends(lm_str_of(t->name), lm_str_of(row->codes)))
            continue;
        bool may_be_plain = strcmp(row->codes, row->weight) == 0;
        if (!may_be_plain || has_type(t, "I8|U8|F8_E4M3")) return row;
    }
    return NULL;
}

/* Of activations and of the cache, which are not quantized here as a scheme has it. */
static bool is_left_aside(const char *name) {
    static const char *const ends[] = {".input_scale",    ".input_zero_point", ".output_scale",
                                       ".input_scale_ub", ".activation_scale", ".k_scale",
                                       ".v_scale",        ".q_scale",          ".weight_scale_2"};
    for (size_t i = 0; i < LM_COUNT_OF(ends); i++)
        if (lm_str_ends(lm_str_of(name), lm_str_of(ends[i]))) return true;
    return false;
}

static LM_MUST_USE loam_status collect(const collector *c, loam_error *err) {
    size_t n = c->stored->items.len;
    for (size_t i = 0; i < n; i++) {
        const lm_stored_tensor *t = &c->stored->items.ptr[i];
        const scheme *row = row_for(&c->settings, t);
        if (!row) continue;
        lm_str stem = {t->name, strlen(t->name) - strlen(row->codes)};
        LM_TRY(add_coded(c, row, stem, err));
    }
    for (size_t i = 0; i < n; i++) {
        const lm_stored_tensor *t = &c->stored->items.ptr[i];
        uint64_t unused;
        if (lm_map_get(c->used, lm_str_of(t->name), &unused) || is_left_aside(t->name)) continue;
        LM_TRY(lm_stored_tensors_add(&c->folder->tensors, lm_str_of(t->name), t, err));
    }
    return LOAM_OK;
}

static const json_t *find_config(const json_t *config) {
    static const char *const keys[] = {"quantization_config", "compression_config"};
    const json_t *places[] = {config, lm_text_part_object(config)};
    for (size_t p = 0; p < LM_COUNT_OF(places); p++)
        for (size_t k = 0; k < LM_COUNT_OF(keys); k++) {
            const json_t *found = json_object_get(places[p], keys[k]);
            if (json_is_object(found)) return found;
        }
    return NULL;
}

/* As the table has it. */
static const char *method_name(lm_str method) {
    for (size_t i = 0; i < LM_COUNT_OF(schemes); i++)
        if (lm_str_is(method, schemes[i].method)) return schemes[i].method;
    return "";
}

loam_status lm_coded_folder_open(const json_t *config, const char *path,
                                 const lm_stored_tensors *stored, lm_coded_folder **out,
                                 loam_error *err) {
    *out = NULL;
    collector c = {.stored = stored, .settings = {.config = find_config(config), .path = path}};
    if (!c.settings.config) return LOAM_OK;
    LM_TRY(read_settings(&c.settings, err));
    c.folder = lm_calloc(1, sizeof *c.folder);
    if (!c.folder) return lm_error_no_memory(err, sizeof *c.folder);
    lm_arena_init(&c.folder->coded, 0, 0);
    c.used = lm_map_new();
    c.folder->method = method_name(c.settings.method);
    loam_status status = lm_stored_tensors_init(&c.folder->tensors, err);
    if (status == LOAM_OK)
        status = c.used ? collect(&c, err) : lm_error_no_memory(err, sizeof *c.folder);
    if (status != LOAM_OK) lm_error_prefix(err, status, "%s", path);
    lm_map_free(c.used);
    if (status == LOAM_OK)
        *out = c.folder;
    else
        lm_coded_folder_close(c.folder);
    return status;
}

void lm_coded_folder_close(lm_coded_folder *folder) {
    if (!folder) return;
    lm_stored_tensors_deinit(&folder->tensors);
    lm_arena_deinit(&folder->coded);
    lm_free(folder);
}

const lm_stored_tensors *lm_coded_folder_tensors(const lm_coded_folder *folder) {
    return &folder->tensors;
}

bool lm_coded_folder_rounds(const lm_coded_folder *folder) {
    return strcmp(folder->method, "bitnet") == 0;
}

const char *lm_coded_folder_method(const lm_coded_folder *folder) {
    return folder->method;
}
