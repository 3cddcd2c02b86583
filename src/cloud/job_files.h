/* What a job keeps on disk, and reading the output of its runs.
 *
 *     home/jobs/<job>/recipe.yaml   as submitted
 *     home/jobs/<job>/fence         the epoch whose trainer may write checkpoints
 *     home/jobs/<job>/data/         view of its dataset
 *     home/jobs/<job>/out/          the trainer's: checkpoints, exported model
 *     home/jobs/<job>/run-<epoch>/  state folder of one run (see supervisor.h): stdout has metrics, stderr the log
 *
 * Paths are on the heap (lm_free), NULL when out of memory. Any thread.
 */
#ifndef LM_CLOUD_JOB_FILES_H
#define LM_CLOUD_JOB_FILES_H

#include <jansson.h>

#include "base/str.h"

LM_MUST_USE char *lm_job_dir(const char *home, const char *job_id);
LM_MUST_USE char *lm_job_path(const char *home, const char *job_id, const char *name);
LM_MUST_USE char *lm_job_run_dir(const char *home, const char *job_id, int64_t epoch);

enum { LM_JOB_CURSOR_BYTES = 48, LM_JOB_LINE_MAX_BYTES = 64 << 10 };

typedef enum lm_job_stream {
    LM_JOB_METRICS, /* objects of standard output's JSON lines, with "epoch" added */
    LM_JOB_LOGS,    /* {"line"} of standard error */
} lm_job_stream;

/* Appends at most `limit` items behind `cursor` ("epoch.offset" as given before; NULL or "0": the beginning) of the runs
 * 1..last_epoch to `array`; out_cursor is where the next call goes on, also when nothing more is there yet. Lines still
 * being written wait. LOAM_INVALID for a cursor that is none. */
loam_status lm_job_read(const char *home, const char *job_id, int64_t last_epoch,
                        lm_job_stream stream, const char *cursor, int64_t limit, json_t *array,
                        char out_cursor[LM_JOB_CURSOR_BYTES], loam_error *err) LM_MUST_USE;

/* The whole lines of a file from *offset on, one call of fn each (without the line end), until fn says false or the end;
 * advances *offset. A file that is not there has no lines. Lines over LM_JOB_LINE_MAX_BYTES are skipped. */
loam_status lm_lines_read(const char *path, int64_t *offset, bool (*fn)(lm_str line, void *arg),
                          void *arg, loam_error *err) LM_MUST_USE;

/* The last line of text in a file, for error messages, with the indented ones (hints) that go with it; "" when there is none. */
void lm_last_message(const char *path, char *out, size_t size);

#endif
