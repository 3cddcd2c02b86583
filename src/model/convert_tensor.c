#include "model/convert_tensor.h"

#include <string.h>

/* What is transposed, [rows, columns] of f32, and a row behind it. */
static int64_t matrix_elems(const lm_convert_tensor *t) {
    if (t->by_column) return t->n_columns;
    if (t->turned_rows > 0) return t->turned_rows * t->n_columns;
    return t->run_rows > 0 ? t->run_rows * t->from[0].shape[t->from[0].n_dims - 1] : 0;
}

int64_t lm_convert_tensor_room(const lm_convert_tensor *t) {
    int64_t longest = t->n_columns;
    for (int i = 0; i < t->n_parts; i++) {
        int64_t n = t->from[i].shape[t->from[i].n_dims - 1];
        if (n > longest) longest = n;
    }
    return matrix_elems(t) + longest;
}

/* Of n_rows rows, as many for each head of states. */
static int64_t state_row(const lm_convert_tensor *t, lm_row_order order, int64_t row,
                         int64_t n_rows) {
    int64_t width = n_rows / t->state_heads, head = row / width, n = t->state_key_heads;
    if (order == LM_ROWS_GROUP) n = t->state_heads / n;
    return (head % n * (t->state_heads / n) + head / n) * width + row % width;
}

/* Within the part of a head that turns: (i, i + d/2) beside each other, or the other way. */
static int64_t source_row(const lm_convert_tensor *t, int part, int64_t row) {
    lm_row_order order = t->order[part];
    int64_t n = t->rope_dim;
    if (order == LM_ROWS_AS_THEY_ARE || t->by_column) return row;
    if (order == LM_ROWS_TILE || order == LM_ROWS_GROUP)
        return state_row(t, order, row, t->from[part].shape[t->kernel]);
    int64_t head = row / t->head_dim, at = row % t->head_dim;
    if (at >= n) return row;
    int64_t from =
        order == LM_ROWS_INTERLEAVE ? at % 2 * (n / 2) + at / 2 : at % (n / 2) * 2 + at / (n / 2);
    return head * t->head_dim + from;
}

/* The part that a row of all is of; *out_row: which of its rows, in the tensor's order. */
static int part_of(const lm_convert_tensor *t, int64_t row, int64_t *out_row) {
    for (int i = 0; i < t->n_parts; i++) {
        const lm_param_source *part = &t->parts[i];
        int64_t at = row % part->run_step - part->first_row;
        if (at < 0 || at >= part->run_rows) continue;
        *out_row = row / part->run_step * part->run_rows + at;
        return i;
    }
    LM_ASSERT(false && "parts leave no gap");
    return 0;
}

/* Row `row` of a weight as it is, of n columns. */
static const uint8_t *row_of(const lm_weight *w, int64_t row, int64_t n) {
    return (const uint8_t *)w->data + lm_dtype_bytes(w->dtype, row * n);
}

static void unpack_row(const lm_convert_tensor *t, int part, int64_t row, int64_t n, float *out) {
    const lm_weight *w = &t->from[part];
    lm_dtype_get(w->dtype)->unpack(row_of(w, source_row(t, part, row), n), out, n);
    for (int64_t i = 0; t->added != 0 && i < n; i++) out[i] += t->added;
    for (int64_t i = 0; t->factor[part] != 1 && i < n; i++) out[i] *= t->factor[part];
    for (int64_t i = 0; t->logs && i < n; i++) out[i] = lm_log_of_rate(out[i]);
    for (int64_t i = 0; t->constant != 0 && i < n; i++) out[i] = t->constant;
}

/* A channel of a convolution, or its rates: a column of its part, which is f32. */
static void channel_row(const lm_convert_tensor *t, int part, int64_t channel, float *out) {
    const lm_weight *w = &t->from[part];
    const float *at = (const float *)w->data + source_row(t, part, channel);
    for (int64_t i = 0; i < t->n_columns; i++) {
        float x = at[i * w->shape[1]];
        out[i] = t->logs ? lm_log_of_rate(x) : x;
    }
}

/* A row whose columns are in another order. room: one of its own. */
static void reordered_row(const lm_convert_tensor *t, int64_t row, float *room, float *out) {
    unpack_row(t, 0, row, t->n_columns, room);
    for (int64_t i = 0; i < t->n_columns; i++)
        out[i] = room[state_row(t, t->order[0], i, t->n_columns)];
}

/* A row of the tensor that is a column of the parts' rows. */
static void turned_row(const lm_convert_tensor *t, int64_t row, float *room, float *out) {
    int64_t n = t->turned_rows, at = row % n, first = row / n * t->n_columns, of_part;
    for (int64_t i = 0; at == 0 && i < t->n_columns; i++) {
        int part = part_of(t, first + i, &of_part);
        unpack_row(t, part, of_part, n, room + i * n);
    }
    for (int64_t i = 0; i < t->n_columns; i++) out[i] = room[i * n + at];
}

/* A row of the first part's matrix, which is a column of it. */
static void run_row(const lm_convert_tensor *t, int64_t row, float *room, float *out) {
    int64_t n = t->from[0].shape[t->from[0].n_dims - 1], run = row / n, at = row % n;
    for (int64_t r = 0; at == 0 && r < t->run_rows; r++)
        unpack_row(t, 0, run * t->run_rows + r, n, room + r * n);
    for (int64_t r = 0; r < t->run_rows; r++) out[r] = room[r * n + at];
}

/* Into out, of the tensor's type. */
static void convert_row(const lm_convert_tensor *t, int64_t row, float *room, uint8_t *out) {
    float *wide = room + matrix_elems(t);
    int64_t n = t->n_columns, of_part = 0;
    int part = t->turned_rows > 0 ? 0 : part_of(t, t->first_row + row, &of_part);
    const lm_weight *w = &t->from[part];
    if (t->turned_rows > 0) {
        turned_row(t, row, room, wide);
    } else if (t->kernel) {
        channel_row(t, part, of_part, wide);
    } else if (t->by_column) {
        reordered_row(t, of_part, room, wide);
    } else if (part == 0 && t->run_rows > 0) {
        run_row(t, of_part, room, wide);
    } else if (t->to == w->dtype && t->added == 0 && t->factor[part] == 1 && !t->logs &&
               t->constant == 0) {
        memcpy(out, row_of(w, source_row(t, part, of_part), n), lm_dtype_bytes(t->to, n));
        return;
    } else {
        unpack_row(t, part, of_part, n, wide);
    }
    if (t->to == LM_I32) /* numbers of experts */
        for (int64_t i = 0; i < n; i++) ((int32_t *)out)[i] = (int32_t)wide[i];
    else
        lm_dtype_get(t->to)->pack(wide, out, n);
}

void lm_convert_tensor_rows(const lm_convert_tensor *t, int64_t row, int64_t n, float *room,
                            uint8_t *out) {
    size_t row_bytes = lm_dtype_bytes(t->to, t->n_columns);
    for (int64_t r = row; r < row + n; r++, out += row_bytes) convert_row(t, r, room, out);
}
