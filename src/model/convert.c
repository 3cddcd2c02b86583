#include "model/convert.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/convert_extras.h"
#include "model/convert_tensor.h"
#include "model/embedder.h"
#include "model/gguf_writer.h"
#include "model/hparams_write.h"
#include "model/safetensors_writer.h"
#include "model/tokenizer_writers.h"

enum { CHUNK_BYTES = 4 << 20 };

typedef struct converter {
    lm_model *model;
    lm_arch_config config; /* as what it is written */
    lm_rope_layout layout; /* as the model has it */
    bool tiled;            /* likewise: heads of states */
    const lm_convert_options *options;
    LM_VEC(lm_convert_tensor) items;
    int32_t
        *uses; /* [LM_PARAM_COUNT][n_layers] of a parameter by tensors that are not written yet */
    lm_gguf_writer *gguf; /* one of the two */
    lm_safetensors_writer *safetensors;
    lm_convert_extras extras;
    float *room; /* of the tensor that wants most */
    uint8_t *chunk;
    int64_t n_done;
    lm_convert_result result;
} converter;

static lm_naming naming_of(const converter *c) {
    return c->options->to_folder ? LM_NAMING_HF : LM_NAMING_GGUF;
}

/* --- Types. */

static bool is_plain(lm_dtype dtype) {
    return dtype == LM_F32 || dtype == LM_F16 || dtype == LM_BF16;
}

/* Of most elements: the embedding's. */
static lm_dtype main_dtype(const converter *c) {
    if (c->options->fixed_dtype) return c->options->dtype;
    lm_dtype dtype = lm_model_param(c->model, LM_PARAM_TOKEN_EMBED, 0)->dtype;
    return is_plain(dtype) ? dtype : LM_F32;
}

/* What GGUF files have as f32, whatever the matrices are. */
static bool is_wide(lm_param_id id, const lm_weight *from) {
    return from->n_dims == 1 || lm_param_is_bias(id) || lm_param_is_kernel(id) ||
           id == LM_PARAM_ROUTER || id == LM_PARAM_SHARED_ROUTER || id == LM_PARAM_POSITION_EMBED ||
           id == LM_PARAM_TYPE_EMBED || id == LM_PARAM_INDEX_WEIGHTS ||
           lm_param_feature(id) == LM_FEATURE_HYPER || id == LM_PARAM_POOL_BIAS ||
           id == LM_PARAM_INDEX_POOL_BIAS;
}

static int64_t n_elems_of(const lm_weight *w) {
    int64_t n = 1;
    for (int i = 0; i < w->n_dims; i++) n *= w->shape[i];
    return n;
}

/* Whether every element survives the cast. */
static bool is_exact(const lm_weight *w, float added, lm_dtype to) {
    const lm_dtype_info *info = lm_dtype_get(to);
    for (int64_t i = 0; w->dtype == LM_F32 && w->data && i < n_elems_of(w); i++) {
        uint32_t packed;
        float x = ((const float *)w->data)[i] + added, back;
        info->pack(&x, &packed, 1);
        info->unpack(&packed, &back, 1);
        if (memcmp(&back, &x, sizeof back) != 0) return false;
    }
    return w->dtype == to || (w->dtype == LM_F32 && w->data);
}

/* A folder has what GGUF has as f32 as its matrices are, where nothing is lost by that. */
static lm_dtype choose_wide(const converter *c, const lm_convert_tensor *t) {
    if (t->logs) return LM_F32;
    lm_dtype wanted = c->options->to_folder ? main_dtype(c) : LM_F32;
    for (int i = 0; i < t->n_parts; i++)
        if (!is_exact(&t->from[i], t->added, wanted)) return LM_F32;
    return wanted;
}

static bool is_scaled(const lm_convert_tensor *t) {
    for (int i = 0; i < t->n_parts; i++)
        if (t->factor[i] != 1) return true;
    return false;
}

/* Small types stay as they are in GGUF; a folder has none. */
static LM_MUST_USE loam_status choose_dtype(const converter *c, lm_param_id id,
                                            lm_convert_tensor *t, loam_error *err) {
    const lm_weight *from = &t->from[0], *other = from;
    if (id == LM_PARAM_TOKEN_EXPERTS) {
        t->to = LM_I32;
        return LOAM_OK;
    }
    if (is_wide(id, from)) {
        t->to = choose_wide(c, t);
        return LOAM_OK;
    }
    t->to = c->options->fixed_dtype ? c->options->dtype : from->dtype;
    for (int i = 1; i < t->n_parts && !c->options->fixed_dtype; i++) {
        if (t->from[i].dtype == from->dtype) continue;
        other = is_plain(from->dtype) ? &t->from[i] : from; /* the quantized one, if any */
        t->to = is_plain(other->dtype) ? LM_F32 : other->dtype;
    }
    bool stays = !c->options->to_folder && other == from && t->run_rows == 0 &&
                 t->turned_rows == 0 && !t->by_column && !is_scaled(t);
    if (is_plain(t->to) || stays) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "tensor '%s' is quantized (%s)", other->name,
                 lm_dtype_get(other->dtype)->name);
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "say what it shall become: --type bf16; loam quantize makes small types");
}

/* --- Rows. */

/* Whose rows are in the order of rotary pairs. */
static bool turns(lm_param_id id) {
    switch (id) {
    case LM_PARAM_Q:
    case LM_PARAM_K:
    case LM_PARAM_Q_BIAS:
    case LM_PARAM_K_BIAS:
    case LM_PARAM_Q_NORM:
    case LM_PARAM_K_NORM:
    case LM_PARAM_Q_ROPE:
    case LM_PARAM_K_ROPE: return true;
    default: return false;
    }
}

static lm_row_order order_for(const converter *c, lm_param_id id) {
    lm_rope_layout wanted = c->config.hparams.rope_layout;
    bool tiles = c->config.hparams.state_tiled;
    if (lm_param_is_by_state_head(id) && tiles != c->tiled)
        return tiles ? LM_ROWS_TILE : LM_ROWS_GROUP;
    if (!turns(id) || c->layout == wanted) return LM_ROWS_AS_THEY_ARE;
    return wanted == LM_ROPE_INTERLEAVED ? LM_ROWS_INTERLEAVE : LM_ROWS_SPLIT;
}

/* Element by element unless it is as it was. */
static void shape_vector(const lm_param_tensor *named, lm_convert_tensor *t) {
    int64_t total = named->parts[0].total_rows;
    bool whole = t->n_parts == 1 && t->order[0] == LM_ROWS_AS_THEY_ARE;
    t->n_rows = whole ? 1 : total;
    t->n_columns = whole ? total : 1;
    bool scalar = named->ids[0] == LM_PARAM_XIELU_BETA || named->ids[0] == LM_PARAM_XIELU_EPS;
    t->n_dims = named->one_row ? 2 : scalar ? 0 : 1;
    t->shape[0] = named->one_row ? 1 : total;
    t->shape[1] = total;
}

/* The matrices that a tensor has one behind the other in a dimension of their own; 0: it is one, or they lie in one. */
static int64_t n_matrices_of(const converter *c, const lm_param_tensor *named) {
    if (named->parts[0].order == LM_PART_HEADS) return 0;
    return lm_param_n_matrices(&c->config, named->ids[0]);
}

static bool is_transposed(const converter *c, lm_param_id id) {
    const lm_arch *arch = c->config.arch;
    if (!c->options->to_folder || !lm_param_has_layer(id)) return false;
    return lm_param_is_experts(id) ? lm_arch_turns_experts(arch, id) : arch->hf_transposed;
}

static void shape_matrix(const converter *c, const lm_param_tensor *named, lm_convert_tensor *t) {
    lm_param_id id = named->ids[0];
    int64_t n = n_matrices_of(c, named), wide[2], in_each;
    lm_param_shape(&c->config, id, t->layer, wide);
    if (id == LM_PARAM_K_UP && named->parts[0].order == LM_PART_HEADS)
        t->run_rows = c->config.hparams.kv_latent_dim;
    t->n_columns = t->run_rows > 0 ? t->run_rows : wide[1];
    in_each = named->parts[0].total_rows / (n > 0 ? n : 1);
    if (is_transposed(c, id)) {
        t->turned_rows = t->n_columns;
        t->n_columns = in_each;
        in_each = t->turned_rows;
    }
    t->n_rows = in_each * (n > 0 ? n : 1);
    bool flat = (c->options->to_folder && c->config.arch->hf_flat_experts && n > 0) ||
                id == LM_PARAM_OUT_DOWN;
    t->n_dims = n > 0 && !flat ? 3 : 2;
    const int64_t shape[] = {n, flat ? t->n_rows : in_each, t->n_columns};
    memcpy(t->shape, shape + (t->n_dims == 3 ? 0 : 1), (size_t)t->n_dims * sizeof *shape);
}

/* Layer norms of heads: weights of each, [heads, head_dim]. */
static bool is_norm_of_each_head(const converter *c, lm_param_id id) {
    return (id == LM_PARAM_Q_NORM || id == LM_PARAM_K_NORM) &&
           lm_arch_has(&c->config, LM_FEATURE_LAYER_NORM) &&
           lm_arch_has(&c->config, LM_FEATURE_QK_NORM_WHOLE);
}

/* Biases of experts that lie by turns: [experts, both], element by element. */
static void shape_turns(const converter *c, const lm_param_tensor *named, lm_convert_tensor *t) {
    t->n_rows = named->parts[0].total_rows;
    t->n_columns = 1;
    t->n_dims = 2;
    t->shape[0] = c->config.hparams.n_experts;
    t->shape[1] = t->n_rows / t->shape[0];
}

/* Channels of all parts by their taps, in a folder, and of Kimi in GGUF too, [channels, 1, taps], or by their rates. */
static void shape_kernel(const converter *c, const lm_param_tensor *named, lm_convert_tensor *t) {
    int64_t wide[2];
    lm_param_shape(&c->config, named->ids[0], t->layer, wide);
    bool apart = c->options->to_folder || lm_arch_has(&c->config, LM_FEATURE_KEY_STEPS),
         folder = apart && !lm_param_is_rate(named->ids[0]);
    t->n_rows = t->shape[0] = named->parts[0].total_rows;
    t->n_columns = wide[0];
    t->n_dims = folder ? 3 : 2;
    t->shape[1] = folder ? 1 : t->n_columns;
    t->shape[2] = t->n_columns;
}

/* What GGUF files of state spaces have as matrices: a row of one for each head, or of a norm for each group. */
static bool is_column(const converter *c, lm_param_id id) {
    bool theirs =
        id == LM_PARAM_STATE_RATE || id == LM_PARAM_STATE_SKIP || id == LM_PARAM_STATE_NORM;
    bool kimi = lm_arch_has(&c->config, LM_FEATURE_KEY_STEPS) && id == LM_PARAM_STATE_RATE &&
                !c->config.arch->whole_state_gates;
    return theirs && !c->options->to_folder && (kimi || lm_arch_has(&c->config, LM_FEATURE_SSM));
}

static void shape(const converter *c, const lm_param_tensor *named, lm_convert_tensor *t) {
    int64_t unused[2];
    lm_param_id id = named->ids[0];
    if (lm_param_is_bias(id) && named->parts[0].order == LM_PART_TURNS)
        shape_turns(c, named, t);
    else if (t->kernel)
        shape_kernel(c, named, t);
    else if (lm_param_shape(&c->config, id, t->layer, unused) == 2)
        shape_matrix(c, named, t);
    else
        shape_vector(named, t);
    if (is_column(c, id)) {
        t->n_dims = 2;
        t->shape[1] =
            id == LM_PARAM_STATE_NORM ? t->shape[0] / c->config.hparams.state_key_heads : 1;
        t->shape[0] /= t->shape[1];
    }
    bool of_few = c->config.hparams.step_latent_dim > 0 &&
                  !c->config.arch->whole_state_gates; /* Kimi Linear's, not Ling's */
    if (c->options->to_folder && id == LM_PARAM_STATE_RATE && of_few &&
        lm_arch_has(&c->config, LM_FEATURE_KEY_STEPS)) { /* [1, 1, heads, 1] */
        t->shape[2] = t->shape[0];
        t->shape[0] = t->shape[1] = t->shape[3] = 1;
        t->n_dims = 4;
    }
    if (!is_norm_of_each_head(c, id)) return;
    t->n_dims = 2;
    t->shape[1] = lm_head_dim_at(&c->config.hparams, t->layer);
    t->shape[0] /= t->shape[1];
}

/* What a file has in its matrices of the factors that the model multiplies by beside them. */
static float factor_for(const converter *c, lm_param_id id) {
    const lm_hparams *hp = &lm_model_config(c->model)->hparams;
    bool positive = c->config.arch->gguf_positive_rates && !c->options->to_folder;
    if (positive && lm_param_is_rate(id)) return -1.0f;
    double factor = id == LM_PARAM_TOKEN_EMBED   ? hp->embedding_scale
                    : id == LM_PARAM_OUTPUT_HEAD ? hp->logit_scale
                                                 : lm_product_factor(hp, id);
    bool inside = !c->options->to_folder && c->config.arch->gguf_scaled;
    return inside && factor > 0 ? (float)factor : 1.0f;
}

static void fill_parts(const converter *c, const lm_param_tensor *named, int64_t layer,
                       lm_convert_tensor *t) {
    const lm_hparams *hp = &c->config.hparams;
    t->n_parts = named->n_parts;
    t->layer = layer;
    memcpy(t->ids, named->ids, sizeof t->ids);
    for (int i = 0; i < named->n_parts; i++) {
        t->from[i] = *lm_model_param(c->model, named->ids[i], layer);
        t->parts[i] = named->parts[i];
        t->order[i] = order_for(c, named->ids[i]);
        t->factor[i] = factor_for(c, named->ids[i]);
    }
    t->rope_dim = hp->rope_dim;
    t->head_dim = hp->kv_latent_dim > 0 ? hp->rope_dim : hp->head_dim;
    bool less_one = c->options->to_folder && lm_param_less_one(c->config.arch, named->ids[0]);
    t->added = less_one ? -1.0f : 0.0f;
    t->state_heads = hp->state_heads;
    t->state_key_heads = hp->state_key_heads;
    t->by_column = named->ids[0] == LM_PARAM_STATE_OUT && t->order[0] != LM_ROWS_AS_THEY_ARE;
    t->kernel = lm_param_is_kernel(named->ids[0]);
    t->logs = c->options->to_folder && lm_param_is_rate(named->ids[0]);
}

static int32_t *uses_of(const converter *c, const lm_convert_tensor *t, int part) {
    return &c->uses[t->ids[part] * lm_stored_layers(&c->config.hparams) + t->layer];
}

static LM_MUST_USE loam_status push_item(converter *c, const lm_convert_tensor *t,
                                         loam_error *err) {
    int64_t n = t->n_rows * t->n_columns;
    for (int i = 0; i < t->n_parts; i++) ++*uses_of(c, t, i);
    c->result.n_elems += n;
    c->result.n_tensors++;
    c->result.size_bytes += lm_dtype_bytes(t->to, n);
    return lm_vec_push(&c->items, *t) ? LOAM_OK : lm_error_no_memory(err, sizeof *t);
}

/* A tensor for each expert. */
static LM_MUST_USE loam_status push_experts(converter *c, const lm_convert_tensor *all,
                                            loam_error *err) {
    lm_convert_tensor one = *all;
    one.n_dims = 2;
    memcpy(one.shape, all->shape + 1, 2 * sizeof *one.shape);
    one.n_rows = all->shape[1];
    for (int64_t e = 0; e < all->shape[0]; e++) {
        one.first_row = e * one.n_rows;
        lm_param_name_expert(all->name, e, one.name);
        LM_TRY(push_item(c, &one, err));
    }
    return LOAM_OK;
}

/* The norm in front of a row that has its weights in it. */
static LM_MUST_USE loam_status push_plain_norm(converter *c, const lm_convert_tensor *row,
                                               loam_error *err) {
    lm_convert_tensor norm = *row;
    const char *at = strstr(row->name, "_proj.weight");
    snprintf(norm.name, sizeof norm.name, "%.*s_norm.weight", (int)(at - row->name), row->name);
    norm.n_dims = 1;
    norm.shape[0] = norm.n_rows * norm.n_columns;
    norm.constant = 1.0f;
    return push_item(c, &norm, err);
}

static LM_MUST_USE loam_status add_param(converter *c, lm_param_id id, int64_t layer,
                                         loam_error *err) {
    lm_convert_tensor t = {0};
    lm_param_tensor named;
    int64_t offset = c->options->to_folder ? 0 : c->config.hparams.position_offset;
    if (!lm_param_tensor_of(&c->config, id, layer, naming_of(c), &named)) return LOAM_OK;
    memcpy(t.name, named.name, sizeof t.name);
    fill_parts(c, &named, layer, &t);
    shape(c, &named, &t);
    if (id == LM_PARAM_POSITION_EMBED) { /* GGUF's table begins with the first position */
        t.first_row = offset;
        t.shape[0] = t.n_rows -= offset;
    }
    LM_TRY(choose_dtype(c, id, &t, err));
    if (lm_param_is_recall(id) && c->options->to_folder) LM_TRY(push_plain_norm(c, &t, err));
    return strstr(t.name, "%e") ? push_experts(c, &t, err) : push_item(c, &t, err);
}

/* safetensors leaves no gaps, so wide types come first. */
static int compare_width(const void *a, const void *b) {
    size_t wide_a = lm_dtype_bytes(((const lm_convert_tensor *)a)->to, 1),
           wide_b = lm_dtype_bytes(((const lm_convert_tensor *)b)->to, 1);
    if (wide_a != wide_b) return wide_a > wide_b ? -1 : 1;
    return strcmp(((const lm_convert_tensor *)a)->name, ((const lm_convert_tensor *)b)->name);
}

static bool is_metadata(const converter *c, lm_param_id id) {
    return c->options->to_folder ? lm_param_is_said(c->config.arch, id) : lm_param_is_listed(id);
}

static LM_MUST_USE loam_status list_items(converter *c, loam_error *err) {
    size_t n_params = LM_PARAM_COUNT * (size_t)lm_stored_layers(&c->config.hparams);
    c->uses = lm_calloc(n_params, sizeof *c->uses);
    if (!c->uses) return lm_error_no_memory(err, n_params * sizeof *c->uses);
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        int64_t n = lm_param_has_layer(id) ? lm_stored_layers(&c->config.hparams) : 1;
        for (int64_t layer = 0; layer < n; layer++)
            if (lm_param_at(&c->config, id, layer) && !is_metadata(c, id))
                LM_TRY(add_param(c, id, layer, err));
    }
    if (c->options->to_folder && c->items.len)
        qsort(c->items.ptr, c->items.len, sizeof *c->items.ptr, compare_width);
    return LOAM_OK;
}

/* --- Writing. */

static LM_MUST_USE loam_status write_bytes(converter *c, const void *bytes, size_t size,
                                           loam_error *err) {
    return c->gguf ? lm_gguf_writer_write(c->gguf, bytes, size, err)
                   : lm_safetensors_writer_write(c->safetensors, bytes, size, err);
}

static LM_MUST_USE loam_status make_parts(converter *c, lm_convert_tensor *t, loam_error *err) {
    for (int i = 0; i < t->n_parts; i++) {
        LM_TRY(lm_model_make_param(c->model, t->ids[i], t->layer, err));
        t->from[i].data = lm_model_param(c->model, t->ids[i], t->layer)->data;
    }
    return LOAM_OK;
}

static void drop_parts(converter *c, const lm_convert_tensor *t) {
    for (int i = 0; i < t->n_parts; i++)
        if (--*uses_of(c, t, i) == 0) lm_model_drop_param(c->model, t->ids[i], t->layer);
}

static LM_MUST_USE loam_status write_item(converter *c, lm_convert_tensor *t, loam_error *err) {
    LM_TRY(make_parts(c, t, err));
    size_t row_bytes = lm_dtype_bytes(t->to, t->n_columns);
    int64_t at_once = CHUNK_BYTES / row_bytes > 0 ? (int64_t)(CHUNK_BYTES / row_bytes) : 1;
    for (int64_t row = 0; row < t->n_rows; row += at_once) {
        int64_t n = t->n_rows - row < at_once ? t->n_rows - row : at_once;
        lm_convert_tensor_rows(t, row, n, c->room, c->chunk);
        LM_TRY(write_bytes(c, c->chunk, (size_t)n * row_bytes, err));
        c->n_done += n * t->n_columns;
        if (c->options->on_progress &&
            !c->options->on_progress(c->options->ctx, c->n_done, c->result.n_elems))
            return lm_error_set(err, LOAM_CANCELLED, "stopped; nothing was written");
    }
    drop_parts(c, t);
    return LOAM_OK;
}

static LM_MUST_USE loam_status make_buffers(converter *c, loam_error *err) {
    int64_t longest = 1, room = 1;
    for (size_t i = 0; i < c->items.len; i++) {
        const lm_convert_tensor *t = &c->items.ptr[i];
        int64_t wanted = lm_convert_tensor_room(t);
        if (t->n_columns > longest) longest = t->n_columns;
        if (wanted > room) room = wanted;
    }
    size_t row_bytes = (size_t)longest * sizeof(float), room_bytes = (size_t)room * sizeof(float);
    c->room = lm_alloc(room_bytes);
    c->chunk = lm_alloc(row_bytes > CHUNK_BYTES ? row_bytes : CHUNK_BYTES);
    return c->room && c->chunk ? LOAM_OK : lm_error_no_memory(err, room_bytes);
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
    for (size_t i = 0; i < c->items.len; i++) {
        const lm_convert_tensor *t = &c->items.ptr[i];
        LM_TRY(lm_gguf_writer_add_tensor(c->gguf, t->name, t->to, t->n_dims, t->shape, err));
    }
    LM_TRY(lm_convert_extras_find(c->model, &c->config, &c->extras, err));
    for (int i = 0; i < c->extras.n; i++) {
        const lm_convert_extra *e = &c->extras.list[i];
        LM_TRY(lm_gguf_writer_add_tensor(c->gguf, e->name, LM_F32, e->n_dims, e->shape, err));
    }
    return LOAM_OK;
}

/* As llama.cpp's server asks it. */
static void add_question(lm_gguf_writer *writer) {
    lm_gguf_writer_add_str(writer, "tokenizer.chat_template.rerank",
                           lm_str_of(lm_embed_question_template));
    lm_gguf_writer_open_array(writer, "tokenizer.chat_templates", LM_GGUF_STRING, 1);
    lm_gguf_writer_push_str(writer, LM_STR("rerank"));
}

/* Parameters that the format has as metadata. */
static void add_listed(const converter *c) {
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_is_listed(id) || !lm_param_in(&c->config, id)) continue;
        lm_gguf_writer_open_array(c->gguf, lm_param_list_key(id), LM_GGUF_F32,
                                  (size_t)lm_stored_layers(&c->config.hparams));
        for (int64_t i = 0; i < lm_stored_layers(&c->config.hparams); i++)
            lm_gguf_writer_push_f32(c->gguf, *(const float *)lm_model_param(c->model, id, i)->data);
    }
}

static LM_MUST_USE loam_status write_gguf(converter *c, const char *path, loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(c->model);
    c->gguf = lm_gguf_writer_new();
    if (!c->gguf) return lm_error_no_memory(err, 1);
    lm_hparams_write_gguf(&c->config, c->gguf);
    add_listed(c);
    lm_pooling_write_gguf(lm_model_pooling(c->model), &c->config, c->gguf);
    if (lm_model_pooling(c->model)->by_answer) add_question(c->gguf);
    lm_gguf_writer_add_str(c->gguf, "general.name", lm_str_of(lm_model_name(c->model)));
    lm_gguf_writer_add_u32(c->gguf, "general.file_type", file_type_of(main_dtype(c)));
    if (tokenizer && !c->options->no_tokenizer)
        LM_TRY(lm_tokenizer_write_gguf(tokenizer, c->config.hparams.vocab_size, c->gguf, err));
    LM_TRY(declare_gguf(c, err));
    LM_TRY(lm_gguf_writer_begin(c->gguf, path, err));
    LM_TRY(write_items(c, err));
    for (int i = 0; i < c->extras.n; i++) {
        const lm_convert_extra *e = &c->extras.list[i];
        LM_TRY(lm_gguf_writer_write(c->gguf, e->values, lm_convert_extra_bytes(e), err));
    }
    return lm_gguf_writer_commit(c->gguf, err);
}

/* --- A folder. */

static LM_MUST_USE loam_status write_safetensors(converter *c, const char *path, loam_error *err) {
    c->safetensors = lm_safetensors_writer_new();
    if (!c->safetensors) return lm_error_no_memory(err, 1);
    for (size_t i = 0; i < c->items.len; i++) {
        const lm_convert_tensor *t = &c->items.ptr[i];
        LM_TRY(lm_safetensors_writer_add_tensor(c->safetensors, t->name, t->to, t->n_dims, t->shape,
                                                err));
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

/* Nothing where the tokenizer has none: what a family's usual one has may be no token of this one. */
static void set_pad_token(json_t *config, const lm_tokenizer *tokenizer) {
    int32_t pad = tokenizer ? lm_tokenizer_pad(tokenizer) : -1;
    if (!json_object_get(config, "pad_token_id")) /* by which some count positions */
        json_object_set_new(config, "pad_token_id", pad >= 0 ? json_integer(pad) : json_null());
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

/* Behind a transformer and its pooling. */
static LM_MUST_USE loam_status write_dense(const lm_dense *dense, const char *dir,
                                           loam_error *err) {
    loam_status status = LOAM_OK;
    for (int i = 0; i < lm_dense_count(dense) && status == LOAM_OK; i++) {
        char *module = lm_asprintf("%s/%d_Dense", dir, i + 2);
        status = module ? lm_dense_write_module(lm_dense_at(dense, i), module, err)
                        : lm_error_no_memory(err, 1);
        lm_free(module);
    }
    return status;
}

/* What becomes of a text's states, as sentence-transformers says it. */
static LM_MUST_USE loam_status write_pooling(const converter *c, const char *dir, loam_error *err) {
    const lm_pooling *pooling = lm_model_pooling(c->model);
    json_t *modules = lm_pooling_modules_json(pooling);
    if (!modules) return LOAM_OK;
    LM_TRY(write_json(modules, dir, "modules.json", err));
    char *module = lm_path_join(dir, LM_POOLING_MODULE);
    loam_status status = module ? lm_file_make_dirs(module, err) : lm_error_no_memory(err, 1);
    if (status == LOAM_OK)
        status = write_json(lm_pooling_module_json(pooling, c->config.hparams.dim), module,
                            "config.json", err);
    lm_free(module);
    return status == LOAM_OK ? write_dense(pooling->dense, dir, err) : status;
}

/* The weights come last: a folder without them is none that anybody opens. */
static LM_MUST_USE loam_status write_folder(converter *c, const char *dir, loam_error *err) {
    const lm_tokenizer *tokenizer = c->options->no_tokenizer ? NULL : lm_model_tokenizer(c->model);
    LM_TRY(lm_file_make_dirs(dir, err));
    if (tokenizer)
        LM_TRY(lm_tokenizer_write_folder(tokenizer, dir, c->config.hparams.context_len, err));
    json_t *config = lm_hparams_config_json(&c->config, main_dtype(c)),
           *generation = generation_json(c->model);
    set_special_tokens(config, lm_model_tokenizer(c->model));
    set_pad_token(config, lm_model_tokenizer(c->model));
    set_special_tokens(generation, lm_model_tokenizer(c->model));
    loam_status status = write_json(config, dir, "config.json", err);
    if (status == LOAM_OK)
        status = write_json(generation, dir, "generation_config.json", err);
    else
        json_decref(generation);
    if (status == LOAM_OK) status = write_pooling(c, dir, err);
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

static LM_MUST_USE loam_status check_source(const converter *c, loam_error *err) {
    if (c->options->to_folder) return lm_hparams_check_config(&c->config, err);
    LM_TRY(lm_hparams_check_gguf(&c->config, err));
    return lm_pooling_check_gguf(lm_model_pooling(c->model), &c->config, err);
}

static void choose_target(converter *c) {
    c->config = *lm_model_config(c->model);
    const char *written_as = c->config.arch->written_as;
    if (written_as) c->config.arch = lm_arch_of_folder(written_as);
    c->layout = c->config.hparams.rope_layout;
    c->tiled = c->config.hparams.state_tiled;
    const char *with_experts = c->config.arch->gguf_moe_name;
    if (c->options->to_folder)
        c->config.arch = lm_arch_for_folder(&c->config);
    else if (with_experts && c->config.hparams.n_experts > 0)
        c->config.arch = lm_arch_find(with_experts);
    const lm_arch *arch = c->config.arch;
    c->config.hparams.state_tiled = !c->options->to_folder && arch->gguf_tiled;
    c->config.hparams.rope_layout =
        (c->options->to_folder ? arch->hf_interleaved : arch->gguf_interleaved)
            ? LM_ROPE_INTERLEAVED
            : LM_ROPE_HALF_SPLIT;
}

loam_status lm_convert(lm_model *model, const char *out_path, const lm_convert_options *options,
                       lm_convert_result *out, loam_error *err) {
    converter *c = lm_calloc(1, sizeof *c);
    if (!c) return lm_error_no_memory(err, sizeof *c);
    c->model = model;
    c->options = options;
    choose_target(c);
    loam_status status = check_source(c, err);
    if (status == LOAM_OK) status = list_items(c, err);
    if (status == LOAM_OK) status = check_place(c, out_path, err);
    if (status == LOAM_OK)
        status = options->to_folder ? write_folder(c, out_path, err) : write_gguf(c, out_path, err);
    lm_gguf_writer_free(c->gguf);
    if (c->safetensors) lm_safetensors_writer_free(c->safetensors);
    lm_vec_deinit(&c->items);
    lm_free(c->uses);
    lm_convert_extras_deinit(&c->extras);
    lm_free(c->room);
    lm_free(c->chunk);
    if (status == LOAM_OK) *out = c->result;
    lm_free(c);
    return status;
}
