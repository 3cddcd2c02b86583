/* Pseudo-random numbers: xoshiro256** (Blackman and Vigna, arXiv:1805.01407), seeded by splitmix64.
 *
 * The state is plain data: copying it, or writing it to a checkpoint, continues the stream exactly. Seeds are always
 * explicit. One thread per state.
 */
#ifndef LM_BASE_RNG_H
#define LM_BASE_RNG_H

#include <stdint.h>

typedef struct lm_rng {
    uint64_t s[4];
} lm_rng;

void lm_rng_init(lm_rng *rng, uint64_t seed);

/* An independent stream for (seed, stream): e.g. one per layer or per request. */
void lm_rng_init_stream(lm_rng *rng, uint64_t seed, uint64_t stream);

uint64_t lm_rng_u64(lm_rng *rng);
uint64_t lm_rng_below(lm_rng *rng,
                      uint64_t bound); /* uniform in [0, bound), bound > 0, no modulo bias */
float lm_rng_f32(lm_rng *rng);         /* uniform in [0, 1), 24 bits */
double lm_rng_f64(lm_rng *rng);        /* uniform in [0, 1), 53 bits */
float lm_rng_normal(lm_rng *rng);      /* mean 0, deviation 1 (Box-Muller, two draws a number) */

uint64_t lm_rng_os_seed(void); /* from the operating system */

#endif
