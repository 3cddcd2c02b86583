#include "net/http_fetch.h"

#include "base/mem.h"
#include "net/curl_internal.h"

enum { DEFAULT_MAX_ANSWER_BYTES = 64 << 20 };

typedef struct fetch_state {
    const lm_http_fetch_options *options;
    CURL *curl;
    lm_buf *answer;
    bool broken_off; /* on_body said so */
} fetch_state;

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg) {
    fetch_state *state = arg;
    size_t len = size * count;
    long http_status = 0;
    curl_easy_getinfo(state->curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (state->options->on_body && http_status >= 200 && http_status < 300) {
        state->broken_off = !state->options->on_body((lm_str){bytes, len}, state->options->arg);
        return state->broken_off ? 0 : len;
    }
    lm_buf_append(state->answer, bytes, len);
    return state->answer->status == LOAM_OK ? len : 0;
}

static struct curl_slist *header_list(const lm_http_fetch_options *options) {
    struct curl_slist *list = NULL;
    char *type = lm_asprintf("Content-Type: %s",
                             options->content_type ? options->content_type : "application/json");
    char *bearer =
        options->bearer ? lm_asprintf("Authorization: Bearer %s", options->bearer) : NULL;
    if (type && options->body.len) list = curl_slist_append(list, type);
    if (bearer) list = curl_slist_append(list, bearer);
    list = curl_slist_append(list, "Expect:"); /* no round trip before a large body */
    lm_free(type);
    lm_free(bearer);
    return list;
}

static void set_options(fetch_state *state, struct curl_slist *headers, char *message) {
    const lm_http_fetch_options *options = state->options;
    CURL *curl = state->curl;
    lm_curl_set_common(curl, options->url, headers, message);
    if (options->follow) lm_curl_follow(curl, options->url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, state);
    if (options->body.len) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, options->body.ptr);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.len);
    }
    const char *method = options->method ? options->method : "GET";
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static loam_status status_of(CURLcode code, const fetch_state *state, const char *message,
                             loam_error *err) {
    const char *url = state->options->url;
    const char *text = message[0] ? message : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OK: return LOAM_OK;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return lm_error_set(err, LOAM_INVALID, "'%s' is not an http or https address", url);
    case CURLE_OUT_OF_MEMORY: return lm_error_no_memory(err, 1);
    case CURLE_WRITE_ERROR:
        if (state->broken_off) return lm_error_set(err, LOAM_CANCELLED, "%s: broken off", url);
        return lm_buf_status(state->answer, err) == LOAM_OK
                   ? lm_error_set(err, LOAM_IO, "%s: %s", url, text)
                   : lm_error_prefix(err, state->answer->status, "%s", url);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        lm_error_set(err, LOAM_UNAVAILABLE, "%s: %s", url, text);
        return lm_error_hint(err, LOAM_UNAVAILABLE,
                             "is the server running, and is this its address?");
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING: return lm_error_set(err, LOAM_UNAVAILABLE, "%s: %s", url, text);
    default: return lm_error_set(err, LOAM_IO, "%s: %s", url, text);
    }
}

loam_status lm_http_fetch(const lm_http_fetch_options *options, int *out_http_status,
                          lm_buf *answer, loam_error *err) {
    lm_curl_init();
    lm_buf_init(answer,
                options->max_answer_bytes ? options->max_answer_bytes : DEFAULT_MAX_ANSWER_BYTES);
    fetch_state state = {.options = options, .curl = curl_easy_init(), .answer = answer};
    if (!state.curl) return lm_error_no_memory(err, 1);
    char message[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = header_list(options);
    set_options(&state, headers, message);
    CURLcode code = curl_easy_perform(state.curl);
    long http_status = 0;
    curl_easy_getinfo(state.curl, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_cleanup(state.curl);
    curl_slist_free_all(headers);
    LM_TRY(status_of(code, &state, message, err));
    *out_http_status = (int)http_status;
    return LOAM_OK;
}
