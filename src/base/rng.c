#include "base/rng.h"

#include <math.h>
#include <sys/random.h>
#include <time.h>

static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void lm_rng_init(lm_rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++) rng->s[i] = splitmix64(&seed);
}

void lm_rng_init_stream(lm_rng *rng, uint64_t seed, uint64_t stream) {
    uint64_t x = stream;
    lm_rng_init(rng, seed ^ splitmix64(&x));
}

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t lm_rng_u64(lm_rng *rng) {
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t lm_rng_below(lm_rng *rng, uint64_t bound) {
    uint64_t threshold =
        (0 - bound) % bound; /* values below it would make small results likelier */
    for (;;) {
        uint64_t x = lm_rng_u64(rng);
        if (x >= threshold) return x % bound;
    }
}

float lm_rng_f32(lm_rng *rng) {
    return (float)(lm_rng_u64(rng) >> 40) * 0x1p-24f;
}

double lm_rng_f64(lm_rng *rng) {
    return (double)(lm_rng_u64(rng) >> 11) * 0x1p-53;
}

float lm_rng_normal(lm_rng *rng) {
    double u = 1.0 - lm_rng_f64(rng), v = lm_rng_f64(rng); /* u in (0, 1] */
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint64_t lm_rng_os_seed(void) {
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed) return seed;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_nsec ^ ((uint64_t)now.tv_sec << 32);
}
