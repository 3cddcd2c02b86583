#include "cloud/secret.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/compiler.h"

static const char marker[] = "loam-sk-";

static void encode(const uint8_t bytes[LM_SECRET_RANDOM_BYTES],
                   char out[LM_SECRET_RANDOM_LEN + 1]) {
    for (int i = 0; i < LM_SECRET_RANDOM_LEN; i++) {
        int bit = i * 5, byte = bit / 8;
        unsigned pair =
            (unsigned)bytes[byte] << 8 | (byte + 1 < LM_SECRET_RANDOM_BYTES ? bytes[byte + 1] : 0);
        out[i] = lm_base32_digits[pair >> (11 - bit % 8) & 31];
    }
    out[LM_SECRET_RANDOM_LEN] = '\0';
}

static void hash_secret(const char *secret, uint8_t out[LM_SECRET_HASH_BYTES]) {
    crypto_generichash(out, LM_SECRET_HASH_BYTES, (const uint8_t *)secret, strlen(secret), NULL, 0);
}

void lm_secret_new(const char *key_id, char out[LM_SECRET_BYTES],
                   char out_hash[LM_SECRET_HASH_HEX_BYTES]) {
    LM_ASSERT(lm_id_is("key", key_id));
    uint8_t random[LM_SECRET_RANDOM_BYTES], hash[LM_SECRET_HASH_BYTES];
    char text[LM_SECRET_RANDOM_LEN + 1];
    randombytes_buf(random, sizeof random);
    encode(random, text);
    snprintf(out, LM_SECRET_BYTES, "%s%s-%s", marker, key_id + strlen("key_"), text);
    hash_secret(out, hash);
    sodium_bin2hex(out_hash, LM_SECRET_HASH_HEX_BYTES, hash, sizeof hash);
    sodium_memzero(random, sizeof random);
    sodium_memzero(text, sizeof text);
}

bool lm_secret_parse(const char *secret, char out_key_id[LM_ID_BYTES],
                     uint8_t out_hash[LM_SECRET_HASH_BYTES]) {
    if (strlen(secret) != LM_SECRET_BYTES - 1 || strncmp(secret, marker, strlen(marker)) != 0)
        return false;
    snprintf(out_key_id, LM_ID_BYTES, "key_%.*s", LM_ID_BODY_LEN, secret + strlen(marker));
    if (!lm_id_is("key", out_key_id)) return false;
    hash_secret(secret, out_hash);
    return true;
}

bool lm_secret_hash_parse(const char *hex, uint8_t out_hash[LM_SECRET_HASH_BYTES]) {
    size_t n;
    return sodium_hex2bin(out_hash, LM_SECRET_HASH_BYTES, hex, strlen(hex), NULL, &n, NULL) == 0 &&
           n == LM_SECRET_HASH_BYTES;
}
