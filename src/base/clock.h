/* Time: a monotonic clock for durations, the wall clock for records. Times on record are UTC epoch milliseconds. */
#ifndef LM_BASE_CLOCK_H
#define LM_BASE_CLOCK_H

#include <stdint.h>

int64_t lm_clock_mono_ns(void);
int64_t lm_clock_epoch_ms(void);
void lm_clock_sleep_ms(int64_t duration_ms);

enum { LM_TIME_TEXT_BYTES = 32 };

/* "2026-11-22T20:04:50.123Z" (ISO 8601, UTC). */
void lm_clock_format(int64_t epoch_ms, char out[LM_TIME_TEXT_BYTES]);

#endif
