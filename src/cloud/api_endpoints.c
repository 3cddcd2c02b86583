/* Endpoints and their replicas: deploying a version under a name. Starting and stopping is the replica manager's. */
#include "base/clock.h"
#include "cloud/cloud.h"
#include "cloud/replicas.h"
#include "cloud/router.h"
#include "cloud/table/endpoint.h"
#include "cloud/table/model.h"
#include "cloud/table/replica.h"
#include "cloud/table/version.h"

enum {
    REPLICAS_MAX = 64,
    IDLE_TIMEOUT_MS = 300000,
    IDLE_TIMEOUT_MIN_MS = 1000,
    REPLICAS_LISTED = 500
};

static const char *const endpoint_state_names[] = {"ready", "starting", "asleep", NULL};
static const char *const replica_state_names[] = {"starting", "ready", "stopping", "ended", NULL};

static const lm_field endpoint_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "ep"},
    {.name = "name",
     .type = LM_FIELD_STRING,
     .required = true,
     .help = "the `model` of OpenAI requests"},
    {.name = "state", .type = LM_FIELD_STRING, .required = true, .choices = endpoint_state_names},
    {.name = "model", .type = LM_FIELD_STRING, .required = true},
    {.name = "version_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "ver"},
    {.name = "min_replicas", .type = LM_FIELD_INTEGER, .required = true, .help = "0: may sleep"},
    {.name = "max_replicas", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "ready_replicas", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "idle_timeout_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "last_error",
     .type = LM_FIELD_STRING,
     .required = true,
     .nullable = true,
     .help = "how its last failed replica ended, while none is ready"},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema endpoint_schema = LM_SCHEMA("Endpoint", endpoint_fields);

static const lm_field new_endpoint_fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
    {.name = "model",
     .type = LM_FIELD_STRING,
     .required = true,
     .min = 1,
     .max = 64,
     .help = "a model's name (its newest version) or a version's id"},
    {.name = "min_replicas",
     .type = LM_FIELD_INTEGER,
     .min = 0,
     .max = REPLICAS_MAX,
     .help = "0 if not given"},
    {.name = "max_replicas",
     .type = LM_FIELD_INTEGER,
     .min = 1,
     .max = REPLICAS_MAX,
     .help = "1, or the minimum, if not given"},
    {.name = "idle_timeout_ms",
     .type = LM_FIELD_INTEGER,
     .min = IDLE_TIMEOUT_MIN_MS,
     .max = INT64_C(31536000000),
     .help = "300000 if not given"},
};
static const lm_schema new_endpoint_schema = LM_SCHEMA("NewEndpoint", new_endpoint_fields);

static const lm_field endpoint_change_fields[] = {
    {.name = "model",
     .type = LM_FIELD_STRING,
     .min = 1,
     .max = 64,
     .help = "a model's name or a version's id"},
    {.name = "min_replicas", .type = LM_FIELD_INTEGER, .min = 0, .max = REPLICAS_MAX},
    {.name = "max_replicas", .type = LM_FIELD_INTEGER, .min = 1, .max = REPLICAS_MAX},
    {.name = "idle_timeout_ms",
     .type = LM_FIELD_INTEGER,
     .min = IDLE_TIMEOUT_MIN_MS,
     .max = INT64_C(31536000000)},
};
static const lm_schema endpoint_change_schema = LM_SCHEMA("EndpointChange", endpoint_change_fields);

static const lm_field replica_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "rep"},
    {.name = "endpoint_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "ep"},
    {.name = "version_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "ver"},
    {.name = "state", .type = LM_FIELD_STRING, .required = true, .choices = replica_state_names},
    {.name = "pid", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "port", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "error", .type = LM_FIELD_STRING, .required = true, .nullable = true},
    {.name = "n_active", .type = LM_FIELD_INTEGER, .required = true, .help = "requests under way"},
    {.name = "tokens_per_s",
     .type = LM_FIELD_NUMBER,
     .required = true,
     .help = "generated in the last second"},
    {.name = "latency_p50_ms",
     .type = LM_FIELD_NUMBER,
     .required = true,
     .help = "of the last whole answers"},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "ready_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "ended_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
};
static const lm_schema replica_schema = LM_SCHEMA("Replica", replica_fields);

static const lm_field stats_fields[] = {
    {.name = "n_active",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "requests at a replica"},
    {.name = "n_waiting",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "requests held until a replica is there"},
    {.name = "n_requests",
     .type = LM_FIELD_INTEGER,
     .required = true,
     .help = "ended since the cloud started"},
    {.name = "latency_p50_ms", .type = LM_FIELD_NUMBER, .required = true},
    {.name = "tokens_per_s", .type = LM_FIELD_NUMBER, .required = true},
    {.name = "last_used_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
};
static const lm_schema stats_schema = LM_SCHEMA("EndpointStats", stats_fields);

/* ---- showing ---- */

static void wake_replicas(lm_cloud *cloud, void *arg) {
    lm_replicas_wake(cloud->replicas);
}

static loam_status replicas_of(lm_api_ctx *ctx, const char *endpoint_id, lm_list *out,
                               loam_error *err) {
    const char *next;
    lm_page page = {.limit = REPLICAS_LISTED};
    return lm_replica_of_endpoint(ctx->db, endpoint_id, &page, ctx->arena, out, &next, err);
}

static int64_t count_in_state(const lm_list *replicas, const char *state) {
    int64_t n = 0;
    for (size_t i = 0; i < replicas->len; i++)
        n += strcmp(((const lm_replica *)lm_list_at(replicas, i))->state, state) == 0;
    return n;
}

static loam_status endpoint_json(lm_api_ctx *ctx, const lm_endpoint *endpoint, json_t **out,
                                 loam_error *err) {
    lm_list replicas;
    lm_replica failed = {0};
    LM_TRY(replicas_of(ctx, endpoint->id, &replicas, err));
    int64_t n_ready = count_in_state(&replicas, "ready");
    bool starting = count_in_state(&replicas, "starting") > 0 || endpoint->min_replicas > 0;
    if (n_ready == 0) {
        loam_status status =
            lm_replica_last_failed(ctx->db, endpoint->id, ctx->arena, &failed, NULL);
        if (status != LOAM_OK && status != LOAM_NOT_FOUND) return status;
    }
    json_t *object = lm_table_json(&lm_endpoint_table, endpoint);
    if (!object) return lm_error_no_memory(err, 1);
    json_object_set_new(object, "state",
                        json_string(n_ready > 0 ? "ready"
                                    : starting  ? "starting"
                                                : "asleep"));
    json_object_set_new(object, "ready_replicas", json_integer(n_ready));
    json_object_set_new(object, "last_error",
                        failed.error ? json_string(failed.error) : json_null());
    *out = object;
    return LOAM_OK;
}

static loam_status reply_endpoint(lm_api_ctx *ctx, const lm_endpoint *endpoint, loam_error *err) {
    json_t *object;
    LM_TRY(endpoint_json(ctx, endpoint, &object, err));
    return lm_api_reply(ctx, object, err);
}

static loam_status list_endpoints(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_endpoint_list(ctx->db, ctx->caller.project_id, &page, ctx->arena, &list, &next, err));
    json_t *data = json_array();
    for (size_t i = 0; i < list.len; i++) {
        json_t *object;
        loam_status status = endpoint_json(ctx, lm_list_at(&list, i), &object, err);
        if (status != LOAM_OK) {
            json_decref(data);
            return status;
        }
        json_array_append_new(data, object);
    }
    return lm_api_reply_list(ctx, data, next, err);
}

static loam_status find_endpoint(lm_api_ctx *ctx, lm_endpoint *out, loam_error *err) {
    return lm_endpoint_get(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, out, err);
}

static loam_status get_endpoint(lm_api_ctx *ctx, loam_error *err) {
    lm_endpoint endpoint;
    LM_TRY(find_endpoint(ctx, &endpoint, err));
    return reply_endpoint(ctx, &endpoint, err);
}

static json_t *replica_json(lm_cloud *cloud, const lm_replica *replica) {
    json_t *object = lm_table_json(&lm_replica_table, replica);
    if (!object) return NULL;
    json_object_set_new(object, "n_active",
                        json_integer(lm_router_replica_active(cloud->router, replica->id)));
    json_object_set_new(object, "tokens_per_s",
                        json_real(lm_replicas_rate(cloud->replicas, replica->id)));
    json_object_set_new(object, "latency_p50_ms",
                        json_real(lm_router_replica_p50_ms(cloud->router, replica->id)));
    return object;
}

static loam_status list_replicas(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_endpoint endpoint;
    lm_list list;
    const char *next;
    LM_TRY(find_endpoint(ctx, &endpoint, err));
    LM_TRY(lm_replica_of_endpoint(ctx->db, endpoint.id, &page, ctx->arena, &list, &next, err));
    json_t *data = json_array();
    for (size_t i = 0; i < list.len; i++)
        json_array_append_new(data, replica_json(ctx->cloud, lm_list_at(&list, i)));
    return lm_api_reply_list(ctx, data, next, err);
}

static loam_status get_stats(lm_api_ctx *ctx, loam_error *err) {
    lm_endpoint endpoint;
    lm_list replicas;
    lm_router_activity activity = {0};
    double rate = 0;
    LM_TRY(find_endpoint(ctx, &endpoint, err));
    LM_TRY(replicas_of(ctx, endpoint.id, &replicas, err));
    for (size_t i = 0; i < replicas.len; i++)
        rate += lm_replicas_rate(ctx->cloud->replicas,
                                 ((const lm_replica *)lm_list_at(&replicas, i))->id);
    (void)lm_router_activity_of(ctx->cloud->router, endpoint.id, &activity);
    return lm_api_reply(
        ctx,
        json_pack("{s:I, s:I, s:I, s:f, s:f, s:o}", "n_active", (json_int_t)activity.n_active,
                  "n_waiting", (json_int_t)activity.n_waiting, "n_requests",
                  (json_int_t)activity.n_requests, "latency_p50_ms", activity.latency_p50_ms,
                  "tokens_per_s", rate, "last_used_ms",
                  activity.last_used_ms ? json_integer(activity.last_used_ms) : json_null()),
        err);
}

/* ---- changing ---- */

/* What `model` means: a version by its id, or the newest ready version of a model by its name. */
static loam_status choose_version(lm_api_ctx *ctx, const char *model_text, lm_endpoint *endpoint,
                                  loam_error *err) {
    lm_version version;
    lm_model model;
    const char *project_id = ctx->caller.project_id;
    if (lm_id_is("ver", model_text)) {
        LM_TRY(lm_version_get(ctx->db, project_id, model_text, ctx->arena, &version, err));
        LM_TRY(lm_model_get(ctx->db, project_id, version.model_id, ctx->arena, &model, err));
        if (strcmp(version.state, "ready") != 0)
            return lm_error_set(err, LOAM_CONFLICT, "version %lld of '%s' is %s",
                                (long long)version.version, model.name, version.state);
    } else {
        LM_TRY(lm_model_by_name(ctx->db, project_id, model_text, ctx->arena, &model, err));
        loam_status status = lm_version_newest(ctx->db, model.id, ctx->arena, &version, err);
        if (status == LOAM_NOT_FOUND)
            return lm_error_set(err, LOAM_CONFLICT, "no version of '%s' is ready", model.name);
        LM_TRY(status);
    }
    endpoint->model = model.name;
    memcpy(endpoint->version_id, version.id, LM_ID_BYTES);
    return LOAM_OK;
}

static loam_status check_limits(const lm_endpoint *endpoint, loam_error *err) {
    if (endpoint->min_replicas <= endpoint->max_replicas) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID,
                        "body.min_replicas: %lld is more than max_replicas, %lld",
                        (long long)endpoint->min_replicas, (long long)endpoint->max_replicas);
}

static loam_status deploy(lm_api_ctx *ctx, loam_error *err) {
    lm_endpoint endpoint = {.name = lm_api_str(ctx->body, "name", ""),
                            .min_replicas = lm_api_i64(ctx->body, "min_replicas", 0),
                            .idle_timeout_ms =
                                lm_api_i64(ctx->body, "idle_timeout_ms", IDLE_TIMEOUT_MS),
                            .created_ms = lm_clock_epoch_ms()};
    int64_t least = endpoint.min_replicas > 1 ? endpoint.min_replicas : 1;
    lm_endpoint before;
    endpoint.max_replicas = lm_api_i64(ctx->body, "max_replicas", least);
    lm_api_new_id(ctx, "ep", endpoint.id);
    memcpy(endpoint.project_id, ctx->caller.project_id, LM_ID_BYTES);
    LM_TRY(check_limits(&endpoint, err));
    LM_TRY(choose_version(ctx, lm_api_str(ctx->body, "model", ""), &endpoint, err));
    loam_status status =
        lm_endpoint_by_name(ctx->db, endpoint.project_id, endpoint.name, ctx->arena, &before, err);
    if (status == LOAM_OK)
        return lm_error_set(err, LOAM_CONFLICT, "there is an endpoint '%s' already%s",
                            endpoint.name, before.deleted ? ", being removed" : "");
    if (status != LOAM_NOT_FOUND) return status;
    LM_TRY(lm_table_insert(ctx->db, &lm_endpoint_table, &endpoint, err));
    LM_TRY(lm_api_event(ctx, "endpoint.deploy", endpoint.id, NULL, ctx->body, err));
    lm_api_after_commit(ctx, wake_replicas, NULL);
    return reply_endpoint(ctx, &endpoint, err);
}

static loam_status change_endpoint(lm_api_ctx *ctx, loam_error *err) {
    lm_endpoint endpoint;
    LM_TRY(find_endpoint(ctx, &endpoint, err));
    const char *model = lm_api_str(ctx->body, "model", NULL);
    if (model) LM_TRY(choose_version(ctx, model, &endpoint, err));
    endpoint.min_replicas = lm_api_i64(ctx->body, "min_replicas", endpoint.min_replicas);
    endpoint.max_replicas = lm_api_i64(ctx->body, "max_replicas", endpoint.max_replicas);
    endpoint.idle_timeout_ms = lm_api_i64(ctx->body, "idle_timeout_ms", endpoint.idle_timeout_ms);
    LM_TRY(check_limits(&endpoint, err));
    LM_TRY(lm_table_update(ctx->db, &lm_endpoint_table, &endpoint, err));
    LM_TRY(lm_api_event(ctx, "endpoint.change", endpoint.id, NULL, ctx->body, err));
    lm_api_after_commit(ctx, wake_replicas, NULL);
    return reply_endpoint(ctx, &endpoint, err);
}

/* The row goes when its last replica is gone. */
static loam_status delete_endpoint(lm_api_ctx *ctx, loam_error *err) {
    lm_endpoint endpoint;
    LM_TRY(find_endpoint(ctx, &endpoint, err));
    endpoint.deleted = true;
    LM_TRY(lm_table_update(ctx->db, &lm_endpoint_table, &endpoint, err));
    lm_api_after_commit(ctx, wake_replicas, NULL);
    return lm_api_event(ctx, "endpoint.delete", endpoint.id, NULL, NULL, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/endpoints",
     .scope = LM_SCOPE_READ,
     .reply = &endpoint_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's endpoints",
     .handler = list_endpoints},
    {.method = "POST",
     .path = "/endpoints",
     .scope = LM_SCOPE_WRITE,
     .request = &new_endpoint_schema,
     .reply = &endpoint_schema,
     .http_status = 201,
     .summary = "Deploy a model under a name",
     .handler = deploy},
    {.method = "GET",
     .path = "/endpoints/{id}",
     .scope = LM_SCOPE_READ,
     .id_prefix = "ep",
     .reply = &endpoint_schema,
     .summary = "Show an endpoint",
     .handler = get_endpoint},
    {.method = "PATCH",
     .path = "/endpoints/{id}",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "ep",
     .request = &endpoint_change_schema,
     .reply = &endpoint_schema,
     .summary = "Change an endpoint; another model replaces its replicas one by one",
     .handler = change_endpoint},
    {.method = "DELETE",
     .path = "/endpoints/{id}",
     .scope = LM_SCOPE_WRITE,
     .id_prefix = "ep",
     .shape = LM_API_EMPTY,
     .summary = "Delete an endpoint; its replicas finish what they have",
     .handler = delete_endpoint},
    {.method = "GET",
     .path = "/endpoints/{id}/replicas",
     .scope = LM_SCOPE_READ,
     .id_prefix = "ep",
     .reply = &replica_schema,
     .shape = LM_API_LIST,
     .summary = "List an endpoint's replicas",
     .handler = list_replicas},
    {.method = "GET",
     .path = "/endpoints/{id}/stats",
     .scope = LM_SCOPE_READ,
     .id_prefix = "ep",
     .reply = &stats_schema,
     .summary = "Show how an endpoint is used now",
     .handler = get_stats},
};
const lm_api_table lm_api_endpoints = LM_API_TABLE(rows);
