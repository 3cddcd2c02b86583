/* The REST API for subcommands: requests with the key and address from the options, answers and errors as the rest of the
 * program knows them, lists over all their pages. */
#ifndef LM_CLI_REST_CLIENT_H
#define LM_CLI_REST_CLIENT_H

#include <stdbool.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/table_print.h"

/* In the settings of every command that talks to a cloud; filled by LM_REST_OPTIONS. */
typedef struct lm_rest {
    const char *url, *key, *project;
    bool json;
} lm_rest;

#define LM_REST_DEFAULTS \
    { .url = "http://127.0.0.1:8080" }

/* Rows for a command's option table. `settings_type` is its settings struct, which has a member `rest`. */
#define LM_REST_OPTIONS(settings_type)                                                         \
    {.name = "url",                                                                            \
     .type = LM_OPT_STRING,                                                                    \
     .arg = "URL",                                                                             \
     .env = "LOAM_URL",                                                                        \
     .offset = LM_OPTION_AT(settings_type, rest.url),                                          \
     .help = "address of the cloud (default http://127.0.0.1:8080)"},                          \
        {.name = "key",                                                                        \
         .type = LM_OPT_STRING,                                                                \
         .arg = "KEY",                                                                         \
         .env = "LOAM_API_KEY",                                                                \
         .offset = LM_OPTION_AT(settings_type, rest.key),                                      \
         .help = "API key"},                                                                   \
        {.name = "project",                                                                    \
         .type = LM_OPT_STRING,                                                                \
         .arg = "ID",                                                                          \
         .env = "LOAM_PROJECT",                                                                \
         .offset = LM_OPTION_AT(settings_type, rest.project),                                  \
         .help = "act in this project; for operators"},                                        \
    {                                                                                          \
        .name = "json", .type = LM_OPT_FLAG, .offset = LM_OPTION_AT(settings_type, rest.json), \
        .help = "print the answer as JSON"                                                     \
    }

/* A subcommand with n arguments, as a static table row. Its settings begin as `defaults`, in scope there. */
#define LM_REST_COMMAND(id, settings_type, text_name, text_summary, text_usage, option_table, n, \
                        function)                                                                \
    static const lm_command id = {.name = text_name,                                             \
                                  .summary = text_summary,                                       \
                                  .usage = text_usage,                                           \
                                  .options = option_table,                                       \
                                  .min_args = n,                                                 \
                                  .max_args = n,                                                 \
                                  .settings_bytes = sizeof(settings_type),                       \
                                  .defaults = &defaults,                                         \
                                  .run = function}

/* One request; path is below /api/v1 and may carry a query. The body is borrowed, NULL for none. *out is a new reference,
 * NULL for an empty answer; out may be NULL. Errors of the API come back as they are, with their hints. */
loam_status lm_rest_call(const lm_rest *rest, const char *method, const char *path,
                         const json_t *body, json_t **out, loam_error *err) LM_MUST_USE;

/* An answer that is text, CSV for instance. */
loam_status lm_rest_text(const lm_rest *rest, const char *path, lm_buf *out,
                         loam_error *err) LM_MUST_USE;

/* All rows of a list, page by page, at most max (0: all). *out is a new array. */
loam_status lm_rest_list(const lm_rest *rest, const char *path, int64_t max, json_t **out,
                         loam_error *err) LM_MUST_USE;

enum { LM_REST_ID_BYTES = 64, LM_REST_PATH_BYTES = 256 };

/* The id that the user means: an id of this kind as it is, else that of the list's last row with this name. */
loam_status lm_rest_find(const lm_rest *rest, const char *list_path, const char *id_prefix,
                         const char *id_or_name, char out_id[LM_REST_ID_BYTES],
                         loam_error *err) LM_MUST_USE;

/* The path of that row: "list_path/id" and `tail`. */
loam_status lm_rest_path(const lm_rest *rest, const char *list_path, const char *id_prefix,
                         const char *id_or_name, const char *tail, char out[LM_REST_PATH_BYTES],
                         loam_error *err) LM_MUST_USE;

/* Whole commands: request, print as the options say, exit code. */
int lm_rest_print_list(const lm_rest *rest, const char *path, int64_t max,
                       const lm_print_column *columns);
int lm_rest_print_object(const lm_rest *rest, const char *method, const char *path,
                         const json_t *body, const lm_print_column *columns);

/* Prints an answer: JSON with --json, else as a table or object. */
void lm_rest_print(const lm_rest *rest, const json_t *answer, const lm_print_column *columns);

#endif
