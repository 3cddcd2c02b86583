/* Hashes: a fast seeded 64-bit one for tables, a faster one for large data, and SHA-256 (libsodium) for content, checkpoints and keys. Any thread. */
#ifndef LM_BASE_HASH_H
#define LM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <sodium.h>

enum { LM_SHA256_BYTES = 32, LM_SHA256_HEX_BYTES = 65 /* with terminator */ };

/* FNV-1a with a seed and a final mix (splitmix64); not for secrets, not stable across versions. */
uint64_t lm_hash64(const void *bytes, size_t len, uint64_t seed);

/* For finding damage in large data, as fast as memory is read: a change within one aligned word of eight bytes
 * always changes it, others do with all likelihood. Stable: may be stored. Not for secrets. */
uint64_t lm_checksum64(const void *bytes, size_t len, uint64_t seed);

typedef struct lm_sha256 {
    crypto_hash_sha256_state state;
} lm_sha256;

void lm_sha256_init(lm_sha256 *hash);
void lm_sha256_update(lm_sha256 *hash, const void *bytes, size_t len);
void lm_sha256_final(lm_sha256 *hash, uint8_t out[LM_SHA256_BYTES]);
void lm_sha256_hex(const uint8_t digest[LM_SHA256_BYTES], char out[LM_SHA256_HEX_BYTES]);

#endif
