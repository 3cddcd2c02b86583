/* Members: the people of a project and their roles. A key may belong to one; the member's role bounds the key's. */
#ifndef LM_CLOUD_TABLE_MEMBER_H
#define LM_CLOUD_TABLE_MEMBER_H

#include "cloud/table/table.h"

typedef struct lm_member {
    char id[LM_ID_BYTES]; /* mem_ */
    char project_id[LM_ID_BYTES];
    const char *name; /* unique in the project; a name or a mail address */
    const char *role;
    int64_t created_ms;
} lm_member;

extern const lm_table lm_member_table;

loam_status lm_member_find(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                           lm_member *out, loam_error *err) LM_MUST_USE;
loam_status lm_member_page(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                           lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;

#endif
