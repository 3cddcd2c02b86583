/* API keys. The secret itself is never kept, only its hash. */
#ifndef LM_CLOUD_TABLE_KEY_H
#define LM_CLOUD_TABLE_KEY_H

#include "cloud/table/table.h"

typedef struct lm_key {
    char id[LM_ID_BYTES]; /* key_ */
    char project_id[LM_ID_BYTES];
    char member_id[LM_ID_BYTES]; /* or empty */
    const char *name;
    const char *secret_hash; /* hexadecimal */
    const char *role;
    int64_t scopes; /* bits of lm_scope */
    int64_t created_ms;
    int64_t expires_ms;          /* 0: never */
    int64_t revoked_ms;          /* 0: valid */
    int64_t token_budget;        /* 0: none */
    int64_t money_budget_micros; /* 0: none */
    int64_t requests_per_minute; /* 0: no limit */
} lm_key;

extern const lm_table lm_key_table;

loam_status lm_key_find(lm_db *db, const char *project_id, const char *id, lm_arena *arena,
                        lm_key *out, loam_error *err) LM_MUST_USE;
/* Of any project. */
loam_status lm_key_read(lm_db *db, const char *id, lm_arena *arena, lm_key *out,
                        loam_error *err) LM_MUST_USE;
loam_status lm_key_page(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                        lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;

/* What a key may do now, joined from the key, its member and its project; and what it has spent, from the ledger. */
typedef struct lm_key_standing {
    lm_key key;
    const char *member_role; /* NULL: no member */
    bool project_archived;
    int64_t tokens_used, micros_used;
} lm_key_standing;
typedef struct lm_key_standings {
    lm_key_standing *ptr; /* in the arena */
    size_t len;
} lm_key_standings;

/* The standing of every key, or of the one with this id. */
loam_status lm_key_standings_read(lm_db *db, const char *key_id, lm_arena *arena,
                                  lm_key_standings *out, loam_error *err) LM_MUST_USE;

/* Revokes all keys of a member who leaves. */
loam_status lm_key_revoke_of_member(lm_db *db, const char *member_id, int64_t now_ms,
                                    loam_error *err) LM_MUST_USE;

#endif
