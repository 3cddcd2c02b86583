/* Which rows the next step computes: the policy of continuous batching, without the engine around it.
 *
 * A sequence has n_tokens (its prompt and what it has generated), of which n_computed are in the KV cache. One pending
 * token is a decoding sequence, more are a prompt being filled in, or a preempted sequence being computed again. Every
 * step, in order of arrival:
 *
 *   1. each decoding sequence gets its row, so that no stream stalls;
 *   2. prompts share what is left of the row budget, oldest first, in chunks; a chunk holds up those who stream and
 *      brings forward those who wait, so chunks are the longer the more wait for each that streams;
 *   3. waiting sequences are admitted while there are slots, rows, and blocks for their whole text.
 *
 * When blocks run out, the youngest active sequence is preempted: it gives its blocks back and waits to be computed
 * again. The oldest is never the victim while another is active, and one sequence alone always fits (the engine admits
 * no more context than there are blocks), so the oldest always moves and nothing can deadlock.
 *
 * Pure: reads and writes only what it is given.
 */
#ifndef LM_SERVE_SCHEDULER_H
#define LM_SERVE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lm_sched_seq {
    int64_t n_tokens;
    int64_t n_computed; /* of a waiting sequence: what it will share with another */
    int64_t
        n_blocks; /* KV blocks it can fill without taking another; of a waiting one: whole blocks it will share */
    bool active;  /* holds a slot and blocks */
    bool blocked; /* waits for another sequence; must not be admitted yet */
    /* answers */
    int64_t n_rows; /* pending tokens to compute now */
    bool admit;     /* was waiting, becomes active */
    bool preempt;   /* was active, waits again with nothing computed */
} lm_sched_seq;

typedef struct lm_sched_limits {
    int64_t max_rows; /* in one step */
    int64_t
        max_prefill_rows; /* of these for prompts, while others decode and few wait; at least 1 */
    int64_t max_seqs;     /* active at once */
    int64_t block_tokens;
    int64_t n_free_blocks; /* now */
} lm_sched_limits;

enum { LM_SCHED_MAX_STRETCH = 3 }; /* times max_prefill_rows, when many wait */

/* seqs [n]: in order of arrival. Returns the number of rows planned. */
int64_t lm_schedule(const lm_sched_limits *limits, lm_sched_seq *const *seqs, size_t n);

#endif
