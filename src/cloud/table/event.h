/* Audit events: who changed what, when, from what to what. Append-only. */
#ifndef LM_CLOUD_TABLE_EVENT_H
#define LM_CLOUD_TABLE_EVENT_H

#include "cloud/table/table.h"

typedef struct lm_event {
    char id[LM_ID_BYTES]; /* evt_ */
    char project_id[LM_ID_BYTES];
    int64_t at_ms;
    const char *actor;        /* key id, or "system" */
    const char *kind;         /* "key.create" */
    const char *subject;      /* id of what changed */
    const char *state_before; /* or NULL */
    const char *state_after;  /* or NULL */
} lm_event;

extern const lm_table lm_event_table;

/* Writes an event with a new id and the present time. before and after are borrowed, may be NULL. */
loam_status lm_event_write(lm_db *db, lm_id_gen *ids, const char *project_id, const char *actor,
                           const char *kind, const char *subject, const json_t *before,
                           const json_t *after, loam_error *err) LM_MUST_USE;

/* kind NULL: all. */
loam_status lm_event_page(lm_db *db, const char *project_id, const char *kind, const lm_page *page,
                          lm_arena *arena, lm_list *out, const char **out_next,
                          loam_error *err) LM_MUST_USE;

#endif
