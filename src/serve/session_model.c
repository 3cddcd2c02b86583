#include "serve/session_model.h"

#include "base/mem.h"

typedef struct session_model {
    lm_engine_model base; /* first: the engine sees only this */
    lm_session *session;
} session_model;

static lm_session *session_of(const lm_engine_model *model) {
    return ((const session_model *)model)->session;
}

static loam_status seq_new(lm_engine_model *model, int32_t *out_seq, loam_error *err) {
    return lm_session_seq_new(session_of(model), out_seq, err);
}

static loam_status seq_fork(lm_engine_model *model, int32_t from, int64_t len, int32_t *out_seq,
                            loam_error *err) {
    return lm_session_seq_fork(session_of(model), from, len, out_seq, err);
}

static void seq_free(lm_engine_model *model, int32_t seq) {
    lm_session_seq_free(session_of(model), seq);
}

static loam_status seq_reserve(lm_engine_model *model, int32_t seq, int64_t n_tokens,
                               loam_error *err) {
    return lm_session_seq_reserve(session_of(model), seq, n_tokens, err);
}

static int64_t n_free_blocks(const lm_engine_model *model) {
    return lm_session_n_free_blocks(session_of(model));
}

static loam_status step(lm_engine_model *model, const lm_step_row *rows, int64_t n_rows,
                        loam_error *err) {
    return lm_session_step(session_of(model), rows, n_rows, err);
}

static float *logits(lm_engine_model *model, int64_t i) {
    return lm_session_logits(session_of(model), i);
}

static int64_t row_flops(const lm_engine_model *model, int64_t position, bool want_logits) {
    return lm_session_row_flops(session_of(model), position, want_logits);
}

static bool is_end(const lm_engine_model *model, int32_t token) {
    return lm_model_is_end(lm_session_model(session_of(model)), token);
}

static void detokenize_begin(const lm_engine_model *model, lm_detokenizer *stream, bool at_start) {
    lm_detokenizer_init(stream, lm_model_tokenizer(lm_session_model(session_of(model))), at_start);
}

static void detokenize(const lm_engine_model *model, lm_detokenizer *stream, int32_t token,
                       lm_buf *out) {
    lm_detokenizer_push(stream, token, out);
}

static void detokenize_flush(const lm_engine_model *model, lm_detokenizer *stream, lm_buf *out) {
    lm_detokenizer_flush(stream, out);
}

static void parallel(lm_engine_model *model, void (*fn)(void *arg, int thread, int n_threads),
                     void *arg) {
    lm_device_parallel(lm_model_device(lm_session_model(session_of(model))), fn, arg);
}

static const lm_engine_model_ops SESSION_OPS = {
    .seq_new = seq_new,
    .seq_fork = seq_fork,
    .seq_free = seq_free,
    .seq_reserve = seq_reserve,
    .n_free_blocks = n_free_blocks,
    .step = step,
    .logits = logits,
    .row_flops = row_flops,
    .is_end = is_end,
    .detokenize_begin = detokenize_begin,
    .detokenize = detokenize,
    .detokenize_flush = detokenize_flush,
    .parallel = parallel,
};

loam_status lm_session_model_new(const lm_model *model, const lm_session_options *options,
                                 lm_engine_model **out, loam_error *err) {
    session_model *made = lm_calloc(1, sizeof *made);
    if (!made) return lm_error_no_memory(err, sizeof *made);
    loam_status status = lm_session_new(model, options, &made->session, err);
    if (status != LOAM_OK) {
        lm_free(made);
        return status;
    }
    const lm_session_options *limits = lm_session_limits(made->session);
    int64_t n_blocks = lm_session_n_blocks(made->session);
    int64_t room = n_blocks * LM_KV_BLOCK_TOKENS;
    made->base = (lm_engine_model){
        .ops = &SESSION_OPS,
        .n_vocab = lm_model_config(model)->hparams.vocab_size,
        .max_rows = limits->max_rows,
        .max_seqs = limits->max_seqs,
        .max_context = limits->max_context < room ? limits->max_context : room,
        .n_blocks = n_blocks,
        .block_tokens = LM_KV_BLOCK_TOKENS,
        .keeps_states = lm_state_seq_bytes(&lm_model_config(model)->hparams) > 0,
    };
    *out = &made->base;
    return LOAM_OK;
}

void lm_session_model_free(lm_engine_model *model) {
    if (!model) return;
    lm_session_free(session_of(model));
    lm_free(model);
}
