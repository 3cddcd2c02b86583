/* One `asked` stands for one HTTP request. It is gone when its answer is complete, when it failed, or when its client left,
 * whichever comes first; a job that is still under way is then cancelled. */
#include "serve/embeddings.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/embed_parse.h"
#include "serve/embed_reply.h"

enum { REPLY_MAX_BYTES = 512 << 20, CLIENT_LEFT = 499 };

typedef struct asked {
    lm_completion_context *context;
    lm_http_request *http;
    lm_embed_request request;
    lm_embed_job *job;
    bool rerank;
    char id[64];
    lm_vec_i32 tokens; /* of all inputs, one after the other */
    LM_VEC(lm_embed_input) inputs;
    int64_t start_ns;
} asked;

static void asked_free(asked *a) {
    lm_vec_deinit(&a->tokens);
    lm_vec_deinit(&a->inputs);
    lm_embed_request_deinit(&a->request);
    lm_free(a);
}

static void count(const asked *a, int http_status) {
    lm_metrics *metrics = a->context->metrics;
    lm_metrics_count_request(metrics, a->rerank ? LM_ENDPOINT_RERANK : LM_ENDPOINT_EMBEDDINGS,
                             http_status);
    if (http_status == 200)
        lm_histogram_observe(&metrics->duration, (double)(lm_clock_mono_ns() - a->start_ns) / 1e9);
}

/* --- From body to job. */

static const lm_model *model_of(const asked *a) {
    return lm_embedder_model(lm_embed_engine_embedder(a->context->embed_engine));
}

const char *lm_embed_endpoint(const lm_embed_engine *engine) {
    const lm_model *model = lm_embedder_model(lm_embed_engine_embedder(engine));
    return lm_model_pooling(model)->ranks ? "rerank" : "embeddings";
}

/* Whether the served model can answer this endpoint. */
static loam_status check_purpose(const asked *a, lm_api_error *error) {
    const lm_completion_context *context = a->context;
    const char *wanted = a->rerank ? "rerank" : "embeddings";
    if (!context->embed_engine)
        return lm_api_invalid(error, "model", "the model '%s' writes text and gives no %s",
                              context->model_name, a->rerank ? "scores" : "embeddings");
    const char *has = lm_embed_endpoint(context->embed_engine);
    if (strcmp(wanted, has) == 0) return LOAM_OK;
    return lm_api_invalid(error, "model", "the model '%s' answers /v1/%s, not /v1/%s",
                          context->model_name, has, wanted);
}

static loam_status check_dimensions(const asked *a, lm_api_error *error) {
    int64_t width = lm_embedder_width(lm_embed_engine_embedder(a->context->embed_engine));
    if (a->request.dimensions <= width) return LOAM_OK;
    return lm_api_invalid(error, "dimensions",
                          "'dimensions' is %lld; vectors of this model have %lld",
                          (long long)a->request.dimensions, (long long)width);
}

/* Ids of a text, or of the query with it, behind those there are. */
static loam_status encode(asked *a, const lm_api_prompt *text, int64_t *out_second_begin,
                          loam_error *err) {
    const lm_model *model = model_of(a);
    *out_second_begin = INT64_MAX;
    if (a->rerank)
        return lm_embed_encode_pair(model, a->request.query, text->text, &a->tokens,
                                    out_second_begin, err);
    if (!text->ids) return lm_embed_encode(model, text->text, &a->tokens, err);
    for (int64_t i = 0; i < text->n_ids; i++)
        if (!lm_vec_push(&a->tokens, text->ids[i])) return lm_error_no_memory(err, sizeof(int32_t));
    return LOAM_OK;
}

/* Cuts a text that is longer than the request wants it to be; ids of the caller's simply end. */
static loam_status cut(asked *a, const lm_api_prompt *text, size_t begin, lm_api_error *error) {
    int64_t max = lm_completion_max_tokens(a->context), keep = a->request.truncate;
    loam_error err = {0};
    if (keep == 0) return LOAM_OK;
    if (keep < 0 || keep > max) keep = max;
    if (text->ids) {
        if (a->tokens.len - begin > (size_t)keep) a->tokens.len = begin + (size_t)keep;
        return LOAM_OK;
    }
    loam_status status =
        lm_embed_cut(model_of(a), a->request.query, begin, keep, &a->tokens, &err);
    if (status == LOAM_INVALID)
        return lm_api_invalid(error, "truncate_prompt_tokens", "%s", err.message);
    if (status != LOAM_OK) lm_api_error_from(error, &err);
    return status;
}

static loam_status check_length(const asked *a, size_t index, int64_t n_tokens,
                                lm_api_error *error) {
    int64_t max = lm_completion_max_tokens(a->context);
    const char *name = a->rerank ? "documents" : "input";
    if (n_tokens == 0)
        return lm_api_invalid(error, name, "'%s': text %zu has no tokens", name, index);
    if (n_tokens <= max) return LOAM_OK;
    lm_api_invalid(error, name, "'%s': text %zu has %lld tokens%s; this model takes at most %lld",
                   name, index, (long long)n_tokens, a->rerank ? " with the query" : "",
                   (long long)max);
    error->code = "context_length_exceeded";
    return LOAM_INVALID;
}

static loam_status add_input(asked *a, size_t index, lm_api_error *error) {
    loam_error err = {0};
    size_t begin = a->tokens.len;
    lm_embed_input input;
    if (encode(a, &a->request.inputs.ptr[index], &input.second_begin, &err) != LOAM_OK) {
        lm_api_error_from(error, &err);
        return LOAM_INVALID;
    }
    LM_TRY(cut(a, &a->request.inputs.ptr[index], begin, error));
    input.n_tokens = (int64_t)(a->tokens.len - begin);
    LM_TRY(check_length(a, index, input.n_tokens, error));
    return lm_vec_push(&a->inputs, input) ? LOAM_OK : lm_api_no_memory(error);
}

static loam_status prepare_inputs(asked *a, lm_api_error *error) {
    const int32_t *at;
    for (size_t i = 0; i < a->request.inputs.len; i++) LM_TRY(add_input(a, i, error));
    at = a->tokens.ptr; /* it grows no more */
    for (size_t i = 0; i < a->inputs.len; at += a->inputs.ptr[i++].n_tokens)
        a->inputs.ptr[i].tokens = at;
    return LOAM_OK;
}

static void on_done(float *vectors, const loam_error *failure, void *arg);

static loam_status submit(asked *a, lm_api_error *error) {
    const char *request_id, *tag;
    loam_error err = {0};
    LM_TRY(lm_api_read_ids(a->http, strchr(a->id, '-') + 1, &request_id, &tag, error));
    lm_embed_job_options options = {.inputs = a->inputs.ptr,
                                    .n_inputs = a->inputs.len,
                                    .request_id = request_id,
                                    .tag = tag,
                                    .on_done = on_done,
                                    .arg = a};
    if (lm_embed_engine_submit(a->context->embed_engine, &options, &a->job, &err) == LOAM_OK)
        return LOAM_OK;
    lm_api_error_from(error, &err);
    return LOAM_INVALID;
}

static loam_status begin(asked *a, lm_api_error *error) {
    const lm_completion_context *context = a->context;
    if (context->draining)
        return lm_api_fail(error, 503, "unavailable", "the server is shutting down");
    LM_TRY(lm_embed_request_parse(lm_http_request_body(a->http), a->rerank,
                                  lm_tokenizer_vocab_size(context->tokenizer), &a->request, error));
    LM_TRY(lm_api_check_model(a->request.model, context->model_name, error));
    LM_TRY(check_purpose(a, error));
    LM_TRY(check_dimensions(a, error));
    LM_TRY(prepare_inputs(a, error));
    return submit(a, error);
}

/* --- From vectors to the answer. */

static void on_client_left(lm_http_request *http, void *arg) {
    asked *a = arg;
    lm_embed_job_cancel(a->job);
    count(a, CLIENT_LEFT);
    asked_free(a);
}

static void write_reply(const asked *a, float *vectors, lm_buf *out) {
    lm_embed_reply reply = {
        .id = a->id,
        .model = lm_str_of(a->context->model_name),
        .vectors = vectors,
        .width = lm_embedder_width(lm_embed_engine_embedder(a->context->embed_engine)),
        .n_tokens = (int64_t)a->tokens.len,
    };
    if (a->rerank)
        lm_embed_reply_rank(out, &reply, &a->request);
    else
        lm_embed_reply_vectors(out, &reply, &a->request, lm_model_pooling(model_of(a)));
}

static void on_done(float *vectors, const loam_error *failure, void *arg) {
    asked *a = arg;
    lm_api_error error;
    lm_buf reply;
    lm_buf_init(&reply, REPLY_MAX_BYTES);
    if (failure)
        lm_api_error_from(&error, failure);
    else
        write_reply(a, vectors, &reply);
    if (!failure && reply.status != LOAM_OK) lm_api_no_memory(&error);
    bool ok = !failure && reply.status == LOAM_OK;
    if (ok)
        lm_http_reply(a->http, 200, "application/json", lm_buf_view(&reply));
    else
        lm_api_error_reply(a->http, &error);
    count(a, ok ? 200 : error.http_status);
    if (ok) a->context->metrics->prompt_tokens += (int64_t)a->tokens.len;
    lm_buf_deinit(&reply);
    asked_free(a);
}

static void handle(lm_http_request *http, lm_completion_context *context, bool rerank) {
    lm_api_error error = {0};
    asked *a = lm_calloc(1, sizeof *a);
    if (!a) {
        lm_api_no_memory(&error);
        lm_api_error_reply(http, &error);
        return;
    }
    a->context = context;
    a->http = http;
    a->rerank = rerank;
    a->start_ns = lm_clock_mono_ns();
    snprintf(a->id, sizeof a->id, "%s-%016llx%016llx", rerank ? "rerank" : "embd",
             (unsigned long long)lm_rng_u64(&context->rng),
             (unsigned long long)lm_rng_u64(&context->rng));
    if (begin(a, &error) == LOAM_OK) {
        lm_http_request_on_close(http, on_client_left, a);
        return;
    }
    lm_api_error_reply(http, &error);
    count(a, error.http_status);
    asked_free(a);
}

void lm_handle_embeddings(lm_http_request *request, void *context) {
    handle(request, context, false);
}

void lm_handle_rerank(lm_http_request *request, void *context) {
    handle(request, context, true);
}
