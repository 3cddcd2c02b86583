#include "cli/time_arg.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"

static bool parse_duration(const char *text, int64_t *out_ms) {
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'d', 86400000}, {'h', 3600000}, {'m', 60000}};
    char *end;
    long long count = strtoll(text, &end, 10);
    for (size_t i = 0; i < LM_COUNT_OF(units) && end != text; i++) {
        if (*end != units[i].unit || end[1] != '\0' || count < 0 || count > 1000000) continue;
        *out_ms = count * units[i].ms;
        return true;
    }
    return false;
}

static bool parse_date(const char *text, int64_t *out_epoch_ms) {
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    for (size_t i = 0; i < LM_COUNT_OF(forms); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);
        if (!end || (strcmp(end, "") != 0 && strcmp(end, "Z") != 0)) continue;
        *out_epoch_ms = (int64_t)timegm(&parts) * 1000;
        return true;
    }
    return false;
}

loam_status lm_time_arg_parse(const char *option, const char *text, int64_t *out_epoch_ms,
                              loam_error *err) {
    int64_t duration_ms;
    if (text[0] == '+' && parse_duration(text + 1, &duration_ms)) {
        *out_epoch_ms = lm_clock_epoch_ms() + duration_ms;
        return LOAM_OK;
    }
    if (parse_date(text, out_epoch_ms) ||
        (text[0] != '+' && lm_str_to_i64(lm_str_of(text), out_epoch_ms)))
        return LOAM_OK;
    lm_error_set(err, LOAM_INVALID, "--%s '%s' is not a time", option, text);
    return lm_error_hint(err, LOAM_INVALID,
                         "write 2026-11-22, 2026-11-22T10:30 (UTC), or +30d from now");
}
