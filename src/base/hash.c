#include "base/hash.h"

uint64_t lm_hash64(const void *bytes, size_t len, uint64_t seed) {
    const unsigned char *p = bytes;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * 0x100000001b3u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
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
