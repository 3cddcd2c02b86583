#include "model/sampler_cut.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { BUCKETS = 1 << 11 };

static const struct { int shift, bits; } passes[] = {{21, 11}, {10, 11}, {0, 10}};

static uint32_t key_of(float p) {
    uint32_t key;
    memcpy(&key, &p, sizeof key);
    return key;
}

/* Bucket of the key's digit in this pass, or -1 when its digits of earlier passes differ from the prefix. */
static int digit(uint32_t key, uint32_t prefix, int pass) {
    int top = passes[pass].shift + passes[pass].bits;
    if (top < 32 && key >> top != prefix >> top) return -1;
    return (key >> passes[pass].shift) & ((1u << passes[pass].bits) - 1);
}

/* Walks the histogram from the largest digit until `target` is within reach; *reached becomes the weight of all larger
 * digits. When nothing reaches the target it ends at the smallest digit that has weight. */
static int find_digit(const double *weights, int n_digits, double target, double *reached) {
    int last = 0;
    double last_reached = *reached;
    for (int d = n_digits - 1; d >= 0; d--) {
        if (weights[d] <= 0) continue;
        last = d;
        last_reached = *reached;
        if (*reached + weights[d] >= target) return d;
        *reached += weights[d];
    }
    *reached = last_reached;
    return last;
}

/* A token weighs its likelihood, or 1 when by_count. */
static lm_cut find_cut(const float *p, int64_t n, double target, bool by_count) {
    double reached = 0; /* weight of all tokens above the prefix */
    uint32_t prefix = 0;
    for (int pass = 0; pass < 3; pass++) {
        double weights[BUCKETS] = {0};
        for (int64_t i = 0; i < n; i++) {
            int d = digit(key_of(p[i]), prefix, pass);
            if (d >= 0) weights[d] += by_count ? 1 : p[i];
        }
        int d = find_digit(weights, 1 << passes[pass].bits, target, &reached);
        prefix |= (uint32_t)d << passes[pass].shift;
    }
    float value;
    memcpy(&value, &prefix, sizeof value);
    double each = by_count ? 1 : value;
    double n_at_key = each > 0 ? ceil((target - reached) / each) : 1;
    return (lm_cut){.key = prefix,
                    .n_at_key = n_at_key < 1   ? 1
                                : n_at_key > n ? n
                                               : (int64_t)n_at_key};
}

lm_cut lm_cut_by_count(const float *p, int64_t n, int64_t count) {
    return find_cut(p, n, count, true);
}

lm_cut lm_cut_by_mass(const float *p, int64_t n, double mass) {
    return find_cut(p, n, mass, false);
}

void lm_cut_apply(lm_cut cut, float *p, int64_t n) {
    int64_t left = cut.n_at_key;
    for (int64_t i = 0; i < n; i++) {
        uint32_t key = key_of(p[i]);
        if (key < cut.key || (key == cut.key && left-- <= 0)) p[i] = 0;
    }
}
