#include "cloud/id.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/compiler.h"

const char lm_base32_digits[33] = "0123456789abcdefghjkmnpqrstvwxyz";

enum { TIME_CHARS = 10, RANDOM_CHARS = 16 };

void lm_id_gen_init(lm_id_gen *gen) {
    LM_ASSERT(sodium_init() >= 0);
    *gen = (lm_id_gen){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void lm_id_gen_deinit(lm_id_gen *gen) {
    pthread_mutex_destroy(&gen->lock);
}

/* Random part plus one; false when it overflows. */
static bool count_up(uint8_t random[10]) {
    for (int i = 9; i >= 0; i--) {
        if (++random[i] != 0) return true;
    }
    return false;
}

/* The clock may stand still or jump back: the last moment then goes on counting. */
static void advance(lm_id_gen *gen, int64_t now_ms) {
    if (now_ms <= gen->last_ms && count_up(gen->random)) return;
    gen->last_ms = now_ms > gen->last_ms ? now_ms : gen->last_ms + 1;
    randombytes_buf(gen->random, sizeof gen->random);
    gen->random[0] &= 0x7f; /* room to count up */
}

static void encode(int64_t epoch_ms, const uint8_t random[10], char *out) {
    for (int i = TIME_CHARS - 1; i >= 0; i--, epoch_ms >>= 5)
        out[i] = lm_base32_digits[epoch_ms & 31];
    for (int half = 0; half < 2; half++) { /* 40 bits give 8 characters */
        uint64_t bits = 0;
        for (int i = 0; i < 5; i++) bits = bits << 8 | random[half * 5 + i];
        for (int i = RANDOM_CHARS / 2 - 1; i >= 0; i--, bits >>= 5)
            out[TIME_CHARS + half * RANDOM_CHARS / 2 + i] = lm_base32_digits[bits & 31];
    }
    out[LM_ID_BODY_LEN] = '\0';
}

void lm_id_new_at(lm_id_gen *gen, const char *prefix, int64_t epoch_ms, char out[LM_ID_BYTES]) {
    LM_ASSERT(strlen(prefix) <= LM_ID_PREFIX_MAX);
    char body[LM_ID_BODY_LEN + 1];
    pthread_mutex_lock(&gen->lock);
    advance(gen, epoch_ms);
    encode(gen->last_ms, gen->random, body);
    pthread_mutex_unlock(&gen->lock);
    snprintf(out, LM_ID_BYTES, "%s_%s", prefix, body);
}

void lm_id_new(lm_id_gen *gen, const char *prefix, char out[LM_ID_BYTES]) {
    lm_id_new_at(gen, prefix, lm_clock_epoch_ms(), out);
}

bool lm_id_is(const char *prefix, const char *text) {
    size_t n = strlen(prefix);
    if (!text || strncmp(text, prefix, n) != 0 || text[n] != '_') return false;
    return strlen(text + n + 1) == LM_ID_BODY_LEN &&
           strspn(text + n + 1, lm_base32_digits) == LM_ID_BODY_LEN;
}

int64_t lm_id_epoch_ms(const char *id) {
    const char *body = strchr(id, '_');
    if (!body || strlen(body + 1) != LM_ID_BODY_LEN) return 0;
    int64_t epoch_ms = 0;
    for (int i = 0; i < TIME_CHARS; i++) {
        const char *digit = strchr(lm_base32_digits, body[1 + i]);
        if (!digit) return 0;
        epoch_ms = epoch_ms << 5 | (digit - lm_base32_digits);
    }
    return epoch_ms;
}
