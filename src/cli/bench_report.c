#include "cli/bench_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

enum { NUMBER_WIDTH = 12 };

/* The first column is the widest; no other text is as long. */
static int width_of(const bench_field *field, int column) {
    if (!field->text) return NUMBER_WIDTH;
    return column == 0 ? -46 : -26;
}

static void print_json(const bench_field *fields, int n_fields) {
    json_t *row = json_object();
    for (int i = 0; i < n_fields; i++)
        json_object_set_new(row, fields[i].key,
                            fields[i].text ? json_string(fields[i].text)
                                           : json_real(fields[i].number));
    json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(row);
}

static void print_csv(bool heads, const bench_field *fields, int n_fields) {
    for (int i = 0; i < n_fields; i++) {
        const char *comma = i ? "," : "";
        if (heads || fields[i].text)
            printf("%s%s", comma, heads ? fields[i].key : fields[i].text);
        else
            printf("%s%.6g", comma, fields[i].number);
    }
    putchar('\n');
}

static void print_table(bool heads, const bench_field *fields, int n_fields) {
    for (int i = 0; i < n_fields; i++) {
        int width = width_of(&fields[i], i);
        if (heads || fields[i].text)
            printf("%*s ", width, heads ? fields[i].key : fields[i].text);
        else
            printf("%*.*f ", width, fabs(fields[i].number) < 100 ? 2 : 0, fields[i].number);
    }
    putchar('\n');
}

void bench_report_row(bench_format format, bool first, const bench_field *fields, int n_fields) {
    if (format == BENCH_JSON) {
        print_json(fields, n_fields);
    } else {
        void (*print)(bool, const bench_field *, int) =
            format == BENCH_CSV ? print_csv : print_table;
        if (first) print(true, fields, n_fields);
        print(false, fields, n_fields);
    }
    fflush(stdout);
}
