#include "cloud/registry.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "cloud/model_check.h"
#include "cloud/table/dataset.h"
#include "cloud/table/job.h"
#include "cloud/table/version.h"
#include "cloud/ticker.h"

enum { IDLE_PERIOD_MS = 60000, ARENA_BYTES = 256 << 10 };

struct lm_registry {
    const char *program;
    lm_store *store;
    lm_blob_store *blobs;
    lm_ticker *ticker;
    lm_arena arena;       /* of the ticker's thread, reset every tick */
    pthread_mutex_t lock; /* guards the two below */
    lm_gc_report report;
    int64_t gc_grace_ms; /* asked for; negative: nobody asks */
};

/* ---- folders as JSON ---- */

static char *files_to_json(const lm_blob_files *files) {
    json_t *array = json_array();
    for (size_t i = 0; i < files->len; i++) {
        const lm_blob_file *file = &files->ptr[i];
        json_array_append_new(array,
                              json_pack("{s:s,s:s,s:I}", "path", file->path, "digest", file->digest,
                                        "size_bytes", (json_int_t)file->size_bytes));
    }
    char *text = array ? json_dumps(array, JSON_COMPACT) : NULL;
    json_decref(array);
    return text;
}

static loam_status file_from_json(const json_t *object, lm_blob_file *out, loam_error *err) {
    lm_str path, digest;
    LM_TRY(lm_json_str(object, "files[]", "path", &path, err));
    LM_TRY(lm_json_str(object, "files[]", "digest", &digest, err));
    LM_TRY(lm_json_i64(object, "files[]", "size_bytes", &out->size_bytes, err));
    if (path.len >= sizeof out->path || digest.len != sizeof out->digest - 1)
        return lm_error_set(err, LOAM_CORRUPT, "the list of files is damaged");
    memcpy(out->path, path.ptr, path.len);
    memcpy(out->digest, digest.ptr, digest.len);
    return LOAM_OK;
}

static loam_status files_from_json(const char *text, lm_blob_files *out, loam_error *err) {
    json_t *array;
    lm_blob_files files = {0};
    LM_TRY(lm_json_parse(lm_str_of(text), "files", &array, err));
    loam_status status = LOAM_OK;
    for (size_t i = 0; i < json_array_size(array) && status == LOAM_OK; i++) {
        lm_blob_file file = {0};
        status = file_from_json(json_array_get(array, i), &file, err);
        if (status == LOAM_OK && !lm_vec_push(&files, file))
            status = lm_error_no_memory(err, sizeof file);
    }
    json_decref(array);
    if (status != LOAM_OK)
        lm_vec_deinit(&files);
    else
        *out = files;
    return status;
}

loam_status lm_registry_materialize(lm_registry *registry, const char *files_json, const char *dir,
                                    char **out_single, loam_error *err) {
    lm_blob_files files;
    LM_TRY(files_from_json(files_json, &files, err));
    loam_status status = lm_blob_store_materialize(registry->blobs, files.ptr, files.len, dir, err);
    if (status == LOAM_OK && out_single)
        *out_single = files.len == 1 ? lm_path_join(dir, files.ptr[0].path) : NULL;
    lm_vec_deinit(&files);
    return status;
}

/* ---- importing ---- */

typedef struct pending {
    lm_registry *registry;
    lm_list versions, datasets;
} pending;

static loam_status load_pending(lm_db *db, void *arg, loam_error *err) {
    pending *p = arg;
    LM_TRY(lm_version_in_state(db, "importing", &p->registry->arena, &p->versions, err));
    return lm_dataset_in_state(db, "importing", &p->registry->arena, &p->datasets, err);
}

/* How an import went, to be written down. */
typedef struct outcome {
    lm_version *version; /* or */
    lm_dataset *dataset;
    lm_arena *arena;
    bool ok;
    char digest[LM_SHA256_HEX_BYTES];
    int64_t size_bytes;
    char *files; /* JSON */
    loam_error error;
} outcome;

static loam_status save_version(lm_db *db, outcome *o, loam_error *err) {
    lm_version row;
    const char *id = o->version->id;
    LM_TRY(lm_version_get(db, o->version->project_id, id, o->arena, &row, err));
    row.state = o->ok ? "ready" : "failed";
    row.digest = o->ok ? o->digest : NULL;
    row.size_bytes = o->size_bytes;
    row.files = o->files;
    row.error = o->ok ? NULL : o->error.message;
    LM_TRY(lm_table_update(db, &lm_version_table, &row, err));
    if (!row.job_id[0]) return LOAM_OK;
    return lm_job_end(db, row.job_id, o->ok ? "succeeded" : "failed", o->ok ? id : NULL, row.error,
                      lm_clock_epoch_ms(), err);
}

static loam_status save_dataset(lm_db *db, outcome *o, loam_error *err) {
    lm_dataset row;
    LM_TRY(lm_dataset_get(db, o->dataset->project_id, o->dataset->id, o->arena, &row, err));
    row.state = o->ok ? "ready" : "failed";
    row.digest = o->ok ? o->digest : NULL;
    row.size_bytes = o->size_bytes;
    row.files = o->files;
    row.error = o->ok ? NULL : o->error.message;
    return lm_table_update(db, &lm_dataset_table, &row, err);
}

static loam_status save_outcome(lm_db *db, void *arg, loam_error *err) {
    outcome *o = arg;
    loam_status status = o->version ? save_version(db, o, err) : save_dataset(db, o, err);
    return status == LOAM_NOT_FOUND
               ? LOAM_OK
               : status; /* deleted meanwhile: the collector takes the objects */
}

/* What stands in the row when all went well. */
static loam_status describe(const lm_blob_files *files, const char *source, outcome *o) {
    lm_blob_files_digest(files, o->digest);
    o->size_bytes = lm_blob_files_size(files);
    if (o->dataset && o->size_bytes == 0)
        return lm_error_set(&o->error, LOAM_INVALID, "%s: nothing is in it", source);
    o->files = files_to_json(files);
    return o->files ? LOAM_OK : lm_error_no_memory(&o->error, files->len);
}

static void import(lm_registry *registry, const char *source, outcome *o) {
    lm_blob_files files = {0};
    loam_error err = {0};
    o->arena = &registry->arena;
    loam_status status =
        o->version ? lm_model_check(registry->program, source, &o->error) : LOAM_OK;
    if (status == LOAM_OK)
        status = lm_blob_store_import(registry->blobs, source, &files, &o->error);
    if (status == LOAM_OK) status = describe(&files, source, o);
    lm_vec_deinit(&files);
    o->ok = status == LOAM_OK;
    if (!o->ok) lm_log_error(LM_LOG_WARN, "registry", &o->error);
    /* when this fails the state stays "importing", and a later look does it again */
    if (lm_store_call(registry->store, save_outcome, o, &err) != LOAM_OK)
        lm_log_error(LM_LOG_ERROR, "registry", &err);
    free(o->files);
}

static void import_pending(lm_registry *registry) {
    pending p = {.registry = registry};
    loam_error err = {0};
    if (lm_store_call(registry->store, load_pending, &p, &err) != LOAM_OK) {
        lm_log_error(LM_LOG_ERROR, "registry", &err);
        return;
    }
    for (size_t i = 0; i < p.versions.len; i++) {
        outcome o = {.version = lm_list_at(&p.versions, i)};
        import(registry, o.version->source, &o);
    }
    for (size_t i = 0; i < p.datasets.len; i++) {
        outcome o = {.dataset = lm_list_at(&p.datasets, i)};
        import(registry, o.dataset->source, &o);
    }
}

/* ---- collecting ---- */

typedef struct mark {
    lm_arena *arena;
    lm_map *live;
} mark;

static loam_status mark_files(lm_map *live, const char *files_json, loam_error *err) {
    lm_blob_files files;
    if (!files_json) return LOAM_OK;
    LM_TRY(files_from_json(files_json, &files, err));
    bool ok = true;
    for (size_t i = 0; i < files.len; i++)
        ok = ok && lm_map_set(live, lm_str_of(files.ptr[i].digest), 1);
    lm_vec_deinit(&files);
    return ok ? LOAM_OK : lm_error_no_memory(err, 64);
}

static loam_status mark_live(lm_db *db, void *arg, loam_error *err) {
    mark *m = arg;
    lm_list versions, datasets;
    LM_TRY(lm_version_in_state(db, NULL, m->arena, &versions, err));
    LM_TRY(lm_dataset_in_state(db, NULL, m->arena, &datasets, err));
    for (size_t i = 0; i < versions.len; i++)
        LM_TRY(mark_files(m->live, ((const lm_version *)lm_list_at(&versions, i))->files, err));
    for (size_t i = 0; i < datasets.len; i++)
        LM_TRY(mark_files(m->live, ((const lm_dataset *)lm_list_at(&datasets, i))->files, err));
    return LOAM_OK;
}

static bool is_live(const char *digest, void *arg) {
    uint64_t one;
    return lm_map_get(arg, lm_str_of(digest), &one);
}

static loam_status collect(lm_registry *registry, int64_t grace_ms, lm_blob_gc_result *out,
                           loam_error *err) {
    mark m = {.arena = &registry->arena, .live = lm_map_new()};
    if (!m.live) return lm_error_no_memory(err, 1);
    lm_blob_gc gc = {.is_live = is_live, .arg = m.live, .grace_ms = grace_ms};
    loam_status status = lm_store_call(registry->store, mark_live, &m, err);
    if (status == LOAM_OK) status = lm_blob_store_gc(registry->blobs, &gc, out, err);
    lm_map_free(m.live);
    return status;
}

static void collect_if_asked(lm_registry *registry) {
    loam_error err = {0};
    lm_blob_gc_result result = {0};
    pthread_mutex_lock(&registry->lock);
    int64_t grace_ms = registry->gc_grace_ms;
    pthread_mutex_unlock(&registry->lock);
    if (grace_ms < 0) return;
    loam_status status = collect(registry, grace_ms, &result, &err);
    pthread_mutex_lock(&registry->lock);
    registry->gc_grace_ms = -1;
    registry->report.ended_ms = lm_clock_epoch_ms();
    registry->report.result = result;
    snprintf(registry->report.error, sizeof registry->report.error, "%.255s",
             status == LOAM_OK ? "" : err.message);
    pthread_mutex_unlock(&registry->lock);
}

void lm_registry_collect(lm_registry *registry, int64_t grace_ms) {
    pthread_mutex_lock(&registry->lock);
    registry->gc_grace_ms = grace_ms;
    registry->report = (lm_gc_report){.started_ms = lm_clock_epoch_ms()};
    pthread_mutex_unlock(&registry->lock);
    lm_registry_wake(registry);
}

lm_gc_report lm_registry_report(lm_registry *registry) {
    pthread_mutex_lock(&registry->lock);
    lm_gc_report report = registry->report;
    pthread_mutex_unlock(&registry->lock);
    return report;
}

/* ---- the service ---- */

static void tick(void *arg, bool woken) {
    lm_registry *registry = arg;
    lm_arena_reset(&registry->arena);
    import_pending(registry);
    collect_if_asked(registry);
}

void lm_registry_wake(lm_registry *registry) {
    lm_ticker_wake(registry->ticker);
}

loam_status lm_registry_new(const char *home, const char *program, lm_store *store,
                            lm_registry **out, loam_error *err) {
    lm_registry *registry = lm_calloc(1, sizeof *registry);
    char *dir = lm_path_join(home, "store");
    loam_status status = registry && dir ? LOAM_OK : lm_error_no_memory(err, sizeof *registry);
    if (registry) {
        registry->program = program;
        registry->store = store;
        registry->gc_grace_ms = -1;
        pthread_mutex_init(&registry->lock, NULL);
        lm_arena_init(&registry->arena, ARENA_BYTES, SIZE_MAX);
    }
    if (status == LOAM_OK) status = lm_blob_store_open(dir, &registry->blobs, err);
    if (status == LOAM_OK)
        status = lm_ticker_new(IDLE_PERIOD_MS, tick, registry, &registry->ticker, err);
    lm_free(dir);
    if (status != LOAM_OK)
        lm_registry_free(registry);
    else
        *out = registry;
    return status;
}

void lm_registry_free(lm_registry *registry) {
    if (!registry) return;
    lm_ticker_free(registry->ticker);
    lm_blob_store_close(registry->blobs);
    lm_arena_deinit(&registry->arena);
    pthread_mutex_destroy(&registry->lock);
    lm_free(registry);
}
