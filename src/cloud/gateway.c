#include "cloud/gateway.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cloud/gateway_internal.h"

enum { WAKE_TIMEOUT_MS = 60000, MAX_WAITING = 256, WAIT_TICK_MS = 250, MAX_CHOICES = 128 };

/* ---- errors ---- */

void lm_gateway_reply_error(lm_http_request *request, int http_status, const char *type,
                            const char *param, const char *code, const char *message) {
    json_t *error = json_pack("{s:{s:s,s:s,s:s?,s:s?}}", "error", "message", message, "type", type,
                              "param", param, "code", code);
    lm_http_reply_json(request, http_status, error);
}

/* Why a request was not let in. The grant of a valid key that lacks a scope names its project; `param`: the wrong field. */
static void reply_refusal(lm_http_request *request, loam_status status,
                          const lm_gateway_grant *grant, const char *param, int64_t retry_after_s,
                          const loam_error *err) {
    if (status == LOAM_DENIED && grant->project_id[0]) {
        lm_gateway_reply_error(request, 403, "invalid_request_error", NULL, "missing_scope",
                               err->message);
        return;
    }
    static const struct {
        loam_status status;
        int http_status;
        const char *type, *code;
    } kinds[] = {
        {LOAM_DENIED, 401, "authentication_error", "invalid_api_key"},
        {LOAM_INVALID, 400, "invalid_request_error", NULL},
        {LOAM_CORRUPT, 400, "invalid_request_error", NULL},
        {LOAM_NOT_FOUND, 404, "invalid_request_error", "model_not_found"},
        {LOAM_LIMIT, 429, "rate_limit_error", "rate_limit_exceeded"},
        {LOAM_OK, 503, "service_unavailable", NULL}, /* anything else */
    };
    size_t i = 0;
    while (kinds[i].status != status && kinds[i].status != LOAM_OK) i++;
    if (kinds[i].http_status == 429 || kinds[i].http_status == 503) {
        char seconds[24];
        snprintf(seconds, sizeof seconds, "%lld",
                 (long long)(retry_after_s > 0 ? retry_after_s : 1));
        lm_http_reply_header(request, "Retry-After", seconds);
    }
    lm_gateway_reply_error(request, kinds[i].http_status, kinds[i].type, param, kinds[i].code,
                           err->message);
}

/* ---- waiting for a replica ---- */

static void wait_begin(lm_exchange *x) {
    lm_lane *lane = x->lane;
    x->waiting = true;
    x->previous = lane->last_waiting;
    x->next = NULL;
    *(x->previous ? &x->previous->next : &lane->first_waiting) = x;
    lane->last_waiting = x;
    lm_lane_count(&lane->stats.n_waiting, +1);
    lm_router_wait(lane->gateway->router, x->endpoint_id, +1);
    lane->gateway->hooks.wake(lane->gateway->hooks.arg, x->endpoint_id);
}

static void wait_end(lm_exchange *x) {
    lm_lane *lane = x->lane;
    if (!x->waiting) return;
    x->waiting = false;
    *(x->previous ? &x->previous->next : &lane->first_waiting) = x->next;
    *(x->next ? &x->next->previous : &lane->last_waiting) = x->previous;
    lm_lane_count(&lane->stats.n_waiting, -1);
    lm_router_wait(lane->gateway->router, x->endpoint_id, -1);
}

static void fail_unavailable(lm_exchange *x, const char *message) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", LM_GATEWAY_RETRY_AFTER_S);
    lm_http_reply_header(x->request, "Retry-After", seconds);
    lm_exchange_fail(x, 503, "service_unavailable", "model_unavailable", message);
}

void lm_exchange_route(lm_exchange *x) {
    lm_gateway *gateway = x->lane->gateway;
    loam_error err = {0};
    loam_status status = LOAM_UNAVAILABLE;
    wait_end(x);
    while (x->n_attempts < LM_GATEWAY_MAX_ATTEMPTS) {
        status = lm_router_pick(gateway->router, x->endpoint_id, &x->tries, &x->replica, &err);
        if (status != LOAM_OK) break;
        status = lm_exchange_send(x, &err);
        if (status == LOAM_OK) return;
    }
    if (status == LOAM_NOT_FOUND) {
        lm_exchange_fail(x, 404, "invalid_request_error", "model_not_found", err.message);
    } else if (status == LOAM_CONFLICT) {
        gateway->hooks.wake(gateway->hooks.arg, x->endpoint_id); /* it may be tried again */
        fail_unavailable(x, err.message);
    } else if (x->n_attempts == LM_GATEWAY_MAX_ATTEMPTS) {
        fail_unavailable(x, "several replicas failed while this request was with them");
    } else if (x->lane->stats.n_waiting >= gateway->max_waiting) {
        fail_unavailable(x, "too many requests wait for this model to start");
    } else if (lm_clock_mono_ns() >= x->deadline_ns) {
        fail_unavailable(x, "the model did not start in time");
    } else {
        wait_begin(x);
    }
}

/* Gives every held request another chance, also at replicas that failed it before. */
static void flush_waiting(void *arg) {
    lm_lane *lane = arg;
    lm_exchange *last = lane->last_waiting; /* those that go back to waiting queue up behind it */
    for (lm_exchange *x = lane->first_waiting, *next; x; x = next) {
        next = x == last ? NULL : x->next;
        x->tries.n = 0;
        lm_exchange_route(x);
    }
}

void lm_gateway_replicas_changed(lm_gateway *gateway) {
    /* a full queue of posts is no loss: the timer looks again */
    for (int i = 0; i < gateway->n_lanes; i++)
        (void)!lm_loop_post(gateway->lanes[i].loop, flush_waiting, &gateway->lanes[i], NULL);
}

/* ---- the life of an exchange ---- */

void lm_exchange_end(lm_exchange *x) {
    lm_gateway *gateway = x->lane->gateway;
    wait_end(x);
    lm_exchange_drop_attempt(x, false, -1);
    lm_timer_free(x->drain_timer);
    gateway->hooks.ended(gateway->hooks.arg, &x->grant, x->n_attempts > 0);
    lm_lane_count(&x->lane->stats.n_open, -1);
    lm_lane_count(&x->lane->stats.n_requests, +1);
    lm_buf_deinit(&x->answer);
    lm_free(x);
}

void lm_exchange_fail(lm_exchange *x, int http_status, const char *type, const char *code,
                      const char *message) {
    if (http_status >= 500) lm_lane_count(&x->lane->stats.n_failed, +1);
    lm_gateway_reply_error(x->request, http_status, type, NULL, code, message);
    lm_exchange_end(x);
}

static void on_client_gone(lm_http_request *request, void *arg) {
    lm_exchange *x = arg;
    lm_lane_count(&x->lane->stats.n_vanished, +1);
    lm_exchange_end(x);
}

/* ---- letting in ---- */

static const char *bearer_of(const lm_http_request *request) {
    const char *header = lm_http_request_header(request, "Authorization");
    return header && strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : NULL;
}

/* The fields of the body that the gateway itself needs; the replica checks the rest. While a field is looked at, it is the
 * one that is wrong. */
static loam_status read_ask(json_t *body, char model[LM_ROUTER_NAME_BYTES], lm_gateway_ask *ask,
                            loam_error *err) {
    lm_str name;
    int64_t max_tokens, max_completion_tokens, n;
    if (!json_is_object(body))
        return lm_error_set(err, LOAM_INVALID, "the body must be a JSON object");
    ask->wrong = "model";
    LM_TRY(lm_json_str(body, "body", "model", &name, err));
    if (name.len >= LM_ROUTER_NAME_BYTES || memchr(name.ptr, '\0', name.len))
        return lm_error_set(err, LOAM_NOT_FOUND, "there is no model of such a name");
    ask->wrong = "max_tokens";
    LM_TRY(lm_json_i64_or(body, "body", "max_tokens", 0, &max_tokens, err));
    if (json_object_get(body, "max_completion_tokens")) ask->wrong = "max_completion_tokens";
    LM_TRY(lm_json_i64_or(body, "body", "max_completion_tokens", max_tokens, &max_completion_tokens,
                          err));
    if (max_completion_tokens < 0 || max_completion_tokens > INT32_MAX)
        return lm_error_set(err, LOAM_INVALID, "body.%s: %lld is out of range", ask->wrong,
                            (long long)max_completion_tokens);
    ask->wrong = "n";
    LM_TRY(lm_json_i64_or(body, "body", "n", 1, &n, err));
    if (n < 1 || n > MAX_CHOICES)
        return lm_error_set(err, LOAM_INVALID, "body.n: %lld is not from 1 to %d", (long long)n,
                            MAX_CHOICES);
    ask->wrong = NULL;
    memcpy(model, name.ptr, name.len);
    model[name.len] = '\0';
    ask->model = model;
    ask->max_new_tokens = max_completion_tokens * n;
    size_t n_documents = json_array_size(json_object_get(body, "documents"));
    if (n_documents > 1) /* the query is read with each of them */
        ask->body_bytes +=
            (int64_t)(json_string_length(json_object_get(body, "query")) * (n_documents - 1));
    return LOAM_OK;
}

loam_status lm_gateway_ask_parse(lm_str text, char model[LM_ROUTER_NAME_BYTES], lm_gateway_ask *ask,
                                 loam_error *err) {
    json_t *body;
    LM_TRY(lm_json_parse(text, "body", &body, err));
    ask->body_bytes = (int64_t)text.len;
    loam_status status = read_ask(body, model, ask, err);
    json_decref(body);
    return status;
}

/* Key, body, endpoint, then limits and budget, so that a stranger learns nothing and a mistake costs nothing. */
static loam_status let_in(lm_gateway *gateway, lm_http_request *request, lm_exchange *x,
                          const char **out_wrong, int64_t *out_retry_after_s, loam_error *err) {
    char model[LM_ROUTER_NAME_BYTES];
    lm_gateway_ask ask = {0};
    LM_TRY(gateway->hooks.identify(gateway->hooks.arg, bearer_of(request), &x->grant, err));
    loam_status status = lm_gateway_ask_parse(lm_http_request_body(request), model, &ask, err);
    *out_wrong = ask.wrong;
    LM_TRY(status);
    ask.prompt_only = !strstr(lm_http_request_path(request), "completions");
    if (!lm_router_find(gateway->router, x->grant.project_id, model, x->endpoint_id)) {
        *out_wrong = "model";
        return lm_error_set(err, LOAM_NOT_FOUND,
                            "the model '%s' does not exist; GET /v1/models lists those that do",
                            model);
    }
    return gateway->hooks.admit(gateway->hooks.arg, &ask, &x->grant, out_retry_after_s, err);
}

static lm_lane *lane_of(lm_gateway *gateway, const lm_http_request *request) {
    lm_loop *loop = lm_http_request_loop(request);
    int i = 0;
    while (i < gateway->n_lanes - 1 && gateway->lanes[i].loop != loop) i++;
    return &gateway->lanes[i];
}

static void handle_completion(lm_http_request *request, void *arg) {
    lm_gateway *gateway = arg;
    loam_error err = {0};
    const char *wrong = NULL;
    int64_t retry_after_s = 1;
    lm_exchange *x = lm_calloc(1, sizeof *x);
    loam_status status = x ? let_in(gateway, request, x, &wrong, &retry_after_s, &err)
                           : lm_error_no_memory(&err, sizeof *x);
    if (status != LOAM_OK) {
        reply_refusal(request, status, x ? &x->grant : &(lm_gateway_grant){0}, wrong, retry_after_s,
                      &err);
        lm_free(x);
        return;
    }
    x->lane = lane_of(gateway, request);
    x->request = request;
    x->start_ns = lm_clock_mono_ns();
    x->deadline_ns = x->start_ns + gateway->wake_timeout_ms * 1000000;
    lm_buf_init(&x->answer, LM_GATEWAY_ANSWER_MAX_BYTES);
    lm_lane_count(&x->lane->stats.n_open, +1);
    lm_http_request_on_close(request, on_client_gone, x);
    lm_http_reply_header(request, "X-Loam-Request", x->grant.request_id);
    lm_exchange_route(x);
}

/* ---- the list of models ---- */

static void add_model(const char *name, int64_t created_ms, void *arg) {
    json_array_append_new(arg,
                          json_pack("{s:s,s:s,s:I,s:s}", "id", name, "object", "model", "created",
                                    (json_int_t)(created_ms / 1000), "owned_by", "loam"));
}

static void handle_models(lm_http_request *request, void *arg) {
    lm_gateway *gateway = arg;
    loam_error err = {0};
    lm_gateway_grant grant = {0};
    loam_status status =
        gateway->hooks.identify(gateway->hooks.arg, bearer_of(request), &grant, &err);
    if (status != LOAM_OK) {
        reply_refusal(request, status, &grant, NULL, 1, &err);
        return;
    }
    json_t *data = json_array();
    lm_router_each(gateway->router, grant.project_id, add_model, data);
    lm_http_reply_json(request, 200, json_pack("{s:s,s:o}", "object", "list", "data", data));
}

/* ---- the gateway ---- */

static loam_status lane_init(lm_lane *lane, lm_gateway *gateway, lm_loop *loop, loam_error *err) {
    lane->gateway = gateway;
    lane->loop = loop;
    LM_TRY(lm_http_client_new(loop, &lane->client, err));
    return lm_timer_new(loop, WAIT_TICK_MS, WAIT_TICK_MS, flush_waiting, lane, &lane->wait_timer,
                        err);
}

loam_status lm_gateway_new(const lm_gateway_options *options, lm_gateway **out, loam_error *err) {
    lm_gateway *gateway = lm_calloc(1, sizeof *gateway);
    if (!gateway) return lm_error_no_memory(err, sizeof *gateway);
    gateway->router = options->router;
    gateway->hooks = options->hooks;
    gateway->wake_timeout_ms =
        options->wake_timeout_ms ? options->wake_timeout_ms : WAKE_TIMEOUT_MS;
    gateway->max_waiting = options->max_waiting ? options->max_waiting : MAX_WAITING;
    gateway->routes[0] =
        (lm_http_route){"POST", "/v1/chat/completions", handle_completion, gateway};
    gateway->routes[1] = (lm_http_route){"POST", "/v1/completions", handle_completion, gateway};
    gateway->routes[2] = (lm_http_route){"POST", "/v1/embeddings", handle_completion, gateway};
    gateway->routes[3] = (lm_http_route){"POST", "/v1/rerank", handle_completion, gateway};
    gateway->routes[4] = (lm_http_route){"GET", "/v1/models", handle_models, gateway};
    loam_status status = LOAM_OK;
    for (; gateway->n_lanes < options->n_loops && status == LOAM_OK; gateway->n_lanes++)
        status = lane_init(&gateway->lanes[gateway->n_lanes], gateway,
                           options->loops[gateway->n_lanes], err);
    if (status != LOAM_OK) {
        lm_gateway_free(gateway);
        return status;
    }
    *out = gateway;
    return LOAM_OK;
}

void lm_gateway_free(lm_gateway *gateway) {
    for (int i = 0; gateway && i < gateway->n_lanes; i++) {
        lm_timer_free(gateway->lanes[i].wait_timer);
        lm_http_client_free(gateway->lanes[i].client);
    }
    lm_free(gateway);
}

const lm_http_route *lm_gateway_routes(const lm_gateway *gateway, size_t *out_n) {
    *out_n = LM_GATEWAY_N_ROUTES;
    return gateway->routes;
}

lm_gateway_stats lm_gateway_stats_now(const lm_gateway *gateway) {
    lm_gateway_stats sum = {0};
    for (int i = 0; i < gateway->n_lanes; i++) {
        const lm_gateway_stats *lane = &gateway->lanes[i].stats;
        sum.n_requests += __atomic_load_n(&lane->n_requests, __ATOMIC_RELAXED);
        sum.n_failed += __atomic_load_n(&lane->n_failed, __ATOMIC_RELAXED);
        sum.n_open += __atomic_load_n(&lane->n_open, __ATOMIC_RELAXED);
        sum.n_waiting += __atomic_load_n(&lane->n_waiting, __ATOMIC_RELAXED);
        sum.n_retries += __atomic_load_n(&lane->n_retries, __ATOMIC_RELAXED);
        sum.n_vanished += __atomic_load_n(&lane->n_vanished, __ATOMIC_RELAXED);
    }
    return sum;
}
