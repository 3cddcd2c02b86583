/* Secrets of API keys: "loam-sk-" + the key id's body + "-" + 256 random bits in base 32. Only a hash (BLAKE2b) is kept: the
 * secret has full entropy, so a slow hash would protect nothing more. Any thread. */
#ifndef LM_CLOUD_SECRET_H
#define LM_CLOUD_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "cloud/id.h"

enum {
    LM_SECRET_RANDOM_BYTES = 32,
    LM_SECRET_RANDOM_LEN = 52, /* 256 bits, 5 a character, the last filled up */
    LM_SECRET_HASH_BYTES = 32,
    LM_SECRET_HASH_HEX_BYTES = 65,
    LM_SECRET_BYTES = 8 + LM_ID_BODY_LEN + 1 + LM_SECRET_RANDOM_LEN + 1,
};

/* A new secret for the key of this id ("key_..."), and the hash to keep. */
void lm_secret_new(const char *key_id, char out[LM_SECRET_BYTES],
                   char out_hash[LM_SECRET_HASH_HEX_BYTES]);

/* The id of the key a secret names, and its hash; false when it does not look like a secret. */
bool lm_secret_parse(const char *secret, char out_key_id[LM_ID_BYTES],
                     uint8_t out_hash[LM_SECRET_HASH_BYTES]);

bool lm_secret_hash_parse(const char *hex, uint8_t out_hash[LM_SECRET_HASH_BYTES]);

#endif
