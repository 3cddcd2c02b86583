/* A session: the sequences that a model is working on, and one step of all of them at once.
 *
 * A step takes rows: each appends one token to one sequence. A prompt is many rows of a sequence in one step (or in
 * several: chunked prefill), a decoding sequence is one row; any mixture goes. The logits of a row are the same bits
 * whatever its neighbours in the step, however its prompt was cut into steps, and whatever the number of threads.
 *
 *     lm_session_options options = {.max_rows = 256, .max_outs = 64, .max_seqs = 64};
 *     LM_TRY(lm_session_new(model, &options, &session, err));
 *     int32_t seq;
 *     LM_TRY(lm_session_seq_new(session, &seq, err));
 *     LM_TRY(lm_session_step(session, (lm_step_row[]){{.token = 1, .seq = seq, .want_logits = true}}, 1, err));
 *     float *logits = lm_session_logits(session, 0);
 *
 * Keys and values live in blocks of LM_KV_BLOCK_TOKENS (model/kv_cache.h); sequences that begin with the same tokens
 * share blocks. Layers that are recurrent keep a state for each sequence instead (model/state_cache.h). Everything is planned and allocated at birth: a step, and every call but new and free, allocates
 * nothing. One thread at a time; the model's device must not run anything else meanwhile.
 */
#ifndef LM_MODEL_SESSION_H
#define LM_MODEL_SESSION_H

#include "compute/plan.h"
#include "model/kv_cache.h"
#include "model/model.h"
#include "model/state_cache.h"

typedef struct lm_session lm_session;

typedef struct lm_session_options {
    lm_head head;     /* what rows give: logits, or what embeddings and scores are made of */
    int64_t max_rows; /* rows in one step; 0: 256 */
    int64_t max_outs; /* rows with logits in one step; 0: max_seqs */
    int64_t max_seqs; /* sequences alive at once; 0: 1 */
    int64_t
        max_context; /* tokens in one sequence; 0: the model's context. Larger is LOAM_INVALID, unless the rope
                            scaling is dynamic, which stretches to it */
    int64_t n_blocks;  /* KV blocks; 0: enough for max_seqs sequences of max_context */
    lm_dtype kv_dtype; /* LM_I16, LM_I8, LM_F16, LM_BF16 or LM_F32, which is the default (0) */
    bool
        keep_factors; /* keep what enters products with weights to the end of a step (lm_session_keeps); takes memory */
} lm_session_options;

loam_status lm_session_new(const lm_model *model, const lm_session_options *options,
                           lm_session **out, loam_error *err) LM_MUST_USE;
void lm_session_free(lm_session *session);

const lm_model *lm_session_model(const lm_session *session);
const lm_session_options *
lm_session_limits(const lm_session *session); /* the options with defaults filled in */

/* --- Sequences. A sequence is a small number below max_seqs, reused after free. */

/* An empty sequence. LOAM_LIMIT when max_seqs are alive. */
loam_status lm_session_seq_new(lm_session *session, int32_t *out_seq, loam_error *err) LM_MUST_USE;

/* Where a sequence can be forked or truncated that is wanted at len tokens (at most its length): there, but a model with recurrent
 * layers, which keep no more than what all tokens came to, has its whole length and its beginning only. The rest has to be computed
 * again. */
int64_t lm_session_seq_keeps(const lm_session *session, int32_t seq, int64_t len);

/* A sequence that begins with the first len tokens of `from` (lm_session_seq_keeps says where), without computing them again:
 * the blocks are shared, and a shared block is copied when one of its owners appends to it. LOAM_LIMIT, LOAM_UNAVAILABLE. */
loam_status lm_session_seq_fork(lm_session *session, int32_t from, int64_t len, int32_t *out_seq,
                                loam_error *err) LM_MUST_USE;
void lm_session_seq_free(lm_session *session, int32_t seq); /* gives its blocks back at once */

int64_t lm_session_seq_len(const lm_session *session, int32_t seq); /* tokens appended so far */
void lm_session_seq_truncate(
    lm_session *session, int32_t seq,
    int64_t len); /* forgets tokens from len on, see lm_session_seq_keeps */

/* Takes the blocks for the next n_tokens of a sequence now, so that steps cannot fail for want of them. LOAM_LIMIT:
 * not enough free blocks, or past max_context; nothing is taken then. */
loam_status lm_session_seq_reserve(lm_session *session, int32_t seq, int64_t n_tokens,
                                   loam_error *err) LM_MUST_USE;

int64_t lm_session_n_blocks(const lm_session *session);
int64_t lm_session_n_free_blocks(const lm_session *session);

/* --- Steps. */

typedef struct lm_step_row {
    int32_t token;
    int32_t seq;      /* its position is the length that the sequence then has */
    bool want_logits; /* prefill wants them for the last row of the prompt only */
    int32_t type;     /* its segment, for models that tell segments apart */
} lm_step_row;

/* Appends rows[0..n_rows) to their sequences, in order, and computes them. At most max_rows rows, max_outs with
 * logits. An encoder's sequence goes into one step whole, since its rows see each other. LOAM_LIMIT: blocks or max_context are exhausted (the message says which sequence); LOAM_INVALID: a token,
 * sequence or count out of range; LOAM_UNAVAILABLE: the device is lost. On failure no sequence has changed. */
loam_status lm_session_step(lm_session *session, const lm_step_row *rows, int64_t n_rows,
                            loam_error *err) LM_MUST_USE;

/* Logits [n_vocab], or what another head gives (lm_arch_head_width), of the i-th row of the last step that wanted them, until the next step. The caller may overwrite
 * them (samplers work in place). */
float *lm_session_logits(lm_session *session, int64_t i);

/* --- For those who look into a step. */

lm_plan *lm_session_plan(lm_session *session);                /* of a step */
const int64_t *lm_session_extents(const lm_session *session); /* of the last step, [LM_N_EXTENTS] */
bool lm_session_keeps(
    const lm_node *node); /* whether keep_factors keeps in[0] of this node: it is a row's product */

/* --- What it costs. */

/* Floating-point operations that one row takes at this position: what a request is charged for its row. The sum over
 * a step's rows is the step's FLOPs, whoever shared the step. */
int64_t lm_session_row_flops(const lm_session *session, int64_t position, bool want_logits);

size_t lm_session_memory_bytes(const lm_session *session); /* caches and step arena */

#endif
