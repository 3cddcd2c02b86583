/* Where compute is: sites, their pools, their nodes. */
#include "cloud/cloud.h"
#include "cloud/table/node.h"
#include "cloud/table/pool.h"
#include "cloud/table/site.h"

static const lm_field site_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "site"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema site_schema = LM_SCHEMA("Site", site_fields);

static const lm_field pool_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "pool"},
    {.name = "site_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "site"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
    {.name = "executor", .type = LM_FIELD_STRING, .required = true},
    {.name = "peak_flops",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "FLOP/s of the whole pool"},
    {.name = "max_runs",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "trainers at once; each leases its share of the peak"},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema pool_schema = LM_SCHEMA("Pool", pool_fields);

static const lm_field node_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "node"},
    {.name = "pool_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "pool"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true},
    {.name = "n_cpus", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "memory_bytes", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "peak_flops", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "state", .type = LM_FIELD_STRING, .required = true},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema node_schema = LM_SCHEMA("Node", node_fields);

typedef loam_status list_fn(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                            const char **out_next, loam_error *err);

static loam_status reply_page(lm_api_ctx *ctx, list_fn *list_rows, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(list_rows(ctx->db, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static loam_status list_sites(lm_api_ctx *ctx, loam_error *err) {
    return reply_page(ctx, lm_site_list, err);
}

static loam_status list_pools(lm_api_ctx *ctx, loam_error *err) {
    return reply_page(ctx, lm_pool_page, err);
}

static loam_status list_nodes(lm_api_ctx *ctx, loam_error *err) {
    return reply_page(ctx, lm_node_list, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/sites",
     .scope = LM_SCOPE_READ,
     .reply = &site_schema,
     .shape = LM_API_LIST,
     .summary = "List the sites",
     .handler = list_sites},
    {.method = "GET",
     .path = "/pools",
     .scope = LM_SCOPE_READ,
     .reply = &pool_schema,
     .shape = LM_API_LIST,
     .summary = "List the pools",
     .handler = list_pools},
    {.method = "GET",
     .path = "/nodes",
     .scope = LM_SCOPE_READ,
     .reply = &node_schema,
     .shape = LM_API_LIST,
     .summary = "List the nodes",
     .handler = list_nodes},
};
const lm_api_table lm_api_pools = LM_API_TABLE(rows);
