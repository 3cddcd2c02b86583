#include "compute/quant/search.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "compute/quant/quant.h"

enum {
    LANES = 16,    /* a part is one or two of these */
    MAX_PART = 32, /* elements */
    SETTLE_ROUNDS = 2,
    ROUNDS = 4,      /* of codes and scales in turn */
    CANDIDATES = 10, /* to either side */
    TOPS = 4,        /* f16 numbers to start from */
    E8M0_LO = -128,  /* powers of two that such a scale has */
    MAX_CELLS = 512, /* half steps between a table's lowest and highest value */
};

static const float SPREAD = 0.04f;    /* from one candidate of a scale to the next, of few levels */
static const float F16_REACH = 1e12f; /* more than such scales have, little enough to be squared */

/* --- Levels: what a code may stand for. */

typedef struct levels {
    int zero;
    float lo, hi;            /* of value - zero */
    bool is_table;           /* otherwise every whole number from lo to hi */
    float spread;            /* of candidates for a scale, relative, from one to the next */
    bool both_signs;         /* so few that it matters which end the largest element takes */
    int16_t near[MAX_CELLS]; /* the level nearest to what lies between lo + cell / 2 and the next */
    uint8_t code[256];       /* of a value */
} levels;

static void table_levels(levels *l, const uint8_t *values) {
    int lowest = 255, highest = 0;
    for (int c = LM_QUANT_VALUES - 1; c >= 0; c--) {
        l->code[values[c]] = (uint8_t)c;
        if (values[c] < lowest) lowest = values[c];
        if (values[c] > highest) highest = values[c];
    }
    for (int cell = 0; cell <= 2 * (highest - lowest); cell++) {
        float at = (float)lowest + 0.5f * (float)cell + 0.25f;
        int best = lowest;
        for (int c = 0; c < LM_QUANT_VALUES; c++)
            if (fabsf((float)values[c] - at) < fabsf((float)best - at)) best = values[c];
        l->near[cell] = (int16_t)(best - l->zero);
    }
    l->lo = (float)(lowest - l->zero);
    l->hi = (float)(highest - l->zero);
}

static void levels_init(levels *l, const lm_quant_info *quant) {
    int n_codes = 1 << quant->bits;
    l->zero = quant->zero;
    l->is_table = quant->values != NULL;
    l->both_signs = quant->bits <= 4;
    l->spread = SPREAD / (quant->bits < 4 ? 1.0f : (float)(n_codes / 16));
    l->lo = (float)-quant->zero;
    l->hi = (float)(n_codes - 1 - quant->zero);
    if (l->is_table) {
        table_levels(l, quant->values);
    } else {
        for (int c = 0; c < n_codes; c++) l->code[c] = (uint8_t)c;
    }
}

/* --- A part: elements that share a scale. */

typedef struct part {
    int n;                                        /* 16 or 32 */
    float x[MAX_PART], w[MAX_PART], wx[MAX_PART]; /* elements, weights, products */
    float low, high;                              /* of the elements */
    float sum_w, sum_wx;
} part;

/* How a part is dequantized: x = scale * q - min. */
typedef struct fit {
    float scale, min;
} fit;

/* The levels nearest to (x + min) / scale. */
static LM_ALWAYS_INLINE void assign(const levels *l, const part *p, fit f, float *q) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float inverse = f.scale != 0.0f ? 1.0f / f.scale : 0.0f;
    if (!(fabsf(inverse) <= FLT_MAX)) inverse = 0.0f;
    for (int at = 0; at < p->n; at += LANES)
        for (int j = 0; j < LANES; j++) {
            float t = (p->x[at + j] + f.min) * inverse;
            t = t < l->lo ? l->lo : t;
            t = t > l->hi ? l->hi : t;
            q[at + j] = l->is_table ? t : (t + magic) - magic;
        }
    for (int i = 0; l->is_table && i < p->n; i++) q[i] = l->near[(int)(2.0f * (q[i] - l->lo))];
}

static LM_ALWAYS_INLINE float fold(const float lanes[LANES]) {
    float sums[LANES / 2];
    for (int j = 0; j < LANES / 2; j++) sums[j] = lanes[j] + lanes[j + LANES / 2];
    for (int j = 0; j < LANES / 4; j++) sums[j] += sums[j + LANES / 4];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

static LM_ALWAYS_INLINE float error_of(const part *p, fit f, const float *q) {
    float lanes[LANES] = {0};
    for (int at = 0; at < p->n; at += LANES)
        for (int j = 0; j < LANES; j++) {
            float e = p->x[at + j] - (f.scale * q[at + j] - f.min);
            lanes[j] += p->w[at + j] * e * e;
        }
    return fold(lanes);
}

/* Weighted sums over a part's elements. */
typedef struct sums {
    float q, qq, xq;
} sums;

static LM_ALWAYS_INLINE sums sums_of(const part *p, const float *q) {
    float wq[LANES] = {0}, wqq[LANES] = {0}, wxq[LANES] = {0};
    for (int at = 0; at < p->n; at += LANES)
        for (int j = 0; j < LANES; j++) {
            float level = q[at + j], weighted = p->w[at + j] * level;
            wq[j] += weighted;
            wqq[j] += weighted * level;
            wxq[j] += p->wx[at + j] * level;
        }
    return (sums){fold(wq), fold(wqq), fold(wxq)};
}

typedef enum mode { SCALE_ONLY, SCALE_MIN, SCALE_FREE_MIN } mode;

/* What the part's fit may be with least squares for these sums. *gain: how much less than with all levels 0 the
 * squared error is. */
static fit best_scale(const sums *s, float fallback, double *gain) {
    bool solvable = s->qq > 0.0f;
    *gain = solvable ? (double)s->xq * s->xq / s->qq : 0.0;
    return (fit){.scale = solvable ? s->xq / s->qq : fallback};
}

static LM_ALWAYS_INLINE fit best_fit(const part *p, const sums *s, mode how, fit fallback,
                                     double *gain) {
    if (how == SCALE_ONLY) return best_scale(s, fallback.scale, gain);
    double w = p->sum_w, wx = p->sum_wx, det = w * s->qq - (double)s->q * s->q;
    if (!(det > 0.0)) return best_scale(s, fallback.scale, gain);
    double scale = (w * s->xq - s->q * wx) / det, min = (s->q * (double)s->xq - s->qq * wx) / det;
    if (how == SCALE_MIN && min < 0.0) return best_scale(s, fallback.scale, gain);
    *gain = scale * s->xq - min * wx;
    return (fit){(float)scale, (float)min};
}

/* One step from a guess: levels for it, then the fit for those. */
static LM_ALWAYS_INLINE fit step(const levels *l, const part *p, mode how, fit guess, float *q,
                                 double *gain) {
    assign(l, p, guess, q);
    sums s = sums_of(p, q);
    return best_fit(p, &s, how, guess, gain);
}

/* Levels and fit in turn until the error stays. */
static LM_ALWAYS_INLINE fit improve(const levels *l, const part *p, mode how, fit best) {
    float q[MAX_PART], least = FLT_MAX;
    fit f = best;
    for (int round = 0; round < ROUNDS; round++) {
        double gain;
        f = step(l, p, how, f, q, &gain);
        float error = error_of(p, f, q);
        if (!(error < least)) break;
        least = error;
        best = f;
    }
    return best;
}

/* Tries scales around `reach` / levels, then improves the best of them. */
static LM_ALWAYS_INLINE void search_scales(const levels *l, const part *p, mode how, float reach,
                                           float n_levels, float min, fit *best, double *most) {
    float spread = how == SCALE_ONLY ? l->spread : l->spread / 2.0f, q[MAX_PART];
    for (int i = -CANDIDATES; i <= CANDIDATES; i++) {
        double gain;
        fit guess = {reach / (n_levels * (1.0f + spread * (float)i)), min};
        fit f = step(l, p, how, guess, q, &gain);
        if (!(gain > *most)) continue;
        *most = gain;
        *best = f;
    }
}

/* The best fit of a part alone. */
static LM_ALWAYS_INLINE fit search_part(const levels *l, const part *p, mode how) {
    fit best = {0};
    double most = -DBL_MAX;
    if (how == SCALE_ONLY) {
        float reach = -p->low > p->high ? p->low : p->high;
        if (reach == 0.0f) return best;
        float widest = l->hi > -l->lo ? l->hi : -l->lo;
        search_scales(l, p, how, -reach, widest, 0.0f, &best, &most);
        if (l->both_signs) search_scales(l, p, how, reach, widest, 0.0f, &best, &most);
    } else {
        float low = p->low, high = p->high;
        if (how == SCALE_MIN && low > 0.0f) low = 0.0f;
        best.min = -low;
        if (!(high > low)) return best;
        search_scales(l, p, how, high - low, l->hi, -low, &best, &most);
    }
    return improve(l, p, how, best);
}

/* --- A block: parts under common f16 numbers. */

typedef struct block {
    const lm_quant_info *quant;
    const levels *levels;
    int n_parts;
    part parts[LM_QUANT_MAX_SUBS];
    fit ideal[LM_QUANT_MAX_SUBS]; /* of each part alone */
} block;

/* A way to quantize a block: its f16 numbers as they will be read, and whole numbers for the parts. */
typedef struct choice {
    float d, dmin;
    int scale[LM_QUANT_MAX_SUBS], min[LM_QUANT_MAX_SUBS];
    float part_error[LM_QUANT_MAX_SUBS];
    float error;
} choice;

static float through_f16(float x) {
    x = x > 65504.0f ? 65504.0f : x < -65504.0f ? -65504.0f : x;
    return lm_f16_to_f32(lm_f32_to_f16(x));
}

static int nearest_in(float x, int lo, int hi) {
    return !(x > (float)lo) ? lo : x >= (float)hi ? hi : (int)rintf(x);
}

static bool is_split(const block *b) {
    return b->quant->scales == LM_SCALES_SUB || b->quant->scales == LM_SCALES_SUB_MIN;
}

static fit fit_of(const choice *c, int s) {
    return (fit){c->d * (float)c->scale[s], c->dmin * (float)c->min[s]};
}

static float part_error(const block *b, const choice *c, int s) {
    float q[MAX_PART];
    fit f = fit_of(c, s);
    assign(b->levels, &b->parts[s], f, q);
    return error_of(&b->parts[s], f, q);
}

/* Fills the errors of a choice. */
static void judge(const block *b, choice *c) {
    c->error = 0.0f;
    for (int s = 0; s < b->n_parts; s++) {
        c->part_error[s] = part_error(b, c, s);
        c->error += c->part_error[s];
    }
}

/* Whole numbers for the parts' ideal scales and mins. */
static void round_parts(const block *b, choice *c) {
    const lm_quant_info *quant = b->quant;
    float inverse = c->d != 0.0f ? 1.0f / c->d : 0.0f,
          inverse_min = c->dmin != 0.0f ? 1.0f / c->dmin : 0.0f;
    for (int s = 0; s < b->n_parts; s++) {
        if (!is_split(b)) {
            c->scale[s] = c->min[s] = 1;
            continue;
        }
        c->scale[s] =
            nearest_in(b->ideal[s].scale * inverse, quant->sub_scale_lo, quant->sub_scale_hi);
        c->min[s] = nearest_in(b->ideal[s].min * inverse_min, 0, quant->sub_min_hi);
    }
}

/* Tries the neighbours of every part's whole numbers until none is better. */
static void step_parts(const block *b, choice *c) {
    const lm_quant_info *quant = b->quant;
    int min_reach = lm_quant_has_min(quant) ? 1 : 0;
    for (int s = 0; s < b->n_parts; s++) {
        bool moved = true;
        for (int round = 0; moved && round < ROUNDS; round++) {
            choice best = *c, trial = *c;
            moved = false;
            for (int i = -1; i <= 1; i++) {
                for (int j = -min_reach; j <= min_reach; j++) {
                    trial.scale[s] = c->scale[s] + i;
                    trial.min[s] = c->min[s] + j;
                    if ((i == 0 && j == 0) || trial.scale[s] < quant->sub_scale_lo ||
                        trial.scale[s] > quant->sub_scale_hi || trial.min[s] < 0 ||
                        trial.min[s] > quant->sub_min_hi)
                        continue;
                    float error = part_error(b, &trial, s);
                    if (!(error < best.part_error[s])) continue;
                    best.scale[s] = trial.scale[s];
                    best.min[s] = trial.min[s];
                    best.part_error[s] = error;
                    moved = true;
                }
            }
            *c = best;
        }
    }
    c->error = 0.0f;
    for (int s = 0; s < b->n_parts; s++) c->error += c->part_error[s];
}

/* The f16 numbers with the least error for the codes and whole numbers that a choice gives. */
static void refit(const block *b, choice *c) {
    double qq = 0, qm = 0, mm = 0, xq = 0, xm = 0;
    for (int s = 0; s < b->n_parts; s++) {
        float q[MAX_PART];
        assign(b->levels, &b->parts[s], fit_of(c, s), q);
        sums t = sums_of(&b->parts[s], q);
        double scale = c->scale[s], min = c->min[s];
        qq += scale * scale * t.qq;
        qm += scale * min * t.q;
        mm += min * min * b->parts[s].sum_w;
        xq += scale * t.xq;
        xm += min * b->parts[s].sum_wx;
    }
    double det = qq * mm - qm * qm;
    if (lm_quant_has_min(b->quant) && det > 1e-9 * qq * mm) {
        c->d = through_f16((float)((mm * xq - qm * xm) / det));
        c->dmin = through_f16((float)((qm * xq - qq * xm) / det));
    } else if (qq > 0) {
        c->d = through_f16((float)((xq + c->dmin * qm) / qq));
    }
}

static void keep_better(choice *best, const choice *trial) {
    if (trial->error < best->error) *best = *trial;
}

/* Takes f16 numbers with the whole numbers next to the parts' ideals if that is better. */
static void consider(const block *b, float d, float dmin, choice *best) {
    choice c = {.d = through_f16(d), .dmin = through_f16(dmin)};
    round_parts(b, &c);
    judge(b, &c);
    keep_better(best, &c);
}

/* Whole numbers and f16 numbers in turn until the error stays. */
static void settle(const block *b, choice *best) {
    choice c = *best;
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        float before = best->error;
        if (is_split(b)) step_parts(b, &c);
        keep_better(best, &c);
        refit(b, &c);
        judge(b, &c);
        keep_better(best, &c);
        if (!(best->error < before)) return;
    }
}

/* The scale of the largest magnitude, and the largest min. */
static fit extremes_of(const block *b) {
    fit most = {0};
    for (int s = 0; s < b->n_parts; s++) {
        if (fabsf(b->ideal[s].scale) > fabsf(most.scale)) most.scale = b->ideal[s].scale;
        if (b->ideal[s].min > most.min) most.min = b->ideal[s].min;
    }
    return most;
}

static choice search_split(const block *b) {
    choice best = {.error = FLT_MAX};
    fit most = extremes_of(b);
    const lm_quant_info *quant = b->quant;
    float min_top = quant->sub_min_hi ? (float)quant->sub_min_hi : 1.0f;
    for (int less = 0; less < TOPS; less++) {
        float shrink = 1.0f - 0.04f * (float)less;
        consider(b, most.scale / ((float)quant->sub_scale_hi * shrink),
                 most.min / (min_top * shrink), &best);
        if (quant->sub_scale_lo < 0)
            consider(b, most.scale / ((float)quant->sub_scale_lo * shrink), 0.0f, &best);
    }
    settle(b, &best);
    return best;
}

static choice search_whole(const block *b) {
    choice best = {.error = FLT_MAX};
    consider(b, b->ideal[0].scale, b->ideal[0].min, &best);
    settle(b, &best);
    return best;
}

/* Powers of two around the one that reaches the largest magnitude. `exponent`: of the block's unit. */
static choice search_power(const block *b, int exponent) {
    choice best = {.error = FLT_MAX};
    const part *p = &b->parts[0];
    float reach = -p->low > p->high ? -p->low : p->high;
    int top = reach > 0.0f ? ilogbf(reach / b->levels->hi) : 0;
    int highest = FLT_MAX_EXP - 1 - ilogbf(b->levels->hi); /* whose largest level is finite */
    for (int step = -1; step <= 2; step++) {
        int power = top + step + exponent;
        power = (power < E8M0_LO ? E8M0_LO : power > highest ? highest : power) - exponent;
        choice c = {.d = ldexpf(1.0f, power), .scale = {1}, .min = {0}};
        judge(b, &c);
        keep_better(&best, &c);
    }
    return best;
}

/* --- Whole rows. */

static bool is_power(const block *b) {
    return b->quant->scales == LM_SCALES_E8M0;
}

static float sane(float x, float reach) {
    return x != x ? 0.0f : x > reach ? reach : x < -reach ? -reach : x;
}

/* Reads a block's elements; those of formats with powers of two in units of 2^exponent. */
static void load(block *b, const float *x, const float *importance, int *out_exponent) {
    int n = b->n_parts * b->quant->sub_elems;
    float max = 0.0f, most = 0.0f;
    for (int i = 0; i < n; i++) {
        if (fabsf(x[i]) > max) max = fabsf(x[i]);
        if (importance && importance[i] > most) most = importance[i];
    }
    *out_exponent = is_power(b) && max > 0.0f ? ilogbf(max < FLT_MAX ? max : FLT_MAX) : 0;
    for (int s = 0; s < b->n_parts; s++) {
        part *p = &b->parts[s];
        p->sum_w = p->sum_wx = 0.0f;
        for (int i = 0; i < p->n; i++) {
            int at = s * p->n + i;
            p->x[i] =
                is_power(b) ? ldexpf(sane(x[at], FLT_MAX), -*out_exponent) : sane(x[at], F16_REACH);
            p->w[i] = most > 0.0f ? importance[at] / most : 1.0f;
            p->wx[i] = p->w[i] * p->x[i];
            p->sum_w += p->w[i];
            p->sum_wx += p->wx[i];
            p->low = i == 0 || p->x[i] < p->low ? p->x[i] : p->low;
            p->high = i == 0 || p->x[i] > p->high ? p->x[i] : p->high;
        }
    }
}

static choice search(block *b, int exponent) {
    if (is_power(b)) return search_power(b, exponent);
    mode how = !lm_quant_has_min(b->quant) ? SCALE_ONLY : is_split(b) ? SCALE_MIN : SCALE_FREE_MIN;
    for (int s = 0; s < b->n_parts; s++) b->ideal[s] = search_part(b->levels, &b->parts[s], how);
    return is_split(b) ? search_split(b) : search_whole(b);
}

static void store(const block *b, const choice *c, int exponent, lm_quant_block *out) {
    out->d = is_power(b) ? (uint16_t)(ilogbf(c->d) + exponent - E8M0_LO) : lm_f32_to_f16(c->d);
    out->dmin = lm_f32_to_f16(c->dmin);
    for (int s = 0; s < b->n_parts; s++) {
        float q[MAX_PART];
        assign(b->levels, &b->parts[s], fit_of(c, s), q);
        out->sub_scale[s] = (int8_t)c->scale[s];
        out->sub_min[s] = (uint8_t)c->min[s];
        for (int i = 0; i < b->quant->sub_elems; i++)
            out->codes[s * b->quant->sub_elems + i] = b->levels->code[(int)q[i] + b->quant->zero];
    }
}

void lm_quantize(const lm_dtype_info *info, const float *src, const float *importance, void *dst,
                 int64_t n) {
    levels l;
    levels_init(&l, info->quant);
    block b = {.quant = info->quant,
               .levels = &l,
               .n_parts = (int)info->block_elems / info->quant->sub_elems};
    for (int s = 0; s < b.n_parts; s++) b.parts[s].n = info->quant->sub_elems;
    for (int64_t at = 0; at < n; at += info->block_elems) {
        int exponent;
        lm_quant_block out;
        load(&b, src + at, importance ? importance + at : NULL, &exponent);
        choice c = search(&b, exponent);
        store(&b, &c, exponent, &out);
        info->quant->write(&out,
                           (char *)dst + (size_t)(at / info->block_elems) * info->block_bytes);
    }
}
