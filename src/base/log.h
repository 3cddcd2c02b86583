/* The program's log: one line a record on standard error, `2026-11-22T20:04:50.123Z info serve: text`.
 *
 * The one mutable global of base. Libraries return errors and do not log them; the layer that handles an error logs
 * it, once. Any thread; lines never mix.
 */
#ifndef LM_BASE_LOG_H
#define LM_BASE_LOG_H

#include "base/error.h"

typedef enum lm_log_level {
    LM_LOG_DEBUG,
    LM_LOG_INFO,
    LM_LOG_WARN,
    LM_LOG_ERROR,
    LM_LOG_OFF
} lm_log_level;

/* Set once at start-up, before threads. json: one JSON object a line instead of text. Default: info, text. */
void lm_log_init(lm_log_level level, int json);
int lm_log_level_parse(const char *name, lm_log_level *out); /* 0 when the name is not a level */

void lm_log(lm_log_level level, const char *area, const char *fmt, ...) LM_PRINTF(3, 4);

/* Message and hint of an error as one record. */
void lm_log_error(lm_log_level level, const char *area, const loam_error *err);

#endif
