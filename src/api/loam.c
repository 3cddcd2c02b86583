/* The public C API over the engine: opens a CPU device for every model, and copies options across. */
#include "loam/loam.h"

#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/mem.h"
#include "model/complete.h"
#include "model/tokenizer.h"

struct loam_model {
    lm_device *device;
    lm_model *model;
};

struct loam_session {
    lm_session *session;
    int32_t seq;       /* the sequence that the caller appends to */
    lm_step_row *rows; /* [max_rows] of a step */
};

const char *loam_version(void) {
    return LOAM_VERSION;
}

/* --- Models. */

loam_status loam_model_open(const char *path, const loam_model_options *options, loam_model **out,
                            loam_error *err) {
    loam_model *model = lm_calloc(1, sizeof *model);
    if (!model) return lm_error_no_memory(err, sizeof *model);
    lm_device_options device = {.n_threads = options ? options->n_threads : 0};
    lm_model_options open = {.check_weights = options && options->check_weights};
    loam_status status = lm_backend_cpu.open(&device, &model->device, err);
    if (status == LOAM_OK) status = lm_model_open(path, model->device, &open, &model->model, err);
    if (status != LOAM_OK) {
        loam_model_close(model);
        return status;
    }
    *out = model;
    return LOAM_OK;
}

void loam_model_close(loam_model *model) {
    if (!model) return;
    lm_model_free(model->model);
    lm_device_close(model->device);
    lm_free(model);
}

loam_model_info loam_model_describe(const loam_model *model) {
    const lm_arch_config *config = lm_model_config(model->model);
    return (loam_model_info){
        .name = lm_model_name(model->model),
        .architecture = config->arch->name,
        .n_params = lm_arch_n_params(config),
        .n_vocab = config->hparams.vocab_size,
        .n_layers = config->hparams.n_layers,
        .context = config->hparams.context_len,
        .weight_bytes = lm_model_weight_bytes(model->model),
    };
}

/* --- Tokens. */

static loam_status tokenizer_of(const loam_model *model, const lm_tokenizer **out,
                                loam_error *err) {
    *out = lm_model_tokenizer(model->model);
    return *out ? LOAM_OK : lm_error_set(err, LOAM_INVALID, "the model has no tokenizer");
}

loam_status loam_tokenize(const loam_model *model, const char *text, size_t len, unsigned flags,
                          int32_t *out_tokens, size_t capacity, size_t *out_n, loam_error *err) {
    const lm_tokenizer *tokenizer;
    LM_TRY(tokenizer_of(model, &tokenizer, err));
    lm_encode_options options = {.add_bos =
                                     (flags & LOAM_ADD_BOS) && lm_tokenizer_adds_bos(tokenizer),
                                 .parse_special = (flags & LOAM_PARSE_SPECIAL) != 0};
    lm_vec_i32 ids = {0};
    loam_status status = lm_tokenizer_encode(tokenizer, (lm_str){text, len}, options, &ids, err);
    if (status == LOAM_OK) {
        size_t n = ids.len < capacity ? ids.len : capacity;
        if (n > 0) memcpy(out_tokens, ids.ptr, n * sizeof *out_tokens);
        *out_n = ids.len;
    }
    lm_vec_deinit(&ids);
    return status;
}

loam_status loam_detokenize(const loam_model *model, const int32_t *tokens, size_t n,
                            char *out_text, size_t capacity, size_t *out_len, loam_error *err) {
    const lm_tokenizer *tokenizer;
    LM_TRY(tokenizer_of(model, &tokenizer, err));
    lm_buf text;
    lm_buf_init(&text, LM_TOKENIZER_MAX_TEXT_BYTES);
    loam_status status = lm_tokenizer_decode(tokenizer, tokens, n, &text, err);
    if (status == LOAM_OK) {
        size_t len = text.len < capacity ? text.len : capacity;
        if (len > 0) memcpy(out_text, text.ptr, len);
        *out_len = text.len;
    }
    lm_buf_deinit(&text);
    return status;
}

int loam_is_end(const loam_model *model, int32_t token) {
    return lm_model_is_end(model->model, token);
}

/* --- Sessions. */

static lm_dtype kv_dtype_of(loam_kv_type type) {
    switch (type) {
    case LOAM_KV_I16: return LM_I16;
    case LOAM_KV_F16: return LM_F16;
    case LOAM_KV_BF16: return LM_BF16;
    case LOAM_KV_F32: return LM_F32;
    case LOAM_KV_I8: return LM_I8;
    }
    return LM_DTYPE_COUNT;
}

/* Two sequences: the caller's, and the one of a generation. */
static loam_status open_session(loam_session *session, const lm_model *model,
                                const loam_session_options *options, loam_error *err) {
    lm_session_options inner = {.max_seqs = 2,
                                .max_outs = 1,
                                .max_context = options->context,
                                .kv_dtype = kv_dtype_of(options->kv_type)};
    if (inner.kv_dtype == LM_DTYPE_COUNT)
        return lm_error_set(err, LOAM_INVALID, "unknown kv_type %d", options->kv_type);
    LM_TRY(lm_session_new(model, &inner, &session->session, err));
    int64_t max_rows = lm_session_limits(session->session)->max_rows;
    session->rows = lm_calloc(max_rows, sizeof *session->rows);
    if (!session->rows) return lm_error_no_memory(err, max_rows * sizeof *session->rows);
    return lm_session_seq_new(session->session, &session->seq, err);
}

loam_status loam_session_new(loam_model *model, const loam_session_options *options,
                             loam_session **out, loam_error *err) {
    loam_session *session = lm_calloc(1, sizeof *session);
    if (!session) return lm_error_no_memory(err, sizeof *session);
    loam_session_options defaults = {0};
    loam_status status = open_session(session, model->model, options ? options : &defaults, err);
    if (status != LOAM_OK) {
        loam_session_free(session);
        return status;
    }
    *out = session;
    return LOAM_OK;
}

void loam_session_free(loam_session *session) {
    if (!session) return;
    lm_session_free(session->session);
    lm_free(session->rows);
    lm_free(session);
}

int64_t loam_session_length(const loam_session *session) {
    return lm_session_seq_len(session->session, session->seq);
}

static void truncate_to(loam_session *session, int64_t n_tokens) {
    n_tokens = lm_session_seq_keeps(session->session, session->seq, n_tokens);
    lm_session_seq_truncate(session->session, session->seq, n_tokens);
}

void loam_session_truncate(loam_session *session, int64_t n_tokens) {
    if (n_tokens >= 0 && n_tokens < loam_session_length(session)) truncate_to(session, n_tokens);
}

loam_status loam_session_append(loam_session *session, const int32_t *tokens, size_t n,
                                const float **out_logits, loam_error *err) {
    if (n == 0) return lm_error_set(err, LOAM_INVALID, "there are no tokens to append");
    int64_t before = loam_session_length(session);
    LM_TRY(lm_session_seq_reserve(session->session, session->seq, (int64_t)n, err));
    size_t max_rows = (size_t)lm_session_limits(session->session)->max_rows;
    for (size_t begin = 0; begin < n; begin += max_rows) {
        size_t count = n - begin < max_rows ? n - begin : max_rows;
        for (size_t i = 0; i < count; i++)
            session->rows[i] = (lm_step_row){
                .token = tokens[begin + i], .seq = session->seq, .want_logits = begin + i == n - 1};
        loam_status status = lm_session_step(session->session, session->rows, (int64_t)count, err);
        if (status != LOAM_OK) {
            truncate_to(session, before);
            return status;
        }
    }
    if (out_logits) *out_logits = lm_session_logits(session->session, 0);
    return LOAM_OK;
}

/* --- Generation. */

typedef struct text_sink {
    loam_text_fn *fn;
    void *ctx;
} text_sink;

static bool on_piece(void *ctx, lm_str text, const lm_sample *sample) {
    const text_sink *sink = ctx;
    return text.len == 0 || sink->fn(sink->ctx, text.ptr, text.len) == 0;
}

loam_status loam_generate(loam_session *session, const char *prompt,
                          const loam_generate_options *options, loam_text_fn *fn, void *ctx,
                          loam_generate_result *result, loam_error *err) {
    const loam_generate_options defaults = LOAM_GENERATE_DEFAULTS,
                                *o = options ? options : &defaults;
    lm_complete_options complete = {
        .generate = {.sampling = {.temperature = o->temperature,
                                  .top_k = o->top_k,
                                  .top_p = o->top_p,
                                  .min_p = o->min_p,
                                  .repetition_penalty = o->repetition_penalty,
                                  .frequency_penalty = o->frequency_penalty,
                                  .presence_penalty = o->presence_penalty,
                                  .seed = o->seed},
                     .max_tokens = o->max_tokens,
                     .ignore_end = o->ignore_end != 0}};
    text_sink sink = {.fn = fn, .ctx = ctx};
    lm_generate_stats stats;
    LM_TRY(
        lm_complete(session->session, lm_str_of(prompt), &complete, on_piece, &sink, &stats, err));
    if (result)
        *result = (loam_generate_result){.n_prompt = stats.n_prompt,
                                         .n_generated = stats.n_generated,
                                         .finish_reason = lm_stop_reason_name(stats.reason)};
    return LOAM_OK;
}
