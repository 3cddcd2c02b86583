#include "compute/quant/search.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "compute/quant/quant.h"

enum {
    LANES = 16,      /* a part is one or two of these */
    MAX_PART = 32,   /* elements */
    ROUNDS = 4,      /* of codes and scales in turn */
    CANDIDATES = 10, /* to either side */
    TOPS = 4,        /* f16 numbers to start from */
    E8M0_LO = -128,  /* powers of two that such a scale has */
    E8M0_HI = 127,
    MAX_CELLS = 512, /* half steps between a table's lowest and highest value */
};

static const float SPREAD = 0.04f;

/* --- Levels: what a code may stand for. */

typedef struct levels {
    int zero;
    float lo, hi;  /* of value - zero */
    bool is_table; /* otherwise every whole number from lo to hi */
    int16_t near
        [MAX_CELLS];   /* the level nearest to lo + cell / 2 and what follows it by less than 1/2 */
    uint8_t code[256]; /* of a value */
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
    int n; /* 16 or 32 */
    float x[MAX_PART], w[MAX_PART];
    float max; /* largest magnitude */
} part;

/* How a part is dequantized: x = scale * q - min. */
typedef struct fit {
    float scale, min;
} fit;

/* The levels nearest to (x + min) / scale. */
static void assign(const levels *l, const part *p, fit f, float *q) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float inverse = f.scale != 0.0f ? 1.0f / f.scale : 0.0f;
    if (!(fabsf(inverse) <= FLT_MAX)) inverse = 0.0f;
    for (int at = 0; at < p->n; at += LANES)
        for (int j = 0; j < LANES; j++) {
            float t = (p->x[at + j] + f.min) * inverse;
            t = t < l->lo ? l->lo : t;
            q[at + j] = t > l->hi ? l->hi : t;
        }
    if (l->is_table) {
        for (int i = 0; i < p->n; i++) q[i] = l->near[(int)(2.0f * (q[i] - l->lo))];
        return;
    }
    for (int at = 0; at < p->n; at += LANES)
        for (int j = 0; j < LANES; j++) q[at + j] = (q[at + j] + magic) - magic;
}

static float fold(const float lanes[LANES]) {
    float sums[LANES];
    memcpy(sums, lanes, sizeof sums);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) sums[j] += sums[j + width];
    return sums[0];
}

static float error_of(const part *p, fit f, const float *q) {
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
    float w, q, qq, x, xq;
} sums;

static sums sums_of(const part *p, const float *q) {
    float w[LANES] = {0}, wq[LANES] = {0}, wqq[LANES] = {0}, wx[LANES] = {0}, wxq[LANES] = {0};
    for (int at = 0; at < p->n; at += LANES)
        for (int j = 0; j < LANES; j++) {
            float weight = p->w[at + j], x = p->x[at + j], level = q[at + j];
            w[j] += weight;
            wq[j] += weight * level;
            wqq[j] += weight * level * level;
            wx[j] += weight * x;
            wxq[j] += weight * x * level;
        }
    return (sums){fold(w), fold(wq), fold(wqq), fold(wx), fold(wxq)};
}

/* The scale with the least error for these levels, the min being given. */
static float best_scale(const sums *s, float min, float fallback) {
    return s->qq > 0.0f ? (s->xq + min * s->q) / s->qq : fallback;
}

/* Scale and min with the least error for these levels; min at least 0 unless it is free. */
static fit best_fit(const sums *s, bool free_min, fit fallback) {
    double det = (double)s->w * s->qq - (double)s->q * s->q;
    fit f = fallback;
    if (det > 0.0) {
        f.scale = (float)(((double)s->w * s->xq - (double)s->q * s->x) / det);
        f.min = (float)(((double)s->q * s->xq - (double)s->qq * s->x) / det);
    }
    if (free_min || f.min >= 0.0f) return f;
    return (fit){best_scale(s, 0.0f, fallback.scale), 0.0f};
}

typedef enum mode { SCALE_ONLY, SCALE_MIN, SCALE_FREE_MIN } mode;

/* From a guess, levels and scales in turn until the error stays. Keeps the best in *best, *error. */
static void improve(const levels *l, const part *p, mode how, fit guess, int rounds, fit *best,
                    float *error) {
    float q[MAX_PART], last = FLT_MAX;
    for (int round = 0; round < rounds; round++) {
        assign(l, p, guess, q);
        sums s = sums_of(p, q);
        if (how == SCALE_ONLY)
            guess.scale = best_scale(&s, 0.0f, guess.scale);
        else
            guess = best_fit(&s, how == SCALE_FREE_MIN, guess);
        float e = error_of(p, guess, q);
        if (!(e < last)) return;
        last = e;
        if (e < *error) {
            *error = e;
            *best = guess;
        }
    }
}

/* The best fit of a part alone. */
static fit search_scale(const levels *l, const part *p, float *out_error) {
    fit best = {0};
    float error = FLT_MAX, q[MAX_PART] = {0};
    if (p->max == 0.0f) {
        *out_error = 0.0f;
        return best;
    }
    error = error_of(p, best, q);
    float widest = l->hi > -l->lo ? l->hi : -l->lo;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int step = -CANDIDATES; step <= CANDIDATES; step++) {
            float target =
                widest * (1.0f + SPREAD * (float)step / (widest < 8.0f ? 1.0f : widest / 8.0f));
            fit guess = {.scale = (float)sign * p->max / target};
            improve(l, p, SCALE_ONLY, guess, 2, &best, &error);
        }
    }
    improve(l, p, SCALE_ONLY, best, ROUNDS, &best, &error);
    *out_error = error;
    return best;
}

static fit search_min(const levels *l, const part *p, bool free_min, float *out_error) {
    float low = p->x[0], high = p->x[0], error = FLT_MAX;
    for (int i = 1; i < p->n; i++) {
        low = p->x[i] < low ? p->x[i] : low;
        high = p->x[i] > high ? p->x[i] : high;
    }
    mode how = free_min ? SCALE_FREE_MIN : SCALE_MIN;
    if (!free_min && low > 0.0f) low = 0.0f;
    if (!free_min && high < 0.0f) high = 0.0f;
    fit best = {.min = -low};
    float q[MAX_PART] = {0};
    error = error_of(p, best, q);
    for (int step = -CANDIDATES; step <= CANDIDATES && high > low; step++) {
        float target = l->hi * (1.0f + SPREAD * (float)step / (l->hi < 8.0f ? 1.0f : l->hi / 8.0f));
        fit guess = {.scale = (high - low) / target, .min = -low};
        improve(l, p, how, guess, 2, &best, &error);
    }
    improve(l, p, how, best, ROUNDS, &best, &error);
    *out_error = error;
    return best;
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
        mm += min * min * t.w;
        xq += scale * t.xq;
        xm += min * t.x;
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

/* From f16 numbers on: whole numbers, and both in turn. */
static void settle(const block *b, float d, float dmin, choice *best) {
    choice c = {.d = through_f16(d), .dmin = through_f16(dmin)};
    round_parts(b, &c);
    judge(b, &c);
    for (int round = 0; round < ROUNDS; round++) {
        float before = c.error;
        if (is_split(b)) step_parts(b, &c);
        keep_better(best, &c);
        refit(b, &c);
        judge(b, &c);
        keep_better(best, &c);
        if (!(c.error < before)) return;
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
        settle(b, most.scale / ((float)quant->sub_scale_hi * shrink), most.min / (min_top * shrink),
               &best);
        if (quant->sub_scale_lo < 0)
            settle(b, most.scale / ((float)quant->sub_scale_lo * shrink), 0.0f, &best);
    }
    return best;
}

static choice search_whole(const block *b) {
    choice best = {.error = FLT_MAX};
    settle(b, b->ideal[0].scale, b->ideal[0].min, &best);
    return best;
}

/* Powers of two around the one that reaches the largest magnitude. `exponent`: of the block's unit. */
static choice search_power(const block *b, int exponent) {
    choice best = {.error = FLT_MAX};
    int top = b->parts[0].max > 0.0f ? ilogbf(b->parts[0].max / b->levels->hi) : 0;
    for (int step = -1; step <= 2; step++) {
        int power = top + step + exponent;
        power = (power < E8M0_LO ? E8M0_LO : power > E8M0_HI ? E8M0_HI : power) - exponent;
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

static float sane(float x) {
    const float reach = 1e12f; /* more than f16 scales have, little enough to be squared */
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
    for (int i = 0; i < n; i++) {
        part *p = &b->parts[i / b->quant->sub_elems];
        int at = i % b->quant->sub_elems;
        if (at == 0) p->max = 0.0f;
        p->x[at] = sane(is_power(b) ? ldexpf(x[i], -*out_exponent) : x[i]);
        p->w[at] = most > 0.0f ? importance[i] / most : 1.0f;
        if (fabsf(p->x[at]) > p->max) p->max = fabsf(p->x[at]);
    }
}

static choice search(block *b, int exponent) {
    if (is_power(b)) return search_power(b, exponent);
    for (int s = 0; s < b->n_parts; s++) {
        float error;
        b->ideal[s] = lm_quant_has_min(b->quant)
                          ? search_min(b->levels, &b->parts[s], !is_split(b), &error)
                          : search_scale(b->levels, &b->parts[s], &error);
    }
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
