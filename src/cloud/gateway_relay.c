/* One attempt of an exchange at a replica: the request goes out, the answer comes back piece by piece. */
#include "base/clock.h"
#include "cloud/gateway_internal.h"

enum { DRAIN_TICK_MS = 5 };

static void on_head(lm_http_call *call, int http_status, void *arg);
static void on_body(lm_http_call *call, lm_str bytes, void *arg);
static void on_done(lm_http_call *call, loam_status status, const char *message, void *arg);

loam_status lm_exchange_send(lm_exchange *x, loam_error *err) {
    char url[LM_ROUTER_URL_BYTES + 32], request_id[LM_USAGE_ID_BYTES];
    int url_len =
        snprintf(url, sizeof url, "%s%s", x->replica.url, lm_http_request_path(x->request));
    LM_ASSERT(url_len < (int)sizeof url);
    x->n_attempts++;
    size_t id_len = strlen(x->grant.request_id);
    memcpy(request_id, x->grant.request_id, id_len + 1);
    if (x->n_attempts > 1) {
        snprintf(request_id + id_len, sizeof request_id - id_len, ".%d", x->n_attempts);
        lm_lane_count(&x->lane->stats.n_retries, +1);
    }
    lm_http_header headers[] = {{"Content-Type", "application/json"},
                                {"X-Loam-Request", request_id},
                                {"X-Loam-Tag", x->grant.tag}};
    lm_http_call_options options = {.method = "POST",
                                    .url = url,
                                    .headers = headers,
                                    .n_headers = LM_COUNT_OF(headers),
                                    .body = lm_http_request_body(x->request),
                                    .on_head = on_head,
                                    .on_body = on_body,
                                    .on_done = on_done,
                                    .arg = x};
    lm_buf_reset(&x->answer);
    loam_status status = lm_http_client_start(x->lane->client, &options, &x->call, err);
    if (status != LOAM_OK) {
        x->call = NULL;
        lm_router_release(x->lane->gateway->router, x->endpoint_id, x->replica.id, true, -1);
    }
    return status;
}

void lm_exchange_drop_attempt(lm_exchange *x, bool failed, double latency_ms) {
    if (!x->call) return;
    lm_http_call_cancel(x->call);
    x->call = NULL;
    lm_router_release(x->lane->gateway->router, x->endpoint_id, x->replica.id, failed, latency_ms);
}

/* ---- back-pressure ---- */

static void look_whether_drained(void *arg) {
    lm_exchange *x = arg;
    if (lm_http_stream_queued_bytes(x->request) > LM_GATEWAY_QUEUED_LOW_BYTES) return;
    lm_timer_free(x->drain_timer);
    x->drain_timer = NULL;
    if (x->call) lm_http_call_resume(x->call);
}

/* A client that does not take its stream stops ours at the replica, which stops generating for it in turn. */
static void slow_down(lm_exchange *x) {
    if (x->drain_timer || lm_http_stream_queued_bytes(x->request) < LM_GATEWAY_QUEUED_HIGH_BYTES)
        return;
    if (lm_timer_new(x->lane->loop, DRAIN_TICK_MS, DRAIN_TICK_MS, look_whether_drained, x,
                     &x->drain_timer, NULL) == LOAM_OK)
        lm_http_call_pause(x->call);
}

/* ---- the answer ---- */

static bool is_refusal(int http_status) {
    return http_status == 429 ||
           http_status == 503; /* full or draining: another replica may take it */
}

/* Another replica in place of the one under way, if there is one. */
static bool try_elsewhere(lm_exchange *x, bool failed) {
    lm_router_replica other;
    if (lm_router_pick(x->lane->gateway->router, x->endpoint_id, &x->tries, &other, NULL) !=
        LOAM_OK)
        return false;
    lm_exchange_drop_attempt(x, failed, -1);
    x->replica = other;
    if (lm_exchange_send(x, NULL) != LOAM_OK) lm_exchange_route(x);
    return true;
}

static void on_head(lm_http_call *call, int http_status, void *arg) {
    lm_exchange *x = arg;
    if (is_refusal(http_status) && try_elsewhere(x, false)) return;
    const char *type = lm_http_call_header(call, "Content-Type");
    const char *retry_after = lm_http_call_header(call, "Retry-After");
    x->upstream_status = http_status;
    snprintf(x->content_type, sizeof x->content_type, "%s", type ? type : "application/json");
    if (retry_after) lm_http_reply_header(x->request, "Retry-After", retry_after);
    if (strncmp(x->content_type, "text/event-stream", 17) == 0) {
        x->streaming = true;
        lm_http_reply_header(x->request, "Cache-Control", "no-cache");
        lm_http_stream_begin(x->request, http_status, x->content_type);
    }
}

static void on_body(lm_http_call *call, lm_str bytes, void *arg) {
    lm_exchange *x = arg;
    if (x->streaming) {
        lm_http_stream_send(x->request, bytes);
        slow_down(x);
    } else {
        lm_buf_append(&x->answer, bytes.ptr, bytes.len); /* too large: told when it is done */
    }
}

static void finish(lm_exchange *x) {
    if (x->streaming) {
        lm_http_stream_end(x->request);
    } else if (x->answer.status != LOAM_OK) {
        lm_exchange_fail(x, 502, "api_error", NULL, "the replica's answer is too large");
        return;
    } else {
        lm_http_reply(x->request, x->upstream_status, x->content_type, lm_buf_view(&x->answer));
    }
    lm_exchange_end(x);
}

static void on_done(lm_http_call *call, loam_status status, const char *message, void *arg) {
    lm_exchange *x = arg;
    double latency_ms = status == LOAM_OK ? (double)(lm_clock_mono_ns() - x->start_ns) / 1e6 : -1;
    x->call = NULL;
    lm_router_release(x->lane->gateway->router, x->endpoint_id, x->replica.id, status != LOAM_OK,
                      latency_ms);
    if (status == LOAM_OK) {
        finish(x);
    } else if (!x->streaming) {
        lm_exchange_route(
            x); /* the client has received nothing: another replica, or the same endpoint's next */
    } else {
        lm_http_stream_send_event(
            x->request,
            LM_STR("{\"error\":{\"message\":\"the replica failed during the answer\","
                   "\"type\":\"api_error\",\"param\":null,\"code\":\"replica_failed\"}}"));
        lm_http_stream_end(x->request);
        lm_lane_count(&x->lane->stats.n_failed, +1);
        lm_exchange_end(x);
    }
}
