/* Journal of what a worker process has done for whom: the meter that survives the worker's and the control plane's death.
 *
 * A file of fixed-size records, mapped shared. The worker appends a record when it admits a request, updates it in place
 * after every step, and marks it finished when the request ends, however it ends. Because the pages belong to the
 * kernel, a SIGKILL of the worker at any moment loses nothing; a record without the finished mark of a dead worker is
 * as good as finished. The control plane reads records and books each under its `request_id`, so that reading twice
 * bills once. One writer process (any of its threads, one at a time), any number of readers.
 *
 *     worker (serve)  --append/update-->  journal file  --read-->  control plane (cloud) --> ledger
 */
#ifndef LM_BASE_USAGE_JOURNAL_H
#define LM_BASE_USAGE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { LM_USAGE_ID_BYTES = 48, LM_USAGE_TAG_BYTES = 96 };

typedef struct lm_usage_record {
    char request_id[LM_USAGE_ID_BYTES]; /* NUL-terminated; key in the ledger */
    char tag[LM_USAGE_TAG_BYTES];       /* who pays, opaque to the worker; NUL-terminated */
    int64_t start_ms, end_ms;           /* epoch; end 0 while running */
    int64_t prompt_tokens;              /* computed or found in the prefix cache */
    int64_t completion_tokens;          /* generated */
    int64_t flops;
    int64_t device_us; /* this request's share of the device's time, microseconds */
    int64_t finished;  /* 0 or 1; written last */
    uint64_t
        checksum; /* of all above; a torn record (power cut) fails it and the previous half is used */
} lm_usage_record;

typedef struct lm_usage_journal lm_usage_journal;

/* Creates or opens for appending; existing records stay. */
loam_status lm_usage_journal_open(const char *path, lm_usage_journal **out,
                                  loam_error *err) LM_MUST_USE;
void lm_usage_journal_close(lm_usage_journal *journal);

/* Appends a record; *out_slot is its number for updates. LOAM_IO when the disk is full: admit no request then. */
loam_status lm_usage_journal_append(lm_usage_journal *journal, const lm_usage_record *record,
                                    int64_t *out_slot, loam_error *err) LM_MUST_USE;
void lm_usage_journal_update(lm_usage_journal *journal, int64_t slot,
                             const lm_usage_record *record); /* no syscall */

/* Reads records from slot *cursor on, at most max; advances *cursor. A file that ends early gives what is whole. */
loam_status lm_usage_journal_read(const char *path, int64_t *cursor, lm_usage_record *out,
                                  int64_t max, int64_t *out_n, loam_error *err) LM_MUST_USE;

/* Gives back the space of the slots before `slot`, whose records are committed elsewhere and will not be read again: a worker
 * that lives long does not fill the disk. The file keeps its size, the slots read as empty. Harmless where the file system
 * cannot do it. */
void lm_usage_journal_discard(const char *path, int64_t slot);

#endif
