/* Choosing the next token from logits.
 *
 * Order of the stages; each is skipped when its option is off:
 *   1. logit biases are added
 *   2. repetition penalty: logits of tokens seen in prompt or answer are divided (positive) or multiplied (negative)
 *      by it (arXiv:1909.05858); frequency and presence penalties subtract count * f and p for tokens of the answer
 *   3. temperature 0 (or top_k 1): the largest logit wins, the lowest id among equals; otherwise logits /
 *      temperature, softmax
 *   4. top_k: the k most likely stay
 *   5. top_p: of those, the smallest set of the most likely whose share reaches p stays (at least one)
 *   6. min_p: of those, tokens at least min_p times as likely as the likeliest stay
 *   7. one uniform number of the sampler's own stream picks, in order of id
 * Equally likely tokens are ranked by id, so results are reproducible. Reported logprobs are those of the model:
 * before all stages.
 *
 * Time is O(n_vocab) (selection by radix on the float's bits, no sorting), and nothing is allocated per token. A
 * sampler belongs to one request and one thread at a time.
 */
#ifndef LM_MODEL_SAMPLER_H
#define LM_MODEL_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { LM_MAX_TOP_LOGPROBS = 20, LM_MAX_LOGIT_BIASES = 300 };

typedef struct lm_logit_bias {
    int32_t token;
    float bias;
} lm_logit_bias;

typedef struct lm_sampler_options {
    float temperature;        /* 0: greedy; at most 100 */
    int64_t top_k;            /* 0: all */
    float top_p;              /* (0, 1]; 1: off */
    float min_p;              /* [0, 1]; 0: off */
    float repetition_penalty; /* > 0; 1: off */
    float frequency_penalty;  /* 0: off */
    float presence_penalty;   /* 0: off */
    uint64_t seed;
    bool logprobs;      /* report the chosen token's log probability */
    int n_top_logprobs; /* and those of so many likeliest tokens; at most LM_MAX_TOP_LOGPROBS */
    const lm_logit_bias *biases; /* [n_biases], copied */
    int n_biases;
} lm_sampler_options;

#define LM_SAMPLER_DEFAULTS \
    { .temperature = 1, .top_p = 1, .repetition_penalty = 1 }

typedef struct lm_token_logprob {
    int32_t token;
    float logprob;
} lm_token_logprob;

typedef struct lm_sample {
    int32_t token;
    float logprob; /* natural; 0 unless asked for */
    int n_top;
    lm_token_logprob top[LM_MAX_TOP_LOGPROBS]; /* likeliest first */
} lm_sample;

typedef struct lm_sampler lm_sampler;

/* LOAM_INVALID names the option and its range. */
loam_status lm_sampler_new(const lm_sampler_options *options, int64_t n_vocab, lm_sampler **out,
                           loam_error *err) LM_MUST_USE;
void lm_sampler_free(lm_sampler *sampler);

/* Tokens of the prompt, for the repetition penalty. */
void lm_sampler_accept_prompt(lm_sampler *sampler, const int32_t *tokens, int64_t n_tokens);

/* Chooses and remembers a token. logits [n_vocab] are overwritten. LOAM_CORRUPT when one of them is NaN or
 * infinite: the model's weights are broken, and whatever came next would be nonsense. */
loam_status lm_sampler_sample(lm_sampler *sampler, float *logits, lm_sample *out,
                              loam_error *err) LM_MUST_USE;

/* The error of a model whose logits are NaN or infinite: LOAM_CORRUPT. */
loam_status lm_refuse_logits(loam_error *err) LM_MUST_USE;

#endif
