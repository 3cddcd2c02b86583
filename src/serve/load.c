#include "serve/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "net/event_stream.h"
#include "net/http_client.h"

enum {
    MAX_EVENT_BYTES = 1 << 20,
    MAX_CLIENTS = 4096,
    MAX_REQUESTS = 1 << 20,
    MAX_TOKENS = 1 << 20,
    FIRST_ID = 3, /* ids below are control tokens in most vocabularies */
    URL_BYTES = 1024,
    BEARER_BYTES = 512,
    TIMEOUT_MS = 1800 * 1000, /* without a byte: a slow server's queue may be long */
};

typedef LM_VEC(double) times_ms;

typedef struct load load;

/* One client and its request under way. */
typedef struct client {
    load *load;
    lm_event_stream events;
    int64_t sent_ns, last_ns; /* of the request; of the last event, 0 before the first */
    int64_t n_prompt, n_events, n_answer; /* n_answer: as the server's usage says */
    bool failed;
} client;

struct load {
    const lm_load_options *options;
    lm_loop *loop;
    lm_http_client *http;
    client *clients; /* [n_clients] */
    lm_rng rng;
    char url[URL_BYTES], bearer[BEARER_BYTES];
    int64_t n_left, n_open;
    times_ms ttft, itl, request;
    bool out_of_memory;
    lm_load_result result;
};

static void send_next(client *c);

/* ---- An answer as it comes ---- */

static void add_time(load *l, times_ms *times, int64_t ns) {
    if (!lm_vec_push(times, (double)ns * 1e-6)) l->out_of_memory = true;
}

static void fail(client *c, const char *message) {
    c->failed = true;
    if (c->load->result.failure[0]) return;
    snprintf(c->load->result.failure, sizeof c->load->result.failure, "%.199s", message);
}

static void take_token(client *c) {
    int64_t now_ns = lm_clock_mono_ns();
    if (c->n_events++ == 0)
        add_time(c->load, &c->load->ttft, now_ns - c->sent_ns);
    else
        add_time(c->load, &c->load->itl, now_ns - c->last_ns);
    c->last_ns = now_ns;
}

static bool on_event(lm_str data, void *arg) {
    client *c = arg;
    json_t *event = NULL;
    if (lm_json_parse(data, "event", &event, NULL) != LOAM_OK) return true; /* "[DONE]" */
    const json_t *message = json_object_get(json_object_get(event, "error"), "message");
    if (message) fail(c, json_string_value(message));
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    if (json_string_length(json_object_get(choice, "text")) > 0) take_token(c);
    const json_t *usage = json_object_get(event, "usage");
    if (json_is_object(usage))
        c->n_answer = json_integer_value(json_object_get(usage, "completion_tokens"));
    json_decref(event);
    return true;
}

static void on_head(lm_http_call *call, int http_status, void *arg) {
    char message[64];
    if (http_status == 200) return;
    snprintf(message, sizeof message, "the server answered %d", http_status);
    fail(arg, message);
}

static void on_body(lm_http_call *call, lm_str bytes, void *arg) {
    client *c = arg;
    if (!c->failed && !lm_event_stream_push(&c->events, bytes)) fail(c, "an event is too long");
}

static void on_done(lm_http_call *call, loam_status status, const char *message, void *arg) {
    client *c = arg;
    load *l = c->load;
    if (status != LOAM_OK) fail(c, message);
    if (!c->failed && c->n_events == 0) fail(c, "an answer has no text");
    l->n_open--;
    if (c->failed) {
        l->result.n_failed++;
    } else {
        l->result.n_done++;
        l->result.prompt_tokens += c->n_prompt;
        l->result.answer_tokens += c->n_answer > 0 ? c->n_answer : c->n_events;
        add_time(l, &l->request, lm_clock_mono_ns() - c->sent_ns);
    }
    send_next(c);
    if (l->n_open == 0) lm_loop_stop(l->loop);
}

/* ---- Requests ---- */

static char *body_of(client *c) {
    load *l = c->load;
    const lm_load_options *o = l->options;
    json_t *prompt = json_array();
    c->n_prompt =
        o->min_prompt_tokens +
        (int64_t)lm_rng_below(&l->rng, (uint64_t)(o->max_prompt_tokens - o->min_prompt_tokens + 1));
    for (int64_t i = 0; i < c->n_prompt; i++) {
        uint64_t id = FIRST_ID + lm_rng_below(&l->rng, (uint64_t)(o->vocab_size - FIRST_ID));
        json_array_append_new(prompt, json_integer((json_int_t)id));
    }
    json_t *body = json_pack("{s:s, s:o, s:I, s:b, s:b, s:i, s:{s:b}}", "model", o->model, "prompt",
                             prompt, "max_tokens", (json_int_t)o->answer_tokens, "ignore_eos", 1,
                             "stream", 1, "temperature", 0, "stream_options", "include_usage", 1);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static loam_status start_request(client *c, const char *body, loam_error *err) {
    load *l = c->load;
    lm_http_header headers[] = {{"Content-Type", "application/json"}, {"Authorization", l->bearer}};
    lm_http_call_options options = {.method = "POST",
                                    .url = l->url,
                                    .headers = headers,
                                    .n_headers = l->options->bearer ? 2 : 1,
                                    .body = lm_str_of(body),
                                    .timeout_ms = TIMEOUT_MS,
                                    .on_head = on_head,
                                    .on_body = on_body,
                                    .on_done = on_done,
                                    .arg = c};
    lm_http_call *call;
    c->sent_ns = lm_clock_mono_ns();
    return lm_http_client_start(l->http, &options, &call, err);
}

/* Sends the client's next request; those that cannot be sent fail at once. */
static void send_next(client *c) {
    load *l = c->load;
    while (l->n_left > 0) {
        loam_error err = {0};
        l->n_left--;
        c->n_events = c->n_answer = 0;
        c->failed = false;
        lm_event_stream_reset(&c->events);
        char *body = body_of(c);
        loam_status status = body ? start_request(c, body, &err) : lm_error_no_memory(&err, 1);
        free(body);
        l->n_open += status == LOAM_OK;
        if (status == LOAM_OK) return;
        fail(c, err.message);
        l->result.n_failed++;
    }
}

/* ---- The run ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static lm_load_times percentiles(times_ms *times) {
    if (times->len == 0) return (lm_load_times){0};
    qsort(times->ptr, times->len, sizeof *times->ptr, by_value);
    size_t last = times->len - 1;
    return (lm_load_times){times->ptr[last / 2], times->ptr[last * 99 / 100]};
}

static loam_status check(const lm_load_options *o, loam_error *err) {
    bool ok = o->n_clients >= 1 && o->n_clients <= MAX_CLIENTS && o->n_requests >= 1 &&
              o->n_requests <= MAX_REQUESTS && o->min_prompt_tokens >= 1 &&
              o->max_prompt_tokens >= o->min_prompt_tokens && o->max_prompt_tokens <= MAX_TOKENS &&
              o->answer_tokens >= 1 && o->answer_tokens <= MAX_TOKENS && o->vocab_size > FIRST_ID;
    if (ok) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID,
                        "a load of %lld clients, %lld requests, prompts of %lld to %lld tokens and "
                        "answers of %lld makes no sense",
                        (long long)o->n_clients, (long long)o->n_requests,
                        (long long)o->min_prompt_tokens, (long long)o->max_prompt_tokens,
                        (long long)o->answer_tokens);
}

static loam_status open_load(load *l, loam_error *err) {
    const lm_load_options *o = l->options;
    lm_rng_init(&l->rng, o->seed);
    snprintf(l->url, sizeof l->url, "%s/v1/completions", o->url);
    snprintf(l->bearer, sizeof l->bearer, "Bearer %s", o->bearer ? o->bearer : "");
    l->n_left = o->n_requests;
    l->clients = lm_calloc((size_t)o->n_clients, sizeof *l->clients);
    if (!l->clients) return lm_error_no_memory(err, (size_t)o->n_clients * sizeof *l->clients);
    for (int64_t i = 0; i < o->n_clients; i++) {
        l->clients[i].load = l;
        lm_event_stream_init(&l->clients[i].events, MAX_EVENT_BYTES, on_event, &l->clients[i]);
    }
    LM_TRY(lm_loop_new(&l->loop, err));
    return lm_http_client_new(l->loop, &l->http, err);
}

static loam_status run_load(load *l, loam_error *err) {
    int64_t begin_ns = lm_clock_mono_ns();
    for (int64_t i = 0; i < l->options->n_clients && l->n_left > 0; i++) send_next(&l->clients[i]);
    if (l->n_open > 0) LM_TRY(lm_loop_run(l->loop, err));
    l->result.seconds = (double)(lm_clock_mono_ns() - begin_ns) * 1e-9;
    l->result.ttft = percentiles(&l->ttft);
    l->result.itl = percentiles(&l->itl);
    l->result.request = percentiles(&l->request);
    return l->out_of_memory ? lm_error_no_memory(err, sizeof(double)) : LOAM_OK;
}

static void close_load(load *l) {
    lm_http_client_free(l->http);
    lm_loop_free(l->loop);
    for (int64_t i = 0; l->clients && i < l->options->n_clients; i++)
        lm_event_stream_deinit(&l->clients[i].events);
    lm_free(l->clients);
    lm_vec_deinit(&l->ttft);
    lm_vec_deinit(&l->itl);
    lm_vec_deinit(&l->request);
}

loam_status lm_load_run(const lm_load_options *options, lm_load_result *out, loam_error *err) {
    load l = {.options = options};
    LM_TRY(check(options, err));
    loam_status status = open_load(&l, err);
    if (status == LOAM_OK) status = run_load(&l, err);
    close_load(&l);
    if (status == LOAM_OK) *out = l.result;
    return status;
}
