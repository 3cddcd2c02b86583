#include "model/perplexity.h"

#include <math.h>

#include "base/mem.h"
#include "base/pool.h"
#include "compute/device.h"

enum { STEP_ROWS = 128, DEFAULT_CTX = 512 };

/* ---- The sums ---- */

double lm_perplexity_value(const lm_perplexity *p) {
    return p->n_scored > 0 ? exp(p->nll_sum / (double)p->n_scored) : 0;
}

double lm_perplexity_error(const lm_perplexity *p) {
    if (p->n_scored < 2) return 0;
    double n = (double)p->n_scored, mean = p->nll_sum / n;
    double variance = p->nll_square_sum / n - mean * mean;
    return variance > 0 ? sqrt(variance / (n - 1)) * exp(mean) : 0;
}

/* -ln softmax(logits)[target]; what is left of a logit after the largest is taken away is exact enough as a double. */
static double nll_of(const float *logits, int64_t n_vocab, int32_t target) {
    float max = logits[0];
    for (int64_t i = 1; i < n_vocab; i++) max = logits[i] > max ? logits[i] : max;
    double sum = 0;
    for (int64_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - (double)max);
    return log(sum) + (double)max - (double)logits[target];
}

/* ---- Scoring a step's rows on all threads ---- */

typedef struct scoring {
    lm_session *session;
    int64_t n_vocab, n_outs;
    int32_t targets[STEP_ROWS];
    double nll[STEP_ROWS];
} scoring;

static void score_rows(void *arg, int thread, int n_threads) {
    scoring *s = arg;
    lm_range share = lm_range_split(s->n_outs, 1, thread, n_threads);
    for (int64_t i = share.begin; i < share.end; i++)
        s->nll[i] = nll_of(lm_session_logits(s->session, i), s->n_vocab, s->targets[i]);
}

static void add_scores(lm_perplexity *p, const scoring *s) {
    for (int64_t i = 0; i < s->n_outs; i++) {
        p->nll_sum += s->nll[i];
        p->nll_square_sum += s->nll[i] * s->nll[i];
    }
    p->n_scored += s->n_outs;
}

/* ---- Chunks ---- */

/* tokens: of this chunk. The logits of position i speak of token i + 1; the last position has nothing to speak of. */
static loam_status score_chunk(scoring *s, int32_t seq, const int32_t *tokens,
                               const lm_perplexity_options *o, lm_perplexity *out,
                               loam_error *err) {
    lm_session_seq_truncate(s->session, seq, 0);
    for (int64_t at = 0; at < o->n_ctx - 1; at += STEP_ROWS) {
        lm_step_row rows[STEP_ROWS];
        int64_t n_rows = o->n_ctx - 1 - at < STEP_ROWS ? o->n_ctx - 1 - at : STEP_ROWS;
        s->n_outs = 0;
        for (int64_t i = 0; i < n_rows; i++) {
            bool scored = at + i >= o->n_ctx / 2, first = at + i == 0 && o->bos >= 0;
            rows[i] = (lm_step_row){
                .token = first ? o->bos : tokens[at + i], .seq = seq, .want_logits = scored};
            if (scored) s->targets[s->n_outs++] = tokens[at + i + 1];
        }
        LM_TRY(lm_session_step(s->session, rows, n_rows, err));
        lm_device_parallel(lm_model_device(lm_session_model(s->session)), score_rows, s);
        add_scores(out, s);
    }
    return LOAM_OK;
}

static loam_status score_chunks(scoring *s, const int32_t *tokens, const lm_perplexity_options *o,
                                lm_perplexity_fn *fn, void *ctx, lm_perplexity *out,
                                loam_error *err) {
    int32_t seq;
    LM_TRY(lm_session_seq_new(s->session, &seq, err));
    while (out->n_done < out->n_chunks) {
        LM_TRY(score_chunk(s, seq, tokens + out->n_done * o->n_ctx, o, out, err));
        out->n_done++;
        if (fn) fn(ctx, out);
    }
    return LOAM_OK;
}

static loam_status check(const int32_t *tokens, int64_t n_tokens, int64_t n_vocab,
                         const lm_perplexity_options *o, loam_error *err) {
    if (o->n_ctx < 4)
        return lm_error_set(err, LOAM_INVALID,
                            "chunks of %lld tokens are too short, 4 is the least",
                            (long long)o->n_ctx);
    if (n_tokens < o->n_ctx) {
        lm_error_set(err, LOAM_INVALID, "the text has %lld tokens, one chunk has %lld",
                     (long long)n_tokens, (long long)o->n_ctx);
        return lm_error_hint(err, LOAM_INVALID, "take a longer text or a smaller context");
    }
    for (int64_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= n_vocab)
            return lm_error_set(err, LOAM_INVALID,
                                "token %d is not in the model's vocabulary of %lld", tokens[i],
                                (long long)n_vocab);
    return LOAM_OK;
}

loam_status lm_perplexity_run(const lm_model *model, const int32_t *tokens, int64_t n_tokens,
                              const lm_perplexity_options *options, lm_perplexity_fn *fn, void *ctx,
                              lm_perplexity *out, loam_error *err) {
    lm_perplexity_options o = *options;
    if (o.n_ctx == 0) o.n_ctx = DEFAULT_CTX;
    scoring s = {.n_vocab = lm_model_config(model)->hparams.vocab_size};
    LM_TRY(check(tokens, n_tokens, s.n_vocab, &o, err));
    lm_perplexity result = {.n_chunks = n_tokens / o.n_ctx};
    if (o.max_chunks > 0 && o.max_chunks < result.n_chunks) result.n_chunks = o.max_chunks;
    lm_session_options limits = {.max_rows = STEP_ROWS,
                                 .max_outs = STEP_ROWS,
                                 .max_context = o.n_ctx,
                                 .kv_dtype = o.kv_dtype};
    LM_TRY(lm_session_new(model, &limits, &s.session, err));
    loam_status status = score_chunks(&s, tokens, &o, fn, ctx, &result, err);
    lm_session_free(s.session);
    if (status == LOAM_OK) *out = result;
    return status;
}
