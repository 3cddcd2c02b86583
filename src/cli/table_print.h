/* JSON rows as a table for people, and a JSON object as lines of "title  value". Columns are aligned by what a terminal
 * shows (Chinese characters are two wide); numbers stand to the right. */
#ifndef LM_CLI_TABLE_PRINT_H
#define LM_CLI_TABLE_PRINT_H

#include <jansson.h>

#include "base/str.h"

typedef enum lm_cell_type {
    LM_CELL_TEXT, /* strings; arrays of strings as "a, b"; booleans as yes and no; integers as they are */
    LM_CELL_COUNT,  /* integers in groups of three */
    LM_CELL_NUMBER, /* with up to six significant digits */
    LM_CELL_TIME,   /* epoch milliseconds as "2026-11-22 20:04:50" (UTC) */
    LM_CELL_MONEY,  /* micro-units, two places */
    LM_CELL_PRICE,  /* micro-units, as many places as it has, at least two */
    LM_CELL_MICROS, /* micro-units, all six places: a column of them lines up */
    LM_CELL_BYTES,  /* "12.3 MB" */
} lm_cell_type;

typedef struct lm_print_column {
    const char *title; /* NULL ends the list */
    const char *field; /* "name", "key.name" */
    lm_cell_type type;
} lm_print_column;

/* rows: an array of objects. Absent and null cells are "-". "none" when there are no rows. */
void lm_print_table(const lm_print_column *columns, const json_t *rows);
void lm_print_object(const lm_print_column *columns, const json_t *object);

#endif
