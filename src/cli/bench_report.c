#include "cli/bench_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum {
    NUMBER_WIDTH = 10,
    MAX_FIELDS = 24,
    MAX_FILE_BYTES = 64 << 20,
    BASELINE_FIELDS = 2, /* what a comparison adds to a row */
};

struct bench_report {
    bench_report_options options;
    json_t *rows;     /* array of all rows printed */
    json_t *baseline; /* array of the rows of the earlier file; NULL: none */
    int n_slower;
};

/* ---- The baseline ---- */

static loam_status read_lines(const char *path, lm_str text, json_t *rows, loam_error *err) {
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        lm_str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        text = (lm_str){line.ptr + line.len + (end != NULL), text.len - line.len - (end != NULL)};
        if (line.len == 0) continue;
        json_t *row;
        LM_TRY(lm_json_parse(line, path, &row, err));
        json_array_append_new(rows, row);
    }
    return LOAM_OK;
}

static loam_status read_baseline(bench_report *report, loam_error *err) {
    char *text;
    size_t size;
    const char *path = report->options.baseline;
    LM_TRY(lm_file_read(path, MAX_FILE_BYTES, &text, &size, err));
    report->baseline = json_array();
    loam_status status = read_lines(path, (lm_str){text, size}, report->baseline, err);
    lm_free(text);
    return status;
}

static bool same_field(const json_t *row, const bench_field *field) {
    const json_t *then = json_object_get(row, field->key);
    if (field->text)
        return json_is_string(then) && strcmp(json_string_value(then), field->text) == 0;
    return json_is_number(then) && json_number_value(then) == field->number;
}

static bool same_row(const json_t *row, const bench_field *fields, int n_fields) {
    for (int i = 0; i < n_fields; i++)
        if (fields[i].role == BENCH_KEY && !same_field(row, &fields[i])) return false;
    return true;
}

/* The compared field's value then; 0: that row was not there. */
static double value_then(const bench_report *report, const bench_field *fields, int n_fields,
                         const char *key) {
    size_t i;
    json_t *row;
    json_array_foreach(report->baseline, i, row) {
        if (same_row(row, fields, n_fields)) return json_number_value(json_object_get(row, key));
    }
    return 0;
}

static void add_comparison(bench_report *report, bench_field *fields, int *n_fields) {
    double then = 0, ratio = 0;
    for (int i = 0; i < *n_fields; i++) {
        bench_role role = fields[i].role;
        if (role != BENCH_RATE && role != BENCH_TIME) continue;
        then = value_then(report, fields, *n_fields, fields[i].key);
        if (then > 0 && fields[i].number > 0)
            ratio = role == BENCH_RATE ? fields[i].number / then : then / fields[i].number;
        break;
    }
    fields[(*n_fields)++] = (bench_field){.key = "baseline", .number = then};
    fields[(*n_fields)++] = (bench_field){.key = "ratio", .number = ratio};
    if (ratio > 0 && report->options.max_slowdown > 0 && ratio * report->options.max_slowdown < 1)
        report->n_slower++;
}

/* ---- Printing ---- */

static json_t *json_of(const bench_field *fields, int n_fields) {
    json_t *row = json_object();
    for (int i = 0; i < n_fields; i++) {
        const bench_field *f = &fields[i];
        json_t *value = f->text                ? json_string(f->text)
                        : f->role == BENCH_KEY ? json_integer((json_int_t)f->number)
                                               : json_real(f->number);
        json_object_set_new(row, f->key, value);
    }
    return row;
}

/* Quoted where it would be taken for several cells; no text of ours has quotes. */
static void print_cell(const char *text) {
    const char *quote = strchr(text, ',') ? "\"" : "";
    printf("%s%s%s", quote, text, quote);
}

static void print_csv(bool heads, const bench_field *fields, int n_fields) {
    for (int i = 0; i < n_fields; i++) {
        if (i) putchar(',');
        if (heads || fields[i].text)
            print_cell(heads ? fields[i].key : fields[i].text);
        else
            printf("%.6g", fields[i].number);
    }
    putchar('\n');
}

static int width_of(const bench_field *field) {
    int width = field->width, least = field->text ? 0 : NUMBER_WIDTH, key = (int)strlen(field->key);
    if (width < least) width = least;
    if (width < key) width = key;
    return field->text ? -width : width; /* texts stand to the left */
}

static int places_of(const bench_field *field) {
    if (field->role == BENCH_KEY) return 0;
    return fabs(field->number) < 10 ? 3 : fabs(field->number) < 1000 ? 1 : 0;
}

static void print_table(bool heads, const bench_field *fields, int n_fields) {
    for (int i = 0; i < n_fields; i++) {
        int width = width_of(&fields[i]);
        if (heads || fields[i].text)
            printf("%*s ", width, heads ? fields[i].key : fields[i].text);
        else
            printf("%*.*f ", width, places_of(&fields[i]), fields[i].number);
    }
    putchar('\n');
}

static void print_row(const bench_report *report, const bench_field *fields, int n_fields,
                      const json_t *json) {
    if (report->options.format == BENCH_JSON) {
        json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        void (*print)(bool, const bench_field *, int) =
            report->options.format == BENCH_CSV ? print_csv : print_table;
        if (json_array_size(report->rows) == 0) print(true, fields, n_fields);
        print(false, fields, n_fields);
    }
    fflush(stdout);
}

void bench_report_row(bench_report *report, const bench_field *given, int n_given) {
    bench_field fields[MAX_FIELDS];
    int n_fields = n_given;
    LM_ASSERT(n_given + BASELINE_FIELDS <= MAX_FIELDS);
    memcpy(fields, given, (size_t)n_given * sizeof *given);
    if (report->baseline) add_comparison(report, fields, &n_fields);
    json_t *json = json_of(fields, n_fields);
    print_row(report, fields, n_fields, json);
    json_array_append_new(report->rows, json);
}

/* ---- Beginning and end ---- */

loam_status bench_report_new(const bench_report_options *options, bench_report **out,
                             loam_error *err) {
    bench_report *report = lm_calloc(1, sizeof *report);
    if (!report) return lm_error_no_memory(err, sizeof *report);
    report->options = *options;
    report->rows = json_array();
    loam_status status = options->baseline ? read_baseline(report, err) : LOAM_OK;
    if (status != LOAM_OK) {
        bench_report_free(report);
        return status;
    }
    *out = report;
    return LOAM_OK;
}

static loam_status save(const bench_report *report, loam_error *err) {
    lm_buf text;
    size_t i;
    json_t *row;
    lm_buf_init(&text, MAX_FILE_BYTES);
    json_array_foreach(report->rows, i, row) {
        char *line = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(6));
        lm_buf_printf(&text, "%s\n", line ? line : "");
        free(line);
    }
    loam_status status = lm_buf_status(&text, err);
    if (status == LOAM_OK)
        status = lm_file_write_atomic(report->options.save, lm_buf_cstr(&text), text.len, err);
    lm_buf_deinit(&text);
    return status;
}

loam_status bench_report_end(bench_report *report, loam_error *err) {
    loam_status status = report->options.save ? save(report, err) : LOAM_OK;
    if (status == LOAM_OK && report->n_slower > 0)
        status =
            lm_error_set(err, LOAM_LIMIT, "%d rows are slower than in %s by more than %g times",
                         report->n_slower, report->options.baseline, report->options.max_slowdown);
    bench_report_free(report);
    return status;
}

void bench_report_free(bench_report *report) {
    if (!report) return;
    json_decref(report->rows);
    json_decref(report->baseline);
    lm_free(report);
}
