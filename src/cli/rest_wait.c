#include "cli/rest_wait.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { FIRST_PAUSE_MS = 20, PAUSE_MAX_MS = 500 };

static bool is_one_of(const char *state, const char *const *states) {
    for (; state && *states; states++) {
        if (strcmp(state, *states) == 0) return true;
    }
    return false;
}

loam_status lm_rest_wait_for(const lm_rest *rest, const lm_rest_wait *wait, json_t **out,
                             loam_error *err) {
    int64_t pause_ms = FIRST_PAUSE_MS, start_ns = lm_clock_mono_ns();
    for (;;) {
        json_t *answer = NULL;
        LM_TRY(lm_rest_call(rest, "GET", wait->path, NULL, &answer, err));
        const char *state = json_string_value(json_object_get(answer, "state"));
        if (wait->progress) wait->progress(answer, wait->arg);
        if (is_one_of(state, wait->states)) {
            *out = answer;
            return LOAM_OK;
        }
        loam_status late = LOAM_OK;
        if (wait->timeout_ms && lm_clock_mono_ns() - start_ns > wait->timeout_ms * 1000000)
            late = lm_error_set(err, LOAM_UNAVAILABLE, "still %s after %lld s",
                                state ? state : "unknown", (long long)(wait->timeout_ms / 1000));
        json_decref(answer);
        LM_TRY(late);
        lm_clock_sleep_ms(pause_ms);
        if (pause_ms < PAUSE_MAX_MS) pause_ms *= 2;
    }
}

loam_status lm_rest_wait_import(const lm_rest *rest, const char *path, json_t **out,
                                loam_error *err) {
    static const char *const over[] = {"ready", "failed", NULL};
    json_t *answer;
    LM_TRY(lm_rest_wait_for(rest, &(lm_rest_wait){.path = path, .states = over}, &answer, err));
    const char *error = json_string_value(json_object_get(answer, "error"));
    loam_status status = error ? lm_error_set(err, LOAM_INVALID, "%s", error) : LOAM_OK;
    if (status == LOAM_OK)
        *out = answer;
    else
        json_decref(answer);
    return status;
}

loam_status lm_rest_import(const lm_rest *rest, const char *list_path, const char *name,
                           const char *source, json_t **out, loam_error *err) {
    char *path = realpath(source, NULL); /* the cloud has another working folder */
    if (!path) return lm_error_errno(err, "%s", source);
    json_t *body = json_pack("{s:s, s:s}", "name", name, "path", path);
    loam_status status = lm_rest_call(rest, "POST", list_path, body, out, err);
    json_decref(body);
    free(path);
    return status;
}
