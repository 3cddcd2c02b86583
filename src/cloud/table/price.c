#include "cloud/table/price.h"

const char *const lm_price_kind_names[] = {
    [LM_PRICE_INPUT_TOKENS] = "input_tokens",
    [LM_PRICE_OUTPUT_TOKENS] = "output_tokens",
    [LM_PRICE_PH_LEASED] = "ph_leased",
    [LM_PRICE_N_KINDS] = NULL,
};
const char *const lm_price_unit_names[] = {"million_tokens", "p_hour", "p_year", NULL};

static const lm_column columns[] = {
    LM_COLUMN(lm_price, id, LM_COLUMN_ID, 0),
    LM_COLUMN(lm_price, kind, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_price, model, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_price, unit, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_price, amount_micros, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_price, currency, LM_COLUMN_TEXT, 0),
    LM_COLUMN(lm_price, effective_ms, LM_COLUMN_I64, 0),
    LM_COLUMN(lm_price, created_ms, LM_COLUMN_I64, 0),
};
const lm_table lm_price_table = LM_TABLE("price", lm_price, columns);

loam_status lm_price_find(lm_db *db, const char *id, lm_arena *arena, lm_price *out,
                          loam_error *err) {
    return lm_table_find(db, &lm_price_table, "id = ?", LM_VALUES(lm_text(id)), arena, out, err);
}

loam_status lm_price_page(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                          const char **out_next, loam_error *err) {
    return lm_table_page(db, &lm_price_table, "id <> ''", LM_NO_VALUES, page, arena, out, out_next,
                         err);
}

loam_status lm_price_all(lm_db *db, lm_arena *arena, lm_list *out, loam_error *err) {
    return lm_table_select(db, &lm_price_table, "ORDER BY effective_ms, id", LM_NO_VALUES, arena,
                           out, err);
}
