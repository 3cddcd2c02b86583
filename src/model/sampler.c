#include "model/sampler.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compute/numerics.h"
#include "model/sampler_cut.h"

/* What the sampler remembers of one token, when penalties ask for it. */
typedef struct history {
    int32_t n_answer; /* times in the answer */
    bool seen;        /* in prompt or answer */
} history;

struct lm_sampler {
    lm_sampler_options options;
    int64_t n_vocab;
    lm_rng rng;
    lm_logit_bias *biases; /* [options.n_biases] */
    history *history;      /* [n_vocab], NULL without penalties */
    int32_t *seen;         /* [n_seen] the tokens whose history is not empty; room for n_vocab */
    int64_t n_seen;
    float *raw; /* [n_vocab] logits before all stages, NULL without logprobs */
};

static loam_status check_range(const char *name, double value, double low, double high,
                               loam_error *err) {
    if (value >= low && value <= high) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "%s is %g, must be from %g to %g", name, value, low,
                        high);
}

static loam_status check_options(const lm_sampler_options *o, int64_t n_vocab, loam_error *err) {
    LM_TRY(check_range("temperature", o->temperature, 0, 100, err));
    LM_TRY(check_range("top_k", o->top_k, 0, INT32_MAX, err));
    LM_TRY(check_range("top_p", o->top_p, 0, 1, err));
    LM_TRY(check_range("min_p", o->min_p, 0, 1, err));
    LM_TRY(check_range("repetition_penalty", o->repetition_penalty, 0.01, 100, err));
    LM_TRY(check_range("frequency_penalty", o->frequency_penalty, -100, 100, err));
    LM_TRY(check_range("presence_penalty", o->presence_penalty, -100, 100, err));
    LM_TRY(check_range("number of top logprobs", o->n_top_logprobs, 0, LM_MAX_TOP_LOGPROBS, err));
    LM_TRY(check_range("number of logit biases", o->n_biases, 0, LM_MAX_LOGIT_BIASES, err));
    for (int i = 0; i < o->n_biases; i++) {
        LM_TRY(check_range("logit bias", o->biases[i].bias, -100, 100, err));
        LM_TRY(check_range("token of a logit bias", o->biases[i].token, 0, n_vocab - 1, err));
    }
    return LOAM_OK;
}

static bool has_penalties(const lm_sampler_options *o) {
    return o->repetition_penalty != 1 || o->frequency_penalty != 0 || o->presence_penalty != 0;
}

static bool wants_logprobs(const lm_sampler_options *o) {
    return o->logprobs || o->n_top_logprobs > 0;
}

static bool allocate(lm_sampler *s) {
    const lm_sampler_options *o = &s->options;
    if (o->n_biases > 0) {
        s->biases = lm_alloc(o->n_biases * sizeof *s->biases);
        if (!s->biases) return false;
        memcpy(s->biases, o->biases, o->n_biases * sizeof *s->biases);
    }
    if (has_penalties(o)) {
        s->history = lm_calloc(s->n_vocab, sizeof *s->history);
        s->seen = lm_calloc(s->n_vocab, sizeof *s->seen);
        if (!s->history || !s->seen) return false;
    }
    if (wants_logprobs(o)) s->raw = lm_calloc(s->n_vocab, sizeof *s->raw);
    return !wants_logprobs(o) || s->raw;
}

loam_status lm_sampler_new(const lm_sampler_options *options, int64_t n_vocab, lm_sampler **out,
                           loam_error *err) {
    LM_TRY(check_options(options, n_vocab, err));
    lm_sampler *s = lm_calloc(1, sizeof *s);
    if (!s) return lm_error_no_memory(err, sizeof *s);
    s->options = *options;
    s->n_vocab = n_vocab;
    if (!allocate(s)) {
        lm_sampler_free(s);
        return lm_error_no_memory(err, n_vocab * sizeof *s->raw);
    }
    s->options.biases = s->biases;
    lm_rng_init(&s->rng, options->seed);
    *out = s;
    return LOAM_OK;
}

void lm_sampler_free(lm_sampler *s) {
    if (!s) return;
    lm_free(s->biases);
    lm_free(s->history);
    lm_free(s->seen);
    lm_free(s->raw);
    lm_free(s);
}

/* --- Stages 1 and 2: biases and penalties. */

static history *remember(lm_sampler *s, int32_t token) {
    history *h = &s->history[token];
    if (!h->seen) {
        h->seen = true;
        s->seen[s->n_seen++] = token;
    }
    return h;
}

void lm_sampler_accept_prompt(lm_sampler *s, const int32_t *tokens, int64_t n_tokens) {
    for (int64_t i = 0; s->history && i < n_tokens; i++) {
        if (tokens[i] >= 0 && tokens[i] < s->n_vocab) remember(s, tokens[i]);
    }
}

static void apply_biases(const lm_sampler *s, float *logits) {
    for (int i = 0; i < s->options.n_biases; i++) logits[s->biases[i].token] += s->biases[i].bias;
}

static void apply_penalties(const lm_sampler *s, float *logits) {
    const lm_sampler_options *o = &s->options;
    for (int64_t i = 0; i < s->n_seen; i++) {
        int32_t token = s->seen[i], n = s->history[token].n_answer;
        float x = logits[token];
        x = x > 0 ? x / o->repetition_penalty : x * o->repetition_penalty;
        if (n > 0) x -= n * o->frequency_penalty + o->presence_penalty;
        logits[token] = x;
    }
}

/* --- Stages 3 to 7: from logits to a token. */

/* In lanes that do not wait for each other. No NaN. */
static float largest_of(const float *x, int64_t n) {
    enum { LANES = 16 };
    float lanes[LANES];
    for (int j = 0; j < LANES; j++) lanes[j] = x[0];
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    for (; i < n; i++) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
    float largest = lanes[0];
    for (int j = 1; j < LANES; j++) largest = lanes[j] > largest ? lanes[j] : largest;
    return largest;
}

/* The largest logit's token, the lowest id among equals. */
static int32_t find_largest(const float *logits, int64_t n) {
    float largest = largest_of(logits, n);
    int32_t best = 0;
    while (best + 1 < n && logits[best] != largest) best++;
    return best;
}

/* Logits become likelihoods relative to the largest: 1 for it. */
static void to_likelihoods(float *logits, int64_t n, float largest, float temperature) {
    for (int64_t i = 0; i < n; i++) logits[i] = lm_exp((logits[i] - largest) / temperature);
}

static double sum_of(const float *p, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += p[i];
    return sum;
}

static void apply_cuts(const lm_sampler_options *o, float *p, int64_t n) {
    if (o->top_k > 0 && o->top_k < n) lm_cut_apply(lm_cut_by_count(p, n, o->top_k), p, n);
    if (o->top_p < 1) lm_cut_apply(lm_cut_by_mass(p, n, o->top_p * sum_of(p, n)), p, n);
    if (o->min_p > 0) {
        for (int64_t i = 0; i < n; i++) {
            if (p[i] < o->min_p) p[i] = 0; /* the likeliest has 1 */
        }
    }
}

static int32_t draw(lm_rng *rng, const float *p, int64_t n) {
    double target = lm_rng_f64(rng) * sum_of(p, n), sum = 0;
    int32_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        if (p[i] <= 0) continue;
        sum += p[i];
        last = i;
        if (sum > target) break;
    }
    return last;
}

/* --- Log probabilities. */

static double log_sum_exp(const float *logits, int64_t n, float largest) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += lm_exp(logits[i] - largest);
    return largest + log(sum);
}

/* Keeps the n_top likeliest in order by insertion: a logit that is not among them costs one comparison. */
static void find_top(const float *logits, int64_t n, int n_top, lm_sample *out) {
    out->n_top = 0;
    for (int64_t i = 0; i < n; i++) {
        if (out->n_top == n_top && !(logits[i] > out->top[n_top - 1].logprob)) continue;
        int at = out->n_top < n_top ? out->n_top++ : n_top - 1;
        for (; at > 0 && logits[i] > out->top[at - 1].logprob; at--)
            out->top[at] = out->top[at - 1];
        out->top[at] = (lm_token_logprob){.token = i, .logprob = logits[i]};
    }
}

static void report_logprobs(const lm_sampler *s, lm_sample *out) {
    int32_t best = find_largest(s->raw, s->n_vocab);
    double norm = log_sum_exp(s->raw, s->n_vocab, s->raw[best]);
    out->logprob = s->raw[out->token] - norm;
    if (s->options.n_top_logprobs > 0) find_top(s->raw, s->n_vocab, s->options.n_top_logprobs, out);
    for (int i = 0; i < out->n_top; i++) out->top[i].logprob -= norm;
}

/* Looks at exponents, so that the loop has no branch. */
static bool all_finite(const float *logits, int64_t n) {
    enum { EXPONENT = 0x7f800000 };
    uint32_t n_broken = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        n_broken += (bits & EXPONENT) == EXPONENT;
    }
    return n_broken == 0;
}

LM_COLD loam_status lm_refuse_logits(loam_error *err) {
    lm_error_set(err, LOAM_CORRUPT,
                 "the model's logits are not finite numbers: its weights are broken");
    return lm_error_hint(err, LOAM_CORRUPT, "loam show --check names the tensor");
}

loam_status lm_sampler_sample(lm_sampler *s, float *logits, lm_sample *out, loam_error *err) {
    const lm_sampler_options *o = &s->options;
    if (!all_finite(logits, s->n_vocab)) return lm_refuse_logits(err);
    if (s->raw) memcpy(s->raw, logits, s->n_vocab * sizeof *logits);
    apply_biases(s, logits);
    if (s->history) apply_penalties(s, logits);

    int32_t token = find_largest(logits, s->n_vocab);
    if (o->temperature > 0 && o->top_k != 1) {
        to_likelihoods(logits, s->n_vocab, logits[token], o->temperature);
        apply_cuts(o, logits, s->n_vocab);
        token = draw(&s->rng, logits, s->n_vocab);
    }
    if (s->history) remember(s, token)->n_answer++;
    out->token = token;
    out->logprob = 0;
    out->n_top = 0;
    if (s->raw) report_logprobs(s, out);
    return LOAM_OK;
}
