#include "cloud/table/event.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_event, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_event, project_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_event, at_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_event, actor, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_event, kind, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_event, subject, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_event, state_before, LM_COLUMN_JSON, 0),
    LM_COLUMN(lm_event, state_after, LM_COLUMN_JSON, 0),
};
const lm_table lm_event_table = LM_TABLE("event", lm_event, columns);

loam_status lm_event_write(lm_db *db, lm_id_gen *ids, const char *project_id, const char *actor,
                           const char *kind, const char *subject, const json_t *before,
                           const json_t *after, loam_error *err) {
    lm_event event = {
        .at_ms = lm_clock_epoch_ms(), .actor = actor, .kind = kind, .subject = subject};
    lm_id_new(ids, "evt", event.id);
    snprintf(event.project_id, sizeof event.project_id, "%s", project_id);
    char *before_text = before ? json_dumps(before, JSON_COMPACT) : NULL;
    char *after_text = after ? json_dumps(after, JSON_COMPACT) : NULL;
    event.state_before = before_text;
    event.state_after = after_text;
    loam_status status = lm_table_insert(db, &lm_event_table, &event, err);
    free(before_text); /* jansson's own memory */
    free(after_text);
    return status;
}

loam_status lm_event_page(lm_db *db, const char *project_id, const char *kind, const lm_page *page,
                          lm_arena *arena, lm_list *out, const char **out_next, loam_error *err) {
    if (!kind)
        return lm_table_page(db, &lm_event_table, "project_id = ?", LM_VALUES(lm_text(project_id)),
                             page, arena, out, out_next, err);
    return lm_table_page(db, &lm_event_table, "project_id = ? AND kind = ?",
                         LM_VALUES(lm_text(project_id), lm_text(kind)), page, arena, out, out_next,
                         err);
}
