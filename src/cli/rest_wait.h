/* What takes the cloud a while: imports, and waiting until a resource has come to a state. */
#ifndef LM_CLI_REST_WAIT_H
#define LM_CLI_REST_WAIT_H

#include "cli/rest_client.h"

/* Looks at `path` until its "state" is one of `states` (NULL-terminated), calling `progress` (may be NULL) with every answer.
 * *out is the last answer, a new reference. timeout_ms 0: as long as it takes; LOAM_UNAVAILABLE after it. */
typedef struct lm_rest_wait {
    const char *path;
    const char *const *states;
    int64_t timeout_ms;
    void (*progress)(const json_t *answer, void *arg);
    void *arg;
} lm_rest_wait;
loam_status lm_rest_wait_for(const lm_rest *rest, const lm_rest_wait *wait, json_t **out,
                             loam_error *err) LM_MUST_USE;

/* Waits until an import (of a model's version or a dataset, at `path`) is over; LOAM_INVALID with the cloud's reason when it
 * failed. */
loam_status lm_rest_wait_import(const lm_rest *rest, const char *path, json_t **out,
                                loam_error *err) LM_MUST_USE;

/* Asks the cloud to import a file or folder of this machine under a name, at the list "/models" or "/datasets". *out is the
 * answer, a new reference; the import goes on after it. */
loam_status lm_rest_import(const lm_rest *rest, const char *list_path, const char *name,
                           const char *source, json_t **out, loam_error *err) LM_MUST_USE;

#endif
