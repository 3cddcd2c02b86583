#include "model/convert.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/gguf_writer.h"
#include "model/hparams_write.h"
#include "model/param_source.h"
#include "model/safetensors_writer.h"
#include "model/tokenizer_writers.h"

enum { CHUNK_BYTES = 4 << 20 };

/* Which row of the source becomes a row of the result. */
typedef enum row_order { ROWS_AS_THEY_ARE, ROWS_INTERLEAVE, ROWS_SPLIT } row_order;

/* A tensor to be written. */
typedef struct item {
    char name[LM_PARAM_NAME_BYTES];
    lm_weight from; /* as the model has it: vectors are f32 */
    lm_dtype to;
    row_order order;
} item;

typedef struct converter {
    const lm_model *model;
    const lm_arch_config *config;
    const lm_convert_options *options;
    LM_VEC(item) items;
    lm_gguf_writer *gguf; /* one of the two */
    lm_safetensors_writer *safetensors;
    float *factors; /* rope_freqs.weight, if any */
    float *row;     /* of the longest */
    uint8_t *chunk;
    int64_t n_done;
    lm_convert_result result;
} converter;

/* --- What becomes what. */

static bool is_plain(lm_dtype dtype) {
    return dtype == LM_F32 || dtype == LM_F16 || dtype == LM_BF16;
}

/* Of most elements: the embedding's. */
static lm_dtype main_dtype(const converter *c) {
    if (c->options->fixed_dtype) return c->options->dtype;
    lm_dtype dtype = lm_model_param(c->model, LM_PARAM_TOKEN_EMBED, 0)->dtype;
    return is_plain(dtype) ? dtype : LM_F32;
}

/* Whether every element survives the cast. */
static bool is_exact(const lm_weight *vector, lm_dtype to) {
    const float *x = vector->data;
    const lm_dtype_info *info = lm_dtype_get(to);
    for (int64_t i = 0; i < vector->shape[0]; i++) {
        uint32_t packed;
        float back;
        info->pack(x + i, &packed, 1);
        info->unpack(&packed, &back, 1);
        if (memcmp(&back, x + i, sizeof back) != 0) return false;
    }
    return true;
}

/* Small types stay as they are in GGUF; a folder has none. GGUF has vectors as f32, as llama.cpp wants them; a folder has them as its matrices, where nothing is lost by that. */
static LM_MUST_USE loam_status choose_dtype(const converter *c, const lm_weight *from,
                                            lm_dtype *out, loam_error *err) {
    if (from->n_dims == 1) {
        lm_dtype wanted = c->options->to_folder ? main_dtype(c) : LM_F32;
        *out = is_exact(from, wanted) ? wanted : LM_F32;
        return LOAM_OK;
    }
    *out = c->options->fixed_dtype ? c->options->dtype : from->dtype;
    if (is_plain(*out) || !c->options->to_folder) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "tensor '%s' is quantized (%s)", from->name,
                 lm_dtype_get(from->dtype)->name);
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "say what it shall become: --type bf16; loam quantize makes small types");
}

static row_order order_for(const converter *c, lm_param_id id) {
    bool turns =
        id == LM_PARAM_Q || id == LM_PARAM_K || id == LM_PARAM_Q_BIAS || id == LM_PARAM_K_BIAS;
    bool is = c->config->hparams.rope_layout == LM_ROPE_INTERLEAVED;
    bool wanted =
        c->options->to_folder ? c->config->arch->hf_interleaved : c->config->arch->gguf_interleaved;
    if (!turns || is == wanted) return ROWS_AS_THEY_ARE;
    return wanted ? ROWS_INTERLEAVE : ROWS_SPLIT;
}

static LM_MUST_USE loam_status add_param(converter *c, lm_param_id id, int64_t layer,
                                         loam_error *err) {
    item it = {.from = *lm_model_param(c->model, id, layer), .order = order_for(c, id)};
    lm_param_spell(c->config->arch, id, layer,
                   c->options->to_folder ? LM_NAMING_HF : LM_NAMING_GGUF, it.name);
    LM_TRY(choose_dtype(c, &it.from, &it.to, err));
    int64_t n_cols = it.from.n_dims > 1 ? it.from.shape[1] : 1, n = it.from.shape[0] * n_cols;
    c->result.n_elems += n;
    c->result.n_tensors++;
    c->result.size_bytes += lm_dtype_bytes(it.to, n);
    return lm_vec_push(&c->items, it) ? LOAM_OK : lm_error_no_memory(err, sizeof it);
}

/* safetensors leaves no gaps, so wide types come first. */
static int compare_width(const void *a, const void *b) {
    size_t wide_a = lm_dtype_bytes(((const item *)a)->to, 1),
           wide_b = lm_dtype_bytes(((const item *)b)->to, 1);
    if (wide_a != wide_b) return wide_a > wide_b ? -1 : 1;
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

static LM_MUST_USE loam_status list_items(converter *c, loam_error *err) {
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_in(c->config, id)) continue;
        int64_t n = lm_param_has_layer(id) ? c->config->hparams.n_layers : 1;
        for (int64_t layer = 0; layer < n; layer++) LM_TRY(add_param(c, id, layer, err));
    }
    if (c->options->to_folder && c->items.len)
        qsort(c->items.ptr, c->items.len, sizeof *c->items.ptr, compare_width);
    return LOAM_OK;
}

/* --- Rows. */

/* Within the part of a head that turns: (i, i + d/2) beside each other, or the other way. */
static int64_t source_row(const converter *c, row_order order, int64_t row) {
    int64_t head_dim = c->config->hparams.head_dim, n = c->config->hparams.rope_dim;
    int64_t head = row / head_dim, at = row % head_dim;
    if (order == ROWS_AS_THEY_ARE || at >= n) return row;
    int64_t from =
        order == ROWS_INTERLEAVE ? at % 2 * (n / 2) + at / 2 : at % (n / 2) * 2 + at / (n / 2);
    return head * head_dim + from;
}

static LM_MUST_USE loam_status write_bytes(converter *c, const void *bytes, size_t size,
                                           loam_error *err) {
    return c->gguf ? lm_gguf_writer_write(c->gguf, bytes, size, err)
                   : lm_safetensors_writer_write(c->safetensors, bytes, size, err);
}

static void convert_row(const converter *c, const item *it, int64_t row, int64_t n_cols,
                        uint8_t *out) {
    const uint8_t *from = (const uint8_t *)it->from.data +
                          lm_dtype_bytes(it->from.dtype, source_row(c, it->order, row) * n_cols);
    if (it->to == it->from.dtype) {
        memcpy(out, from, lm_dtype_bytes(it->to, n_cols));
        return;
    }
    lm_dtype_get(it->from.dtype)->unpack(from, c->row, n_cols);
    lm_dtype_get(it->to)->pack(c->row, out, n_cols);
}

static LM_MUST_USE loam_status write_item(converter *c, const item *it, loam_error *err) {
    bool is_vector = it->from.n_dims == 1;
    /* a vector whose rows stay is one row; one that is reordered has rows of one element */
    bool flat = is_vector && it->order == ROWS_AS_THEY_ARE;
    int64_t n_rows = flat ? 1 : it->from.shape[0];
    int64_t n_cols = flat ? it->from.shape[0] : is_vector ? 1 : it->from.shape[1];
    size_t row_bytes = lm_dtype_bytes(it->to, n_cols);
    int64_t at_once = CHUNK_BYTES / row_bytes > 0 ? (int64_t)(CHUNK_BYTES / row_bytes) : 1;
    for (int64_t row = 0; row < n_rows; row += at_once) {
        int64_t n = n_rows - row < at_once ? n_rows - row : at_once;
        for (int64_t r = 0; r < n; r++)
            convert_row(c, it, row + r, n_cols, c->chunk + (size_t)r * row_bytes);
        LM_TRY(write_bytes(c, c->chunk, (size_t)n * row_bytes, err));
        c->n_done += n * n_cols;
        if (c->options->on_progress &&
            !c->options->on_progress(c->options->ctx, c->n_done, c->result.n_elems))
            return lm_error_set(err, LOAM_CANCELLED, "stopped; nothing was written");
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status make_buffers(converter *c, loam_error *err) {
    int64_t longest = 1;
    for (size_t i = 0; i < c->items.len; i++) {
        const lm_weight *w = &c->items.ptr[i].from;
        int64_t n_cols = w->n_dims > 1 ? w->shape[1] : w->shape[0];
        if (n_cols > longest) longest = n_cols;
    }
    size_t row_bytes = (size_t)longest * sizeof(float);
    c->row = lm_alloc(row_bytes);
    c->chunk = lm_alloc(row_bytes > CHUNK_BYTES ? row_bytes : CHUNK_BYTES);
    return c->row && c->chunk ? LOAM_OK : lm_error_no_memory(err, row_bytes);
}

static LM_MUST_USE loam_status write_items(converter *c, loam_error *err) {
    LM_TRY(make_buffers(c, err));
    for (size_t i = 0; i < c->items.len; i++) LM_TRY(write_item(c, &c->items.ptr[i], err));
    return LOAM_OK;
}

/* --- GGUF. */

static uint32_t file_type_of(lm_dtype dtype) {
    return dtype == LM_F16 ? 1 : dtype == LM_BF16 ? 32 : 0; /* llama_ftype */
}

static LM_MUST_USE loam_status declare_gguf(converter *c, loam_error *err) {
    const lm_hparams *hp = &c->config->hparams;
    int64_t n_factors = hp->rope_dim / 2;
    for (size_t i = 0; i < c->items.len; i++) {
        const item *it = &c->items.ptr[i];
        LM_TRY(lm_gguf_writer_add_tensor(c->gguf, it->name, it->to, it->from.n_dims, it->from.shape,
                                         err));
    }
    c->factors = lm_alloc((size_t)n_factors * sizeof *c->factors);
    if (!c->factors) return lm_error_no_memory(err, 1);
    if (lm_hparams_freq_factors(hp, c->factors))
        return lm_gguf_writer_add_tensor(c->gguf, "rope_freqs.weight", LM_F32, 1, &n_factors, err);
    lm_free(c->factors);
    c->factors = NULL;
    return LOAM_OK;
}

static LM_MUST_USE loam_status write_gguf(converter *c, const char *path, loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(c->model);
    c->gguf = lm_gguf_writer_new();
    if (!c->gguf) return lm_error_no_memory(err, 1);
    lm_hparams_write_gguf(c->config, c->gguf);
    lm_gguf_writer_add_str(c->gguf, "general.name", lm_str_of(lm_model_name(c->model)));
    lm_gguf_writer_add_u32(c->gguf, "general.file_type", file_type_of(main_dtype(c)));
    if (tokenizer && !c->options->no_tokenizer)
        LM_TRY(lm_tokenizer_write_gguf(tokenizer, c->gguf, err));
    LM_TRY(declare_gguf(c, err));
    LM_TRY(lm_gguf_writer_begin(c->gguf, path, err));
    LM_TRY(write_items(c, err));
    size_t factor_bytes = (size_t)c->config->hparams.rope_dim / 2 * sizeof(float);
    if (c->factors) LM_TRY(lm_gguf_writer_write(c->gguf, c->factors, factor_bytes, err));
    return lm_gguf_writer_commit(c->gguf, err);
}

/* --- A folder. */

static LM_MUST_USE loam_status write_safetensors(converter *c, const char *path, loam_error *err) {
    c->safetensors = lm_safetensors_writer_new();
    if (!c->safetensors) return lm_error_no_memory(err, 1);
    for (size_t i = 0; i < c->items.len; i++) {
        const item *it = &c->items.ptr[i];
        LM_TRY(lm_safetensors_writer_add_tensor(c->safetensors, it->name, it->to, it->from.n_dims,
                                                it->from.shape, err));
    }
    LM_TRY(lm_safetensors_writer_begin(c->safetensors, path, err));
    LM_TRY(write_items(c, err));
    return lm_safetensors_writer_commit(c->safetensors, err);
}

static json_t *eos_json(const lm_tokenizer *tokenizer) {
    size_t n = lm_tokenizer_n_eos(tokenizer);
    if (n == 1) return json_integer(lm_tokenizer_eos(tokenizer));
    json_t *ids = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ids, json_integer(lm_tokenizer_eos_at(tokenizer, i)));
    return ids;
}

static void set_special_tokens(json_t *config, const lm_tokenizer *tokenizer) {
    if (!tokenizer) return;
    if (lm_tokenizer_bos(tokenizer) >= 0)
        json_object_set_new(config, "bos_token_id", json_integer(lm_tokenizer_bos(tokenizer)));
    if (lm_tokenizer_n_eos(tokenizer) > 0)
        json_object_set_new(config, "eos_token_id", eos_json(tokenizer));
}

static json_t *generation_json(const lm_model *model) {
    lm_sampler_options s = lm_model_sampling(model);
    return json_pack("{s:b, s:f, s:f, s:I}", "do_sample", 1, "temperature", (double)s.temperature,
                     "top_p", (double)s.top_p, "top_k", (json_int_t)s.top_k);
}

/* Takes the document over. */
static LM_MUST_USE loam_status write_json(json_t *document, const char *dir, const char *name,
                                          loam_error *err) {
    char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL,
         *path = lm_path_join(dir, name);
    loam_status status = text && path ? lm_file_write_atomic(path, text, strlen(text), err)
                                      : lm_error_no_memory(err, 1);
    lm_free(path);
    free(text); /* jansson's own */
    json_decref(document);
    return status;
}

/* The weights come last: a folder without them is none that anybody opens. */
static LM_MUST_USE loam_status write_folder(converter *c, const char *dir, loam_error *err) {
    const lm_tokenizer *tokenizer = c->options->no_tokenizer ? NULL : lm_model_tokenizer(c->model);
    LM_TRY(lm_file_make_dirs(dir, err));
    if (tokenizer)
        LM_TRY(lm_tokenizer_write_folder(tokenizer, dir, c->config->hparams.context_len, err));
    json_t *config = lm_hparams_config_json(c->config, main_dtype(c)),
           *generation = generation_json(c->model);
    set_special_tokens(config, lm_model_tokenizer(c->model));
    set_special_tokens(generation, lm_model_tokenizer(c->model));
    loam_status status = write_json(config, dir, "config.json", err);
    if (status == LOAM_OK)
        status = write_json(generation, dir, "generation_config.json", err);
    else
        json_decref(generation);
    if (status != LOAM_OK) return status;
    char *path = lm_path_join(dir, "model.safetensors");
    status = path ? write_safetensors(c, path, err) : lm_error_no_memory(err, 1);
    lm_free(path);
    return status;
}

static LM_MUST_USE loam_status check_place(const converter *c, const char *path, loam_error *err) {
    if (c->options->to_folder && lm_file_exists(path) && !lm_file_is_dir(path))
        return lm_error_set(err, LOAM_INVALID, "%s is a file, and a folder is to be written", path);
    if (!c->options->to_folder && lm_file_is_dir(path))
        return lm_error_set(err, LOAM_INVALID, "%s is a folder, and a file is to be written", path);
    return lm_file_check_room(path, c->result.size_bytes, err);
}

loam_status lm_convert(const lm_model *model, const char *out_path,
                       const lm_convert_options *options, lm_convert_result *out, loam_error *err) {
    converter c = {.model = model, .config = lm_model_config(model), .options = options};
    loam_status status = options->to_folder ? lm_hparams_check_config(c.config, err)
                                            : lm_hparams_check_gguf(c.config, err);
    if (status == LOAM_OK) status = list_items(&c, err);
    if (status == LOAM_OK) status = check_place(&c, out_path, err);
    if (status == LOAM_OK)
        status =
            options->to_folder ? write_folder(&c, out_path, err) : write_gguf(&c, out_path, err);
    lm_gguf_writer_free(c.gguf);
    if (c.safetensors) lm_safetensors_writer_free(c.safetensors);
    lm_vec_deinit(&c.items);
    lm_free(c.factors);
    lm_free(c.row);
    lm_free(c.chunk);
    if (status == LOAM_OK) *out = c.result;
    return status;
}
