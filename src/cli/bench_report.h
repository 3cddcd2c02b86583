/* What `loam bench` prints: rows of named fields, as a table, as JSON lines or as CSV; kept in a file, and held against the
 * rows of an earlier file.
 *
 *     bench_report *report;
 *     LM_TRY(bench_report_new(&options, &report, err));
 *     bench_report_row(report, (bench_field[]){{.key = "op", .text = "add", .role = BENCH_KEY},
 *                                              {.key = "us", .number = 3.1, .role = BENCH_TIME}}, 2);
 *     return bench_report_end(report);
 *
 * A row of the earlier file is the same when all its keys are; the first rate or time is what is compared. One thread.
 */
#ifndef LM_CLI_BENCH_REPORT_H
#define LM_CLI_BENCH_REPORT_H

#include <stdbool.h>

#include "base/error.h"

typedef enum bench_format { BENCH_TABLE, BENCH_JSON, BENCH_CSV } bench_format;

typedef enum bench_role {
    BENCH_VALUE,
    BENCH_KEY,  /* says which row it is; a number here is a whole one */
    BENCH_RATE, /* more is better */
    BENCH_TIME, /* less is better */
} bench_role;

typedef struct bench_field {
    const char *key;  /* column head, JSON key */
    const char *text; /* NULL: the number counts */
    double number;
    bench_role role;
    int width; /* of the table's column at least; 0: by the key */
} bench_field;

typedef struct bench_report_options {
    bench_format format;
    const char *save;     /* write all rows to this file, as JSON lines; NULL: no */
    const char *baseline; /* hold them against those of this file; NULL: no */
    double
        max_slowdown; /* a row slower than its baseline by more than this factor is a failure; 0: none is */
} bench_report_options;

typedef struct bench_report bench_report;

/* Reads the baseline. LOAM_NOT_FOUND, LOAM_CORRUPT. */
loam_status bench_report_new(const bench_report_options *options, bench_report **out,
                             loam_error *err) LM_MUST_USE;

/* Prints one row; the first brings the heads of table and CSV. All rows of a report have the same fields. With a baseline
 * "baseline" and "ratio" follow: how many times as fast as then; 0 for rows that were not there. */
void bench_report_row(bench_report *report, const bench_field *fields, int n_fields);

/* Writes the file and frees the report. LOAM_LIMIT: rows were slower than allowed. */
loam_status bench_report_end(bench_report *report, loam_error *err) LM_MUST_USE;

void bench_report_free(bench_report *report); /* without writing; NULL is fine */

#endif
