#include "cloud/table/migrate.h"

#include <stdlib.h>

#include "base/asset.h"
#include "base/clock.h"
#include "base/log.h"

extern const lm_asset
    lm_migrations[]; /* made at build time from cloud/migrations/NNNN_name.sql, in order */

static loam_status present_version(lm_db *db, int64_t *out, loam_error *err) {
    LM_TRY(lm_db_exec_script(
        db,
        "CREATE TABLE IF NOT EXISTS schema_version"
        " (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_ms BIGINT NOT NULL)",
        err));
    lm_rows rows;
    LM_TRY(lm_db_query(db, "SELECT MAX(version) FROM schema_version", LM_NO_VALUES, &rows, err));
    int64_t version = lm_rows_next(&rows) && !lm_row_is_null(&rows, 0) ? lm_row_i64(&rows, 0) : 0;
    LM_TRY(lm_rows_end(&rows, err));
    *out = version;
    return LOAM_OK;
}

static loam_status apply(lm_db *db, const lm_asset *migration, int64_t version, loam_error *err) {
    LM_TRY(lm_db_begin(db, err));
    loam_status status = lm_db_exec_script(db, migration->bytes, err);
    if (status == LOAM_OK)
        status = lm_db_exec(
            db, "INSERT INTO schema_version (version, name, applied_ms) VALUES (?, ?, ?)",
            LM_VALUES(lm_i64(version), lm_text(migration->name), lm_i64(lm_clock_epoch_ms())), NULL,
            err);
    if (status == LOAM_OK) status = lm_db_commit(db, err);
    if (status == LOAM_OK) return LOAM_OK;
    lm_db_rollback(db);
    return lm_error_prefix(err, status, "migration %s", migration->name);
}

loam_status lm_migrate(lm_db *db, loam_error *err) {
    int64_t present, known = 0;
    LM_TRY(present_version(db, &present, err));
    for (const lm_asset *migration = lm_migrations; migration->name; migration++) {
        known = strtoll(migration->name, NULL, 10);
        if (known > present) LM_TRY(apply(db, migration, known, err));
    }
    if (known >= present) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED,
                 "the database has schema version %lld, this program knows %lld",
                 (long long)present, (long long)known);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "install a newer loam");
}
