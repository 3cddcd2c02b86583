#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int64_t lm_clock_mono_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t lm_clock_epoch_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void lm_clock_sleep_ms(int64_t duration_ms) {
    struct timespec left = {.tv_sec = duration_ms / 1000, .tv_nsec = duration_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

void lm_clock_format(int64_t epoch_ms, char out[LM_TIME_TEXT_BYTES]) {
    int64_t ms = epoch_ms % 1000;
    if (ms < 0) ms += 1000;
    time_t seconds = (time_t)((epoch_ms - ms) / 1000);
    struct tm utc;
    char date[24];
    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, LM_TIME_TEXT_BYTES, "%s.%03dZ", date, (int)ms);
}
