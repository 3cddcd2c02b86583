/* Audit events. */
#include "cloud/cloud.h"
#include "cloud/table/event.h"

static const lm_field event_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "evt"},
    {.name = "project_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prj"},
    {.name = "at_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "actor", .type = LM_FIELD_STRING, .required = true, .help = "a key's id, or system"},
    {.name = "kind",
     .type = LM_FIELD_STRING,
     .required = true,
     .help = "what was done: key.create"},
    {.name = "subject", .type = LM_FIELD_STRING, .required = true, .help = "id of what changed"},
    {.name = "state_before", .type = LM_FIELD_ANY, .required = true, .nullable = true},
    {.name = "state_after", .type = LM_FIELD_ANY, .required = true, .nullable = true},
};
static const lm_schema event_schema = LM_SCHEMA("Event", event_fields);

static const lm_field query_fields[] = {
    {.name = "kind",
     .type = LM_FIELD_STRING,
     .min = 1,
     .max = 64,
     .help = "only events of this kind"},
};
static const lm_schema query_schema = LM_SCHEMA("EventQuery", query_fields);

static loam_status list_events(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_event_page(ctx->db, ctx->caller.project_id, lm_api_str(ctx->query, "kind", NULL),
                         &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/events",
     .scope = LM_SCOPE_READ,
     .reply = &event_schema,
     .query = &query_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's audit events",
     .handler = list_events},
};
const lm_api_table lm_api_events = LM_API_TABLE(rows);
