/* Shared by scheduler.c (what starts when), run_follow.c (a trainer's process and output) and run_end.c (judging and booking). */
#ifndef LM_CLOUD_SCHEDULER_INTERNAL_H
#define LM_CLOUD_SCHEDULER_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/vec.h"
#include "cloud/scheduler.h"
#include "cloud/table/job.h"
#include "cloud/table/pool.h"
#include "cloud/table/run.h"
#include "cloud/ticker.h"

/* What the scheduler knows of a run beyond its row; all of it is found again after a restart. */
typedef struct lm_followed {
    char run_id[LM_ID_BYTES];
    int64_t offset;        /* of the output read so far */
    int64_t flops;         /* the trainer's last word, since the job's first step */
    bool checkpointed;     /* this run has reached a checkpoint */
    int64_t stop_asked_ns; /* when SIGTERM was sent; 0: not */
} lm_followed;

struct lm_scheduler {
    lm_scheduler_options options;
    lm_ticker *ticker;
    lm_arena arena; /* of one look */
    LM_VEC(lm_followed) followed;
    atomic_bool draining, drained;
    bool waiting; /* something is queued or runs: look every period, not only when woken */
};

/* A run with what is needed to decide about it. Borrowed from the look's arena. */
typedef struct lm_run_view {
    lm_scheduler *scheduler;
    lm_run run;
    lm_job job;
    lm_pool_row pool;
    lm_followed *followed;
} lm_run_view;

/* Starts the trainer of a run that has no process yet. */
loam_status lm_run_launch(lm_run_view *view, loam_error *err) LM_MUST_USE;

/* Reads what the trainer has written since the last time. */
void lm_run_follow(lm_run_view *view);

/* Books the segments of the run's lease that are over. */
loam_status lm_run_meter(lm_run_view *view, loam_error *err) LM_MUST_USE;

/* Books the rest, ends the run and decides what becomes of the job, in one transaction. */
loam_status lm_run_finish(lm_run_view *view, const lm_process_info *info, const char *launch_error,
                          loam_error *err) LM_MUST_USE;

#endif
