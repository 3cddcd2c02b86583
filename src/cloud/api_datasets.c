/* Datasets: named folders of text that jobs train on. */
#include "base/clock.h"
#include "cloud/api_files.h"
#include "cloud/cloud.h"
#include "cloud/table/dataset.h"
#include "cloud/table/job.h"

static const lm_field dataset_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "ds"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
    LM_IMPORTED_FIELDS,
};
static const lm_schema dataset_schema = LM_SCHEMA("Dataset", dataset_fields);

static json_t *dataset_json(const lm_dataset *dataset) {
    json_t *object = lm_table_json(&lm_dataset_table, dataset);
    if (object) lm_files_json_fill(object, dataset->digest, dataset->files);
    return object;
}

static loam_status list_datasets(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_dataset_list(ctx->db, ctx->caller.project_id, &page, ctx->arena, &list, &next, err));
    json_t *data = json_array();
    for (size_t i = 0; i < list.len; i++)
        json_array_append_new(data, dataset_json(lm_list_at(&list, i)));
    return lm_api_reply_list(ctx, data, next, err);
}

static loam_status import_dataset(lm_api_ctx *ctx, loam_error *err) {
    lm_dataset dataset = {.name = lm_api_str(ctx->body, "name", ""),
                          .state = "importing",
                          .created_ms = lm_clock_epoch_ms()};
    LM_TRY(lm_import_source(ctx, &dataset.source, err));
    lm_api_new_id(ctx, "ds", dataset.id);
    memcpy(dataset.project_id, ctx->caller.project_id, LM_ID_BYTES);
    loam_status status = lm_table_insert(ctx->db, &lm_dataset_table, &dataset, err);
    if (status == LOAM_CONFLICT)
        return lm_error_set(err, LOAM_CONFLICT, "there is a dataset '%s' already", dataset.name);
    LM_TRY(status);
    return lm_import_reply(ctx, "dataset.import", dataset.id, dataset_json(&dataset), err);
}

static loam_status get_dataset(lm_api_ctx *ctx, loam_error *err) {
    lm_dataset dataset;
    LM_TRY(
        lm_dataset_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &dataset, err));
    return lm_api_reply(ctx, dataset_json(&dataset), err);
}

static loam_status delete_dataset(lm_api_ctx *ctx, loam_error *err) {
    lm_dataset dataset;
    bool needed;
    LM_TRY(
        lm_dataset_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &dataset, err));
    LM_TRY(lm_job_needs_dataset(ctx->db, dataset.id, &needed, err));
    if (needed)
        return lm_error_set(err, LOAM_CONFLICT,
                            "jobs that are queued or running need the dataset '%s'", dataset.name);
    LM_TRY(lm_table_delete(ctx->db, &lm_dataset_table, dataset.id, err));
    return lm_api_event(ctx, "dataset.delete", dataset.id, NULL, NULL, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/datasets",
     .scope = LM_SCOPE_READ,
     .reply = &dataset_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's datasets",
     .handler = list_datasets},
    {.method = "POST",
     .path = "/datasets",
     .scope = LM_SCOPE_WRITE,
     .request = &lm_import_schema,
     .reply = &dataset_schema,
     .http_status = 201,
     .summary = "Import a dataset from a path of the server",
     .handler = import_dataset},
    {.method = "GET",
     .path = "/datasets/{id}",
     .scope = LM_SCOPE_READ,
     .id_prefix = "ds",
     .reply = &dataset_schema,
     .summary = "Show a dataset",
     .handler = get_dataset},
    {.method = "DELETE",
     .path = "/datasets/{id}",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "ds",
     .shape = LM_API_EMPTY,
     .summary = "Delete a dataset",
     .handler = delete_dataset},
};
const lm_api_table lm_api_datasets = LM_API_TABLE(rows);
