/* What `loam bench` prints: rows of named fields, as a table, as JSON lines or as CSV. */
#ifndef LM_CLI_BENCH_REPORT_H
#define LM_CLI_BENCH_REPORT_H

#include <stdbool.h>

typedef enum bench_format { BENCH_TABLE, BENCH_JSON, BENCH_CSV } bench_format;

typedef struct bench_field {
    const char *key;  /* column head, JSON key */
    const char *text; /* NULL: the number counts */
    double number;
} bench_field;

/* Prints one row; `first` rows print the heads of table and CSV before it. */
void bench_report_row(bench_format format, bool first, const bench_field *fields, int n_fields);

#endif
