/* For compare_jinja.py: renders templates. Each line of input is {"template": text, "variables": object} (a template
 * that is left out is the last one again), each line of output {"text": ...} or {"error": message}. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/jinja/jinja.h"

typedef struct renderer {
    lm_jinja *jinja; /* the last template, or NULL when it did not compile */
    loam_error error;
} renderer;

static void compile(renderer *r, const json_t *template) {
    lm_str source = {json_string_value(template), json_string_length(template)};
    lm_jinja_free(r->jinja);
    r->jinja = NULL;
    if (lm_jinja_compile(source, &r->jinja, &r->error) != LOAM_OK) r->jinja = NULL;
}

static json_t *render(renderer *r, const json_t *request) {
    const json_t *template = json_object_get(request, "template");
    lm_buf out;
    if (template) compile(r, template);
    if (!r->jinja) return json_pack("{s:s}", "error", r->error.message);
    lm_jinja_options options = {.variables = json_object_get(request, "variables"),
                                .now_epoch_s = 1700000000};
    lm_buf_init(&out, 64 << 20);
    loam_status status = lm_jinja_render(r->jinja, &options, &out, &r->error);
    json_t *reply = status == LOAM_OK ? json_pack("{s:o}", "text",
                                                  json_stringn_nocheck(lm_buf_cstr(&out), out.len))
                                      : json_pack("{s:s}", "error", r->error.message);
    lm_buf_deinit(&out);
    return reply;
}

int main(void) {
    renderer r = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    while ((len = getline(&line, &capacity, stdin)) > 0) {
        json_t *request = NULL;
        loam_error err = {0};
        if (lm_json_parse((lm_str){line, (size_t)len}, "request", &request, &err) != LOAM_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        json_t *reply = render(&r, request);
        json_dumpf(reply, stdout, 0);
        putchar('\n');
        json_decref(reply);
        json_decref(request);
    }
    lm_jinja_free(r.jinja);
    free(line);
    return 0;
}
