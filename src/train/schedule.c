#include "train/schedule.h"

#include <math.h>

double lm_schedule_lr(const lm_schedule *s, int64_t step) {
    if (step < s->warmup_steps) return s->lr * (double)(step + 1) / (double)s->warmup_steps;
    int64_t n_after = s->steps - s->warmup_steps - 1;
    if (n_after <= 0 || step >= s->steps) return s->min_lr;
    double progress = (double)(step - s->warmup_steps) / (double)n_after;
    return s->min_lr + 0.5 * (1 + cos(M_PI * progress)) * (s->lr - s->min_lr);
}
