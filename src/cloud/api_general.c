/* Who am I, how is it going, what can be asked: the endpoints that belong to no resource. */
#include "base/clock.h"
#include "cloud/cloud.h"
#include "cloud/month.h"
#include "cloud/table/key.h"
#include "cloud/table/overview.h"
#include "cloud/table/project.h"

static const lm_field named_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
};
static const lm_schema named_schema = LM_SCHEMA("Named", named_fields);

static const lm_field me_fields[] = {
    {.name = "key", .type = LM_FIELD_OBJECT, .required = true, .schema = &named_schema},
    {.name = "project", .type = LM_FIELD_OBJECT, .required = true, .schema = &named_schema},
    {.name = "role", .type = LM_FIELD_STRING, .required = true, .choices = lm_role_names},
    {.name = "scopes",
     .type = LM_FIELD_ARRAY,
     .required = true,
     .items = LM_FIELD_STRING,
     .choices = lm_scope_names},
};
static const lm_schema me_schema = LM_SCHEMA("Me", me_fields);

static const lm_field point_fields[] = {
    {.name = "t_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "tokens_per_s", .type = LM_FIELD_NUMBER, .required = true},
};
static const lm_schema point_schema = LM_SCHEMA("OverviewPoint", point_fields);

static const lm_field overview_fields[] = {
    {.name = "tokens_per_s",
     .type = LM_FIELD_NUMBER,
     .required = true,
     .help = "of requests that ended in the last minute"},
    {.name = "running_jobs", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "queued_jobs", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "endpoints", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "ph_leased", .type = LM_FIELD_NUMBER, .required = true, .help = "P·hours, this month"},
    {.name = "ph_delivered",
     .type = LM_FIELD_NUMBER,
     .required = true,
     .help = "P·hours, this month"},
    {.name = "spend_micros", .type = LM_FIELD_INTEGER, .required = true, .help = "this month"},
    {.name = "currency", .type = LM_FIELD_STRING, .required = true},
    {.name = "series",
     .type = LM_FIELD_ARRAY,
     .required = true,
     .items = LM_FIELD_OBJECT,
     .schema = &point_schema,
     .help = "the last hour by minutes"},
};
static const lm_schema overview_schema = LM_SCHEMA("Overview", overview_fields);

static loam_status get_me(lm_api_ctx *ctx, loam_error *err) {
    lm_project project;
    lm_key key;
    LM_TRY(lm_project_find(ctx->db, ctx->caller.project_id, ctx->arena, &project, err));
    LM_TRY(lm_key_read(ctx->db, ctx->caller.key_id, ctx->arena, &key, err));
    return lm_api_reply(ctx,
                        json_pack("{s:{s:s, s:s}, s:{s:s, s:s}, s:s, s:o}", "key", "id", key.id,
                                  "name", key.name, "project", "id", project.id, "name",
                                  project.name, "role", lm_role_names[ctx->caller.role], "scopes",
                                  lm_scopes_json(ctx->caller.scopes)),
                        err);
}

enum { SERIES_MINUTES = 60, SECONDS_PER_MINUTE = 60, MINUTE_MS = 60000 };

static json_t *series_json(const int64_t tokens[SERIES_MINUTES], int64_t now_ms) {
    json_t *series = json_array();
    int64_t first_ms = (now_ms / MINUTE_MS - SERIES_MINUTES) * MINUTE_MS;
    for (int i = 0; i < SERIES_MINUTES; i++)
        json_array_append_new(
            series, json_pack("{s:I, s:f}", "t_ms", (json_int_t)(first_ms + i * MINUTE_MS),
                              "tokens_per_s", (double)tokens[i] / SECONDS_PER_MINUTE));
    return series;
}

static loam_status read_month(lm_api_ctx *ctx, int64_t now_ms, lm_usage_sum *out, loam_error *err) {
    lm_usage_span span = {ctx->caller.project_id, lm_month_start_ms(lm_month_of(now_ms)),
                          INT64_MAX};
    lm_usage_sums sums = {0};
    loam_status status = lm_usage_sum_up(ctx->db, &span, LM_USAGE_IN_ALL, ctx->arena, &sums, err);
    if (status == LOAM_OK) *out = sums.len ? sums.ptr[0] : (lm_usage_sum){0};
    lm_vec_deinit(&sums);
    return status;
}

static loam_status get_overview(lm_api_ctx *ctx, loam_error *err) {
    int64_t now_ms = lm_clock_epoch_ms(), tokens[SERIES_MINUTES];
    char currency[LM_CURRENCY_BYTES];
    lm_overview overview;
    lm_usage_sum month;
    lm_ledger_currency(ctx->cloud->ledger, currency);
    LM_TRY(lm_overview_read(ctx->db, ctx->caller.project_id, &overview, err));
    LM_TRY(
        lm_overview_tokens(ctx->db, ctx->caller.project_id, now_ms, tokens, SERIES_MINUTES, err));
    LM_TRY(read_month(ctx, now_ms, &month, err));
    return lm_api_reply(
        ctx,
        json_pack("{s:f, s:I, s:I, s:I, s:f, s:f, s:I, s:s, s:o}", "tokens_per_s",
                  (double)tokens[SERIES_MINUTES - 1] / SECONDS_PER_MINUTE, "running_jobs",
                  (json_int_t)overview.running_jobs, "queued_jobs",
                  (json_int_t)overview.queued_jobs, "endpoints", (json_int_t)overview.endpoints,
                  "ph_leased", lm_usage_ph_leased(&month), "ph_delivered",
                  lm_usage_ph_delivered(&month), "spend_micros", (json_int_t)month.amount_micros,
                  "currency", currency, "series", series_json(tokens, now_ms)),
        err);
}

static loam_status get_openapi(lm_api_ctx *ctx, loam_error *err) {
    return lm_api_reply(ctx, lm_openapi_json(), err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/me",
     .scope = LM_SCOPE_ANY,
     .reply = &me_schema,
     .summary = "Say whose key this is",
     .handler = get_me},
    {.method = "GET",
     .path = "/overview",
     .scope = LM_SCOPE_READ,
     .reply = &overview_schema,
     .summary = "Show how the project is doing",
     .handler = get_overview},
    {.method = "GET",
     .path = "/openapi.json",
     .summary = "Describe this API",
     .handler = get_openapi},
};
const lm_api_table lm_api_general = LM_API_TABLE(rows);
