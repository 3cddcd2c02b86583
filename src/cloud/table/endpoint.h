/* Endpoints: a version of a model, served under a name by as many replicas as are wanted. */
#ifndef LM_CLOUD_TABLE_ENDPOINT_H
#define LM_CLOUD_TABLE_ENDPOINT_H

#include "cloud/table/table.h"

typedef struct lm_endpoint {
    char id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    const char *name;  /* the "model" of OpenAI requests */
    const char *model; /* name of the model whose version it serves */
    char version_id[LM_ID_BYTES];
    int64_t min_replicas; /* 0: may sleep */
    int64_t max_replicas;
    int64_t idle_timeout_ms; /* after which replicas above the minimum stop */
    bool deleted;            /* its replicas are being stopped */
    int64_t created_ms;
} lm_endpoint;

extern const lm_table lm_endpoint_table;

loam_status lm_endpoint_get(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                            lm_endpoint *out, loam_error *err) LM_MUST_USE;
loam_status lm_endpoint_list(lm_db *db, const char *project_id, const lm_page *page,
                             lm_arena *arena, lm_list *out, const char **out_next,
                             loam_error *err) LM_MUST_USE;
/* Also one that is being removed. */
loam_status lm_endpoint_by_name(lm_db *db, const char *project_id, const char *name,
                                lm_arena *arena, lm_endpoint *out, loam_error *err) LM_MUST_USE;

/* Of all projects, deleted ones too. */
loam_status lm_endpoint_all(lm_db *db, lm_arena *arena, lm_list *out, loam_error *err) LM_MUST_USE;

#endif
