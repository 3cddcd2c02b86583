/* Models and their versions: importing from a path, listing, lineage, deleting; and collecting what nothing refers to. */
#include "base/clock.h"
#include "cloud/api_files.h"
#include "cloud/cloud.h"
#include "cloud/registry.h"
#include "cloud/table/model.h"
#include "cloud/table/version.h"

static const lm_field lineage_fields[] = {
    {.name = "job_id",
     .type = LM_FIELD_STRING,
     .required = true,
     .nullable = true,
     .id_prefix = "job"},
    {.name = "dataset_id",
     .type = LM_FIELD_STRING,
     .required = true,
     .nullable = true,
     .id_prefix = "ds"},
    {.name = "recipe_digest", .type = LM_FIELD_STRING, .required = true, .nullable = true},
};
static const lm_schema lineage_schema = LM_SCHEMA("Lineage", lineage_fields);

static const lm_field version_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "ver"},
    {.name = "model_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "mod"},
    {.name = "version",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "1, 2, ... within its model"},
    {.name = "lineage",
     .type = LM_FIELD_OBJECT,
     .required = true,
     .schema = &lineage_schema,
     .help = "where it comes from"},
    LM_IMPORTED_FIELDS,
};
static const lm_schema version_schema = LM_SCHEMA("Version", version_fields);

static const lm_field model_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "mod"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
    {.name = "latest_version", .type = LM_FIELD_INTEGER, .required = true, .help = "0: none yet"},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "version",
     .type = LM_FIELD_OBJECT,
     .schema = &version_schema,
     .help = "the one being imported, when importing"},
};
static const lm_schema model_schema = LM_SCHEMA("Model", model_fields);

/* ---- importing and listing ---- */

static json_t *version_json(const lm_version *version) {
    json_t *object = lm_table_json(&lm_version_table, version);
    if (!object) return NULL;
    lm_files_json_fill(object, version->digest, version->files);
    json_object_set_new(object, "lineage",
                        json_pack("{s:s?, s:s?, s:s?}", "job_id",
                                  version->job_id[0] ? version->job_id : NULL, "dataset_id",
                                  version->dataset_id[0] ? version->dataset_id : NULL,
                                  "recipe_digest", version->recipe_digest));
    return object;
}

static loam_status list_models(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_model_list(ctx->db, ctx->caller.project_id, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static loam_status find_or_make_model(lm_api_ctx *ctx, const char *name, lm_model *out,
                                      loam_error *err) {
    loam_status status =
        lm_model_by_name(ctx->db, ctx->caller.project_id, name, ctx->arena, out, err);
    if (status != LOAM_NOT_FOUND) return status;
    *out = (lm_model){.name = name, .created_ms = lm_clock_epoch_ms()};
    lm_api_new_id(ctx, "mod", out->id);
    memcpy(out->project_id, ctx->caller.project_id, LM_ID_BYTES);
    return lm_table_insert(ctx->db, &lm_model_table, out, err);
}

/* A new model, or a new version of one of this name. The copying happens afterwards, in the registry's thread. */
static loam_status import_model(lm_api_ctx *ctx, loam_error *err) {
    lm_model model;
    lm_version version = {.state = "importing", .created_ms = lm_clock_epoch_ms()};
    LM_TRY(lm_import_source(ctx, &version.source, err));
    LM_TRY(find_or_make_model(ctx, lm_api_str(ctx->body, "name", ""), &model, err));
    version.version = ++model.latest_version;
    lm_api_new_id(ctx, "ver", version.id);
    memcpy(version.project_id, model.project_id, LM_ID_BYTES);
    memcpy(version.model_id, model.id, LM_ID_BYTES);
    LM_TRY(lm_table_update(ctx->db, &lm_model_table, &model, err));
    LM_TRY(lm_table_insert(ctx->db, &lm_version_table, &version, err));
    json_t *object = lm_table_json(&lm_model_table, &model);
    if (object) json_object_set_new(object, "version", version_json(&version));
    return lm_import_reply(ctx, "model.import", version.id, object, err);
}

static loam_status get_model(lm_api_ctx *ctx, loam_error *err) {
    lm_model model;
    LM_TRY(lm_model_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &model, err));
    return lm_api_reply_row(ctx, &lm_model_table, &model, err);
}

static loam_status list_versions(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_model model;
    lm_list list;
    const char *next;
    LM_TRY(lm_model_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &model, err));
    LM_TRY(lm_version_of_model(ctx->db, model.id, &page, ctx->arena, &list, &next, err));
    json_t *data = json_array();
    for (size_t i = 0; i < list.len; i++)
        json_array_append_new(data, version_json(lm_list_at(&list, i)));
    return lm_api_reply_list(ctx, data, next, err);
}

static loam_status get_version(lm_api_ctx *ctx, loam_error *err) {
    lm_version version;
    LM_TRY(
        lm_version_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &version, err));
    return lm_api_reply(ctx, version_json(&version), err);
}

/* ---- deleting ---- */

static loam_status remove_version(lm_api_ctx *ctx, const lm_version *version, loam_error *err) {
    bool in_use;
    LM_TRY(lm_version_in_use(ctx->db, version->id, &in_use, err));
    if (in_use) {
        (void)lm_error_set(err, LOAM_CONFLICT, "version %lld is being served",
                           (long long)version->version);
        return lm_error_hint(err, LOAM_CONFLICT, "delete its endpoint first");
    }
    return lm_table_delete(ctx->db, &lm_version_table, version->id, err);
}

static loam_status delete_version(lm_api_ctx *ctx, loam_error *err) {
    lm_version version;
    LM_TRY(
        lm_version_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &version, err));
    LM_TRY(remove_version(ctx, &version, err));
    return lm_api_event(ctx, "version.delete", version.id, NULL, NULL, err);
}

static loam_status delete_model(lm_api_ctx *ctx, loam_error *err) {
    lm_model model;
    lm_list versions;
    const char *next;
    LM_TRY(lm_model_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &model, err));
    do {
        lm_page page = {.limit = LM_API_PAGE_MAX}; /* what was on the page before is deleted */
        LM_TRY(lm_version_of_model(ctx->db, model.id, &page, ctx->arena, &versions, &next, err));
        for (size_t i = 0; i < versions.len; i++)
            LM_TRY(remove_version(ctx, lm_list_at(&versions, i), err));
    } while (next);
    LM_TRY(lm_table_delete(ctx->db, &lm_model_table, model.id, err));
    return lm_api_event(ctx, "model.delete", model.id, NULL, NULL, err);
}

/* ---- collecting ---- */

static const lm_field gc_fields[] = {
    {.name = "grace_ms",
     .type = LM_FIELD_INTEGER,
     .min = 0,
     .max = INT64_C(31536000000),
     .help = "keep what was imported or used since; an hour if not given"},
};
static const lm_schema gc_schema = LM_SCHEMA("Collect", gc_fields);

static const lm_field gc_report_fields[] = {
    {.name = "started_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "ended_ms",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .nullable = true,
     .help = "null while it runs"},
    {.name = "n_kept", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "n_removed", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "kept_bytes", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "removed_bytes", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "error", .type = LM_FIELD_STRING, .required = true, .nullable = true},
};
static const lm_schema gc_report_schema = LM_SCHEMA("CollectReport", gc_report_fields);

enum { GC_GRACE_MS = 3600000 };

static json_t *time_or_null(int64_t ms) {
    return ms ? json_integer(ms) : json_null();
}

static loam_status get_gc(lm_api_ctx *ctx, loam_error *err) {
    lm_gc_report report = lm_registry_report(ctx->cloud->registry);
    const lm_blob_gc_result *result = &report.result;
    return lm_api_reply(
        ctx,
        json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:s?}", "started_ms",
                  time_or_null(report.started_ms), "ended_ms", time_or_null(report.ended_ms),
                  "n_kept", (json_int_t)result->n_kept, "n_removed", (json_int_t)result->n_removed,
                  "kept_bytes", (json_int_t)result->kept_bytes, "removed_bytes",
                  (json_int_t)result->removed_bytes, "error",
                  report.error[0] ? report.error : NULL),
        err);
}

static loam_status start_gc(lm_api_ctx *ctx, loam_error *err) {
    lm_registry_collect(ctx->cloud->registry, lm_api_i64(ctx->body, "grace_ms", GC_GRACE_MS));
    LM_TRY(lm_api_event(ctx, "store.collect", "store", NULL, ctx->body, err));
    return get_gc(ctx, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/models",
     .scope = LM_SCOPE_READ,
     .reply = &model_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's models",
     .handler = list_models},
    {.method = "POST",
     .path = "/models",
     .scope = LM_SCOPE_WRITE,
     .request = &lm_import_schema,
     .reply = &model_schema,
     .http_status = 201,
     .summary = "Import a model, or a new version of one, from a path of the server",
     .handler = import_model},
    {.method = "GET",
     .path = "/models/{id}",
     .scope = LM_SCOPE_READ,
     .id_prefix = "mod",
     .reply = &model_schema,
     .summary = "Show a model",
     .handler = get_model},
    {.method = "DELETE",
     .path = "/models/{id}",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "mod",
     .shape = LM_API_EMPTY,
     .summary = "Delete a model with its versions",
     .handler = delete_model},
    {.method = "GET",
     .path = "/models/{id}/versions",
     .scope = LM_SCOPE_READ,
     .id_prefix = "mod",
     .reply = &version_schema,
     .shape = LM_API_LIST,
     .summary = "List a model's versions",
     .handler = list_versions},
    {.method = "GET",
     .path = "/versions/{id}",
     .scope = LM_SCOPE_READ,
     .id_prefix = "ver",
     .reply = &version_schema,
     .summary = "Show a version with its files and lineage",
     .handler = get_version},
    {.method = "DELETE",
     .path = "/versions/{id}",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "ver",
     .shape = LM_API_EMPTY,
     .summary = "Delete a version",
     .handler = delete_version},
    {.method = "GET",
     .path = "/gc",
     .scope = LM_SCOPE_OPERATOR,
     .reply = &gc_report_schema,
     .summary = "Show what the last collection of the content store did",
     .handler = get_gc},
    {.method = "POST",
     .path = "/gc",
     .scope = LM_SCOPE_OPERATOR,
     .request = &gc_schema,
     .reply = &gc_report_schema,
     .http_status = 202,
     .summary = "Remove what no version and no dataset refers to",
     .handler = start_gc},
};
const lm_api_table lm_api_models = LM_API_TABLE(rows);
