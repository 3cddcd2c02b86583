/* A model of a dozen lines for testing the engine: the next token is a hash of all tokens before it, so that a sequence
 * that lost, repeated or mixed up a token goes on differently. Tokens are letters; token 0 ends the text.
 */
#ifndef LM_TESTS_FAKE_MODEL_H
#define LM_TESTS_FAKE_MODEL_H

#include "testing.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "serve/engine_model.h"

enum { FAKE_VOCAB = 27, FAKE_BLOCK = 4, FAKE_CONTEXT = 128, FAKE_SEQS = 64, FAKE_ROWS = 96 };

typedef struct fake_model {
    lm_engine_model base;
    struct {
        bool alive;
        int64_t len, n_blocks;
        int32_t tokens[FAKE_CONTEXT];
    } seqs[FAKE_SEQS];
    int64_t n_free;
    atomic_int n_alive, n_steps, max_alive;
    atomic_int step_delay_ms;
    atomic_int fail_step; /* the step with this number fails */
    bool never_end;
    float logits[FAKE_SEQS][FAKE_VOCAB];
} fake_model;

static inline fake_model *fake_of(const lm_engine_model *model) {
    return (fake_model *)model;
}

static loam_status fake_seq_new(lm_engine_model *model, int32_t *out_seq, loam_error *err) {
    fake_model *fake = fake_of(model);
    for (int32_t i = 0; i < model->max_seqs; i++) {
        if (fake->seqs[i].alive) continue;
        memset(&fake->seqs[i], 0, sizeof fake->seqs[i]);
        fake->seqs[i].alive = true;
        int n_alive = atomic_fetch_add(&fake->n_alive, 1) + 1;
        if (n_alive > atomic_load(&fake->max_alive)) atomic_store(&fake->max_alive, n_alive);
        *out_seq = i;
        return LOAM_OK;
    }
    return lm_error_set(err, LOAM_LIMIT, "no sequence left");
}

static loam_status fake_reserve(lm_engine_model *model, int32_t seq, int64_t n_tokens,
                                loam_error *err) {
    fake_model *fake = fake_of(model);
    LM_ASSERT(fake->seqs[seq].alive);
    int64_t want =
        (fake->seqs[seq].len + n_tokens + FAKE_BLOCK - 1) / FAKE_BLOCK - fake->seqs[seq].n_blocks;
    if (want > fake->n_free) return lm_error_set(err, LOAM_LIMIT, "no block left");
    if (want > 0) {
        fake->n_free -= want;
        fake->seqs[seq].n_blocks += want;
    }
    return LOAM_OK;
}

static void fake_seq_free(lm_engine_model *model, int32_t seq) {
    fake_model *fake = fake_of(model);
    LM_ASSERT(fake->seqs[seq].alive);
    fake->n_free += fake->seqs[seq].n_blocks;
    fake->seqs[seq].alive = false;
    atomic_fetch_sub(&fake->n_alive, 1);
}

static loam_status fake_seq_fork(lm_engine_model *model, int32_t from, int64_t len,
                                 int32_t *out_seq, loam_error *err) {
    fake_model *fake = fake_of(model);
    LM_ASSERT(fake->seqs[from].alive && len <= fake->seqs[from].len);
    LM_ASSERT(!model->keeps_states || len == fake->seqs[from].len);
    LM_TRY(fake_seq_new(model, out_seq, err));
    if (fake_reserve(model, *out_seq, len, err) != LOAM_OK) {
        fake_seq_free(model, *out_seq);
        return LOAM_LIMIT;
    }
    memcpy(fake->seqs[*out_seq].tokens, fake->seqs[from].tokens, (size_t)len * sizeof(int32_t));
    fake->seqs[*out_seq].len = len;
    return LOAM_OK;
}

static int64_t fake_n_free(const lm_engine_model *model) {
    return fake_of(model)->n_free;
}

static int32_t fake_next(const int32_t *tokens, int64_t n, bool never_end) {
    uint32_t hash = 2166136261u;
    for (int64_t i = 0; i < n; i++) hash = (hash ^ (uint32_t)tokens[i]) * 16777619u;
    hash ^= hash >> 15;
    if (never_end) return 1 + (int32_t)(hash % (FAKE_VOCAB - 1));
    return hash % 40 == 0 ? 0 : 1 + (int32_t)(hash % (FAKE_VOCAB - 1));
}

static loam_status fake_step(lm_engine_model *model, const lm_step_row *rows, int64_t n_rows,
                             loam_error *err) {
    fake_model *fake = fake_of(model);
    int64_t n_outs = 0;
    LM_ASSERT(n_rows > 0 && n_rows <= model->max_rows);
    int number = atomic_fetch_add(&fake->n_steps, 1) + 1;
    if (atomic_load(&fake->step_delay_ms)) lm_clock_sleep_ms(atomic_load(&fake->step_delay_ms));
    if (number == atomic_load(&fake->fail_step))
        return lm_error_set(err, LOAM_CORRUPT, "the fake model broke");
    for (int64_t i = 0; i < n_rows; i++) {
        const lm_step_row *row = &rows[i];
        LM_ASSERT(fake->seqs[row->seq].alive && fake->seqs[row->seq].len < FAKE_CONTEXT);
        fake->seqs[row->seq].tokens[fake->seqs[row->seq].len++] = row->token;
        LM_ASSERT(fake->seqs[row->seq].len <= fake->seqs[row->seq].n_blocks * FAKE_BLOCK);
        if (!row->want_logits) continue;
        memset(fake->logits[n_outs], 0, sizeof fake->logits[n_outs]);
        fake->logits[n_outs++][fake_next(fake->seqs[row->seq].tokens, fake->seqs[row->seq].len,
                                         fake->never_end)] = 9;
    }
    return LOAM_OK;
}

static float *fake_logits(lm_engine_model *model, int64_t i) {
    return fake_of(model)->logits[i];
}

static int64_t fake_row_flops(const lm_engine_model *model, int64_t position, bool want_logits) {
    return 1000 + position + (want_logits ? 500 : 0);
}

static bool fake_is_end(const lm_engine_model *model, int32_t token) {
    return token == 0;
}

static void fake_detokenize_begin(const lm_engine_model *model, lm_detokenizer *stream,
                                  bool at_start) {
    memset(stream, 0, sizeof *stream);
}

static void fake_detokenize(const lm_engine_model *model, lm_detokenizer *stream, int32_t token,
                            lm_buf *out) {
    lm_buf_putc(out, (char)(token == 0 ? '.' : 'a' + token - 1));
}

static void fake_detokenize_flush(const lm_engine_model *model, lm_detokenizer *stream,
                                  lm_buf *out) {}

static void fake_parallel(lm_engine_model *model, void (*fn)(void *arg, int thread, int n_threads),
                          void *arg) {
    fn(arg, 0, 2);
    fn(arg, 1, 2);
}

static const lm_engine_model_ops FAKE_OPS = {
    fake_seq_new,    fake_seq_fork,         fake_seq_free,  fake_reserve, fake_n_free,
    fake_step,       fake_logits,           fake_row_flops, fake_is_end,  fake_detokenize_begin,
    fake_detokenize, fake_detokenize_flush, fake_parallel};

static inline void fake_model_init(fake_model *fake, int64_t max_seqs, int64_t n_blocks) {
    memset(fake, 0, sizeof *fake);
    int64_t room = n_blocks * FAKE_BLOCK;
    fake->base = (lm_engine_model){.ops = &FAKE_OPS,
                                   .n_vocab = FAKE_VOCAB,
                                   .max_rows = FAKE_ROWS,
                                   .max_seqs = max_seqs,
                                   .n_blocks = n_blocks,
                                   .block_tokens = FAKE_BLOCK,
                                   .max_context = room < FAKE_CONTEXT ? room : FAKE_CONTEXT};
    fake->n_free = n_blocks;
}

#endif
