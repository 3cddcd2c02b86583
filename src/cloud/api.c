/* What handlers use, and the list of all endpoint tables. How a request reaches its handler is in cloud/api_server.c. */
#include "cloud/api.h"

#include "cloud/cloud.h"
#include "cloud/table/event.h"

#define LM_API_ENDPOINTS(name) extern const lm_api_table lm_api_##name;
#include "cloud/api_tables.def"
#undef LM_API_ENDPOINTS

const lm_api_table *const lm_api_tables[] = {
#define LM_API_ENDPOINTS(name) &lm_api_##name,
#include "cloud/api_tables.def"
#undef LM_API_ENDPOINTS
    NULL,
};

static const lm_field project_query_fields[] = {
    {.name = "project",
     .type = LM_FIELD_STRING,
     .id_prefix = "prj",
     .help = "act in this project instead of the key's own; for operators"},
};
const lm_schema lm_api_project_query = LM_SCHEMA("ProjectQuery", project_query_fields);

static const char *const order_names[] = {"asc", "desc", NULL};
static const lm_field list_query_fields[] = {
    {.name = "after",
     .type = LM_FIELD_STRING,
     .min = 1,
     .max = 64,
     .help = "the `next` of the page before"},
    {.name = "limit",
     .type = LM_FIELD_INTEGER,
     .min = 1,
     .max = LM_API_PAGE_MAX,
     .help = "rows at most; 50 if not given"},
    {.name = "order",
     .type = LM_FIELD_STRING,
     .choices = order_names,
     .help = "oldest (asc) or newest (desc) first"},
};
const lm_schema lm_api_list_query = LM_SCHEMA("ListQuery", list_query_fields);

const char *lm_api_param_prefix(const lm_api_endpoint *endpoint, const char *param) {
    if (strcmp(param, "id") == 0) return endpoint->id_prefix;
    return strcmp(param, "member") == 0 ? "mem" : NULL;
}

loam_status lm_api_reply(lm_api_ctx *ctx, json_t *reply, loam_error *err) {
    if (!reply) return lm_error_no_memory(err, 0);
    json_decref(ctx->reply);
    ctx->reply = reply;
    return LOAM_OK;
}

loam_status lm_api_reply_row(lm_api_ctx *ctx, const lm_table *table, const void *row,
                             loam_error *err) {
    return lm_api_reply(ctx, lm_table_json(table, row), err);
}

loam_status lm_api_reply_list(lm_api_ctx *ctx, json_t *data, const char *next, loam_error *err) {
    if (!data) return lm_error_no_memory(err, 0);
    return lm_api_reply(ctx, json_pack("{s:o, s:s?}", "data", data, "next", next), err);
}

lm_page lm_api_page(const lm_api_ctx *ctx) {
    return (lm_page){
        .after = lm_api_str(ctx->query, "after", NULL),
        .limit = lm_api_i64(ctx->query, "limit", LM_API_PAGE_DEFAULT),
        .newest_first = strcmp(lm_api_str(ctx->query, "order", "asc"), "desc") == 0,
    };
}

const char *lm_api_str(const json_t *object, const char *name, const char *fallback) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : fallback;
}

int64_t lm_api_i64(const json_t *object, const char *name, int64_t fallback) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool lm_api_bool(const json_t *object, const char *name, bool fallback) {
    const json_t *value = json_object_get(object, name);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

void lm_api_new_id(lm_api_ctx *ctx, const char *prefix, char out[LM_ID_BYTES]) {
    lm_id_new(&ctx->cloud->ids, prefix, out);
}

loam_status lm_api_event(lm_api_ctx *ctx, const char *kind, const char *subject,
                         const json_t *before, const json_t *after, loam_error *err) {
    return lm_event_write(ctx->db, &ctx->cloud->ids, ctx->caller.project_id, ctx->caller.key_id,
                          kind, subject, before, after, err);
}

void lm_api_after_commit(lm_api_ctx *ctx, void (*fn)(lm_cloud *cloud, void *arg), void *arg) {
    LM_ASSERT(ctx->n_after_commit < LM_API_AFTER_COMMIT_MAX);
    ctx->after_commit[ctx->n_after_commit].fn = fn;
    ctx->after_commit[ctx->n_after_commit++].arg = arg;
}
