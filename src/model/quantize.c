#include "model/quantize.h"

#include <math.h>

#include "base/mem.h"
#include "base/pool.h"
#include "compute/quant/quant.h"
#include "model/gguf_writer.h"

enum {
    CHUNK_BYTES = 8 << 20, /* of converted rows, at a time */
    QUANTIZATION_VERSION = 2,
};

/* One tensor on its way. */
typedef struct matrix {
    const lm_stored_tensor *from;
    lm_dtype to;
    int64_t n_rows, n_cols;  /* as a matrix */
    const float *importance; /* [n_mats][n_cols]; NULL: none */
    int64_t rows_per_mat;
} matrix;

typedef struct quantizer {
    const lm_quantize_options *options;
    const lm_gguf *gguf;
    lm_gguf_writer *writer;
    lm_pool *pool;
    LM_VEC(matrix) items;
    uint8_t *chunk; /* [CHUNK_BYTES] or one row, whatever is more */
    float *rows;    /* [n_threads][longest row] */
    int64_t longest;
    int64_t n_done;
    lm_quantize_result result;
} quantizer;

/* --- What becomes what. */

static int64_t metadata_i64(const lm_gguf *gguf, const char *name, int64_t fallback) {
    lm_str arch;
    int64_t value = fallback;
    if (lm_gguf_str(gguf, "general.architecture", &arch, NULL) != LOAM_OK) return fallback;
    char *key = lm_asprintf("%.*s.%s", (int)arch.len, arch.ptr, name);
    if (key && lm_gguf_i64_or(gguf, key, fallback, &value, NULL) != LOAM_OK) value = fallback;
    lm_free(key);
    return value;
}

static lm_mix_model describe(const quantizer *q) {
    int64_t n_heads = metadata_i64(q->gguf, "attention.head_count", 1);
    int64_t n_kv_heads = metadata_i64(q->gguf, "attention.head_count_kv", n_heads);
    return (lm_mix_model){
        .n_layers = metadata_i64(q->gguf, "block_count", 0),
        .heads_per_kv = n_kv_heads > 0 ? n_heads / n_kv_heads : 1,
        .tied_head = !lm_stored_tensors_find(lm_gguf_tensors(q->gguf), "output.weight"),
        .has_imatrix = q->options->imatrix != NULL,
        .pure = q->options->pure,
    };
}

static bool is_head(const lm_mix_model *model, const char *name) {
    return strcmp(name, "output.weight") == 0 ||
           (model->tied_head && strcmp(name, "token_embd.weight") == 0);
}

static lm_dtype target_of(quantizer *q, const lm_mix_model *model, const matrix *item) {
    const char *name = item->from->name;
    if (!lm_mix_quantizes(name, item->from->n_dims)) return item->from->type->dtype;
    lm_dtype wanted = lm_mix_dtype(q->options->mix, model, name, 0); /* 0: all blocks are whole */
    if (q->options->fixed_head && is_head(model, name)) wanted = q->options->head_dtype;
    lm_dtype fitting = lm_mix_fitting(wanted, item->n_cols);
    if (fitting != wanted) q->result.n_fallbacks++;
    return fitting;
}

static loam_status find_importance(quantizer *q, matrix *item, loam_error *err) {
    if (!q->options->imatrix || !lm_dtype_is_quantized(item->to)) return LOAM_OK;
    size_t n = 0;
    item->importance = lm_imatrix_find(q->options->imatrix, item->from->name, &n);
    if (!item->importance) {
        q->result.n_without_imatrix++;
        return LOAM_OK;
    }
    size_t n_mats = n / (size_t)item->n_cols;
    if (n_mats == 0 || n != n_mats * (size_t)item->n_cols || item->n_rows % (int64_t)n_mats != 0) {
        lm_error_set(err, LOAM_INVALID, "tensor '%s' has %lld columns, the importance matrix %zu",
                     item->from->name, (long long)item->n_cols, n);
        return lm_error_hint(err, LOAM_INVALID, "it was made from another model");
    }
    item->rows_per_mat = item->n_rows / (int64_t)n_mats;
    return LOAM_OK;
}

static loam_status plan_tensor(quantizer *q, const lm_mix_model *model,
                               const lm_stored_tensor *from, loam_error *err) {
    if (!from->type->is_loadable)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "tensor '%s' is stored as %s, which loam does not read", from->name,
                            from->type->name);
    matrix item = {.from = from, .n_cols = from->n_dims ? from->shape[from->n_dims - 1] : 1};
    int64_t n = lm_stored_tensor_n_elems(from);
    item.n_rows = item.n_cols ? n / item.n_cols : 0;
    item.to = target_of(q, model, &item);
    if (item.to != from->type->dtype && lm_dtype_is_quantized(from->type->dtype) &&
        !q->options->requantize) {
        lm_error_set(err, LOAM_INVALID, "tensor '%s' is quantized already, as %s", from->name,
                     from->type->name);
        return lm_error_hint(err, LOAM_INVALID,
                             "quantize the F32, F16 or BF16 file, or allow it with --requantize");
    }
    LM_TRY(find_importance(q, &item, err));
    q->result.n_elems += n;
    q->result.bytes_in += from->size_bytes;
    q->result.bytes_out += lm_dtype_bytes(item.to, n);
    q->result.n_tensors[item.to]++;
    if (item.n_cols > q->longest) q->longest = item.n_cols;
    if (!lm_vec_push(&q->items, item)) return lm_error_no_memory(err, sizeof item);
    return lm_gguf_writer_add_tensor(q->writer, from->name, item.to, from->n_dims, from->shape,
                                     err);
}

static bool is_replaced(lm_str key) {
    static const char *const keys[] = {"general.alignment",
                                       "general.file_type",
                                       "general.quantization_version",
                                       "split.no",
                                       "split.count",
                                       "split.tensors.count",
                                       "quantize.imatrix.file",
                                       "quantize.imatrix.entries_count",
                                       "quantize.imatrix.chunks_count"};
    for (size_t i = 0; i < LM_COUNT_OF(keys); i++)
        if (lm_str_is(key, keys[i])) return true;
    return false;
}

static void copy_metadata(quantizer *q) {
    const lm_quantize_options *o = q->options;
    for (size_t i = 0; i < lm_gguf_n_values(q->gguf); i++) {
        const lm_gguf_value *value = lm_gguf_value_at(q->gguf, i);
        if (!is_replaced(value->key)) lm_gguf_writer_add_value(q->writer, value);
    }
    lm_gguf_writer_add_u32(q->writer, "general.file_type", o->mix->file_type);
    lm_gguf_writer_add_u32(q->writer, "general.quantization_version", QUANTIZATION_VERSION);
    if (!o->imatrix) return;
    lm_gguf_writer_add_str(q->writer, "quantize.imatrix.file", lm_str_of(o->imatrix_path));
    lm_gguf_writer_add_u32(q->writer, "quantize.imatrix.entries_count",
                           (uint32_t)lm_imatrix_n_entries(o->imatrix));
    lm_gguf_writer_add_u32(q->writer, "quantize.imatrix.chunks_count",
                           (uint32_t)lm_imatrix_n_chunks(o->imatrix));
}

static loam_status plan(quantizer *q, loam_error *err) {
    lm_mix_model model = describe(q);
    const lm_stored_tensors *tensors = lm_gguf_tensors(q->gguf);
    for (size_t i = 0; i < tensors->items.len; i++)
        LM_TRY(plan_tensor(q, &model, &tensors->items.ptr[i], err));
    copy_metadata(q);
    return LOAM_OK;
}

/* --- Converting. */

/* Rows of an item, shared out among threads. */
typedef struct share {
    quantizer *q;
    const matrix *item;
    int64_t first, n_rows;
    int64_t bad[LM_POOL_MAX_THREADS]; /* a row of the thread's that has NaN or infinity; -1: none */
} share;

static bool is_finite(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Eight bits err so little that a search is not worth its time, unless some columns are said to matter more. */
static bool rounds(const lm_dtype_info *to, const float *importance) {
    return !to->quant || (to->quant->bits >= 8 && !importance);
}

static void convert_row(const matrix *item, int64_t row, const float *x, uint8_t *dst) {
    const lm_dtype_info *to = lm_dtype_get(item->to);
    const float *importance =
        item->importance ? item->importance + row / item->rows_per_mat * item->n_cols : NULL;
    if (rounds(to, importance))
        to->pack(x, dst, item->n_cols);
    else
        lm_quantize(to, x, importance, dst, item->n_cols);
}

static void convert_share(void *arg, int thread, int n_threads) {
    share *s = arg;
    const matrix *item = s->item;
    const lm_dtype_info *from = lm_dtype_get(item->from->type->dtype);
    size_t row_bytes = lm_dtype_bytes(item->to, item->n_cols);
    size_t source_bytes = lm_dtype_bytes(item->from->type->dtype, item->n_cols);
    float *x = s->q->rows + thread * s->q->longest;
    lm_range range = lm_range_split(s->n_rows, 1, thread, n_threads);
    s->bad[thread] = -1;
    for (int64_t r = range.begin; r < range.end; r++) {
        int64_t row = s->first + r;
        from->unpack((const char *)item->from->data + (size_t)row * source_bytes, x, item->n_cols);
        if (!is_finite(x, item->n_cols)) s->bad[thread] = row;
        convert_row(item, row, x, s->q->chunk + (size_t)r * row_bytes);
    }
}

static loam_status report(quantizer *q, const matrix *item, loam_error *err) {
    const lm_quantize_options *o = q->options;
    lm_quantize_progress p = {.tensor = item->from->name,
                              .dtype = item->to,
                              .n_done = q->n_done,
                              .n_elems = q->result.n_elems};
    if (!o->on_progress || o->on_progress(o->ctx, &p)) return LOAM_OK;
    return lm_error_set(err, LOAM_CANCELLED, "stopped; nothing was written");
}

static loam_status convert_rows(quantizer *q, const matrix *item, int64_t first, int64_t n_rows,
                                loam_error *err) {
    share s = {.q = q, .item = item, .first = first, .n_rows = n_rows};
    lm_pool_run(q->pool, convert_share, &s);
    for (int t = 0; t < lm_pool_n_threads(q->pool); t++)
        if (s.bad[t] >= 0)
            return lm_error_set(err, LOAM_CORRUPT, "tensor '%s': row %lld has NaN or infinity",
                                item->from->name, (long long)s.bad[t]);
    return lm_gguf_writer_write(q->writer, q->chunk,
                                (size_t)n_rows * lm_dtype_bytes(item->to, item->n_cols), err);
}

/* Types that hold what a conversion makes of them, bit by bit, so that converting one to itself is to check it. */
static bool is_float(lm_dtype dtype) {
    return dtype == LM_F32 || dtype == LM_F16 || dtype == LM_BF16;
}

static loam_status write_item(quantizer *q, const matrix *item, loam_error *err) {
    if (item->to == item->from->type->dtype && !is_float(item->to)) {
        q->n_done += lm_stored_tensor_n_elems(item->from);
        LM_TRY(report(q, item, err));
        return lm_gguf_writer_write(q->writer, item->from->data, item->from->size_bytes, err);
    }
    size_t row_bytes = lm_dtype_bytes(item->to, item->n_cols);
    int64_t at_once = CHUNK_BYTES / row_bytes > 0 ? (int64_t)(CHUNK_BYTES / row_bytes) : 1;
    for (int64_t row = 0; row < item->n_rows; row += at_once) {
        int64_t n = item->n_rows - row < at_once ? item->n_rows - row : at_once;
        LM_TRY(convert_rows(q, item, row, n, err));
        q->n_done += n * item->n_cols;
        LM_TRY(report(q, item, err));
    }
    lm_file_map_forget(item->from->data, item->from->size_bytes);
    return LOAM_OK;
}

/* --- The file. */

static loam_status make_buffers(quantizer *q, loam_error *err) {
    LM_TRY(lm_pool_new(q->options->n_threads, &q->pool, err));
    size_t row = (size_t)(q->longest > 0 ? q->longest : 1) * sizeof(float);
    size_t chunk = row > CHUNK_BYTES ? row : CHUNK_BYTES;
    q->rows = lm_alloc(row * (size_t)lm_pool_n_threads(q->pool));
    q->chunk = lm_alloc(chunk);
    return q->rows && q->chunk ? LOAM_OK : lm_error_no_memory(err, chunk);
}

static loam_status run(quantizer *q, const char *out_path, loam_error *err) {
    q->writer = lm_gguf_writer_new();
    if (!q->writer) return lm_error_no_memory(err, 0);
    LM_TRY(plan(q, err));
    LM_TRY(lm_file_check_room(out_path, q->result.bytes_out, err));
    LM_TRY(make_buffers(q, err));
    LM_TRY(lm_gguf_writer_begin(q->writer, out_path, err));
    for (size_t i = 0; i < q->items.len; i++) LM_TRY(write_item(q, &q->items.ptr[i], err));
    return lm_gguf_writer_commit(q->writer, err);
}

loam_status lm_quantize_file(const char *in_path, const char *out_path,
                             const lm_quantize_options *options, lm_quantize_result *out,
                             loam_error *err) {
    lm_gguf *gguf;
    LM_TRY(lm_gguf_open(in_path, &gguf, err));
    quantizer q = {.options = options, .gguf = gguf};
    loam_status status = run(&q, out_path, err);
    if (status != LOAM_OK && status != LOAM_CANCELLED) lm_error_prefix(err, status, "%s", in_path);
    if (status == LOAM_OK) *out = q.result;
    lm_gguf_writer_free(q.writer);
    lm_pool_free(q.pool);
    lm_vec_deinit(&q.items);
    lm_free(q.rows);
    lm_free(q.chunk);
    lm_gguf_close(gguf);
    return status;
}
