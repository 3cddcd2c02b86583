#include "model/imatrix.h"

#include <math.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/gguf_writer.h"

typedef struct entry {
    const char *tensor;
    float *sums; /* [n]: of squares while gathering, means after reading */
    size_t n, n_mats;
    int64_t *counts; /* [n_mats]: rows in the sums of each matrix while gathering */
} entry;

struct lm_imatrix {
    LM_VEC(entry) entries;
    lm_map *by_tensor; /* index into entries */
    lm_arena arena;    /* names and sums */
    int64_t n_chunks;
};

lm_imatrix *lm_imatrix_new(void) {
    lm_imatrix *m = lm_calloc(1, sizeof *m);
    if (!m) return NULL;
    lm_arena_init(&m->arena, 0, 0);
    m->by_tensor = lm_map_new();
    if (m->by_tensor) return m;
    lm_imatrix_free(m);
    return NULL;
}

void lm_imatrix_free(lm_imatrix *m) {
    if (!m) return;
    lm_vec_deinit(&m->entries);
    lm_map_free(m->by_tensor);
    lm_arena_deinit(&m->arena);
    lm_free(m);
}

static entry *find(const lm_imatrix *m, lm_str tensor) {
    uint64_t index;
    return lm_map_get(m->by_tensor, tensor, &index) ? &m->entries.ptr[index] : NULL;
}

const float *lm_imatrix_find(const lm_imatrix *m, const char *tensor, size_t *out_n) {
    const entry *e = find(m, lm_str_of(tensor));
    if (!e) return NULL;
    *out_n = e->n;
    return e->sums;
}

size_t lm_imatrix_n_entries(const lm_imatrix *m) {
    return m->entries.len;
}

int64_t lm_imatrix_n_chunks(const lm_imatrix *m) {
    return m->n_chunks;
}

/* A new entry of zeros. */
static loam_status add_entry(lm_imatrix *m, lm_str tensor, size_t n, size_t n_mats, entry **out,
                             loam_error *err) {
    char *name = lm_arena_alloc(&m->arena, tensor.len + 1);
    float *sums = lm_arena_calloc(&m->arena, n, sizeof *sums);
    int64_t *counts = lm_arena_calloc(&m->arena, n_mats, sizeof *counts);
    if (!name || !sums || !counts) return lm_error_no_memory(err, n * sizeof *sums);
    memcpy(name, tensor.ptr, tensor.len);
    name[tensor.len] = '\0';
    entry e = {.tensor = name, .sums = sums, .n = n, .n_mats = n_mats, .counts = counts};
    if (!lm_map_set(m->by_tensor, (lm_str){name, tensor.len}, m->entries.len) ||
        !lm_vec_push(&m->entries, e))
        return lm_error_no_memory(err, sizeof e);
    *out = &m->entries.ptr[m->entries.len - 1];
    return LOAM_OK;
}

/* --- Reading. */

/* Takes sums [n] over counts [n_mats] as means. What was never seen counts as one everywhere: no column matters more. */
static loam_status add_means(lm_imatrix *m, lm_str tensor, const uint8_t *sums, size_t n,
                             const float *counts, size_t n_mats, loam_error *err) {
    entry *e;
    if (find(m, tensor) || n == 0 || n_mats == 0 || n % n_mats != 0)
        return lm_error_set(err, LOAM_CORRUPT,
                            "'%.*s' has %zu sums and %zu counts, or is there twice",
                            (int)tensor.len, tensor.ptr, n, n_mats);
    LM_TRY(add_entry(m, tensor, n, n_mats, &e, err));
    for (size_t i = 0; i < n; i++) {
        float sum, count = counts[i / (n / n_mats)];
        memcpy(&sum, sums + i * sizeof sum, sizeof sum);
        float mean = count > 0.0f ? sum / count : 1.0f;
        if (!isfinite(mean) || mean < 0.0f)
            return lm_error_set(err, LOAM_CORRUPT, "'%.*s': column %zu has sum %g over %g rows",
                                (int)tensor.len, tensor.ptr, i, sum, count);
        e->sums[i] = mean;
    }
    return LOAM_OK;
}

static const char SUMS[] = ".in_sum2", COUNTS[] = ".counts";

static loam_status read_entry(lm_imatrix *m, const lm_stored_tensors *tensors,
                              const lm_stored_tensor *sums, loam_error *err) {
    lm_str tensor = {sums->name, strlen(sums->name) - strlen(SUMS)};
    char *counts_name = lm_asprintf("%.*s%s", (int)tensor.len, tensor.ptr, COUNTS);
    if (!counts_name) return lm_error_no_memory(err, tensor.len);
    const lm_stored_tensor *counts = lm_stored_tensors_find(tensors, counts_name);
    lm_free(counts_name);
    if (!counts || !sums->type->is_loadable || sums->type->dtype != LM_F32 ||
        !counts->type->is_loadable || counts->type->dtype != LM_F32)
        return lm_error_set(err, LOAM_CORRUPT, "'%.*s' has no counts, or not as F32",
                            (int)tensor.len, tensor.ptr);
    return add_means(m, tensor, sums->data, (size_t)lm_stored_tensor_n_elems(sums), counts->data,
                     (size_t)lm_stored_tensor_n_elems(counts), err);
}

static loam_status read_gguf(lm_imatrix *m, const lm_gguf *gguf, loam_error *err) {
    lm_str type;
    LM_TRY(lm_gguf_str_or(gguf, "general.type", LM_STR(""), &type, err));
    if (!lm_str_is(type, "imatrix")) {
        lm_error_set(err, LOAM_INVALID, "a GGUF file of type '%.*s', not 'imatrix'", (int)type.len,
                     type.ptr);
        return lm_error_hint(err, LOAM_INVALID, "loam imatrix makes one from a model and a text");
    }
    LM_TRY(lm_gguf_i64_or(gguf, "imatrix.chunk_count", 0, &m->n_chunks, err));
    const lm_stored_tensors *tensors = lm_gguf_tensors(gguf);
    for (size_t i = 0; i < tensors->items.len; i++) {
        const lm_stored_tensor *tensor = &tensors->items.ptr[i];
        if (lm_str_ends(lm_str_of(tensor->name), LM_STR(".in_sum2")))
            LM_TRY(read_entry(m, tensors, tensor, err));
    }
    return LOAM_OK;
}

/* The next bytes of the older form. */
static bool take(lm_str *in, void *out, size_t n) {
    if (in->len < n) return false;
    memcpy(out, in->ptr, n);
    *in = (lm_str){in->ptr + n, in->len - n};
    return true;
}

/* i32 number of entries; for each i32 length and bytes of the name, i32 calls, i32 n, f32 sums of n; then maybe i32
 * chunks and the data's name. */
static loam_status read_old(lm_imatrix *m, lm_str in, loam_error *err) {
    int32_t n_entries, n_chunks;
    if (!take(&in, &n_entries, sizeof n_entries) || n_entries < 1)
        return lm_error_set(err, LOAM_CORRUPT, "no importance matrix");
    for (int32_t i = 0; i < n_entries; i++) {
        int32_t len = 0, calls = 0, n = 0;
        bool ok = take(&in, &len, sizeof len) && len > 0 && (size_t)len <= in.len;
        lm_str tensor = {in.ptr, ok ? (size_t)len : 0};
        if (ok) in = (lm_str){in.ptr + len, in.len - (size_t)len};
        ok = ok && take(&in, &calls, sizeof calls) && take(&in, &n, sizeof n) && n > 0 &&
             (size_t)n <= in.len / sizeof(float);
        if (!ok || memchr(tensor.ptr, '\0', tensor.len))
            return lm_error_set(err, LOAM_CORRUPT, "entry %d of %d is cut off or broken", i + 1,
                                n_entries);
        LM_TRY(add_means(m, tensor, (const uint8_t *)in.ptr, (size_t)n, &(float){(float)calls}, 1,
                         err));
        in = (lm_str){in.ptr + (size_t)n * sizeof(float), in.len - (size_t)n * sizeof(float)};
    }
    if (take(&in, &n_chunks, sizeof n_chunks) && n_chunks > 0) m->n_chunks = n_chunks;
    return LOAM_OK;
}

static loam_status read_any(lm_imatrix *m, const char *name, const void *bytes, size_t size,
                            loam_error *err) {
    if (size < 4 || memcmp(bytes, "GGUF", 4) != 0) return read_old(m, (lm_str){bytes, size}, err);
    lm_gguf *gguf;
    LM_TRY(lm_gguf_open_bytes(name, bytes, size, &gguf, err));
    loam_status status = read_gguf(m, gguf, err);
    lm_gguf_close(gguf);
    return status;
}

loam_status lm_imatrix_read_bytes(const char *name, const void *bytes, size_t size_bytes,
                                  lm_imatrix **out, loam_error *err) {
    lm_imatrix *m = lm_imatrix_new();
    if (!m) return lm_error_no_memory(err, sizeof *m);
    loam_status status = read_any(m, name, bytes, size_bytes, err);
    if (status == LOAM_OK && m->entries.len == 0)
        status = lm_error_set(err, LOAM_CORRUPT, "no tensor has sums in it");
    if (status != LOAM_OK) {
        lm_imatrix_free(m);
        return lm_error_prefix(err, status, "%s", name);
    }
    *out = m;
    return LOAM_OK;
}

loam_status lm_imatrix_read(const char *path, lm_imatrix **out, loam_error *err) {
    lm_file_map map;
    LM_TRY(lm_file_map_open(path, &map, err));
    loam_status status = lm_imatrix_read_bytes(path, map.ptr, map.size_bytes, out, err);
    lm_file_map_close(&map);
    return status;
}

/* --- Gathering. */

static loam_status find_or_add(lm_imatrix *m, const char *tensor, int64_t n_cols, int64_t n_mats,
                               entry **out, loam_error *err) {
    size_t n = (size_t)(n_cols * n_mats);
    *out = find(m, lm_str_of(tensor));
    if (!*out) return add_entry(m, lm_str_of(tensor), n, (size_t)n_mats, out, err);
    if ((*out)->n == n && (*out)->n_mats == (size_t)n_mats) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "'%s' has %lld columns, it had %zu", tensor,
                        (long long)(n_cols * n_mats), (*out)->n);
}

static void add_row(entry *e, int64_t mat, const float *x, int64_t n_cols) {
    float *sums = e->sums + mat * n_cols;
    for (int64_t i = 0; i < n_cols; i++) sums[i] += x[i] * x[i];
    e->counts[mat]++;
}

loam_status lm_imatrix_add(lm_imatrix *m, const char *tensor, const float *x, int64_t n_rows,
                           int64_t n_cols, loam_error *err) {
    entry *e;
    LM_TRY(find_or_add(m, tensor, n_cols, 1, &e, err));
    for (int64_t r = 0; r < n_rows; r++) add_row(e, 0, x + r * n_cols, n_cols);
    return LOAM_OK;
}

loam_status lm_imatrix_add_chosen(lm_imatrix *m, const char *tensor, const lm_imatrix_chosen *rows,
                                  loam_error *err) {
    entry *e;
    LM_TRY(find_or_add(m, tensor, rows->n_cols, rows->n_mats, &e, err));
    for (int64_t i = 0; i < rows->n_rows * rows->n_used; i++) {
        int64_t row = rows->x_is_shared ? i / rows->n_used : i;
        if (rows->ids[i] >= rows->n_mats) continue; /* it chose no matrix */
        add_row(e, rows->ids[i], rows->x + row * rows->n_cols, rows->n_cols);
    }
    return LOAM_OK;
}

static loam_status declare(const lm_imatrix *m, lm_gguf_writer *writer, loam_error *err) {
    for (size_t i = 0; i < m->entries.len; i++) {
        const entry *e = &m->entries.ptr[i];
        for (size_t j = 0; j < e->n; j++)
            if (!isfinite(e->sums[j]))
                return lm_error_set(err, LOAM_CORRUPT,
                                    "what enters column %zu of '%s' is no number", j, e->tensor);
        int64_t n_cols = (int64_t)(e->n / e->n_mats);
        char *sums = lm_asprintf("%s%s", e->tensor, SUMS),
             *counts = lm_asprintf("%s%s", e->tensor, COUNTS);
        loam_status status = sums && counts ? LOAM_OK : lm_error_no_memory(err, 0);
        if (status == LOAM_OK)
            status = lm_gguf_writer_add_tensor(writer, sums, LM_F32, 2,
                                               (int64_t[]){(int64_t)e->n_mats, n_cols}, err);
        if (status == LOAM_OK)
            status = lm_gguf_writer_add_tensor(writer, counts, LM_F32, 2,
                                               (int64_t[]){(int64_t)e->n_mats, 1}, err);
        lm_free(sums);
        lm_free(counts);
        if (status != LOAM_OK) return status;
    }
    return LOAM_OK;
}

static loam_status write_entries(const lm_imatrix *m, lm_gguf_writer *writer, loam_error *err) {
    for (size_t i = 0; i < m->entries.len; i++) {
        const entry *e = &m->entries.ptr[i];
        LM_TRY(lm_gguf_writer_write(writer, e->sums, e->n * sizeof *e->sums, err));
        for (size_t i_mat = 0; i_mat < e->n_mats; i_mat++) {
            float count = (float)e->counts[i_mat];
            LM_TRY(lm_gguf_writer_write(writer, &count, sizeof count, err));
        }
    }
    return LOAM_OK;
}

loam_status lm_imatrix_write(const lm_imatrix *m, const char *path, const char *dataset,
                             int64_t n_chunks, int64_t chunk_size, loam_error *err) {
    if (m->entries.len == 0)
        return lm_error_set(err, LOAM_INVALID, "%s: nothing was gathered", path);
    lm_gguf_writer *writer = lm_gguf_writer_new();
    if (!writer) return lm_error_no_memory(err, 0);
    lm_gguf_writer_add_str(writer, "general.type", LM_STR("imatrix"));
    lm_gguf_writer_open_array(writer, "imatrix.datasets", LM_GGUF_STRING, 1);
    lm_gguf_writer_push_str(writer, lm_str_of(dataset));
    lm_gguf_writer_add_u32(writer, "imatrix.chunk_count", (uint32_t)n_chunks);
    lm_gguf_writer_add_u32(writer, "imatrix.chunk_size", (uint32_t)chunk_size);
    loam_status status = declare(m, writer, err);
    if (status == LOAM_OK) status = lm_gguf_writer_begin(writer, path, err);
    if (status == LOAM_OK) status = write_entries(m, writer, err);
    if (status == LOAM_OK) status = lm_gguf_writer_commit(writer, err);
    lm_gguf_writer_free(writer);
    return status;
}
