#include "base/hash.h"

#include <string.h>

enum { LANES = 8, LANE_BYTES = sizeof(uint64_t), BLOCK_BYTES = LANES * LANE_BYTES };

/* splitmix64's finish. */
static uint64_t mix(uint64_t h) {
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

uint64_t lm_hash64(const void *bytes, size_t len, uint64_t seed) {
    const unsigned char *p = bytes;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return mix(h);
}

/* Eight lanes that do not wait for each other; each step is a bijection of the lane for every word, and of the word for
 * every lane, so that no change of one word is lost. */
static void add_block(uint64_t lanes[LANES], const unsigned char *block) {
    for (int i = 0; i < LANES; i++) {
        uint64_t word;
        memcpy(&word, block + i * LANE_BYTES, sizeof word);
        uint64_t h = (lanes[i] ^ word) * 0x9e3779b97f4a7c15u;
        lanes[i] = h ^ (h >> 32);
    }
}

uint64_t lm_checksum64(const void *bytes, size_t len, uint64_t seed) {
    const unsigned char *at = bytes, *end = at + len;
    uint64_t lanes[LANES];
    for (int i = 0; i < LANES; i++) lanes[i] = mix(seed + (uint64_t)i + 1);
    for (; end - at >= BLOCK_BYTES; at += BLOCK_BYTES) add_block(lanes, at);
    unsigned char rest[BLOCK_BYTES] = {0};
    if (at < end) memcpy(rest, at, (size_t)(end - at));
    add_block(lanes, rest);
    uint64_t h = len;
    for (int i = 0; i < LANES; i++) h = mix(h ^ lanes[i]);
    return h;
}

void lm_sha256_init(lm_sha256 *hash) {
    crypto_hash_sha256_init(&hash->state);
}

void lm_sha256_update(lm_sha256 *hash, const void *bytes, size_t len) {
    crypto_hash_sha256_update(&hash->state, bytes, len);
}

void lm_sha256_final(lm_sha256 *hash, uint8_t out[LM_SHA256_BYTES]) {
    crypto_hash_sha256_final(&hash->state, out);
}

void lm_sha256_hex(const uint8_t digest[LM_SHA256_BYTES], char out[LM_SHA256_HEX_BYTES]) {
    sodium_bin2hex(out, LM_SHA256_HEX_BYTES, digest, LM_SHA256_BYTES);
}
