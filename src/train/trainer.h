/* A training run: from a recipe and texts to an exported model, through checkpoints that make any break harmless.
 *
 *     DIR/checkpoints/   DIR/data/   DIR/model/ (Hugging Face)   DIR/model.gguf   DIR/lock
 *
 * The weights after step n are a function of recipe and text alone: data position is the step number, nothing random has a state
 * that lives longer than a step, and no sum depends on the number of threads. So a run that was stopped or killed anywhere
 * and resumed ends with the same bytes as one that was not.
 *
 * What happens is told as events, in the order of the steps. The library prints nothing. One thread.
 */
#ifndef LM_TRAIN_TRAINER_H
#define LM_TRAIN_TRAINER_H

#include <signal.h>

#include "compute/backend.h"
#include "train/checkpoint.h"
#include "train/recipe.h"

typedef enum lm_train_event_kind {
    LM_TRAIN_START,
    LM_TRAIN_STEP,
    LM_TRAIN_EVAL,
    LM_TRAIN_SAMPLE,
    LM_TRAIN_CHECKPOINT,
    LM_TRAIN_WARNING, /* something failed that the run can do without */
    LM_TRAIN_DONE,
} lm_train_event_kind;

/* Only the fields that the comment names with the kind are set; strings live during the call. */
typedef struct lm_train_event {
    lm_train_event_kind kind;
    int64_t step;  /* all: optimizer steps made so far; START: where the run begins */
    int64_t steps; /* all: of the whole run */
    /* START */
    int64_t n_params, n_train_tokens, n_validation_tokens, vocab_size, tokens_per_step;
    bool resumed;
    double expected_flops, peak_flops_per_s;
    /* STEP; tokens, flops and device_ms count from step 0 over all resumptions. DONE has flops and device_ms too */
    int64_t tokens, flops, device_ms;
    double loss, lr, grad_norm, tokens_per_s, mfu;
    /* EVAL, DONE: nats a token; entropy is what the corpus' generator says no model can beat, 0 when unknown */
    double val_loss, entropy;
    const char *text; /* SAMPLE: prompt and answer; WARNING: what failed */
    const char *path; /* CHECKPOINT: folder; DONE: the model's folder */
    const char *gguf; /* DONE */
} lm_train_event;

typedef void lm_train_event_fn(void *ctx, const lm_train_event *event);

typedef struct lm_train_options {
    const lm_recipe *recipe; /* checked */
    const char
        *base_dir; /* what the recipe's relative paths start from; NULL: the working folder */
    const char *
        data_path; /* instead of the recipe's; relative to the working folder; NULL: the recipe's */
    const char *out_dir; /* made when absent */
    bool resume;         /* go on from the newest whole checkpoint, or begin when there is none */
    lm_fence fence;
    lm_device *device;
    const volatile sig_atomic_t *stop; /* not 0: make a checkpoint and end */
    lm_train_event_fn *on_event;
    void *ctx;
} lm_train_options;

/* LOAM_OK: trained to the end and exported. LOAM_CANCELLED: stopped on request, after a checkpoint. LOAM_CONFLICT: somebody else
 * runs here, the fence was lost, or the recipe or text is not what the checkpoint was made with. A periodic checkpoint that
 * cannot be written (a full disk) is a WARNING and training goes on; the last one, and that of a stop, must succeed. */
loam_status lm_train_run(const lm_train_options *options, loam_error *err) LM_MUST_USE;

#endif
