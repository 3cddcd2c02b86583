#include "cloud/bootstrap.h"

#include "base/clock.h"
#include "cloud/key_maker.h"
#include "cloud/table/event.h"
#include "cloud/table/project.h"

typedef struct bootstrap {
    lm_cloud *cloud;
    char secret[LM_SECRET_BYTES];
} bootstrap;

static loam_status write_events(lm_cloud *cloud, lm_db *db, const lm_project *project,
                                const lm_key *key, loam_error *err) {
    json_t *object = lm_table_json(&lm_project_table, project);
    loam_status status = lm_event_write(db, &cloud->ids, project->id, "system", "project.create",
                                        project->id, NULL, object, err);
    json_decref(object);
    if (status != LOAM_OK) return status;
    object = lm_table_json(&lm_key_table, key);
    status = lm_event_write(db, &cloud->ids, project->id, "system", "key.create", key->id, NULL,
                            object, err);
    json_decref(object);
    return status;
}

static loam_status make_first(bootstrap *b, lm_db *db, loam_error *err) {
    lm_project project = {
        .name = "default", .is_operator = true, .created_ms = lm_clock_epoch_ms()};
    lm_id_new(&b->cloud->ids, "prj", project.id);
    LM_TRY(lm_table_insert(db, &lm_project_table, &project, err));
    lm_key key = {.name = "admin", .role = lm_role_names[LM_ROLE_ADMIN], .scopes = LM_SCOPES_ALL};
    memcpy(key.project_id, project.id, sizeof project.id);
    LM_TRY(lm_key_make(b->cloud, db, &key, b->secret, err));
    return write_events(b->cloud, db, &project, &key, err);
}

static loam_status run(lm_db *db, void *arg, loam_error *err) {
    bootstrap *b = arg;
    int64_t n_projects;
    LM_TRY(lm_project_count(db, &n_projects, err));
    if (n_projects == 0) LM_TRY(make_first(b, db, err));
    LM_TRY(lm_keyring_load(b->cloud->keyring, db, err));
    return lm_ledger_load(b->cloud->ledger, db, err);
}

loam_status lm_bootstrap(lm_cloud *cloud, char out_secret[LM_SECRET_BYTES], loam_error *err) {
    bootstrap b = {.cloud = cloud};
    LM_TRY(lm_store_call(cloud->store, run, &b, err));
    memcpy(out_secret, b.secret, sizeof b.secret);
    return LOAM_OK;
}
