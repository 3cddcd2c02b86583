/* Fields of request bodies that several endpoints have: read with their types checked, and errors that name them. Texts are
 * borrowed from the body. Pure; any thread.
 */
#ifndef LM_SERVE_API_FIELDS_H
#define LM_SERVE_API_FIELDS_H

#include <jansson.h>

#include "base/arena.h"
#include "base/vec.h"
#include "serve/api_error.h"

/* A prompt is text, or ids when `ids` is not NULL. */
typedef struct lm_api_prompt {
    lm_str text;
    const int32_t *ids;
    int64_t n_ids;
} lm_api_prompt;

typedef LM_VEC(lm_api_prompt) lm_api_prompts;

/* The field's value; NULL when absent or null. */
const json_t *lm_api_field(const json_t *object, const char *name);
lm_str lm_api_text(const json_t *string); /* of a JSON string */

loam_status lm_api_no_memory(lm_api_error *error); /* 503 */

/* 400 that names the nearest of the fields there are, if one is near. */
loam_status lm_api_unknown_field(const char *name, const char *const *names, size_t n,
                                 lm_api_error *error);

/* *out stays when the field is absent. */
loam_status lm_api_read_bool(const json_t *object, const char *name, bool *out,
                             lm_api_error *error) LM_MUST_USE;
loam_status lm_api_read_int(const json_t *object, const char *name, int64_t min, int64_t max,
                            int64_t *out, lm_api_error *error) LM_MUST_USE;

/* 404 for another model than the server's. */
loam_status lm_api_check_model(lm_str model, const char *served, lm_api_error *error) LM_MUST_USE;

/* Under which number a request is booked and who pays: the headers X-Loam-Request and X-Loam-Tag, which must be made of
 * harmless characters; without them `own_id` and "". */
loam_status lm_api_read_ids(const lm_http_request *http, const char *own_id, const char **out_id,
                            const char **out_tag, lm_api_error *error) LM_MUST_USE;

/* A string, a list of token ids below n_vocab, or a list of either: appended, at most max. Ids are copied to the arena. */
loam_status lm_api_read_prompts(const json_t *body, const char *name, size_t max, int64_t n_vocab,
                                lm_arena *arena, lm_api_prompts *out,
                                lm_api_error *error) LM_MUST_USE;

#endif
