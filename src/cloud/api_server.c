#include "cloud/api_server.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cloud/cloud.h"
#include "cloud/table/project.h"

enum { ARENA_CHUNK_BYTES = 4096, ARENA_MAX_BYTES = 64 << 20, TEXT_MAX_BYTES = 64 << 20 };

/* What the route of one endpoint points to. */
typedef struct api_route {
    lm_api_server *server;
    const lm_api_endpoint *endpoint;
    char *path;
} api_route;

struct lm_api_server {
    lm_cloud *cloud;
    LM_VEC(api_route) routes;
    atomic_llong n_requests, n_refused, n_failed;
};

/* One request under way. The loop's thread owns it, then the store's while the handler runs, then the loop's again. */
typedef struct api_call {
    lm_store_job job; /* first: the store hands this back */
    lm_api_ctx ctx;
    lm_api_server *server;
    lm_http_request
        *request; /* NULL once the client is gone; the loop's thread alone looks at it */
    lm_loop *loop;
    lm_arena arena;
    json_t *body, *query;
    bool other_project; /* acts in another one than the key's own */
    int64_t retry_after_s;
    loam_status status;
    loam_error error;
} api_call;

/* Of what a handler answered: the request fits its schema, so LOAM_INVALID is about how its parts go together. */
static int http_status_of(loam_status status) {
    switch (status) {
    case LOAM_OK: return 200;
    case LOAM_INVALID:
    case LOAM_CORRUPT:
    case LOAM_UNSUPPORTED: return 422;
    case LOAM_DENIED: return 403;
    case LOAM_NOT_FOUND: return 404;
    case LOAM_CONFLICT: return 409;
    case LOAM_LIMIT: return 429;
    case LOAM_UNAVAILABLE:
    case LOAM_CANCELLED: return 503;
    case LOAM_IO: return 507;
    default: return 500;
    }
}

static const char *code_of(int http_status) {
    switch (http_status) {
    case 400: return "invalid";
    case 401: return "unauthorized";
    case 403: return "denied";
    case 404: return "not_found";
    case 405: return "method_not_allowed";
    case 409: return "conflict";
    case 413: return "too_large";
    case 422: return "unprocessable";
    case 429: return "limit";
    case 503: return "unavailable";
    case 507: return "storage";
    default: return "internal";
    }
}

/* Messages may end within a character, or name bytes that are no text: those become question marks. */
static json_t *text_json(const char *text) {
    json_t *string = json_string(text);
    char clean[sizeof(((loam_error *)0)->message)];
    if (string) return string;
    snprintf(clean, sizeof clean, "%s", text);
    for (char *c = clean; *c; c++) {
        if ((unsigned char)*c >= 0x80) *c = '?';
    }
    return json_string(clean);
}

void lm_api_reply_error(lm_http_request *request, int http_status, const char *code,
                        const char *message, const char *hint) {
    if (http_status == 401) lm_http_reply_header(request, "WWW-Authenticate", "Bearer");
    lm_http_reply_json(request, http_status,
                       json_pack("{s:{s:s, s:o, s:o}}", "error", "code",
                                 code ? code : code_of(http_status), "message", text_json(message),
                                 "hint", text_json(hint ? hint : "")));
}

static void count_reply(lm_api_server *server, int http_status) {
    atomic_fetch_add(&server->n_requests, 1);
    if (http_status >= 500) {
        atomic_fetch_add(&server->n_failed, 1);
    } else if (http_status >= 400) {
        atomic_fetch_add(&server->n_refused, 1);
    }
}

static void call_free(api_call *call) {
    json_decref(call->body);
    json_decref(call->query);
    json_decref(call->ctx.reply);
    lm_buf_deinit(&call->ctx.text);
    lm_arena_deinit(&call->arena);
    lm_free(call);
}

static void reply_failure(api_call *call, int http_status) {
    if (http_status >= 500) lm_log_error(LM_LOG_ERROR, "api", &call->error);
    char retry_after[24];
    if (call->retry_after_s || http_status == 503) {
        snprintf(retry_after, sizeof retry_after, "%lld",
                 (long long)(call->retry_after_s ? call->retry_after_s : 1));
        lm_http_reply_header(call->request, "Retry-After", retry_after);
    }
    lm_api_reply_error(call->request, http_status, NULL, call->error.message, call->error.hint);
}

static int success_status(const lm_api_endpoint *endpoint) {
    if (endpoint->http_status) return endpoint->http_status;
    return endpoint->shape == LM_API_EMPTY ? 204 : 200;
}

/* Answers and ends the call; http_status 0: as the call's status says. */
static void finish(api_call *call, int http_status) {
    if (!http_status)
        http_status = call->status == LOAM_OK ? success_status(call->ctx.endpoint)
                                              : http_status_of(call->status);
    count_reply(call->server, http_status);
    if (call->request && http_status >= 400) {
        reply_failure(call, http_status);
    } else if (call->request && call->ctx.content_type) {
        lm_http_reply(call->request, http_status, call->ctx.content_type,
                      lm_buf_view(&call->ctx.text));
    } else if (call->request && http_status == 204) {
        lm_http_reply(call->request, http_status, NULL, LM_STR(""));
    } else if (call->request) {
        lm_http_reply_json(call->request, http_status, call->ctx.reply);
        call->ctx.reply = NULL; /* given away */
    }
    call_free(call);
}

static void on_close(lm_http_request *request, void *arg) {
    ((api_call *)arg)->request = NULL;
}

/* Back on the loop. */
static void answer(void *arg) {
    finish(arg, 0);
}

/* On the store's thread, the outcome being durable. */
static void job_done(lm_store_job *job, loam_status status, const loam_error *err) {
    api_call *call = (api_call *)job;
    call->status = status;
    call->error = *err;
    for (int i = 0; status == LOAM_OK && i < call->ctx.n_after_commit; i++)
        call->ctx.after_commit[i].fn(call->ctx.cloud, call->ctx.after_commit[i].arg);
    loam_error post_error = {0};
    if (lm_loop_post(call->loop, answer, call, &post_error) != LOAM_OK)
        lm_log_error(LM_LOG_ERROR, "api", &post_error);
}

/* ?project= must name one that exists. */
static loam_status check_other_project(api_call *call, loam_error *err) {
    lm_project project;
    if (!call->other_project) return LOAM_OK;
    return lm_project_find(call->ctx.db, call->ctx.caller.project_id, &call->arena, &project, err);
}

static loam_status job_run(lm_store_job *job, lm_db *db, loam_error *err) {
    api_call *call = (api_call *)job;
    call->ctx.db = db;
    LM_TRY(check_other_project(call, err));
    LM_TRY(call->ctx.endpoint->handler(&call->ctx, err));
    if (call->ctx.content_type) return lm_buf_status(&call->ctx.text, err);
    bool wants_reply = call->ctx.endpoint->shape != LM_API_EMPTY;
    return wants_reply && !call->ctx.reply
               ? lm_error_set(err, LOAM_INTERNAL, "the handler gave no reply")
               : LOAM_OK;
}

static const char *bearer_of(const lm_http_request *request) {
    const char *header = lm_http_request_header(request, "Authorization");
    static const char scheme[] = "Bearer ";
    return header && strncasecmp(header, scheme, strlen(scheme)) == 0 ? header + strlen(scheme)
                                                                      : NULL;
}

/* Another project than the key's own is for operators alone; whether it exists is seen on the store's thread. */
static loam_status choose_project(api_call *call, loam_error *err) {
    const char *project = lm_api_str(call->query, "project", NULL);
    lm_caller *caller = &call->ctx.caller;
    if (!project || strcmp(project, caller->project_id) == 0) return LOAM_OK;
    if (!(caller->scopes & LM_SCOPE_OPERATOR))
        return lm_error_set(err, LOAM_NOT_FOUND, "no project '%s'", project);
    snprintf(caller->project_id, sizeof caller->project_id, "%s", project);
    call->other_project = true;
    return LOAM_OK;
}

/* Returns the HTTP status to refuse with, or 0. */
static int authorize(api_call *call) {
    const lm_api_endpoint *endpoint = call->ctx.endpoint;
    lm_keyring *keyring = call->server->cloud->keyring;
    int64_t now_ms = lm_clock_epoch_ms();
    if (endpoint->scope == LM_SCOPE_NONE) return 0;
    lm_caller *caller = &call->ctx.caller;
    if (lm_keyring_authenticate(keyring, bearer_of(call->request), now_ms, caller, &call->error) !=
        LOAM_OK)
        return 401;
    if (!(caller->scopes & endpoint->scope)) {
        lm_error_set(&call->error, LOAM_DENIED, "the API key lacks the scope '%s'",
                     lm_scope_name(endpoint->scope));
        lm_error_hint(&call->error, LOAM_DENIED,
                      "ask an admin of the project for a key with that scope");
        return 403;
    }
    if (lm_keyring_admit(keyring, caller->key_id, now_ms, &call->retry_after_s, &call->error) !=
        LOAM_OK)
        return 429;
    return 0;
}

static loam_status read_query_fields(api_call *call, const lm_schema *schema, loam_error *err) {
    for (size_t i = 0; schema && i < schema->n_fields; i++) {
        const lm_field *field = &schema->fields[i];
        const char *text = lm_http_request_query(call->request, field->name);
        json_t *value;
        if (!text && field->required)
            return lm_error_set(err, LOAM_INVALID, "parameter '%s' is missing", field->name);
        if (!text) continue;
        LM_TRY(lm_schema_parse_text(field, text, &value, err));
        if (json_object_set_new(call->query, field->name, value) != 0)
            return lm_error_no_memory(err, 0);
    }
    return LOAM_OK;
}

static loam_status read_query(api_call *call, loam_error *err) {
    const lm_api_endpoint *endpoint = call->ctx.endpoint;
    if (strstr(lm_http_request_target(call->request), "%00")) /* decoded, it would end its value */
        return lm_error_set(err, LOAM_INVALID, "the query holds a NUL character");
    call->query = json_object();
    if (!call->query) return lm_error_no_memory(err, 0);
    LM_TRY(read_query_fields(call, endpoint->query, err));
    if (endpoint->shape == LM_API_LIST) LM_TRY(read_query_fields(call, &lm_api_list_query, err));
    if (endpoint->scope != LM_SCOPE_NONE)
        LM_TRY(read_query_fields(call, &lm_api_project_query, err));
    return choose_project(call, err);
}

static loam_status read_body(api_call *call, loam_error *err) {
    const lm_schema *schema = call->ctx.endpoint->request;
    if (!schema) return LOAM_OK;
    lm_str text = lm_http_request_body(call->request);
    if (text.len == 0) return lm_error_set(err, LOAM_INVALID, "the request has no body");
    LM_TRY(lm_json_parse(text, "body", &call->body, err));
    LM_TRY(lm_json_whole_numbers(call->body, err));
    return lm_schema_check(schema, call->body, "body", err);
}

/* Copies the values of the path's braces; one that is no id of its kind cannot be found. */
static loam_status read_params(api_call *call, loam_error *err) {
    const lm_api_endpoint *endpoint = call->ctx.endpoint;
    int n = 0;
    for (const char *brace = strchr(endpoint->path, '{'); brace; brace = strchr(brace + 1, '{')) {
        char name[32];
        LM_ASSERT(n < LM_API_PARAMS_MAX);
        snprintf(name, sizeof name, "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
        const char *value = lm_http_request_param(call->request, name);
        const char *prefix = lm_api_param_prefix(endpoint, name);
        if (!value || (prefix && !lm_id_is(prefix, value)))
            return lm_error_set(err, LOAM_NOT_FOUND, "nothing has this id");
        call->ctx.params[n] = lm_arena_strndup(&call->arena, value, strlen(value));
        if (!call->ctx.params[n++]) return lm_error_no_memory(err, strlen(value));
    }
    return LOAM_OK;
}

static loam_status read_request(api_call *call, loam_error *err) {
    LM_TRY(read_params(call, err));
    LM_TRY(read_query(call, err));
    LM_TRY(read_body(call, err));
    call->ctx.body = call->body;
    call->ctx.query = call->query;
    return LOAM_OK;
}

static void on_request(lm_http_request *request, void *arg) {
    const api_route *route = arg;
    api_call *call = lm_calloc(1, sizeof *call);
    if (!call) {
        lm_api_reply_error(request, 503, NULL, "out of memory", NULL);
        return;
    }
    call->job = (lm_store_job){.run = job_run, .done = job_done};
    call->server = route->server;
    call->request = request;
    call->loop = lm_http_request_loop(request);
    lm_arena_init(&call->arena, ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
    call->ctx = (lm_api_ctx){
        .cloud = route->server->cloud, .arena = &call->arena, .endpoint = route->endpoint};
    lm_buf_init(&call->ctx.text, TEXT_MAX_BYTES);
    int refused = authorize(call);
    loam_status status = refused ? LOAM_DENIED : read_request(call, &call->error);
    if (status == LOAM_OK) {
        loam_error err = {0};
        lm_http_request_on_close(request, on_close, call);
        status = lm_store_submit(call->server->cloud->store, &call->job, &err);
        if (status == LOAM_OK) return; /* the call is the store's now, and may be over already */
        call->error = err;
    }
    call->status = status;
    finish(call, refused ? refused : status == LOAM_INVALID ? 400 : 0);
}

static loam_status add_route(lm_api_server *server, const lm_api_endpoint *endpoint,
                             loam_error *err) {
    char *path = lm_asprintf("/api/v1%s", endpoint->path);
    if (path && lm_vec_push(&server->routes, ((api_route){server, endpoint, path}))) return LOAM_OK;
    lm_free(path);
    return lm_error_no_memory(err, 0);
}

/* HTTP routes point into server->routes, which does not grow any more by then. */
static loam_status publish_routes(lm_api_server *server, loam_error *err) {
    for (size_t i = 0; i < server->routes.len; i++) {
        api_route *route = &server->routes.ptr[i];
        lm_http_route http_route = {route->endpoint->method, route->path, on_request, route};
        if (!lm_vec_push(&server->cloud->routes, http_route)) return lm_error_no_memory(err, 0);
    }
    return LOAM_OK;
}

loam_status lm_api_server_new(lm_cloud *cloud, lm_api_server **out, loam_error *err) {
    lm_api_server *server = lm_calloc(1, sizeof *server);
    if (!server) return lm_error_no_memory(err, sizeof *server);
    server->cloud = cloud;
    loam_status status = LOAM_OK;
    for (size_t t = 0; lm_api_tables[t]; t++) {
        for (size_t i = 0; status == LOAM_OK && i < lm_api_tables[t]->n_rows; i++)
            status = add_route(server, &lm_api_tables[t]->rows[i], err);
    }
    if (status == LOAM_OK) status = publish_routes(server, err);
    if (status != LOAM_OK) {
        lm_api_server_free(server);
        return status;
    }
    *out = server;
    return LOAM_OK;
}

void lm_api_server_free(lm_api_server *server) {
    if (!server) return;
    for (size_t i = 0; i < server->routes.len; i++) lm_free(server->routes.ptr[i].path);
    lm_vec_deinit(&server->routes);
    lm_free(server);
}

lm_api_stats lm_api_server_stats(const lm_api_server *server) {
    return (lm_api_stats){atomic_load(&server->n_requests), atomic_load(&server->n_refused),
                          atomic_load(&server->n_failed)};
}
