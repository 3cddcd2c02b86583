/* Sites: where compute stands. One, "local", is made at first start. */
#ifndef LM_CLOUD_TABLE_SITE_H
#define LM_CLOUD_TABLE_SITE_H

#include "cloud/table/table.h"

typedef struct lm_site {
    char id[LM_ID_BYTES];
    const char *name;
    int64_t created_ms;
} lm_site;

extern const lm_table lm_site_table;

loam_status lm_site_list(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                         const char **out_next, loam_error *err) LM_MUST_USE;

#endif
