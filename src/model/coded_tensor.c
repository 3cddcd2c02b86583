#include "model/coded_tensor.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "compute/quant/quant.h"

enum {
    BLOCK = 32, /* elements of a block of the types that codes become */
    ROWS_AT_ONCE =
        16, /* so that a line of words that hold codes of a column is used while it is at hand */
};

/* --- Codes, zeros, scales. */

static inline int code_at(const lm_code_grid *grid, int64_t row, int64_t column) {
    int per_word = 8 * grid->word_bytes / grid->bits;
    int64_t along = grid->below ? row : column;
    int place = grid->apart ? (int)(row / grid->apart) : (int)(along & (per_word - 1));
    int64_t at = grid->below ? row / per_word * grid->row_step + column * grid->column_step
                             : row * grid->row_step + column / per_word * grid->column_step;
    if (grid->apart) at = row % grid->apart * grid->row_step + column * grid->column_step;
    if (grid->places) place = grid->places[place];
    if (grid->is_signed) return ((const int8_t *)grid->data)[at];
    uint32_t word = grid->word_bytes == 4 ? ((const uint32_t *)grid->data)[at]
                                          : ((const uint8_t *)grid->data)[at];
    return (int)(word >> (place * grid->bits) & ((1u << grid->bits) - 1));
}

static inline int zero_at(const lm_coded_tensor *t, int64_t row, int64_t group) {
    if (!t->zeros.data) return t->zero;
    int zero = code_at(&t->zeros, row, group) + t->zero;
    return t->zero_mask ? zero & t->zero_mask : zero;
}

static inline int64_t scale_place(const lm_scale_grid *grid, int64_t row, int64_t group) {
    int64_t band = grid->rows_of_one > 0 ? row / grid->rows_of_one : 0;
    return band * grid->row_step + group * grid->group_step;
}

static float stored_scale(const lm_scale_grid *grid, int64_t row, int64_t group) {
    int64_t at = scale_place(grid, row, group);
    float scale;
    switch (grid->dtype) {
    case LM_F16: return lm_f16_to_f32(((const uint16_t *)grid->data)[at]);
    case LM_BF16: return lm_bf16_to_f32(((const uint16_t *)grid->data)[at]);
    case LM_I8: return ldexpf(1.0f, ((const uint8_t *)grid->data)[at] - 127);
    default: memcpy(&scale, (const float *)grid->data + at, sizeof scale); return scale;
    }
}

static float scale_at(const lm_scale_grid *grid, int64_t row, int64_t group) {
    float scale = stored_scale(grid, row, group);
    return grid->divides ? 1.0f / scale : scale;
}

static inline int64_t group_of(const lm_coded_tensor *t, int64_t column) {
    return t->groups ? t->groups[column] : column / t->group_columns;
}

/* Behind the last of the columns from `column` on that are of its group. */
static int64_t group_end(const lm_coded_tensor *t, int64_t column) {
    if (!t->groups) {
        int64_t end = (column / t->group_columns + 1) * t->group_columns;
        return end < t->n_columns ? end : t->n_columns;
    }
    int64_t end = column + 1;
    while (end < t->n_columns && t->groups[end] == t->groups[column]) end++;
    return end;
}

/* A sign, 4 bits of exponent with bias 7, 3 of mantissa; no infinity, NaN where all but the sign are 1. OCP 8-bit Floating
 * Point Specification. */
static float e4m3(int code) {
    int exponent = code >> 3 & 15, mantissa = code & 7;
    float size =
        exponent == 0 ? ldexpf((float)mantissa, -9) : ldexpf((float)(8 + mantissa), exponent - 10);
    if ((code & 0x7f) == 0x7f) size = NAN;
    return code & 0x80 ? -size : size;
}

/* --- What they become. */

/* Whether every BLOCK columns, as blocks lie, are of one group. */
static bool has_whole_blocks(const lm_coded_tensor *t) {
    if (t->n_columns % BLOCK != 0) return false;
    for (int64_t at = 0; at < t->n_columns;) {
        at = group_end(t, at);
        if (at % BLOCK != 0) return false;
    }
    return true;
}

static bool has_f16_scales(const lm_coded_tensor *t) {
    if (t->scales.dtype == LM_F16 && !t->scales.divides) return true;
    int64_t step = t->scales.rows_of_one > 0 ? t->scales.rows_of_one : t->n_rows;
    for (int64_t row = 0; row < t->n_rows; row += step) {
        for (int64_t g = 0; g < t->n_groups; g++) {
            float scale = scale_at(&t->scales, row, g);
            if (!(lm_f16_to_f32(lm_f32_to_f16(scale)) == scale)) return false;
        }
    }
    return true;
}

static bool has_zeros_in(const lm_coded_tensor *t, int lo, int hi) {
    if (!t->zeros.data) return t->zero >= lo && t->zero <= hi;
    for (int64_t g = 0; g < t->n_groups; g++) {
        for (int64_t row = 0; row < t->n_rows; row++) {
            int zero = zero_at(t, row, g);
            if (zero < lo || zero > hi) return false;
        }
    }
    return true;
}

lm_dtype lm_coded_tensor_dtype(const lm_coded_tensor *t) {
    if (t->kind == LM_CODE_MXFP4) return LM_MXFP4;
    lm_dtype rounded = t->scales.dtype == LM_F16 ? LM_F16 : LM_BF16;
    if (t->kind != LM_CODE_INTEGER || !has_whole_blocks(t) || !has_f16_scales(t)) return rounded;
    if (t->codes.bits == 2)
        return t->n_groups == 1 && t->n_columns % LM_QUANT_MAX_BLOCK == 0 && has_zeros_in(t, 1, 1)
                   ? LM_Q2_K
                   : rounded;
    int middle = t->codes.is_signed ? 0 : 1 << (t->codes.bits - 1);
    if (has_zeros_in(t, middle, middle)) return t->codes.bits == 4 ? LM_Q4_0 : LM_Q8_0;
    return t->codes.bits == 4 && has_zeros_in(t, 0, 16) ? LM_Q5_0 : rounded;
}

/* The block of columns from `column` on. Of types with mins the zero is one, of as many scales as it counts. */
static void write_block(const lm_coded_tensor *t, const lm_dtype_info *info, int64_t row,
                        int64_t column, void *out) {
    int64_t group = group_of(t, column);
    bool floats = t->kind == LM_CODE_MXFP4, has_min = lm_quant_has_min(info->quant);
    int zero = floats ? 0 : zero_at(t, row, group),
        shift = floats || has_min ? 0 : info->quant->zero - zero;
    lm_quant_block block = {0};
    block.d = floats ? ((const uint8_t *)t->scales.data)[scale_place(&t->scales, row, group)]
                     : lm_f32_to_f16(scale_at(&t->scales, row, group));
    block.dmin = block.d;
    for (int i = 0; has_min && i < LM_QUANT_MAX_SUBS; i++) {
        block.sub_scale[i] = 1;
        block.sub_min[i] = (uint8_t)zero;
    }
    for (int i = 0; i < info->block_elems; i++)
        block.codes[i] = (uint8_t)(code_at(&t->codes, row, column + i) + shift);
    info->quant->write(&block, out);
}

/* Columns [from, to) of a row: of one group. */
static void write_blocks(const lm_coded_tensor *t, const lm_dtype_info *info, int64_t row,
                         int64_t from, int64_t to, uint8_t *out) {
    for (int64_t at = from; at < to; at += info->block_elems)
        write_block(t, info, row, at, out + (size_t)(at / info->block_elems) * info->block_bytes);
}

/* Columns [from, to) of a row, of one group, in f32; `values` of codes that are floats. */
static void read_floats(const lm_coded_tensor *t, const float *values, int64_t row, int64_t from,
                        int64_t to, float *out) {
    int64_t group = group_of(t, from);
    float scale = scale_at(&t->scales, row, group);
    int zero = zero_at(t, row, group);
    for (int64_t at = from; at < to; at++) {
        int code = code_at(&t->codes, row, at);
        *out++ = (values ? values[code] : (float)(code - zero)) * scale;
    }
}

/* The same in a plain type. */
static void write_plain(const lm_coded_tensor *t, const lm_dtype_info *info, const float *values,
                        int64_t row, int64_t from, int64_t to, uint8_t *out) {
    float x[BLOCK];
    for (int64_t at = from; at < to; at += BLOCK) {
        int64_t n = to - at < BLOCK ? to - at : BLOCK;
        if (t->kind == LM_CODE_MXFP4) {
            uint8_t block[BLOCK];
            write_block(t, lm_dtype_get(LM_MXFP4), row, at, block);
            lm_dtype_get(LM_MXFP4)->unpack(block, x, n);
        } else {
            read_floats(t, values, row, at, at + n, x);
        }
        info->pack(x, out + (size_t)at * info->block_bytes, n);
    }
}

void lm_coded_tensor_rows(const lm_coded_tensor *t, lm_dtype dtype, int64_t first, int64_t n,
                          void *out) {
    const lm_dtype_info *info = lm_dtype_get(dtype);
    size_t row_bytes = lm_dtype_bytes(dtype, t->n_columns);
    float table[256], *values = t->kind == LM_CODE_E4M3 ? table : NULL;
    for (int code = 0; values && code < 256; code++) values[code] = e4m3(code);
    for (int64_t tile = 0; tile < n; tile += ROWS_AT_ONCE) {
        int64_t tile_end = tile + ROWS_AT_ONCE < n ? tile + ROWS_AT_ONCE : n;
        for (int64_t from = 0, to; from < t->n_columns; from = to) {
            to = group_end(t, from);
            for (int64_t r = tile; r < tile_end; r++) {
                uint8_t *row_out = (uint8_t *)out + (size_t)r * row_bytes;
                if (info->quant)
                    write_blocks(t, info, first + r, from, to, row_out);
                else
                    write_plain(t, info, values, first + r, from, to, row_out);
            }
        }
    }
}
