#include "model/generate.h"

#include "base/clock.h"
#include "base/mem.h"

const char *lm_stop_reason_name(lm_stop_reason reason) {
    switch (reason) {
    case LM_STOP_END: return "stop";
    case LM_STOP_LENGTH: return "length";
    case LM_STOP_CALLER: return "cancelled";
    }
    return "";
}

/* What one generation holds. */
typedef struct generation {
    lm_session *session;
    const lm_generate_options *options;
    lm_sampler *sampler;
    lm_step_row *rows; /* [max_rows] */
    int32_t seq;       /* -1: none yet */
    lm_generate_stats stats;
} generation;

static loam_status step(generation *g, int64_t n_rows, loam_error *err) {
    int64_t position = lm_session_seq_len(g->session, g->seq);
    LM_TRY(lm_session_step(g->session, g->rows, n_rows, err));
    for (int64_t i = 0; i < n_rows; i++)
        g->stats.flops += lm_session_row_flops(g->session, position + i, g->rows[i].want_logits);
    return LOAM_OK;
}

/* The prompt in chunks of as many rows as a step takes; logits for the last. */
static loam_status prefill(generation *g, const int32_t *prompt, int64_t n_prompt,
                           loam_error *err) {
    int64_t max_rows = lm_session_limits(g->session)->max_rows;
    for (int64_t begin = 0; begin < n_prompt; begin += max_rows) {
        int64_t n = n_prompt - begin < max_rows ? n_prompt - begin : max_rows;
        for (int64_t i = 0; i < n; i++)
            g->rows[i] = (lm_step_row){.token = prompt[begin + i],
                                       .seq = g->seq,
                                       .want_logits = begin + i == n_prompt - 1};
        LM_TRY(step(g, n, err));
    }
    return LOAM_OK;
}

static bool is_end(const generation *g, int32_t token) {
    const lm_generate_options *o = g->options;
    if (o->ignore_end) return false;
    return lm_model_is_end(lm_session_model(g->session), token) ||
           (o->has_turn_end && token == o->turn_end);
}

/* Samples from the last step's logits until something ends it. */
static loam_status decode(generation *g, lm_generate_fn *fn, void *ctx, loam_error *err) {
    int64_t context = lm_session_limits(g->session)->max_context;
    int64_t max_tokens = g->options->max_tokens > 0 ? g->options->max_tokens : INT64_MAX;
    g->stats.reason = LM_STOP_LENGTH;
    while (g->stats.n_generated < max_tokens) {
        lm_sample sample;
        LM_TRY(lm_sampler_sample(g->sampler, lm_session_logits(g->session, 0), &sample, err));
        if (is_end(g, sample.token)) {
            g->stats.reason = LM_STOP_END;
            break;
        }
        g->stats.n_generated++;
        if (!fn(ctx, &sample)) {
            g->stats.reason = LM_STOP_CALLER;
            break;
        }
        if (g->stats.n_generated == max_tokens || lm_session_seq_len(g->session, g->seq) == context)
            break;
        g->rows[0] = (lm_step_row){.token = sample.token, .seq = g->seq, .want_logits = true};
        LM_TRY(step(g, 1, err));
    }
    return LOAM_OK;
}

static loam_status run(generation *g, const int32_t *prompt, int64_t n_prompt, lm_generate_fn *fn,
                       void *ctx, loam_error *err) {
    const lm_session_options *limits = lm_session_limits(g->session);
    int64_t n_vocab = lm_model_config(lm_session_model(g->session))->hparams.vocab_size;
    LM_TRY(lm_sampler_new(&g->options->sampling, n_vocab, &g->sampler, err));
    g->rows = lm_calloc(limits->max_rows, sizeof *g->rows);
    if (!g->rows) return lm_error_no_memory(err, limits->max_rows * sizeof *g->rows);
    LM_TRY(lm_session_seq_new(g->session, &g->seq, err));

    lm_sampler_accept_prompt(g->sampler, prompt, n_prompt);
    int64_t start_ns = lm_clock_mono_ns();
    LM_TRY(prefill(g, prompt, n_prompt, err));
    int64_t middle_ns = lm_clock_mono_ns();
    LM_TRY(decode(g, fn, ctx, err));
    g->stats.n_prompt = n_prompt;
    g->stats.prefill_ns = middle_ns - start_ns;
    g->stats.decode_ns = lm_clock_mono_ns() - middle_ns;
    return LOAM_OK;
}

loam_status lm_generate(lm_session *session, const int32_t *prompt, int64_t n_prompt,
                        const lm_generate_options *options, lm_generate_fn *fn, void *ctx,
                        lm_generate_stats *out_stats, loam_error *err) {
    int64_t context = lm_session_limits(session)->max_context;
    if (n_prompt < 1) return lm_error_set(err, LOAM_INVALID, "the prompt has no tokens");
    if (n_prompt > context)
        return lm_error_set(err, LOAM_LIMIT, "the prompt has %lld tokens, the context is %lld",
                            (long long)n_prompt, (long long)context);
    generation g = {.session = session, .options = options, .seq = -1};
    loam_status status = run(&g, prompt, n_prompt, fn, ctx, err);
    if (g.seq >= 0) lm_session_seq_free(session, g.seq);
    lm_sampler_free(g.sampler);
    lm_free(g.rows);
    if (status == LOAM_OK && out_stats) *out_stats = g.stats;
    return status;
}
