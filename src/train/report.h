/* Where a run's events go: DIR/metrics.jsonl and TensorBoard files always; to programs as JSON lines, if they are wanted; and to
 * people as a progress line with what is worth reading above it.
 *
 * One JSON object an event:
 *     {"event":"start","steps","params","resumed_from", ...}        resumed_from: step or null
 *     {"event":"step","step","tokens","loss","lr","grad_norm","tokens_per_s","flops","device_ms","mfu"}
 *     {"event":"eval","step","val_loss","entropy"}                  nats a token; entropy null when unknown
 *     {"event":"sample","step","text"}    {"event":"checkpoint","step","path"}    {"event":"warning","step","text"}
 *     {"event":"done","step","model","gguf","val_loss","entropy","flops","device_ms"}
 * tokens, flops and device_ms count from step 0, over all resumptions. One thread.
 */
#ifndef LM_TRAIN_REPORT_H
#define LM_TRAIN_REPORT_H

#include <stdio.h>

#include "train/trainer.h"

typedef struct lm_train_report lm_train_report;

/* dir is made when absent. Events go to `json` as lines (NULL: they do not), what people want to read to `text`, and the progress line
 * to standard error. */
loam_status lm_train_report_new(const char *dir, FILE *json, FILE *text, lm_train_report **report,
                                loam_error *err) LM_MUST_USE;
void lm_train_report_free(lm_train_report *report);

/* An lm_train_event_fn; ctx is the report. What was recorded past the step that START names is dropped: a resumed run's record
 * has every step once. */
void lm_train_report_event(void *report, const lm_train_event *event);

#endif
