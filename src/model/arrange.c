#include "model/arrange.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "model/coded_tensor.h"

enum { ROWS_AT_ONCE = 64 };

typedef struct arrange_job {
    const lm_arrangement *a;
    const lm_weight *weight;
    int64_t n_rows, n_columns;
    int64_t
        matrix_rows; /* of one expert, where they have a tensor each; of a run that is turned; else all */
    int64_t rows_at_once;
    size_t row_bytes;
    char *out;
    _Atomic int64_t n_taken;
} arrange_job;

bool lm_arrangement_is_needless(const lm_arrangement *a) {
    bool together = a->source.order != LM_PART_APART && a->source.n_groups <= 1;
    return together && !a->turned && !a->turned_experts && !a->turned_runs && !a->unit_rows &&
           !a->source.tensor->coded;
}

/* Rows [first, first + n) of a tensor. */
static void copy_rows(const arrange_job *job, const lm_stored_tensor *tensor, int64_t first,
                      int64_t n, char *out) {
    if (tensor->coded)
        lm_coded_tensor_rows(tensor->coded, job->weight->dtype, first, n, out);
    else
        memcpy(out, (const char *)tensor->data + (size_t)first * job->row_bytes,
               (size_t)n * job->row_bytes);
}

/* Of [n_in, total rows], of which the columns from first_row on are the parameter's. */
static void turn_rows(const arrange_job *job, int64_t row, int64_t n, char *out) {
    const lm_param_source *source = &job->a->source;
    size_t size = lm_dtype_bytes(job->weight->dtype, 1);
    int64_t step = source->order == LM_PART_WHOLE ? job->n_rows : source->total_rows;
    const char *from =
        (const char *)source->tensor->data + (size_t)(source->first_row + row) * size;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < job->n_columns; i++)
            memcpy(out + (size_t)(r * job->n_columns + i) * size,
                   from + (size_t)(i * step + r) * size, size);
}

/* Of [experts, n_in, rows of one], of which some columns are the parameter's. */
static void turn_expert_rows(const arrange_job *job, int64_t row, int64_t n, char *out) {
    const lm_param_source *source = &job->a->source;
    bool whole = source->order == LM_PART_WHOLE;
    size_t size = lm_dtype_bytes(job->weight->dtype, 1);
    int64_t step = source->order == LM_PART_TURNS ? source->run_step : 1,
            n_rows = whole ? job->matrix_rows : source->total_rows / job->weight->shape[0];
    for (int64_t r = 0; r < n; r++) {
        int64_t expert = (row + r) / job->matrix_rows, at = (row + r) % job->matrix_rows;
        int64_t column = whole ? at : source->first_row + at * step;
        const char *from = (const char *)source->tensor->data +
                           (size_t)(expert * job->n_columns * n_rows + column) * size;
        for (int64_t i = 0; i < job->n_columns; i++)
            memcpy(out + (size_t)(r * job->n_columns + i) * size,
                   from + (size_t)(i * n_rows) * size, size);
    }
}

/* Row i of a tensor in the weight's type; room: for as many f32. */
static const char *row_as_wanted(const arrange_job *job, int64_t i, int64_t n, float *room) {
    const lm_stored_tensor *tensor = job->a->source.tensor;
    if (tensor->coded) {
        lm_coded_tensor_rows(tensor->coded, job->weight->dtype, i, 1, room);
        return (const char *)room;
    }
    lm_dtype dtype = tensor->type->dtype;
    const char *row = (const char *)tensor->data + (size_t)i * lm_dtype_bytes(dtype, n);
    if (dtype == job->weight->dtype) return row;
    lm_dtype_get(dtype)->unpack(row, room, n);
    return (const char *)room;
}

/* The matrix that begins at this row of the weight. */
static void turn_run(const arrange_job *job, int64_t row, char *out) {
    const lm_param_source *source = &job->a->source;
    int64_t n_out = job->matrix_rows, n_in = job->n_columns;
    size_t size = lm_dtype_bytes(job->weight->dtype, 1);
    float room[LM_MAX_HEAD_DIM];
    LM_ASSERT(n_out <= LM_MAX_HEAD_DIM);
    for (int64_t i = 0; i < n_in; i++) {
        int64_t from = source->first_row + row / n_out * source->run_step + i;
        const char *elems = row_as_wanted(job, from, n_out, room);
        for (int64_t o = 0; o < n_out; o++)
            memcpy(out + (size_t)(o * n_in + i) * size, elems + (size_t)o * size, size);
    }
}

/* Divides every row by its length. */
static void make_unit(const arrange_job *job, int64_t n, char *rows) {
    enum { CHUNK = 256 }; /* a multiple of every type's block */
    const lm_dtype_info *type = lm_dtype_get(job->weight->dtype);
    float x[CHUNK];
    for (char *row = rows; row < rows + (size_t)n * job->row_bytes; row += job->row_bytes) {
        double squares = 0;
        for (int64_t at = 0, count; at < job->n_columns; at += count) {
            count = job->n_columns - at < CHUNK ? job->n_columns - at : CHUNK;
            type->unpack(row + lm_dtype_bytes(job->weight->dtype, at), x, count);
            for (int64_t i = 0; i < count; i++) squares += (double)x[i] * x[i];
        }
        for (int64_t at = 0, count; at < job->n_columns && squares > 0; at += count) {
            char *chunk = row + lm_dtype_bytes(job->weight->dtype, at);
            count = job->n_columns - at < CHUNK ? job->n_columns - at : CHUNK;
            type->unpack(chunk, x, count);
            for (int64_t i = 0; i < count; i++) x[i] = (float)(x[i] / sqrt(squares));
            type->pack(x, chunk, count);
        }
    }
}

/* Rows [row, row + n) of the weight: those of one run of the file's, or of one expert, at a time. */
static void arrange_rows(const arrange_job *job, int64_t row, int64_t n, char *out) {
    const lm_param_source *source = &job->a->source;
    bool in_runs = source->order != LM_PART_WHOLE && source->order != LM_PART_APART;
    int64_t run = in_runs ? source->run_rows : job->matrix_rows;
    for (int64_t end = row + n, count; row < end; row += count) {
        int64_t index = row / run, at = row % run;
        count = run - at < end - row ? run - at : end - row;
        const lm_stored_tensor *tensor = job->a->experts ? job->a->experts[index] : source->tensor;
        int64_t first = in_runs ? source->first_row + index * source->run_step + at : at;
        copy_rows(job, tensor, first, count, out);
        out += (size_t)count * job->row_bytes;
    }
}

static void arrange_some(void *arg, int thread, int n_threads) {
    arrange_job *job = arg;
    int64_t row;
    while ((row = atomic_fetch_add(&job->n_taken, job->rows_at_once)) < job->n_rows) {
        int64_t n = job->n_rows - row < job->rows_at_once ? job->n_rows - row : job->rows_at_once;
        char *out = job->out + (size_t)row * job->row_bytes;
        if (job->a->turned_runs)
            turn_run(job, row, out);
        else if (job->a->turned_experts)
            turn_expert_rows(job, row, n, out);
        else if (job->a->turned)
            turn_rows(job, row, n, out);
        else
            arrange_rows(job, row, n, out);
        if (job->a->unit_rows) make_unit(job, n, out);
    }
}

void lm_arrange(const lm_arrangement *a, lm_device *device, const lm_weight *weight, void *out) {
    int64_t n_columns = weight->n_dims > 1 ? weight->shape[weight->n_dims - 1] : 1, n_rows = 1;
    if (a->by_element) n_columns = 1;
    for (int i = 0; i < weight->n_dims - (n_columns > 1); i++) n_rows *= weight->shape[i];
    int64_t matrix_rows =
        a->experts || a->turned_experts || a->turned_runs ? weight->shape[1] : n_rows;
    arrange_job job = {.a = a,
                       .weight = weight,
                       .n_rows = n_rows,
                       .n_columns = n_columns,
                       .matrix_rows = matrix_rows,
                       .rows_at_once = a->turned_runs ? matrix_rows : ROWS_AT_ONCE,
                       .row_bytes = lm_dtype_bytes(weight->dtype, n_columns),
                       .out = out};
    lm_device_parallel(device, arrange_some, &job);
}
