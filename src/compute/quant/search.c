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
    ROUNDS = 4,     /* of codes and scales in turn */
    CANDIDATES = 4, /* to either side */
    TOPS = 4,       /* f16 numbers to start from */
    E8M0_LO = -128, /* powers of two that such a scale has */
};

/* Sums have LANES parts, whatever the width of vectors: every machine computes the same in the same order. The narrowest
 * width that all have is near enough to the best, for most of the time goes into what stands between the loops. */
enum { WIDTH = 4, VECTORS = LANES / WIDTH };
typedef float vector LM_VECTOR(WIDTH * sizeof(float));
typedef int32_t mask LM_VECTOR(WIDTH * sizeof(int32_t));

static const float SPREAD = 0.05f;    /* from one candidate of a scale to the next, of few levels */
static const float F16_REACH = 1e12f; /* more than such scales have, little enough to be squared */

/* --- Levels: what a code may stand for. */

typedef struct levels {
    int zero;
    float lo, hi;    /* of value - zero */
    bool is_table;   /* otherwise every whole number from lo to hi */
    float spread;    /* of candidates for a scale, relative, from one to the next */
    bool both_signs; /* so few that it matters which end the largest element takes */
    int n_steps;     /* of a table: from one value to the next greater one, */
    float middle[LM_QUANT_VALUES], step[LM_QUANT_VALUES]; /* which is nearer from the middle on */
    uint8_t code[256];                                    /* of a value */
} levels;

static void table_levels(levels *l, const uint8_t *values) {
    bool is_value[256] = {false};
    int last = -1;
    for (int c = LM_QUANT_VALUES - 1; c >= 0; c--) {
        l->code[values[c]] = (uint8_t)c;
        is_value[values[c]] = true;
    }
    for (int value = 0; value < 256; value++) {
        if (!is_value[value]) continue;
        if (last < 0) {
            l->lo = (float)(value - l->zero);
        } else {
            l->middle[l->n_steps] = 0.5f * (float)(last + value) - (float)l->zero;
            l->step[l->n_steps++] = (float)(value - last);
        }
        last = value;
    }
    l->hi = (float)(last - l->zero);
}

static void levels_init(levels *l, const lm_quant_info *quant) {
    int n_codes = quant->n_codes ? quant->n_codes : 1 << quant->bits;
    *l = (levels){.zero = quant->zero, .is_table = quant->values != NULL};
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

/* A number for each element. */
typedef union elements {
    vector of[MAX_PART / LANES][VECTORS];
    float at[MAX_PART];
} elements;

typedef struct part {
    int n;             /* elements: 16 or 32 */
    elements x, w, wx; /* elements, weights, products */
    float low, high;   /* of the elements */
    float sum_w, sum_wx;
} part;

/* How a part is dequantized: x = scale * q - min. */
typedef struct fit {
    float scale, min;
} fit;

static LM_ALWAYS_INLINE vector all(float x) {
    return x - (vector){0};
}

static LM_ALWAYS_INLINE vector choose(mask where, vector yes, vector no) {
    return (vector)((where & (mask)yes) | (~where & (mask)no));
}

static LM_ALWAYS_INLINE vector nearest_level(const levels *l, vector t) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    vector level = all(l->lo), hi = all(l->hi);
    t = choose(t < level, level, t);
    t = choose(t > hi, hi, t);
    if (!l->is_table) return (t + magic) - magic;
    for (int i = 0; i < l->n_steps; i++)
        level += (vector)((t >= all(l->middle[i])) & (mask)all(l->step[i]));
    return level;
}

/* The levels nearest to (x + min) / scale. */
static LM_ALWAYS_INLINE void assign(const levels *l, const part *p, fit f, elements *q) {
    float inverse = f.scale != 0.0f ? 1.0f / f.scale : 0.0f;
    if (!(fabsf(inverse) <= FLT_MAX)) inverse = 0.0f;
    for (int i = 0; i < p->n / LANES; i++)
        for (int j = 0; j < VECTORS; j++)
            q->of[i][j] = nearest_level(l, (p->x.of[i][j] + f.min) * inverse);
}

/* A sum in LANES parts. */
typedef struct lanes {
    vector of[VECTORS];
} lanes;

static LM_ALWAYS_INLINE float fold(const lanes *x) {
    vector sums = (x->of[0] + x->of[2]) + (x->of[1] + x->of[3]);
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

static LM_ALWAYS_INLINE float error_of(const part *p, fit f, const elements *q) {
    lanes sum = {0};
    for (int i = 0; i < p->n / LANES; i++)
        for (int j = 0; j < VECTORS; j++) {
            vector e = p->x.of[i][j] - (f.scale * q->of[i][j] - f.min);
            sum.of[j] += p->w.of[i][j] * e * e;
        }
    return fold(&sum);
}

/* Weighted sums over a part's elements. */
typedef struct sums {
    float q, qq, xq;
} sums;

/* Without a min there is no use for the sum of levels, and it is left at 0. */
static LM_ALWAYS_INLINE sums sums_of(const part *p, const elements *q, bool with_min) {
    lanes wq = {0}, wqq = {0}, wxq = {0};
    for (int i = 0; i < p->n / LANES; i++)
        for (int j = 0; j < VECTORS; j++) {
            vector level = q->of[i][j], weighted = p->w.of[i][j] * level;
            if (with_min) wq.of[j] += weighted;
            wqq.of[j] += weighted * level;
            wxq.of[j] += p->wx.of[i][j] * level;
        }
    return (sums){with_min ? fold(&wq) : 0.0f, fold(&wqq), fold(&wxq)};
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
static LM_ALWAYS_INLINE fit step(const levels *l, const part *p, mode how, fit guess, elements *q,
                                 double *gain) {
    assign(l, p, guess, q);
    sums s = sums_of(p, q, how != SCALE_ONLY);
    return best_fit(p, &s, how, guess, gain);
}

/* Levels and fit in turn until the error stays. */
static LM_ALWAYS_INLINE fit improve(const levels *l, const part *p, mode how, fit best) {
    elements q;
    float least = FLT_MAX;
    fit f = best;
    for (int round = 0; round < ROUNDS; round++) {
        double gain;
        f = step(l, p, how, f, &q, &gain);
        float error = error_of(p, f, &q);
        if (!(error < least)) break;
        least = error;
        best = f;
    }
    return best;
}

/* Tries scales around `reach` / levels, then improves the best of them. */
static LM_ALWAYS_INLINE void search_scales(const levels *l, const part *p, mode how, float reach,
                                           float n_levels, float min, fit *best, double *most) {
    float spread = how == SCALE_ONLY ? l->spread : l->spread / 2.0f;
    elements q;
    for (int i = -CANDIDATES; i <= CANDIDATES; i++) {
        double gain;
        fit guess = {reach / (n_levels * (1.0f + spread * (float)i)), min};
        fit f = step(l, p, how, guess, &q, &gain);
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

static float part_error(const block *b, int s, fit f) {
    elements q;
    assign(b->levels, &b->parts[s], f, &q);
    return error_of(&b->parts[s], f, &q);
}

/* Fills the errors of a choice. */
static void judge(const block *b, choice *c) {
    c->error = 0.0f;
    for (int s = 0; s < b->n_parts; s++) {
        c->part_error[s] = part_error(b, s, fit_of(c, s));
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

/* Moves a part's whole numbers to the best of their neighbours. False: none is better. */
static bool step_part(const block *b, choice *c, int s) {
    const lm_quant_info *quant = b->quant;
    int scale = c->scale[s], min = c->min[s], min_reach = lm_quant_has_min(quant) ? 1 : 0;
    float before = c->part_error[s];
    for (int i = scale - 1; i <= scale + 1; i++) {
        if (i < quant->sub_scale_lo || i > quant->sub_scale_hi) continue;
        for (int j = min - min_reach; j <= min + min_reach; j++) {
            if ((i == scale && j == min) || j < 0 || j > quant->sub_min_hi) continue;
            float error = part_error(b, s, (fit){c->d * (float)i, c->dmin * (float)j});
            if (!(error < c->part_error[s])) continue;
            c->scale[s] = i;
            c->min[s] = j;
            c->part_error[s] = error;
        }
    }
    return c->part_error[s] < before;
}

static void step_parts(const block *b, choice *c) {
    c->error = 0.0f;
    for (int s = 0; s < b->n_parts; s++) {
        for (int round = 0; round < ROUNDS; round++)
            if (!step_part(b, c, s)) break;
        c->error += c->part_error[s];
    }
}

/* The f16 numbers with the least error for the codes and whole numbers that a choice gives. */
static void refit(const block *b, choice *c) {
    double qq = 0, qm = 0, mm = 0, xq = 0, xm = 0;
    for (int s = 0; s < b->n_parts; s++) {
        elements q;
        assign(b->levels, &b->parts[s], fit_of(c, s), &q);
        sums t = sums_of(&b->parts[s], &q, lm_quant_has_min(b->quant));
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
    for (int s = 0; s < b->n_parts; s++) consider(b, b->ideal[s].scale, b->ideal[s].min, &best);
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

static float largest(const float *x, int n) {
    float max = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > max) max = fabsf(x[i]);
    return max;
}

/* What follows from a part's elements and weights. */
static void describe_part(part *p) {
    lanes w = {0}, wx = {0};
    p->low = p->high = p->x.at[0];
    for (int i = 1; i < p->n; i++) {
        p->low = p->x.at[i] < p->low ? p->x.at[i] : p->low;
        p->high = p->x.at[i] > p->high ? p->x.at[i] : p->high;
    }
    for (int i = 0; i < p->n / LANES; i++)
        for (int j = 0; j < VECTORS; j++) {
            p->wx.of[i][j] = p->w.of[i][j] * p->x.of[i][j];
            w.of[j] += p->w.of[i][j];
            wx.of[j] += p->wx.of[i][j];
        }
    p->sum_w = fold(&w);
    p->sum_wx = fold(&wx);
}

/* Reads a block's elements; those of formats with powers of two in units of 2^exponent. */
static void load(block *b, const float *x, const float *importance, int *out_exponent) {
    int n = b->n_parts * b->quant->sub_elems;
    float max = is_power(b) ? largest(x, n) : 0.0f,
          most = importance ? largest(importance, n) : 0.0f;
    *out_exponent = max > 0.0f ? ilogbf(max < FLT_MAX ? max : FLT_MAX) : 0;
    for (int s = 0; s < b->n_parts; s++) {
        part *p = &b->parts[s];
        for (int i = 0; i < p->n; i++) {
            int at = s * p->n + i;
            p->x.at[i] =
                is_power(b) ? ldexpf(sane(x[at], FLT_MAX), -*out_exponent) : sane(x[at], F16_REACH);
            p->w.at[i] = most > 0.0f ? importance[at] / most : 1.0f;
        }
        describe_part(p);
    }
}

static choice search(block *b, int exponent) {
    if (is_power(b)) return search_power(b, exponent);
    for (int s = 0; s < b->n_parts; s++) {
        const part *p = &b->parts[s];
        if (!lm_quant_has_min(b->quant))
            b->ideal[s] = search_part(b->levels, p, SCALE_ONLY);
        else if (is_split(b))
            b->ideal[s] = search_part(b->levels, p, SCALE_MIN);
        else
            b->ideal[s] = search_part(b->levels, p, SCALE_FREE_MIN);
    }
    return is_split(b) ? search_split(b) : search_whole(b);
}

static void store(const block *b, const choice *c, int exponent, lm_quant_block *out) {
    out->d = is_power(b) ? (uint16_t)(ilogbf(c->d) + exponent - E8M0_LO) : lm_f32_to_f16(c->d);
    out->dmin = lm_f32_to_f16(c->dmin);
    for (int s = 0; s < b->n_parts; s++) {
        elements q;
        assign(b->levels, &b->parts[s], fit_of(c, s), &q);
        out->sub_scale[s] = (int8_t)c->scale[s];
        out->sub_min[s] = (uint8_t)c->min[s];
        for (int i = 0; i < b->quant->sub_elems; i++)
            out->codes[s * b->quant->sub_elems + i] =
                b->levels->code[(int)q.at[i] + b->quant->zero];
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
