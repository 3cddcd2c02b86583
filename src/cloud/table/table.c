#include "cloud/table/table.h"

#include <stdio.h>

enum { SQL_BYTES = 4096, VALUES_MAX = 48 };

static loam_status sql_ready(const lm_buf *sql, loam_error *err) {
    return lm_buf_status(sql, err);
}

static void put_columns(lm_buf *sql, const lm_table *table, const char *after_each) {
    for (size_t i = 0; i < table->n_columns; i++)
        lm_buf_printf(sql, "%s%s%s", i ? ", " : "", table->columns[i].name, after_each);
}

static lm_value value_of(const lm_column *column, const void *row) {
    const void *field = (const char *)row + column->offset;
    switch (column->type) {
    case LM_COLUMN_ID: return lm_text(*(const char *)field ? field : NULL);
    case LM_COLUMN_I64: return lm_i64(*(const int64_t *)field);
    case LM_COLUMN_BOOL: return lm_i64(*(const bool *)field);
    default: return lm_text(*(const char *const *)field);
    }
}

static size_t row_values(const lm_table *table, const void *row, lm_value out[VALUES_MAX]) {
    LM_ASSERT(table->n_columns < VALUES_MAX);
    for (size_t i = 0; i < table->n_columns; i++) out[i] = value_of(&table->columns[i], row);
    return table->n_columns;
}

/* Runs the statement in `sql` (and frees that). */
static loam_status exec_built(lm_db *db, lm_buf *sql, lm_values values, int64_t *out_changed,
                              loam_error *err) {
    loam_status status = sql_ready(sql, err);
    if (status == LOAM_OK) status = lm_db_exec(db, lm_buf_cstr(sql), values, out_changed, err);
    lm_buf_deinit(sql);
    return status;
}

static loam_status no_such_row(const lm_table *table, const char *id, loam_error *err) {
    return lm_error_set(err, LOAM_NOT_FOUND, "no %s '%s'", table->name, id);
}

loam_status lm_table_insert(lm_db *db, const lm_table *table, const void *row, loam_error *err) {
    lm_value values[VALUES_MAX];
    size_t n = row_values(table, row, values);
    lm_buf sql;
    lm_buf_init(&sql, SQL_BYTES);
    lm_buf_printf(&sql, "INSERT INTO %s (", table->name);
    put_columns(&sql, table, "");
    lm_buf_puts(&sql, ") VALUES (");
    for (size_t i = 0; i < n; i++) lm_buf_puts(&sql, i ? ", ?" : "?");
    lm_buf_puts(&sql, ")");
    return exec_built(db, &sql, (lm_values){values, n}, NULL, err);
}

loam_status lm_table_update(lm_db *db, const lm_table *table, const void *row, loam_error *err) {
    lm_value values[VALUES_MAX];
    size_t n = row_values(table, row, values);
    values[n] = values[0];
    lm_buf sql;
    lm_buf_init(&sql, SQL_BYTES);
    lm_buf_printf(&sql, "UPDATE %s SET ", table->name);
    put_columns(&sql, table, " = ?");
    lm_buf_puts(&sql, " WHERE id = ?");
    int64_t changed;
    LM_TRY(exec_built(db, &sql, (lm_values){values, n + 1}, &changed, err));
    return changed ? LOAM_OK : no_such_row(table, row, err);
}

loam_status lm_table_delete(lm_db *db, const lm_table *table, const char *id, loam_error *err) {
    lm_buf sql;
    lm_buf_init(&sql, SQL_BYTES);
    lm_buf_printf(&sql, "DELETE FROM %s WHERE id = ?", table->name);
    int64_t changed;
    LM_TRY(exec_built(db, &sql, LM_VALUES(lm_text(id)), &changed, err));
    return changed ? LOAM_OK : no_such_row(table, id, err);
}

static loam_status read_column(const lm_rows *rows, int i, const lm_column *column, lm_arena *arena,
                               void *row, loam_error *err) {
    void *field = (char *)row + column->offset;
    lm_str text = LM_STR("");
    switch (column->type) {
    case LM_COLUMN_ID:
        text = lm_row_text(rows, i);
        snprintf(field, LM_ID_BYTES, "%.*s", (int)text.len, text.ptr);
        return LOAM_OK;
    case LM_COLUMN_I64: *(int64_t *)field = lm_row_i64(rows, i); return LOAM_OK;
    case LM_COLUMN_BOOL: *(bool *)field = lm_row_i64(rows, i) != 0; return LOAM_OK;
    default: break;
    }
    *(const char **)field = NULL;
    if (lm_row_is_null(rows, i)) return LOAM_OK;
    text = lm_row_text(rows, i);
    char *copy = lm_arena_strndup(arena, text.ptr, text.len);
    if (!copy) return lm_error_no_memory(err, text.len);
    *(const char **)field = copy;
    return LOAM_OK;
}

static loam_status read_row(const lm_rows *rows, const lm_table *table, lm_arena *arena, void *row,
                            loam_error *err) {
    for (size_t i = 0; i < table->n_columns; i++)
        LM_TRY(read_column(rows, (int)i, &table->columns[i], arena, row, err));
    return LOAM_OK;
}

/* Makes room for one more row, doubling; the arena keeps the old place until it is reset. */
static loam_status list_grow(lm_list *list, size_t *capacity, lm_arena *arena, loam_error *err) {
    if (list->len < *capacity) return LOAM_OK;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    char *rows = lm_arena_calloc(arena, wanted, list->table->row_bytes);
    if (!rows) return lm_error_no_memory(err, wanted * list->table->row_bytes);
    if (list->len) memcpy(rows, list->rows, list->len * list->table->row_bytes);
    list->rows = rows;
    *capacity = wanted;
    return LOAM_OK;
}

static loam_status read_all(lm_rows *rows, lm_list *list, lm_arena *arena, loam_error *err) {
    size_t capacity = 0;
    while (lm_rows_next(rows)) {
        LM_TRY(list_grow(list, &capacity, arena, err));
        LM_TRY(read_row(rows, list->table, arena, lm_list_at(list, list->len), err));
        list->len++;
    }
    return LOAM_OK;
}

loam_status lm_table_select(lm_db *db, const lm_table *table, const char *tail, lm_values values,
                            lm_arena *arena, lm_list *out, loam_error *err) {
    lm_buf sql;
    lm_buf_init(&sql, SQL_BYTES);
    lm_buf_puts(&sql, "SELECT ");
    put_columns(&sql, table, "");
    lm_buf_printf(&sql, " FROM %s %s", table->name, tail);
    lm_rows rows;
    loam_status status = sql_ready(&sql, err);
    if (status == LOAM_OK) status = lm_db_query(db, lm_buf_cstr(&sql), values, &rows, err);
    lm_buf_deinit(&sql);
    LM_TRY(status);
    lm_list list = {.table = table};
    status = read_all(&rows, &list, arena, err);
    loam_status ended = lm_rows_end(&rows, status == LOAM_OK ? err : NULL);
    if (status == LOAM_OK) status = ended;
    if (status == LOAM_OK) *out = list;
    return status;
}

loam_status lm_table_find(lm_db *db, const lm_table *table, const char *where, lm_values values,
                          lm_arena *arena, void *out_row, loam_error *err) {
    char tail[512];
    LM_ASSERT(snprintf(tail, sizeof tail, "WHERE %s LIMIT 1", where) < (int)sizeof tail);
    lm_list list;
    LM_TRY(lm_table_select(db, table, tail, values, arena, &list, err));
    if (list.len == 0) {
        lm_str last = values.len ? values.ptr[values.len - 1].text : LM_STR("");
        return lm_error_set(err, LOAM_NOT_FOUND, "no %s '%.*s'", table->name, (int)last.len,
                            last.ptr);
    }
    memcpy(out_row, list.rows, table->row_bytes);
    return LOAM_OK;
}

loam_status lm_table_page(lm_db *db, const lm_table *table, const char *where, lm_values values,
                          const lm_page *page, lm_arena *arena, lm_list *out, const char **out_next,
                          loam_error *err) {
    lm_value all[VALUES_MAX];
    LM_ASSERT(values.len + 2 <= VALUES_MAX);
    for (size_t i = 0; i < values.len; i++) all[i] = values.ptr[i];
    size_t n = values.len;
    if (page->after) all[n++] = lm_text(page->after);
    all[n++] = lm_i64(page->limit + 1); /* one more tells whether there is a next page */
    char tail[512];
    int len = snprintf(tail, sizeof tail, "WHERE %s%s%s ORDER BY id%s LIMIT ?", where,
                       page->after ? " AND id " : "",
                       !page->after         ? ""
                       : page->newest_first ? "< ?"
                                            : "> ?",
                       page->newest_first ? " DESC" : "");
    LM_ASSERT(len < (int)sizeof tail);
    lm_list list;
    LM_TRY(lm_table_select(db, table, tail, (lm_values){all, n}, arena, &list, err));
    *out_next = NULL;
    if ((int64_t)list.len > page->limit) *out_next = lm_list_at(&list, --list.len - 1);
    *out = list;
    return LOAM_OK;
}

static json_t *column_json(const lm_column *column, const void *row) {
    lm_value value = value_of(column, row);
    if (value.type == LM_VALUE_NULL) return json_null();
    if (column->type == LM_COLUMN_JSON)
        return json_loadb(value.text.ptr, value.text.len, JSON_DECODE_ANY, NULL);
    if (column->type == LM_COLUMN_BOOL) return json_boolean(value.i64 != 0);
    if (value.type == LM_VALUE_TEXT) return json_stringn(value.text.ptr, value.text.len);
    return value.i64 == 0 && (column->flags & LM_COLUMN_ZERO_NULL) ? json_null()
                                                                   : json_integer(value.i64);
}

json_t *lm_table_json(const lm_table *table, const void *row) {
    json_t *object = json_object();
    for (size_t i = 0; i < table->n_columns && object; i++) {
        const lm_column *column = &table->columns[i];
        if (column->flags & LM_COLUMN_HIDDEN) continue;
        if (json_object_set_new(object, column->name, column_json(column, row)) == 0) continue;
        json_decref(object);
        object = NULL;
    }
    return object;
}

json_t *lm_list_json(const lm_list *list) {
    json_t *array = json_array();
    for (size_t i = 0; i < list->len && array; i++) {
        if (json_array_append_new(array, lm_table_json(list->table, lm_list_at(list, i))) == 0)
            continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

loam_status lm_db_number(lm_db *db, const char *sql, lm_values values, int64_t *out,
                         loam_error *err) {
    lm_rows rows;
    LM_TRY(lm_db_query(db, sql, values, &rows, err));
    int64_t number = lm_rows_next(&rows) ? lm_row_i64(&rows, 0) : 0;
    LM_TRY(lm_rows_end(&rows, err));
    *out = number;
    return LOAM_OK;
}
