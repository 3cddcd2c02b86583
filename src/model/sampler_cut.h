/* Keeping the likeliest of many tokens without sorting them: radix selection on the bits of the likelihoods.
 *
 * Likelihoods are floats of at least 0, whose bit patterns order as the numbers do. Three passes of 11, 11 and 10
 * bits narrow the search to the one likelihood at which the kept set ends; among tokens of exactly that likelihood
 * the lowest ids stay. Pure functions, no allocation; any thread.
 */
#ifndef LM_MODEL_SAMPLER_CUT_H
#define LM_MODEL_SAMPLER_CUT_H

#include <stdint.h>

typedef struct lm_cut {
    uint32_t key;     /* bits of the smallest likelihood that stays */
    int64_t n_at_key; /* how many tokens of that likelihood stay, lowest ids first */
} lm_cut;

/* The `count` likeliest of p[0..n), count from 1 to n. */
lm_cut lm_cut_by_count(const float *p, int64_t n, int64_t count);

/* The fewest likeliest whose sum reaches `mass`; at least one, all with p > 0 when the sum does not reach it. */
lm_cut lm_cut_by_mass(const float *p, int64_t n, double mass);

/* Sets what does not stay to 0. */
void lm_cut_apply(lm_cut cut, float *p, int64_t n);

#endif
