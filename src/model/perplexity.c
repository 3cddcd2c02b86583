#include "model/perplexity.h"

#include <math.h>

#include "base/mem.h"
#include "base/pool.h"
#include "compute/device.h"
#include "model/sampler.h"

enum { STEP_ROWS = 128 };

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

/* The logits of position i speak of token i + 1; the last position has nothing to speak of. */
static loam_status score_chunk(scoring *s, int32_t seq, const lm_text_chunks *c, lm_perplexity *out,
                               loam_error *err) {
    lm_session_seq_truncate(s->session, seq, 0);
    for (int64_t at = 0; at < c->n_ctx - 1; at += STEP_ROWS) {
        lm_step_row rows[STEP_ROWS];
        int64_t n_rows = c->n_ctx - 1 - at < STEP_ROWS ? c->n_ctx - 1 - at : STEP_ROWS;
        s->n_outs = 0;
        for (int64_t i = 0; i < n_rows; i++) {
            bool scored = at + i >= c->n_ctx / 2;
            rows[i] = (lm_step_row){.token = lm_text_chunk_token(c, out->n_done, at + i),
                                    .seq = seq,
                                    .want_logits = scored};
            if (scored) s->targets[s->n_outs++] = lm_text_chunk_token(c, out->n_done, at + i + 1);
        }
        LM_TRY(lm_session_step(s->session, rows, n_rows, err));
        lm_device_parallel(lm_model_device(lm_session_model(s->session)), score_rows, s);
        add_scores(out, s);
        if (!isfinite(out->nll_sum)) return lm_refuse_logits(err);
    }
    return LOAM_OK;
}

static loam_status score_chunks(scoring *s, const lm_text_chunks *c, lm_perplexity_fn *fn,
                                void *ctx, lm_perplexity *out, loam_error *err) {
    int32_t seq;
    LM_TRY(lm_session_seq_new(s->session, &seq, err));
    while (out->n_done < out->n_chunks) {
        LM_TRY(score_chunk(s, seq, c, out, err));
        out->n_done++;
        if (fn) fn(ctx, out);
    }
    return LOAM_OK;
}

loam_status lm_perplexity_run(const lm_model *model, const lm_text_chunks *chunks,
                              lm_dtype kv_dtype, lm_perplexity_fn *fn, void *ctx,
                              lm_perplexity *out, loam_error *err) {
    scoring s = {.n_vocab = lm_model_config(model)->hparams.vocab_size};
    lm_perplexity result = {.n_chunks = chunks->n_chunks};
    lm_session_options limits = {.max_rows = STEP_ROWS,
                                 .max_outs = STEP_ROWS,
                                 .max_context = chunks->n_ctx,
                                 .kv_dtype = kv_dtype};
    LM_TRY(lm_session_new(model, &limits, &s.session, err));
    loam_status status = score_chunks(&s, chunks, fn, ctx, &result, err);
    lm_session_free(s.session);
    if (status == LOAM_OK) *out = result;
    return status;
}
