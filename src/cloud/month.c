#include "cloud/month.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

lm_month lm_month_of(int64_t epoch_ms) {
    time_t seconds = (time_t)(epoch_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    return (lm_month){parts.tm_year + 1900, parts.tm_mon + 1};
}

lm_month lm_month_next(lm_month month) {
    return month.month == 12 ? (lm_month){month.year + 1, 1}
                             : (lm_month){month.year, month.month + 1};
}

lm_month lm_month_before(lm_month month) {
    return month.month == 1 ? (lm_month){month.year - 1, 12}
                            : (lm_month){month.year, month.month - 1};
}

int64_t lm_month_start_ms(lm_month month) {
    struct tm parts = {.tm_year = month.year - 1900, .tm_mon = month.month - 1, .tm_mday = 1};
    return (int64_t)timegm(&parts) * 1000;
}

bool lm_month_parse(const char *text, lm_month *out) {
    lm_month month;
    if (strlen(text) != LM_MONTH_BYTES - 1 || strspn(text, "0123456789") != 4 || text[4] != '-' ||
        strspn(text + 5, "0123456789") != 2)
        return false;
    if (sscanf(text, "%d-%d", &month.year, &month.month) != 2) return false;
    if (month.year < 1970 || month.month < 1 || month.month > 12) return false;
    *out = month;
    return true;
}

void lm_month_format(lm_month month, char out[LM_MONTH_BYTES]) {
    snprintf(out, LM_MONTH_BYTES, "%04u-%02u", (unsigned)month.year % 10000,
             (unsigned)month.month % 100);
}
