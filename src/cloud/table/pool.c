#include "cloud/table/pool.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_pool_row, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_pool_row, site_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_pool_row, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_pool_row, executor, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_pool_row, peak_flops, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_pool_row, max_runs, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_pool_row, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_pool_row_table = LM_TABLE("pool", lm_pool_row, columns);

loam_status lm_pool_page(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                         const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_pool_row_table, "1 = 1", LM_NO_VALUES, page, arena, out, out_next,
                         err);
}

loam_status lm_pool_local(lm_db *db, lm_arena *arena, lm_pool_row *out, loam_error *err) {
    return lm_table_find(db, &lm_pool_row_table, "executor = ?", LM_VALUES(lm_text("local")), arena,
                         out, err);
}
