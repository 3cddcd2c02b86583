/* The learning rate of a step: linear warm-up, then half a cosine down to the minimum. Pure; any thread. */
#ifndef LM_TRAIN_SCHEDULE_H
#define LM_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef struct lm_schedule {
    double lr, min_lr;
    int64_t warmup_steps, steps;
} lm_schedule;

/* step counts from 0. Step 0 already moves: it has lr / warmup_steps. The last step has min_lr. */
double lm_schedule_lr(const lm_schedule *schedule, int64_t step);

#endif
