/* The few numbers of a project that its front page shows. */
#ifndef LM_CLOUD_TABLE_OVERVIEW_H
#define LM_CLOUD_TABLE_OVERVIEW_H

#include "cloud/db.h"

typedef struct lm_overview {
    int64_t running_jobs, queued_jobs, endpoints;
} lm_overview;

loam_status lm_overview_read(lm_db *db, const char *project_id, lm_overview *out,
                             loam_error *err) LM_MUST_USE;

/* Tokens of requests that ended in each of the last n minutes before until_ms, the oldest first. */
loam_status lm_overview_tokens(lm_db *db, const char *project_id, int64_t until_ms, int64_t *out,
                               int n, loam_error *err) LM_MUST_USE;

#endif
