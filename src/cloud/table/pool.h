/* Pools: compute of one kind at one site, reached by one executor. What runs there leases its peak. */
#ifndef LM_CLOUD_TABLE_POOL_H
#define LM_CLOUD_TABLE_POOL_H

#include "cloud/table/table.h"

typedef struct lm_pool_row {
    char id[LM_ID_BYTES];
    char site_id[LM_ID_BYTES];
    const char *name;
    const char *executor; /* "local" */
    int64_t peak_flops;   /* FLOP/s of the whole pool */
    int64_t max_runs;     /* trainers at once */
    int64_t created_ms;
} lm_pool_row;

extern const lm_table lm_pool_row_table;

loam_status lm_pool_page(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                         const char **out_next, loam_error *err) LM_MUST_USE;

/* The pool of this machine. LOAM_NOT_FOUND before the first start made it. */
loam_status lm_pool_local(lm_db *db, lm_arena *arena, lm_pool_row *out,
                          loam_error *err) LM_MUST_USE;

#endif
