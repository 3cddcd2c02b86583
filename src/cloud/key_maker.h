/* Making API keys: the row, the secret shown once, the keyring that must learn of it. */
#ifndef LM_CLOUD_KEY_MAKER_H
#define LM_CLOUD_KEY_MAKER_H

#include "cloud/api.h"
#include "cloud/secret.h"
#include "cloud/table/key.h"

/* Completes the row (id, hash, time of making), writes it, and gives its secret. On the store's thread. */
loam_status lm_key_make(lm_cloud *cloud, lm_db *db, lm_key *key, char out_secret[LM_SECRET_BYTES],
                        loam_error *err) LM_MUST_USE;

/* Has the keyring take over this key (NULL: all keys) as the transaction leaves it, once that is committed. */
loam_status lm_key_published(lm_api_ctx *ctx, const char *key_id, loam_error *err) LM_MUST_USE;

#endif
