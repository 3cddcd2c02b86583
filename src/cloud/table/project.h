/* Projects: who owns models, jobs, endpoints, keys and bills. The operator's project is the first one. */
#ifndef LM_CLOUD_TABLE_PROJECT_H
#define LM_CLOUD_TABLE_PROJECT_H

#include "cloud/table/table.h"

typedef struct lm_project {
    char id[LM_ID_BYTES]; /* prj_ */
    const char *name;     /* unique */
    bool is_operator;
    bool archived; /* its keys are refused */
    int64_t created_ms;
} lm_project;

extern const lm_table lm_project_table;

loam_status lm_project_find(lm_db *db, const char *id, lm_arena *arena, lm_project *out,
                            loam_error *err) LM_MUST_USE;
loam_status lm_project_page(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                            const char **out_next, loam_error *err) LM_MUST_USE;
loam_status lm_project_count(lm_db *db, int64_t *out, loam_error *err) LM_MUST_USE;

#endif
