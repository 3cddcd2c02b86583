/* Waiting until a resource of the cloud has come to a state. */
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
loam_status lm_rest_wait_for(const lm_rest *rest, const lm_rest_wait *wait, json_t **out, loam_error *err) LM_MUST_USE;

/* Waits until an import (of a model's version or a dataset, at `path`) is over; LOAM_INVALID with the cloud's reason when it
 * failed. */
loam_status lm_rest_wait_import(const lm_rest *rest, const char *path, json_t **out, loam_error *err) LM_MUST_USE;

/* A path of this machine as the cloud can use it: absolute, links resolved. Free with lm_free. */
loam_status lm_cli_real_path(const char *path, char **out, loam_error *err) LM_MUST_USE;

#endif
