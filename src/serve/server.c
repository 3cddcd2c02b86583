#include "serve/server.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "net/metrics.h"
#include "serve/api_error.h"
#include "serve/embeddings.h"
#include "serve/session_model.h"
#include "serve/tokenize.h"

enum {
    DEFAULT_MAX_SEQS = 64,
    DEFAULT_MAX_WAITING = 256,
    DEFAULT_MAX_ROWS = 256,
    DRAIN_CHECK_MS = 20,
    METRICS_MAX_BYTES = 1 << 20,
};

typedef struct server {
    const lm_model *model;
    lm_completion_context completions;
    lm_metrics metrics;
    lm_loop *loop;
    lm_chat *chat;
    lm_engine_model *engine_model;
    lm_engine *engine; /* NULL with an embedder */
    lm_embedder *embedder;
    lm_embed_engine *embed_engine;
    lm_usage_journal *journal;
    lm_http_server *http;
    lm_timer *drain_timer;
    int64_t created_s;
    bool quit;
} server;

/* --- Routes. */

static void handle_health(lm_http_request *request, void *arg) {
    const server *s = arg;
    if (s->completions.draining)
        lm_http_reply(request, 503, "application/json", LM_STR("{\"status\":\"draining\"}"));
    else
        lm_http_reply(request, 200, "application/json", LM_STR("{\"status\":\"ok\"}"));
}

static void handle_metrics(lm_http_request *request, void *arg) {
    server *s = arg;
    lm_engine_stats stats =
        s->embedder ? lm_embed_engine_stats(s->embed_engine) : lm_engine_stats_get(s->engine);
    lm_buf text;
    lm_buf_init(&text, METRICS_MAX_BYTES);
    lm_metrics_write(&s->metrics, &stats, &text);
    lm_metrics_process(&text, s->created_s * 1000);
    lm_http_reply(request, 200, LM_METRICS_CONTENT_TYPE, lm_buf_view(&text));
    lm_buf_deinit(&text);
}

static json_t *model_object(const server *s) {
    return json_pack("{s:s, s:s, s:I, s:s, s:I}", "id", s->completions.model_name, "object",
                     "model", "created", (json_int_t)s->created_s, "owned_by", "loam",
                     "max_model_len", (json_int_t)lm_completion_max_tokens(&s->completions));
}

static void handle_models(lm_http_request *request, void *arg) {
    lm_http_reply_json(request, 200,
                       json_pack("{s:s, s:[o]}", "object", "list", "data", model_object(arg)));
}

static void handle_model(lm_http_request *request, void *arg) {
    const server *s = arg;
    const char *name = lm_http_request_param(request, "model");
    if (strcmp(name, s->completions.model_name) == 0) {
        lm_http_reply_json(request, 200, model_object(s));
        return;
    }
    lm_api_error error;
    lm_api_fail(&error, 404, "model_not_found", "the model '%s' does not exist", name);
    lm_api_error_reply(request, &error);
}

/* --- Draining. */

static void check_drained(void *arg) {
    server *s = arg;
    int64_t n_running =
        s->embedder ? lm_embed_engine_n_jobs(s->embed_engine) : lm_engine_n_generations(s->engine);
    if (lm_http_server_n_open(s->http) == 0 && n_running == 0) lm_loop_stop(s->loop);
}

static void on_stop_signal(void *arg) {
    server *s = arg;
    loam_error err = {0};
    if (s->completions.draining) {
        s->quit = true;
        lm_loop_stop(s->loop);
        return;
    }
    lm_log(LM_LOG_INFO, "serve", "draining: %d requests open", lm_http_server_n_open(s->http));
    s->completions.draining = true;
    lm_http_server_stop_accepting(s->http);
    if (lm_timer_new(s->loop, 0, DRAIN_CHECK_MS, check_drained, s, &s->drain_timer, &err) !=
        LOAM_OK) {
        lm_log_error(LM_LOG_ERROR, "serve", &err);
        lm_loop_stop(s->loop);
    }
}

/* --- Start and end. */

static int64_t or_default(int64_t value, int64_t fallback) {
    return value > 0 ? value : fallback;
}

/* All sequences' full context when that fits, beside their states, a quarter of the memory, else as many blocks as do. */
static int64_t default_blocks(const lm_model *model, const lm_session_options *session) {
    const lm_hparams *h = &lm_model_config(model)->hparams;
    int64_t context = session->max_context > 0 ? session->max_context : h->context_len;
    int64_t per_seq = (context + LM_KV_BLOCK_TOKENS - 1) / LM_KV_BLOCK_TOKENS;
    lm_kv_options kv = lm_kv_options_of(h, session->kv_dtype, context);
    size_t block_bytes = lm_kv_block_bytes(&kv);
    size_t memory = lm_device_memory_bytes(lm_model_device(model));
    size_t states = lm_state_seq_bytes(h) * (size_t)session->max_seqs;
    size_t for_cache = memory / 4 > states ? memory / 4 - states : 0;
    int64_t wanted = per_seq * session->max_seqs;
    int64_t affordable = block_bytes > 0 ? (int64_t)(for_cache / block_bytes) : wanted;
    return wanted < affordable ? wanted : affordable > per_seq ? affordable : per_seq;
}

static loam_status start_embedder(server *s, const lm_serve_options *options, loam_error *err) {
    lm_session_options session = {
        .max_rows = or_default(options->max_rows, DEFAULT_MAX_ROWS),
        .max_seqs = or_default(options->max_seqs, DEFAULT_MAX_SEQS),
        .max_context = options->max_context,
    };
    lm_embed_engine_options engine = {
        .loop = s->loop,
        .journal = s->journal,
        .max_waiting = or_default(options->max_waiting, DEFAULT_MAX_WAITING),
    };
    LM_TRY(lm_embedder_new(s->model, &session, &s->embedder, err));
    return lm_embed_engine_new(s->embedder, &engine, &s->embed_engine, err);
}

static loam_status start_engine(server *s, const lm_serve_options *options, loam_error *err) {
    lm_session_options session = {
        .max_rows = or_default(options->max_rows, DEFAULT_MAX_ROWS),
        .max_seqs = or_default(options->max_seqs, DEFAULT_MAX_SEQS),
        .max_context = options->max_context,
        .kv_dtype = options->kv_dtype,
    };
    LM_TRY(lm_kv_dtype_check(session.kv_dtype, err));
    if (session.max_rows < session.max_seqs) session.max_rows = session.max_seqs;
    session.n_blocks =
        options->n_blocks > 0 ? options->n_blocks : default_blocks(s->model, &session);
    LM_TRY(lm_session_model_new(s->model, &session, &s->engine_model, err));
    lm_engine_options engine = {
        .loop = s->loop,
        .journal = s->journal,
        .max_waiting = or_default(options->max_waiting, DEFAULT_MAX_WAITING),
        .prefill_ms = options->prefill_ms,
    };
    return lm_engine_new(s->engine_model, &engine, &s->engine, err);
}

static size_t longest_token_bytes(const lm_tokenizer *tokenizer) {
    size_t longest = 1;
    for (int32_t id = 0; id < lm_tokenizer_vocab_size(tokenizer); id++) {
        size_t len = lm_tokenizer_token_bytes(tokenizer, id).len;
        if (len > longest) longest = len;
    }
    return longest;
}

/* A template that cannot be used must not keep the model from serving. */
static loam_status open_chat(server *s, loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(s->model);
    const char *arch = lm_model_config(s->model)->arch->hf_type;
    if (s->embedder) return LOAM_OK;
    loam_error reason = {0};
    if (lm_chat_open(tokenizer, arch, &s->chat, &reason) == LOAM_OK) return LOAM_OK;
    lm_log(LM_LOG_WARN, "serve", "%s", reason.message);
    return lm_chat_open_family(tokenizer, arch, &s->chat, err);
}

static void fill_context(server *s, const lm_serve_options *options) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(s->model);
    lm_metrics_init(&s->metrics);
    s->created_s = lm_clock_epoch_ms() / 1000;
    s->completions = (lm_completion_context){
        .engine = s->engine,
        .embed_engine = s->embed_engine,
        .tokenizer = tokenizer,
        .chat = s->chat,
        .sampling = lm_model_sampling(s->model),
        .model_name = options->name ? options->name : lm_model_name(s->model),
        .longest_token_bytes = longest_token_bytes(tokenizer),
        .metrics = &s->metrics,
    };
    lm_rng_init(&s->completions.rng, lm_rng_os_seed());
}

static loam_status write_port_file(const server *s, const char *path, loam_error *err) {
    char text[16];
    int len = snprintf(text, sizeof text, "%d", lm_http_server_port(s->http));
    return path ? lm_file_write_atomic(path, text, (size_t)len, err) : LOAM_OK;
}

static void log_start(const server *s, const char *host) {
    const char *name = s->completions.model_name;
    int port = lm_http_server_port(s->http);
    if (s->embedder) {
        lm_log(LM_LOG_INFO, "serve", "model '%s' on http://%s:%d/v1/%s: texts of %lld tokens", name,
               host, port, lm_embed_endpoint(s->embed_engine),
               (long long)lm_completion_max_tokens(&s->completions));
        return;
    }
    const lm_engine_model *limits = lm_engine_limits(s->engine);
    lm_log(
        LM_LOG_INFO, "serve",
        "model '%s' on http://%s:%d/v1: context %lld, %lld sequences, %lld KV blocks; chats by %s",
        name, host, port, (long long)limits->max_context, (long long)limits->max_seqs,
        (long long)limits->n_blocks, lm_chat_description(s->chat));
}

/* The routes are borrowed by the HTTP server, so they live here, for as long as it runs. */
static loam_status listen_and_run(server *s, const lm_serve_options *options, loam_error *err) {
    const lm_http_route routes[] = {
        {"POST", "/v1/completions", lm_handle_completions, &s->completions},
        {"POST", "/v1/chat/completions", lm_handle_chat_completions, &s->completions},
        {"POST", "/v1/embeddings", lm_handle_embeddings, &s->completions},
        {"POST", "/v1/rerank", lm_handle_rerank, &s->completions},
        {"GET", "/v1/models", handle_models, s},
        {"GET", "/v1/models/{model}", handle_model, s},
        {"POST", "/tokenize", lm_handle_tokenize, &s->completions},
        {"POST", "/detokenize", lm_handle_detokenize, &s->completions},
        {"GET", "/health", handle_health, s},
        {"GET", "/metrics", handle_metrics, s},
    };
    lm_http_server_options http = {.host = options->host ? options->host : "127.0.0.1",
                                   .port = options->port,
                                   .routes = routes,
                                   .n_routes = LM_COUNT_OF(routes),
                                   .on_error = lm_api_on_http_error};
    LM_TRY(lm_http_server_new(s->loop, &http, &s->http, err));
    loam_status status = write_port_file(s, options->port_file, err);
    if (status == LOAM_OK) {
        log_start(s, http.host);
        status = lm_loop_run(s->loop, err);
    }
    lm_http_server_free(
        s->http); /* before the engine: clients still connected let go of their generations */
    return status;
}

static loam_status run(server *s, const lm_serve_options *options, loam_error *err) {
    LM_TRY(lm_loop_new(&s->loop, err));
    bool embeds = lm_model_pooling(s->model)->kind != LM_POOLING_NONE;
    if (!lm_model_tokenizer(s->model))
        return lm_error_set(err, LOAM_UNSUPPORTED, "the model came without a tokenizer");
    if (options->journal) LM_TRY(lm_usage_journal_open(options->journal, &s->journal, err));
    LM_TRY(embeds ? start_embedder(s, options, err) : start_engine(s, options, err));
    LM_TRY(open_chat(s, err));
    fill_context(s, options);
    LM_TRY(lm_loop_on_signal(s->loop, SIGTERM, on_stop_signal, s, err));
    LM_TRY(lm_loop_on_signal(s->loop, SIGINT, on_stop_signal, s, err));
    LM_TRY(listen_and_run(s, options, err));
    return s->quit ? lm_error_set(err, LOAM_CANCELLED, "stopped before all requests were answered")
                   : LOAM_OK;
}

loam_status lm_serve(const lm_model *model, const lm_serve_options *options, loam_error *err) {
    server s = {.model = model};
    loam_status status = run(&s, options, err);
    lm_engine_free(s.engine);
    lm_session_model_free(s.engine_model);
    lm_embed_engine_free(s.embed_engine);
    lm_embedder_free(s.embedder);
    lm_chat_free(s.chat);
    lm_usage_journal_close(s.journal);
    lm_timer_free(s.drain_timer);
    lm_loop_free(s.loop);
    return status;
}
