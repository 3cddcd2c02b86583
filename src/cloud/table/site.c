#include "cloud/table/site.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_site, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_site, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_site, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_site_table = LM_TABLE("site", lm_site, columns);

loam_status lm_site_list(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                         const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_site_table, "1 = 1", LM_NO_VALUES, page, arena, out, out_next,
                         err);
}
