#include "cli/rest_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "net/http_fetch.h"

enum { URL_MAX_BYTES = 8192, TIMEOUT_MS = 60000, PAGE_ROWS = 500, ERROR_SHOWN_MAX = 200 };

static void put_url(const lm_rest *rest, const char *path, lm_buf *out) {
    size_t len = strlen(rest->url);
    while (len && rest->url[len - 1] == '/') len--;
    lm_buf_append(out, rest->url, len);
    lm_buf_printf(out, "/api/v1%s", path);
    if (!rest->project) return;
    lm_buf_printf(out, "%sproject=", strchr(path, '?') ? "&" : "?");
    lm_buf_put_percent(out, rest->project, "");
}

static loam_status status_of(int http_status) {
    switch (http_status) {
    case 400: return LOAM_INVALID;
    case 401:
    case 403: return LOAM_DENIED;
    case 404: return LOAM_NOT_FOUND;
    case 409: return LOAM_CONFLICT;
    case 429: return LOAM_LIMIT;
    case 503: return LOAM_UNAVAILABLE;
    case 507: return LOAM_IO;
    default: return LOAM_INTERNAL;
    }
}

/* {"error":{"message","hint"}}, or what else came. */
static loam_status read_failure(const lm_rest *rest, int http_status, lm_str answer,
                                loam_error *err) {
    loam_status status = status_of(http_status);
    json_t *body = NULL;
    const json_t *error = lm_json_parse(answer, "answer", &body, NULL) == LOAM_OK
                              ? json_object_get(body, "error")
                              : NULL;
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    if (message) {
        lm_error_set(err, status, "%s", message);
    } else {
        lm_error_set(err, status, "%s answered %d: %.*s", rest->url, http_status,
                     (int)(answer.len < ERROR_SHOWN_MAX ? answer.len : ERROR_SHOWN_MAX),
                     answer.ptr ? answer.ptr : "");
    }
    if (http_status == 401 && !rest->key) hint = "give an API key with --key or LOAM_API_KEY";
    if (hint && *hint) lm_error_hint(err, status, "%s", hint);
    json_decref(body);
    return status;
}

/* answer is initialized here; lm_buf_deinit it. */
static loam_status fetch(const lm_rest *rest, const char *method, const char *path,
                         const json_t *body, lm_buf *answer, loam_error *err) {
    lm_buf url;
    lm_buf_init(&url, URL_MAX_BYTES);
    put_url(rest, path, &url);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int http_status = 0;
    lm_http_fetch_options options = {.method = method,
                                     .url = lm_buf_cstr(&url),
                                     .bearer = rest->key,
                                     .body = lm_str_of(text),
                                     .timeout_ms = TIMEOUT_MS};
    lm_buf_init(answer, 0);
    loam_status status = lm_buf_status(&url, err);
    if (status == LOAM_OK) status = lm_http_fetch(&options, &http_status, answer, err);
    if (status == LOAM_UNAVAILABLE)
        lm_error_hint(err, status, "is 'loam up' running there? --url or LOAM_URL say where");
    if (status == LOAM_OK && http_status >= 300)
        status = read_failure(rest, http_status, lm_buf_view(answer), err);
    free(text); /* jansson's own memory */
    lm_buf_deinit(&url);
    return status;
}

loam_status lm_rest_text(const lm_rest *rest, const char *path, lm_buf *out, loam_error *err) {
    lm_buf answer;
    loam_status status = fetch(rest, "GET", path, NULL, &answer, err);
    if (status == LOAM_OK) lm_buf_append(out, answer.ptr, answer.len);
    lm_buf_deinit(&answer);
    return status == LOAM_OK ? lm_buf_status(out, err) : status;
}

loam_status lm_rest_call(const lm_rest *rest, const char *method, const char *path,
                         const json_t *body, json_t **out, loam_error *err) {
    lm_buf answer;
    json_t *value = NULL;
    loam_status status = fetch(rest, method, path, body, &answer, err);
    if (status == LOAM_OK && answer.len > 0)
        status = lm_json_parse(lm_buf_view(&answer), rest->url, &value, err);
    lm_buf_deinit(&answer);
    if (status == LOAM_OK && out) {
        *out = value;
    } else {
        json_decref(value);
    }
    return status;
}

/* One page; *out_after gets the cursor of the next (lm_free), NULL at the end. */
static loam_status fetch_page(const lm_rest *rest, const char *path, const char *after,
                              json_t *rows, char **out_after, loam_error *err) {
    lm_buf page_path;
    json_t *answer = NULL;
    lm_buf_init(&page_path, URL_MAX_BYTES);
    lm_buf_printf(&page_path, "%s%slimit=%d", path, strchr(path, '?') ? "&" : "?", PAGE_ROWS);
    if (after) {
        lm_buf_puts(&page_path, "&after=");
        lm_buf_put_percent(&page_path, after, "");
    }
    loam_status status = lm_buf_status(&page_path, err);
    if (status == LOAM_OK)
        status = lm_rest_call(rest, "GET", lm_buf_cstr(&page_path), NULL, &answer, err);
    lm_buf_deinit(&page_path);
    if (status != LOAM_OK) return status;
    const char *next = json_string_value(json_object_get(answer, "next"));
    if (!json_is_array(json_object_get(answer, "data")) ||
        json_array_extend(rows, json_object_get(answer, "data")) != 0)
        status = lm_error_set(err, LOAM_CORRUPT, "%s: the answer is not a list", rest->url);
    if (status == LOAM_OK) *out_after = next ? lm_strdup(next) : NULL;
    json_decref(answer);
    return status;
}

loam_status lm_rest_list(const lm_rest *rest, const char *path, int64_t max, json_t **out,
                         loam_error *err) {
    json_t *rows = json_array();
    char *after = NULL;
    loam_status status = LOAM_OK;
    bool first = true;
    while (status == LOAM_OK && (first || after) &&
           (max == 0 || (int64_t)json_array_size(rows) < max)) {
        char *next = NULL;
        status = fetch_page(rest, path, after, rows, &next, err);
        lm_free(after);
        after = next;
        first = false;
    }
    lm_free(after);
    while (max && (int64_t)json_array_size(rows) > max)
        json_array_remove(rows, json_array_size(rows) - 1);
    if (status == LOAM_OK) {
        *out = rows;
    } else {
        json_decref(rows);
    }
    return status;
}

loam_status lm_rest_find(const lm_rest *rest, const char *list_path, const char *id_prefix,
                         const char *id_or_name, char out_id[LM_REST_ID_BYTES], loam_error *err) {
    size_t prefix_len = strlen(id_prefix);
    if (strncmp(id_or_name, id_prefix, prefix_len) == 0 && id_or_name[prefix_len] == '_') {
        snprintf(out_id, LM_REST_ID_BYTES, "%s", id_or_name);
        return LOAM_OK;
    }
    json_t *rows, *row;
    size_t i;
    LM_TRY(lm_rest_list(rest, list_path, 0, &rows, err));
    const char *id = NULL;
    json_array_foreach(rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (name && strcmp(name, id_or_name) == 0)
            id = json_string_value(json_object_get(row, "id"));
    }
    if (id) snprintf(out_id, LM_REST_ID_BYTES, "%s", id);
    json_decref(rows);
    return id ? LOAM_OK
              : lm_error_set(err, LOAM_NOT_FOUND, "nothing here is named '%s'", id_or_name);
}

loam_status lm_rest_path(const lm_rest *rest, const char *list_path, const char *id_prefix,
                         const char *id_or_name, const char *tail, char out[LM_REST_PATH_BYTES],
                         loam_error *err) {
    char id[LM_REST_ID_BYTES];
    LM_TRY(lm_rest_find(rest, list_path, id_prefix, id_or_name, id, err));
    snprintf(out, LM_REST_PATH_BYTES, "%s/%s%s", list_path, id, tail);
    return LOAM_OK;
}

void lm_rest_print(const lm_rest *rest, const json_t *answer, const lm_print_column *columns) {
    if (rest->json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (json_is_array(answer)) {
        lm_print_table(columns, answer);
    } else {
        lm_print_object(columns, answer);
    }
}

static int finish(const lm_rest *rest, loam_status status, json_t *answer,
                  const lm_print_column *columns, const loam_error *err) {
    if (status != LOAM_OK) return lm_cli_fail(err);
    if (answer) lm_rest_print(rest, answer, columns);
    json_decref(answer);
    return LM_EXIT_OK;
}

int lm_rest_print_list(const lm_rest *rest, const char *path, int64_t max,
                       const lm_print_column *columns) {
    loam_error err = {0};
    json_t *rows = NULL;
    loam_status status = lm_rest_list(rest, path, max, &rows, &err);
    return finish(rest, status, rows, columns, &err);
}

int lm_rest_print_object(const lm_rest *rest, const char *method, const char *path,
                         const json_t *body, const lm_print_column *columns) {
    loam_error err = {0};
    json_t *answer = NULL;
    loam_status status = lm_rest_call(rest, method, path, body, &answer, &err);
    return finish(rest, status, answer, columns, &err);
}
