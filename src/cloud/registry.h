/* The registry: the content store of the cloud, and the thread that brings new models and datasets into it.
 *
 * A version or dataset is made in state "importing" with the path to import; the registry's thread copies it in, then sets
 * it "ready" (or "failed", with the reason: a model must be one that can be opened). An import that a crash cut off is simply done again. A version that a job made
 * ends its job with it, in the same transaction.
 */
#ifndef LM_CLOUD_REGISTRY_H
#define LM_CLOUD_REGISTRY_H

#include "cloud/blob_store.h"
#include "cloud/store.h"

typedef struct lm_registry lm_registry;

typedef struct lm_gc_report {
    int64_t started_ms, ended_ms; /* epoch; ended 0 while it runs, started 0 before the first */
    lm_blob_gc_result result;
    char error[256];
} lm_gc_report;

/* `program` looks at models before they are let in (cloud/model_check.h); it outlives the registry. */
loam_status lm_registry_new(const char *home, const char *program, lm_store *store,
                            lm_registry **out, loam_error *err) LM_MUST_USE;
void lm_registry_free(lm_registry *registry);

/* There is something to import. Any thread. */
void lm_registry_wake(lm_registry *registry);

/* Collects what no version and no dataset refers to, soon, on the registry's thread. Any thread. */
void lm_registry_collect(lm_registry *registry, int64_t grace_ms);
lm_gc_report lm_registry_report(lm_registry *registry); /* of the last collection; any thread */

/* Makes `dir` the folder that `files` (JSON of a version or dataset) describes. *out_single is the path of its file when
 * there is exactly one, else NULL (lm_free); may be NULL. Any thread. */
loam_status lm_registry_materialize(lm_registry *registry, const char *files, const char *dir,
                                    char **out_single, loam_error *err) LM_MUST_USE;

#endif
