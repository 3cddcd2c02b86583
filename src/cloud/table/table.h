/* Rows as plain structs: one description of a table's columns gives its SELECT, INSERT and UPDATE, and its JSON.
 *
 * Only files of cloud/table/ contain SQL: each describes its struct once and offers named queries to the rest. Every table
 * has a text key `id`, its first column. Texts of rows read live in the arena that was passed.
 *
 *     typedef struct lm_member { char id[LM_ID_BYTES]; char project_id[LM_ID_BYTES]; const char *name; ... } lm_member;
 *     static const lm_column columns[] = {
 *         LM_COLUMN(lm_member, id, LM_COLUMN_ID, 0),
 *         LM_COLUMN(lm_member, name, LM_COLUMN_TEXT, 0), ...
 *     };
 *     const lm_table lm_member_table = LM_TABLE("member", lm_member, columns);
 */
#ifndef LM_CLOUD_TABLE_TABLE_H
#define LM_CLOUD_TABLE_TABLE_H

#include <jansson.h>

#include "base/arena.h"
#include "cloud/db.h"
#include "cloud/id.h"

typedef enum lm_column_type {
    LM_COLUMN_ID,   /* char [LM_ID_BYTES]; empty is null */
    LM_COLUMN_TEXT, /* const char *; NULL is null */
    LM_COLUMN_I64,  /* int64_t */
    LM_COLUMN_BOOL, /* bool, 0 or 1 in the database */
    LM_COLUMN_JSON, /* const char *: JSON text, shown parsed; NULL is null */
} lm_column_type;

enum {
    LM_COLUMN_HIDDEN = 1,    /* not in the JSON */
    LM_COLUMN_ZERO_NULL = 2, /* a number whose 0 means "none": null in the JSON */
};

typedef struct lm_column {
    const char *name; /* of the column, the struct's field and the JSON's field alike */
    lm_column_type type;
    size_t offset;
    unsigned flags;
} lm_column;

#define LM_COLUMN(row_type, field, type, flags) \
    { #field, type, offsetof(row_type, field), flags }

typedef struct lm_table {
    const char *name;
    const lm_column *columns;
    size_t n_columns;
    size_t row_bytes;
} lm_table;

#define LM_TABLE(name, row_type, columns) \
    { name, columns, LM_COUNT_OF(columns), sizeof(row_type) }

/* Rows of one table, in the arena: row i is lm_list_at(&list, i). */
typedef struct lm_list {
    const lm_table *table;
    char *rows;
    size_t len;
} lm_list;

static inline void *lm_list_at(const lm_list *list, size_t i) {
    return list->rows + i * list->table->row_bytes;
}

/* What part of a list is wanted. Lists are ordered by id, which is the order of making. */
typedef struct lm_page {
    const char *after; /* the last id of the part before, or NULL */
    int64_t limit;     /* rows at most */
    bool newest_first;
} lm_page;

loam_status lm_table_insert(lm_db *db, const lm_table *table, const void *row,
                            loam_error *err) LM_MUST_USE;

/* Writes every column of the row with this id. LOAM_NOT_FOUND when there is none. */
loam_status lm_table_update(lm_db *db, const lm_table *table, const void *row,
                            loam_error *err) LM_MUST_USE;

/* The first row for which `where` ("project_id = ? AND name = ?", constant text) holds. LOAM_NOT_FOUND. */
loam_status lm_table_find(lm_db *db, const lm_table *table, const char *where, lm_values values,
                          lm_arena *arena, void *out_row, loam_error *err) LM_MUST_USE;

/* All rows; `tail` is what follows the table's name ("WHERE state = ? ORDER BY priority"), constant text. */
loam_status lm_table_select(lm_db *db, const lm_table *table, const char *tail, lm_values values,
                            lm_arena *arena, lm_list *out, loam_error *err) LM_MUST_USE;

/* One page of the rows for which `where` holds. *out_next is the cursor of the next page (in the arena), NULL at the end. */
loam_status lm_table_page(lm_db *db, const lm_table *table, const char *where, lm_values values,
                          const lm_page *page, lm_arena *arena, lm_list *out, const char **out_next,
                          loam_error *err) LM_MUST_USE;

/* DELETE FROM ... WHERE id = ?; LOAM_NOT_FOUND when there is none, LOAM_CONFLICT while others refer to it. */
loam_status lm_table_delete(lm_db *db, const lm_table *table, const char *id,
                            loam_error *err) LM_MUST_USE;

/* New references; NULL when out of memory. */
json_t *lm_table_json(const lm_table *table, const void *row) LM_MUST_USE;
json_t *lm_list_json(const lm_list *list) LM_MUST_USE;

/* One number (COUNT, SUM of one column) as a query gives it; 0 for null or no row. */
loam_status lm_db_number(lm_db *db, const char *sql, lm_values values, int64_t *out,
                         loam_error *err) LM_MUST_USE;

#endif
