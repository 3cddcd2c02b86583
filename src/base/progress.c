#include "base/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 24, REDRAW_NS = 100 * 1000 * 1000 };

void lm_progress_init(lm_progress *progress, const char *title, int64_t first, int64_t total) {
    const char *term = getenv("TERM"); /* a property of the terminal, not a setting of ours */
    *progress = (lm_progress){
        .title = title,
        .total = total,
        .first = first,
        .start_ns = lm_clock_mono_ns(),
        .enabled = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0),
    };
}

static void format_left(char *out, size_t size, double seconds) {
    long s = (long)(seconds + 0.5);
    if (s >= 3600) {
        snprintf(out, size, "%ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(out, size, "%ld:%02ld left", s / 60, s % 60);
    }
}

static void draw_bar(const lm_progress *progress, int64_t value, int64_t now_ns) {
    char bar[BAR_WIDTH + 1], left[40] = "";
    double part = (double)value / (double)progress->total;
    int filled = (int)(part * BAR_WIDTH);
    if (filled > BAR_WIDTH) filled = BAR_WIDTH;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    int64_t done = value - progress->first;
    if (done > 0) {
        double seconds = (double)(now_ns - progress->start_ns) * 1e-9;
        format_left(left, sizeof left, seconds / (double)done * (double)(progress->total - value));
    }
    fprintf(stderr, " %3d%% [%s] %s", (int)(part * 100), bar, left);
}

void lm_progress_update(lm_progress *progress, int64_t value, const char *fmt, ...) {
    if (!progress->enabled) return;
    int64_t now_ns = lm_clock_mono_ns();
    bool last = progress->total > 0 && value >= progress->total;
    if (progress->drawn && !last && now_ns - progress->last_draw_ns < REDRAW_NS) return;
    progress->last_draw_ns = now_ns;
    progress->drawn = true;
    char details[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(details, sizeof details, fmt, args);
    va_end(args);
    fprintf(stderr, "\r%s", progress->title);
    if (progress->total > 0) draw_bar(progress, value, now_ns);
    fprintf(stderr, "  %s\033[K", details);
    fflush(stderr);
}

void lm_progress_clear(lm_progress *progress) {
    if (!progress->enabled || !progress->drawn) return;
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
    progress->drawn = false;
}
