/* One `completion` stands for one HTTP request. It is gone when its answer is complete, when it failed, or when its client
 * left, whichever comes first; a generation that is still under way is then cancelled.
 */
#include "serve/completions.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/embeddings.h"
#include "serve/openai_chat.h"
#include "serve/openai_reply.h"

enum {
    CHOICE_TEXT_MAX_BYTES = 64 << 20,
    REPLY_MAX_BYTES = 256 << 20,
    QUEUED_MAX_BYTES = 8 << 20, /* of a stream that its client does not take */
    CLIENT_LEFT = 499,
};

/* What one choice has said so far. */
typedef struct spoken {
    lm_buf text;           /* whole replies only */
    lm_sample_vec samples; /* likewise */
    lm_str echo;           /* prompt to be repeated before the first text; lm_free */
    size_t text_offset;    /* of the next sample's text */
    int64_t n_generated;
    int64_t last_token_ns;
    lm_finish finish;
    bool begun;
} spoken;

typedef struct completion {
    lm_completion_context *context;
    lm_http_request *http;
    lm_api_request request;
    lm_generation *generation;
    lm_reply_head head;
    char id[64];
    lm_reply_usage usage;
    spoken *choices;
    size_t n_choices;
    lm_vec_i32 prompt_ids; /* of all prompts, one after the other */
    LM_VEC(lm_generation_prompt) prompts;
    int64_t start_ns;
    bool streaming; /* the stream has begun */
    lm_buf chunk;
} completion;

static void completion_free(completion *c) {
    for (size_t i = 0; i < c->n_choices; i++) {
        lm_buf_deinit(&c->choices[i].text);
        lm_vec_deinit(&c->choices[i].samples);
        lm_free((void *)c->choices[i].echo.ptr);
    }
    lm_free(c->choices);
    lm_vec_deinit(&c->prompt_ids);
    lm_vec_deinit(&c->prompts);
    lm_buf_deinit(&c->chunk);
    lm_api_request_deinit(&c->request);
    lm_free(c);
}

static void count(const completion *c, int http_status) {
    lm_metrics *metrics = c->context->metrics;
    lm_metrics_count_request(metrics, c->head.chat ? LM_ENDPOINT_CHAT : LM_ENDPOINT_COMPLETIONS,
                             http_status);
    if (http_status == 200)
        lm_histogram_observe(&metrics->duration, (double)(lm_clock_mono_ns() - c->start_ns) / 1e9);
}

/* --- From body to generation. */

int64_t lm_completion_max_tokens(const lm_completion_context *context) {
    return context->engine
               ? lm_engine_limits(context->engine)->max_context
               : lm_embedder_max_tokens(lm_embed_engine_embedder(context->embed_engine));
}

size_t lm_completion_max_prompt_bytes(const lm_completion_context *context) {
    size_t longest = context->longest_token_bytes;
    return (size_t)lm_completion_max_tokens(context) * (longest > 64 ? longest : 64);
}

/* Ids of the prompts, appended to prompt_ids; bounds of each in `ends`. */
static loam_status encode_prompts(completion *c, lm_vec_i32 *ends, loam_error *err) {
    const lm_tokenizer *tokenizer = c->context->tokenizer;
    lm_vec_i32 *ids = &c->prompt_ids;
    if (c->head.chat) {
        LM_TRY(lm_api_encode_talk(c->context->chat, &c->request,
                                  lm_completion_max_prompt_bytes(c->context), ids, err));
        return lm_vec_push(ends, (int32_t)ids->len) ? LOAM_OK : lm_error_no_memory(err, 4);
    }
    for (size_t i = 0; i < c->request.prompts.len; i++) {
        const lm_api_prompt *prompt = &c->request.prompts.ptr[i];
        lm_encode_options options = {.add_bos = lm_tokenizer_adds_bos(tokenizer)};
        if (!prompt->ids) LM_TRY(lm_tokenizer_encode(tokenizer, prompt->text, options, ids, err));
        for (int64_t k = 0; k < prompt->n_ids; k++)
            if (!lm_vec_push(ids, prompt->ids[k])) return lm_error_no_memory(err, 4);
        if (!lm_vec_push(ends, (int32_t)ids->len)) return lm_error_no_memory(err, 4);
    }
    return LOAM_OK;
}

static loam_status check_length(const completion *c, int64_t n_tokens, bool at_least,
                                lm_api_error *error) {
    int64_t max = lm_engine_limits(c->context->engine)->max_context;
    const char *param = c->head.chat ? "messages" : "prompt";
    if (n_tokens == 0) return lm_api_invalid(error, param, "the prompt is empty");
    if (n_tokens < max) return LOAM_OK;
    lm_api_invalid(
        error, param,
        "the prompt has %s%lld tokens; this model's context of %lld leaves no room for an answer",
        at_least ? "at least " : "", (long long)n_tokens, (long long)max);
    error->code = "context_length_exceeded";
    return LOAM_INVALID;
}

/* Refuses what must be too long before the loop spends seconds on tokenizing it. */
static loam_status check_bytes(const completion *c, lm_api_error *error) {
    size_t longest = 0;
    for (size_t i = 0; i < c->request.prompts.len; i++)
        if (c->request.prompts.ptr[i].text.len > longest)
            longest = c->request.prompts.ptr[i].text.len;
    int64_t least = (int64_t)(longest / c->context->longest_token_bytes);
    return least > 0 ? check_length(c, least, true, error) : LOAM_OK;
}

static loam_status prepare_prompts(completion *c, lm_api_error *error) {
    lm_vec_i32 ends = {0};
    loam_error err = {0};
    LM_TRY(check_bytes(c, error));
    loam_status status = encode_prompts(c, &ends, &err);
    bool is_refused = c->head.chat && (status == LOAM_INVALID || status == LOAM_LIMIT);
    if (is_refused) lm_api_invalid(error, "messages", "%s", err.message);
    if (status == LOAM_LIMIT && is_refused) error->code = "context_length_exceeded";
    if (status != LOAM_OK && !is_refused) lm_api_error_from(error, &err);
    for (size_t i = 0; i < ends.len && status == LOAM_OK; i++) {
        int32_t begin = i ? ends.ptr[i - 1] : 0;
        lm_generation_prompt prompt = {c->prompt_ids.ptr + begin, ends.ptr[i] - begin};
        status = check_length(c, prompt.n_tokens, false, error);
        if (status == LOAM_OK && !lm_vec_push(&c->prompts, prompt))
            status = lm_api_fail(error, 503, "unavailable", "out of memory");
        c->usage.prompt_tokens += prompt.n_tokens;
    }
    lm_vec_deinit(&ends);
    return status;
}

/* The prompt's text in front of each of its choices. */
static loam_status prepare_echo(completion *c, lm_api_error *error) {
    for (size_t i = 0; i < c->n_choices; i++) {
        size_t k = i / (size_t)c->request.n;
        lm_buf text;
        lm_buf_init(&text, CHOICE_TEXT_MAX_BYTES);
        loam_error err = {0};
        loam_status status = LOAM_OK;
        if (c->request.prompts.ptr[k].ids)
            status = lm_tokenizer_decode(c->context->tokenizer, c->prompts.ptr[k].tokens,
                                         (size_t)c->prompts.ptr[k].n_tokens, &text, &err);
        else
            lm_buf_append(&text, c->request.prompts.ptr[k].text.ptr,
                          c->request.prompts.ptr[k].text.len);
        size_t len = text.len;
        char *bytes = status == LOAM_OK && text.status == LOAM_OK ? lm_buf_take(&text) : NULL;
        lm_buf_deinit(&text);
        if (!bytes) return lm_api_fail(error, 503, "unavailable", "out of memory");
        c->choices[i].echo = (lm_str){bytes, len};
    }
    return LOAM_OK;
}

static loam_status prepare_choices(completion *c, lm_api_error *error) {
    const lm_engine_model *limits = lm_engine_limits(c->context->engine);
    size_t n = c->prompts.len * (size_t)c->request.n;
    c->choices = lm_calloc(n, sizeof(spoken));
    if (!c->choices) return lm_api_fail(error, 503, "unavailable", "out of memory");
    c->n_choices = n;
    for (size_t i = 0; i < n; i++) lm_buf_init(&c->choices[i].text, CHOICE_TEXT_MAX_BYTES);
    if ((int64_t)n > limits->max_seqs)
        return lm_api_invalid(
            error, "n",
            "the request asks for %zu answers; this server computes at most %lld at once", n,
            (long long)limits->max_seqs);
    return c->request.echo ? prepare_echo(c, error) : LOAM_OK;
}

/* Answers to nothing are texts of their own. */
static bool prompts_are_empty(const completion *c) {
    for (size_t i = 0; i < c->request.prompts.len; i++)
        if (c->request.prompts.ptr[i].ids || c->request.prompts.ptr[i].text.len) return false;
    return true;
}

static void on_generation_event(lm_generation *generation, const lm_generation_event *event,
                                void *arg);

static loam_status submit(completion *c, lm_api_error *error) {
    const char *request_id, *tag;
    LM_TRY(lm_api_read_ids(c->http, strchr(c->id, '-') + 1, &request_id, &tag, error));
    const lm_chat *chat = c->context->chat;
    lm_api_request *request = &c->request;
    if (c->head.chat && lm_chat_stop(chat))
        request->stops[request->n_stops++] = lm_str_of(lm_chat_stop(chat));
    lm_generation_options options = {
        .prompts = c->prompts.ptr,
        .n_prompts = c->prompts.len,
        .n = request->n,
        .max_tokens = request->max_tokens,
        .ignore_end = request->ignore_end,
        .extra_end = c->head.chat ? lm_chat_end(chat) : -1,
        .at_start = c->head.chat || prompts_are_empty(c),
        .stops = request->stops,
        .n_stops = request->n_stops,
        .sampling = request->sampling,
        .request_id = request_id,
        .tag = tag,
        .on_event = on_generation_event,
        .arg = c,
    };
    loam_error err = {0};
    if (lm_engine_submit(c->context->engine, &options, &c->generation, &err) == LOAM_OK)
        return LOAM_OK;
    lm_api_error_from(error, &err);
    return LOAM_INVALID;
}

static loam_status begin(completion *c, lm_api_error *error) {
    lm_completion_context *context = c->context;
    if (context->draining)
        return lm_api_fail(error, 503, "unavailable", "the server is shutting down");
    if (!context->engine)
        return lm_api_invalid(error, "model", "the model '%s' writes no text; ask it at /v1/%s",
                              context->model_name, lm_embed_endpoint(context->embed_engine));
    int64_t n_vocab = lm_engine_limits(context->engine)->n_vocab;
    LM_TRY(lm_api_request_parse(lm_http_request_body(c->http), c->head.chat ? context->chat : NULL,
                                &context->sampling, n_vocab, &c->request, error));
    LM_TRY(lm_api_check_model(c->request.model, context->model_name, error));
    LM_TRY(prepare_prompts(c, error));
    LM_TRY(prepare_choices(c, error));
    return submit(c, error);
}

/* --- From events to the answer. */

static void on_client_left(lm_http_request *http, void *arg) {
    completion *c = arg;
    lm_generation_cancel(c->generation);
    count(c, CLIENT_LEFT);
    completion_free(c);
}

static void send_chunk(completion *c) {
    if (!c->streaming) {
        lm_http_reply_header(c->http, "Cache-Control", "no-cache");
        lm_http_stream_begin(c->http, 200, "text/event-stream");
        c->streaming = true;
    }
    lm_http_stream_send_event(c->http, lm_buf_view(&c->chunk));
    lm_buf_reset(&c->chunk);
}

/* The generation failed: an error reply, or an error event when the stream has begun. */
static void end_failed(completion *c, const loam_error *err, bool generation_is_over) {
    lm_api_error error;
    lm_api_error_from(&error, err);
    if (c->streaming) {
        lm_api_error_write(&error, &c->chunk);
        send_chunk(c);
        lm_http_stream_end(c->http);
    } else {
        lm_api_error_reply(c->http, &error);
    }
    count(c, error.http_status);
    if (!generation_is_over) lm_generation_cancel(c->generation);
    completion_free(c);
}

static void end_stream(completion *c) {
    if (c->request.include_usage) {
        lm_reply_write_usage_chunk(&c->chunk, &c->head, c->usage);
        send_chunk(c);
    }
    lm_buf_puts(&c->chunk, "[DONE]");
    send_chunk(c);
    lm_http_stream_end(c->http);
}

static void send_whole_reply(completion *c) {
    lm_reply_choice *choices = lm_calloc(c->n_choices, sizeof *choices);
    for (size_t i = 0; choices && i < c->n_choices; i++) {
        const spoken *s = &c->choices[i];
        choices[i] = (lm_reply_choice){.index = (int)i,
                                       .text = lm_buf_view(&s->text),
                                       .samples = s->samples.ptr,
                                       .n_samples = s->samples.len,
                                       .logprobs = c->request.sampling.logprobs,
                                       .finish = s->finish};
        c->chunk.status = c->chunk.status == LOAM_OK ? s->text.status : c->chunk.status;
    }
    if (choices) lm_reply_write(&c->chunk, &c->head, choices, c->n_choices, c->usage);
    lm_free(choices);
    if (choices && c->chunk.status == LOAM_OK) {
        lm_http_reply(c->http, 200, "application/json", lm_buf_view(&c->chunk));
        return;
    }
    lm_api_error error;
    lm_api_fail(&error, 503, "unavailable", "out of memory");
    lm_api_error_reply(c->http, &error);
}

static void measure_token(completion *c, spoken *s, const lm_generation_event *event) {
    if (event->n_new_tokens == 0) return;
    int64_t now_ns = lm_clock_mono_ns();
    lm_metrics *metrics = c->context->metrics;
    if (event->first)
        lm_histogram_observe(&metrics->first_token, (double)(now_ns - c->start_ns) / 1e9);
    else
        lm_histogram_observe(&metrics->inter_token, (double)(now_ns - s->last_token_ns) / 1e9);
    s->last_token_ns = now_ns;
    s->n_generated = event->n_generated;
    c->usage.completion_tokens += event->n_new_tokens;
    metrics->completion_tokens += event->n_new_tokens;
}

static void stream_event(completion *c, spoken *s, const lm_generation_event *event) {
    lm_reply_choice choice = {
        .index = event->choice,
        .text = event->text,
        .logprobs = c->request.sampling.logprobs,
        .samples = event->samples,
        .n_samples = event->n_samples,
        .text_offset = s->text_offset,
        .finish = event->finish,
        .first = !s->begun,
    };
    if (s->echo.len && !s->begun) {
        choice.text = s->echo;
        choice.finish = LM_FINISH_NONE;
        lm_reply_write_chunk(&c->chunk, &c->head, &choice, c->request.include_usage);
        send_chunk(c);
        choice.text = event->text;
        choice.finish = event->finish;
    }
    if (event->text.len == 0 && event->n_samples == 0 && event->finish == LM_FINISH_NONE) return;
    lm_reply_write_chunk(&c->chunk, &c->head, &choice, c->request.include_usage);
    send_chunk(c);
    s->begun = true;
    for (size_t i = 0; i < event->n_samples; i++)
        s->text_offset += lm_reply_token_bytes(&c->head, event->samples[i].token);
}

static void collect_event(spoken *s, const lm_generation_event *event) {
    if (!s->begun) lm_buf_append(&s->text, s->echo.ptr, s->echo.len);
    s->begun = true;
    lm_buf_append(&s->text, event->text.ptr, event->text.len);
    for (size_t i = 0; i < event->n_samples; i++)
        if (!lm_vec_push(&s->samples, event->samples[i])) s->text.status = LOAM_NO_MEMORY;
}

static void on_generation_event(lm_generation *generation, const lm_generation_event *event,
                                void *arg) {
    completion *c = arg;
    spoken *s = &c->choices[event->choice];
    s->finish = event->finish;
    measure_token(c, s, event);
    if (event->finish == LM_FINISH_FAILED) {
        end_failed(c, event->error, event->last);
        return;
    }
    if (c->request.stream)
        stream_event(c, s, event);
    else
        collect_event(s, event);
    if (c->streaming && lm_http_stream_queued_bytes(c->http) > QUEUED_MAX_BYTES) {
        loam_error err = {.status = LOAM_LIMIT, .message = "the client does not take its stream"};
        end_failed(c, &err, event->last);
        return;
    }
    if (!event->last) return;
    c->context->metrics->prompt_tokens += c->usage.prompt_tokens;
    count(c, 200);
    if (c->request.stream)
        end_stream(c);
    else
        send_whole_reply(c);
    completion_free(c);
}

static void handle(lm_http_request *http, lm_completion_context *context, bool chat) {
    lm_api_error error = {0};
    completion *c = lm_calloc(1, sizeof *c);
    if (!c) {
        lm_api_fail(&error, 503, "unavailable", "out of memory");
        lm_api_error_reply(http, &error);
        return;
    }
    c->context = context;
    c->http = http;
    c->start_ns = lm_clock_mono_ns();
    snprintf(c->id, sizeof c->id, "%s-%016llx%016llx", chat ? "chatcmpl" : "cmpl",
             (unsigned long long)lm_rng_u64(&context->rng),
             (unsigned long long)lm_rng_u64(&context->rng));
    c->head = (lm_reply_head){.id = c->id,
                              .chat = chat,
                              .created_s = lm_clock_epoch_ms() / 1000,
                              .model = lm_str_of(context->model_name),
                              .tokenizer = context->tokenizer};
    lm_buf_init(&c->chunk, REPLY_MAX_BYTES);
    if (begin(c, &error) == LOAM_OK) {
        lm_http_request_on_close(http, on_client_left, c);
        return;
    }
    lm_api_error_reply(http, &error);
    count(c, error.http_status);
    completion_free(c);
}

void lm_handle_completions(lm_http_request *request, void *context) {
    handle(request, context, false);
}

void lm_handle_chat_completions(lm_http_request *request, void *context) {
    handle(request, context, true);
}
