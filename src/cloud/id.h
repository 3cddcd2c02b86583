/* Sortable identifiers: a prefix that says the kind, an underscore, and 26 characters of Crockford's base 32 (lower case):
 * 48 bits of epoch milliseconds, then 80 random bits. Within one millisecond the random part counts up, so the ids of one
 * generator sort as they were made. */
#ifndef LM_CLOUD_ID_H
#define LM_CLOUD_ID_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Crockford's digits, lower case. */
extern const char lm_base32_digits[33];

enum {
    LM_ID_BODY_LEN = 26,
    LM_ID_PREFIX_MAX = 8,
    LM_ID_BYTES = LM_ID_PREFIX_MAX + 1 + LM_ID_BODY_LEN + 1
};

typedef struct lm_id_gen {
    pthread_mutex_t lock; /* guards both below */
    int64_t last_ms;
    uint8_t random[10];
} lm_id_gen;

void lm_id_gen_init(lm_id_gen *gen);
void lm_id_gen_deinit(lm_id_gen *gen);

/* A new id like "prj_01jd3v...". Prefix of at most 8 lower-case letters. Any thread. */
void lm_id_new(lm_id_gen *gen, const char *prefix, char out[LM_ID_BYTES]);

/* The same for a given moment; for tests. */
void lm_id_new_at(lm_id_gen *gen, const char *prefix, int64_t epoch_ms, char out[LM_ID_BYTES]);

/* Is the text an id of this kind? NULL text is not. */
bool lm_id_is(const char *prefix, const char *text);

/* Milliseconds in an id's text; 0 when it is none. */
int64_t lm_id_epoch_ms(const char *id);

#endif
