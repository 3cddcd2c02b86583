#include "cli/table_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cloud/money.h"

enum { CELL_MAX_BYTES = 4096, GAP = 2 };

static const json_t *find_value(const json_t *object, const char *field) {
    const char *dot = strchr(field, '.');
    if (!dot) return json_object_get(object, field);
    return find_value(json_object_getn(object, field, (size_t)(dot - field)), dot + 1);
}

static void put_time(lm_buf *out, int64_t epoch_ms) {
    enum { DATE_LEN = 10, CLOCK_AT = 11, CLOCK_LEN = 8 };
    char text[LM_TIME_TEXT_BYTES];
    lm_clock_format(epoch_ms, text);
    lm_buf_printf(out, "%.*s %.*s", DATE_LEN, text, CLOCK_LEN, text + CLOCK_AT);
}

static void put_count(lm_buf *out, int64_t count) {
    char text[LM_MONEY_TEXT_BYTES];
    lm_i64_format_grouped(count, text);
    lm_buf_puts(out, text);
}

static void put_bytes(lm_buf *out, int64_t size) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double value = (double)size;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < LM_COUNT_OF(units); unit++) value /= 1000;
    lm_buf_printf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void put_text(lm_buf *out, const json_t *value) {
    const json_t *item;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_STRING: lm_buf_puts(out, json_string_value(value)); break;
    case JSON_INTEGER:
        lm_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL: lm_buf_printf(out, "%.6g", json_real_value(value)); break;
    case JSON_TRUE: lm_buf_puts(out, "yes"); break;
    case JSON_FALSE: lm_buf_puts(out, "no"); break;
    case JSON_ARRAY:
        json_array_foreach((json_t *)value, i, item) {
            if (i) lm_buf_puts(out, ", ");
            put_text(out, item);
        }
        break;
    default: lm_buf_putc(out, '-');
    }
}

static void put_cell(lm_buf *out, lm_cell_type type, const json_t *value) {
    char money[LM_MONEY_TEXT_BYTES];
    if (!value || json_is_null(value) ||
        (json_is_string(value) && json_string_length(value) == 0)) {
        lm_buf_putc(out, '-');
        return;
    }
    if (type == LM_CELL_NUMBER && json_is_number(value)) {
        lm_buf_printf(out, "%.6g", json_number_value(value));
        return;
    }
    if (type == LM_CELL_TEXT || !json_is_integer(value)) {
        put_text(out, value);
        return;
    }
    int64_t number = json_integer_value(value);
    switch (type) {
    case LM_CELL_TIME: put_time(out, number); break;
    case LM_CELL_MONEY:
        lm_money_format(number, NULL, money);
        lm_buf_puts(out, money);
        break;
    case LM_CELL_PRICE:
        lm_money_format_full(number, money);
        lm_buf_puts(out, money);
        break;
    case LM_CELL_MICROS:
        lm_money_format_exact(number, money);
        lm_buf_puts(out, money);
        break;
    case LM_CELL_BYTES: put_bytes(out, number); break;
    default: put_count(out, number);
    }
}

/* Is the character that begins here two columns wide? By the first bytes of its UTF-8: U+2E80 to U+D7FF (Chinese, Japanese,
 * Korean), U+FF00 to U+FFFF (full-width forms), and all beyond (emoji, rarer ideographs). */
static bool is_wide(const unsigned char *c) {
    if (c[0] == 0xe2) return c[1] >= 0xba;
    if (c[0] == 0xef) return c[1] >= 0xbc;
    return (c[0] >= 0xe3 && c[0] <= 0xed) || c[0] >= 0xf0;
}

static size_t display_width(const char *text) {
    size_t width = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if ((*c & 0xc0) != 0x80) width += is_wide(c) ? 2 : 1;
    }
    return width;
}

/* Control characters would move the cursor: they are shown as question marks. */
static void print_cell(const char *text, size_t width, bool right, bool last) {
    size_t used = display_width(text), pad = width > used ? width - used : 0;
    if (right) printf("%*s", (int)pad, "");
    for (const char *c = text; *c; c++) putchar((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
    if (!right && !last) printf("%*s", (int)pad, "");
    if (!last) printf("%*s", GAP, "");
}

static bool is_right(lm_cell_type type) {
    return type == LM_CELL_COUNT || type == LM_CELL_NUMBER || type == LM_CELL_MONEY ||
           type == LM_CELL_PRICE || type == LM_CELL_MICROS || type == LM_CELL_BYTES;
}

/* A cell's text in `storage`, which is overwritten. */
static const char *cell_text(lm_buf *storage, const lm_print_column *column, const json_t *row) {
    lm_buf_reset(storage);
    put_cell(storage, column->type, find_value(row, column->field));
    return lm_buf_cstr(storage);
}

static size_t column_width(const lm_print_column *column, const json_t *rows, lm_buf *storage) {
    size_t width = display_width(column->title), i;
    const json_t *row;
    json_array_foreach((json_t *)rows, i, row) {
        size_t cell = display_width(cell_text(storage, column, row));
        if (cell > width) width = cell;
    }
    return width;
}

enum { COLUMNS_MAX = 24 };

void lm_print_table(const lm_print_column *columns, const json_t *rows) {
    size_t widths[COLUMNS_MAX], n = 0, i;
    const json_t *row;
    lm_buf storage;
    if (json_array_size(rows) == 0) {
        printf("none\n");
        return;
    }
    lm_buf_init(&storage, CELL_MAX_BYTES);
    for (; columns[n].title; n++) {
        LM_ASSERT(n < COLUMNS_MAX);
        widths[n] = column_width(&columns[n], rows, &storage);
    }
    for (size_t c = 0; c < n; c++)
        print_cell(columns[c].title, widths[c], is_right(columns[c].type), c + 1 == n);
    putchar('\n');
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; c < n; c++)
            print_cell(cell_text(&storage, &columns[c], row), widths[c], is_right(columns[c].type),
                       c + 1 == n);
        putchar('\n');
    }
    lm_buf_deinit(&storage);
}

void lm_print_object(const lm_print_column *columns, const json_t *object) {
    size_t width = 0;
    lm_buf storage;
    lm_buf_init(&storage, CELL_MAX_BYTES);
    for (size_t i = 0; columns[i].title; i++) {
        size_t title = display_width(columns[i].title);
        if (title > width) width = title;
    }
    for (size_t i = 0; columns[i].title; i++) {
        print_cell(columns[i].title, width, false, false);
        print_cell(cell_text(&storage, &columns[i], object), 0, false, true);
        putchar('\n');
    }
    lm_buf_deinit(&storage);
}
