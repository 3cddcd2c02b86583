#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOG_LINE_MAX = 2048 };

static lm_log_level g_level = LM_LOG_INFO;
static int g_json;

static const char *const LEVEL_NAMES[] = {"debug", "info", "warn", "error", "off"};

void lm_log_init(lm_log_level level, int json) {
    g_level = level;
    g_json = json;
}

int lm_log_level_parse(const char *name, lm_log_level *out) {
    for (size_t i = 0; i < LM_COUNT_OF(LEVEL_NAMES); i++) {
        if (strcmp(name, LEVEL_NAMES[i]) != 0) continue;
        *out = (lm_log_level)i;
        return 1;
    }
    return 0;
}

/* Text as the inside of a JSON string; control characters become spaces. Returns the bytes written. */
static size_t escape_json(const char *text, char *out, size_t size) {
    size_t n = 0;
    for (; *text && n + 2 < size; text++) {
        if (*text == '"' || *text == '\\') out[n++] = '\\';
        out[n++] = (unsigned char)*text < 0x20 ? ' ' : *text;
    }
    out[n] = '\0';
    return n;
}

void lm_log(lm_log_level level, const char *area, const char *fmt, ...) {
    if (level < g_level) return;
    char text[LOG_LINE_MAX / 2], line[LOG_LINE_MAX + 128], when[LM_TIME_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    lm_clock_format(lm_clock_epoch_ms(), when);
    int len;
    if (g_json) {
        char escaped[LOG_LINE_MAX];
        escape_json(text, escaped, sizeof escaped);
        len = snprintf(line, sizeof line,
                       "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"message\":\"%s\"}\n",
                       when, LEVEL_NAMES[level], area, escaped);
    } else {
        len = snprintf(line, sizeof line, "%s %s %s: %s\n", when, LEVEL_NAMES[level], area, text);
    }
    if (len < 0) return;
    size_t n = (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
    /* One write a record, so that lines of several threads and processes do not mix. A failing log has nowhere to
     * report to. */
    if (write(STDERR_FILENO, line, n) < 0) return;
}

void lm_log_error(lm_log_level level, const char *area, const loam_error *err) {
    if (err->hint[0]) {
        lm_log(level, area, "%s (%s)", err->message, err->hint);
    } else {
        lm_log(level, area, "%s", err->message);
    }
}
