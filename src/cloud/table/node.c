#include "cloud/table/node.h"

static const lm_column columns[] = {
    LM_COLUMN(lm_node, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_node, pool_id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_node, name, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_node, n_cpus, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_node, memory_bytes, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_node, peak_flops, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_node, state, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_node, created_ms, LM_COLUMN_I64, 0),
};

const lm_table lm_node_table = LM_TABLE("node", lm_node, columns);

loam_status lm_node_list(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                         const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_node_table, "1 = 1", LM_NO_VALUES, page, arena, out, out_next,
                         err);
}
