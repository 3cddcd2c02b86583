/* Calendar months in UTC: bills are by month, and a charge never spans two. */
#ifndef LM_CLOUD_MONTH_H
#define LM_CLOUD_MONTH_H

#include <stdbool.h>
#include <stdint.h>

enum { LM_MONTH_BYTES = 8 }; /* "2026-11" */

typedef struct lm_month {
    int year;  /* 1970 to 9999 */
    int month; /* 1 to 12 */
} lm_month;

lm_month lm_month_of(int64_t epoch_ms);
lm_month lm_month_next(lm_month month);
lm_month lm_month_before(lm_month month);
int64_t lm_month_start_ms(lm_month month);
bool lm_month_parse(const char *text, lm_month *out);
void lm_month_format(lm_month month, char out[LM_MONTH_BYTES]);

#endif
