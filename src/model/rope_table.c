#include "model/rope_table.h"

#include <math.h>

loam_status lm_rope_check(const lm_hparams *hp, loam_error *err) {
    const lm_rope_scaling *s = &hp->rope_scaling;
    if (!(hp->rope_theta > 1))
        return lm_error_set(err, LOAM_INVALID, "rope_theta is %g, must be above 1", hp->rope_theta);
    if (s->kind != LM_ROPE_SCALING_NONE && !(s->factor >= 1))
        return lm_error_set(err, LOAM_INVALID, "rope scaling factor is %g, must be 1 or more",
                            s->factor);
    if (s->kind == LM_ROPE_SCALING_DYNAMIC && hp->rope_dim < 4)
        return lm_error_set(err, LOAM_INVALID,
                            "dynamic rope scaling needs at least 4 rotary elements");
    for (int64_t i = 0; s->kind == LM_ROPE_SCALING_LONGROPE && i < hp->rope_dim / 2; i++)
        if (!(s->short_factors[i] > 0 && s->long_factors[i] > 0))
            return lm_error_set(err, LOAM_INVALID,
                                "longrope needs %lld positive short and long factors",
                                (long long)hp->rope_dim / 2);
    if (s->kind == LM_ROPE_SCALING_YARN && !(s->beta_slow > 0 && s->beta_fast > s->beta_slow))
        return lm_error_set(err, LOAM_INVALID,
                            "yarn rope scaling needs 0 < beta_slow < beta_fast, has %g and %g",
                            s->beta_slow, s->beta_fast);
    return LOAM_OK;
}

/* Positions before stretching. */
static double original_context(const lm_hparams *hp) {
    return hp->rope_scaling.original_context_len ? hp->rope_scaling.original_context_len
                                                 : hp->context_len;
}

static double stretched_theta(const lm_hparams *hp, int64_t context) {
    double n = hp->rope_dim, factor = hp->rope_scaling.factor, original = original_context(hp);
    if (context <= original) return hp->rope_theta;
    return hp->rope_theta * pow(factor * context / original - (factor - 1), n / (n - 2));
}

/* Long wavelengths are stretched, short ones kept, those between interpolated. */
static double llama3_freq(const lm_hparams *hp, double freq) {
    const lm_rope_scaling *s = &hp->rope_scaling;
    double original = original_context(hp), wavelength = 2 * M_PI / freq;
    if (wavelength < original / s->high_freq_factor) return freq;
    if (wavelength >= original / s->low_freq_factor) return freq / s->factor;
    double smooth =
        (original / wavelength - s->low_freq_factor) / (s->high_freq_factor - s->low_freq_factor);
    return (1 - smooth) * freq / s->factor + smooth * freq;
}

/* The pair of elements that turns n_rotations times within the original context (arXiv:2309.00071, section 3.2). */
static double yarn_pair(const lm_hparams *hp, double n_rotations) {
    return hp->rope_dim * log(original_context(hp) / (n_rotations * 2 * M_PI)) /
           (2 * log(hp->rope_theta));
}

/* Pairs that turn often are kept, those that turn less than once are stretched, a ramp between. */
static double yarn_freq(const lm_hparams *hp, double freq, int64_t pair) {
    double low = yarn_pair(hp, hp->rope_scaling.beta_fast),
           high = yarn_pair(hp, hp->rope_scaling.beta_slow);
    bool exact = hp->rope_scaling.exact_bounds;
    low = fmax(exact ? low : floor(low), 0);
    high = fmin(exact ? high : ceil(high), hp->rope_dim - 1);
    if (low == high) high += 0.001;
    double stretched = fmin(fmax((pair - low) / (high - low), 0), 1);
    return freq / hp->rope_scaling.factor * stretched + freq * (1 - stretched);
}

static double yarn_mscale(const lm_rope_scaling *s, double weight) {
    return s->factor > 1 ? 0.1 * weight * log(s->factor) + 1 : 1;
}

static double yarn_scale(const lm_rope_scaling *s) {
    if (s->attention_factor > 0) return s->attention_factor;
    if (s->mscale > 0 && s->mscale_all_dim > 0)
        return yarn_mscale(s, s->mscale) / yarn_mscale(s, s->mscale_all_dim);
    return yarn_mscale(s, 1);
}

/* The factor is the context's, where the file says none. */
static double longrope_scale(const lm_hparams *hp) {
    const lm_rope_scaling *s = &hp->rope_scaling;
    double original = original_context(hp),
           factor = s->factor > 1 ? s->factor : (double)hp->context_len / original;
    if (s->attention_factor > 0) return s->attention_factor;
    return factor > 1 ? sqrt(1 + log(factor) / log(original)) : 1;
}

static double scaled_freq(const lm_hparams *hp, double freq, int64_t pair) {
    switch (hp->rope_scaling.kind) {
    case LM_ROPE_SCALING_NONE:
    case LM_ROPE_SCALING_LONGROPE: /* see lm_rope_table */
    case LM_ROPE_SCALING_DYNAMIC: return freq;
    case LM_ROPE_SCALING_LINEAR: return freq / hp->rope_scaling.factor;
    case LM_ROPE_SCALING_NTK:
        return freq / pow(hp->rope_scaling.factor, 2.0 / (double)hp->rope_dim);
    case LM_ROPE_SCALING_LLAMA3: return llama3_freq(hp, freq);
    case LM_ROPE_SCALING_YARN: return yarn_freq(hp, freq, pair);
    }
    return freq;
}

void lm_rope_table(const lm_hparams *hp, int64_t context, float *out_inv_freq, float *out_scale) {
    bool dynamic = hp->rope_scaling.kind == LM_ROPE_SCALING_DYNAMIC;
    double theta = dynamic ? stretched_theta(hp, context) : hp->rope_theta;
    if (hp->rope_scaling.kind == LM_ROPE_SCALING_NTK) theta *= hp->rope_scaling.factor;
    bool longrope = hp->rope_scaling.kind == LM_ROPE_SCALING_LONGROPE;
    const float *divisors = !longrope                        ? hp->rope_freq_factors
                            : context > original_context(hp) ? hp->rope_scaling.long_factors
                                                             : hp->rope_scaling.short_factors;
    for (int64_t i = 0; i < hp->rope_dim / 2; i++) {
        double freq = scaled_freq(hp, pow(theta, -2.0 * i / hp->rope_dim), i);
        out_inv_freq[i] = divisors ? freq / divisors[i] : freq;
        if (hp->turning_pairs > 0 && i >= hp->turning_pairs) out_inv_freq[i] = 0;
    }
    *out_scale = hp->rope_scaling.kind == LM_ROPE_SCALING_YARN ? yarn_scale(&hp->rope_scaling)
                 : longrope                                    ? longrope_scale(hp)
                                                               : 1;
}

void lm_rope_local_table(const lm_hparams *hp, float *out_inv_freq) {
    int64_t rope_dim = lm_local_rope_dim(hp);
    for (int64_t i = 0; i < rope_dim / 2; i++)
        out_inv_freq[i] = pow(hp->local_rope_theta, -2.0 * i / rope_dim);
}

double lm_query_factor(const lm_hparams *hp, int64_t position) {
    double stretch = hp->query_stretch > 0 ? (double)hp->query_stretch : original_context(hp);
    return 1 + hp->query_growth * log(1 + floor((double)(position + hp->growth_unturned) / stretch));
}
