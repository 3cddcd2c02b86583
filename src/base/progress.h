/* A progress line for long work on a terminal: `pulling  42% [#####.....] 1.2 GB/s  0:12 left`.
 *
 * Draws on standard error, only when that is a terminal and TERM is not "dumb"; elsewhere every call does nothing, and
 * callers print records instead. Redraws at most ten times a second. One thread.
 */
#ifndef LM_BASE_PROGRESS_H
#define LM_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

typedef struct lm_progress {
    const char *title; /* borrowed, short */
    int64_t total;     /* 0 when unknown */
    int64_t start_ns;
    int64_t last_draw_ns;
    int64_t first; /* value at start, so that a resumed job estimates from its own speed */
    bool enabled;
    bool drawn;
} lm_progress;

void lm_progress_init(lm_progress *progress, const char *title, int64_t first, int64_t total);

/* Shows `value` of total and the caller's own details ("loss 2.31  812 tok/s"). */
void lm_progress_update(lm_progress *progress, int64_t value, const char *fmt, ...) LM_PRINTF(3, 4);

/* Clears the line so that other text can be printed; the next update draws it again. */
void lm_progress_clear(lm_progress *progress);

#endif
