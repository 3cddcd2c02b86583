#include "cloud/key_maker.h"

#include "base/clock.h"
#include "base/log.h"
#include "cloud/cloud.h"

loam_status lm_key_make(lm_cloud *cloud, lm_db *db, lm_key *key, char out_secret[LM_SECRET_BYTES],
                        loam_error *err) {
    char hash[LM_SECRET_HASH_HEX_BYTES];
    lm_id_new(&cloud->ids, "key", key->id);
    lm_secret_new(key->id, out_secret, hash);
    key->created_ms = lm_clock_epoch_ms();
    key->secret_hash = hash;
    loam_status status = lm_table_insert(db, &lm_key_table, key, err);
    key->secret_hash = NULL;
    return status;
}

static void publish(lm_cloud *cloud, void *arg) {
    loam_error err = {0};
    if (lm_keyring_put(cloud->keyring, arg, &err) != LOAM_OK)
        lm_log_error(LM_LOG_ERROR, "api", &err);
}

loam_status lm_key_published(lm_api_ctx *ctx, const char *key_id, loam_error *err) {
    lm_key_standings *standings = lm_arena_calloc(ctx->arena, 1, sizeof *standings);
    if (!standings) return lm_error_no_memory(err, sizeof *standings);
    LM_TRY(lm_key_standings_read(ctx->db, key_id, ctx->arena, standings, err));
    lm_api_after_commit(ctx, publish, standings);
    return LOAM_OK;
}
