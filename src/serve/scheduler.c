#include "serve/scheduler.h"

typedef struct pass {
    const lm_sched_limits *limits;
    lm_sched_seq *const *seqs;
    size_t n;
    int64_t n_free; /* blocks */
    int64_t n_rows; /* planned */
    int64_t n_active;
} pass;

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t n_pending(const lm_sched_seq *seq) {
    return seq->n_tokens - seq->n_computed;
}

static int64_t blocks_of(const pass *p, int64_t n_tokens) {
    return (n_tokens + p->limits->block_tokens - 1) / p->limits->block_tokens;
}

/* Blocks to take so that n_rows more tokens fit. */
static int64_t blocks_needed(const pass *p, const lm_sched_seq *seq, int64_t n_rows) {
    int64_t need = blocks_of(p, seq->n_computed + n_rows) - seq->n_blocks;
    return need > 0 ? need : 0;
}

static void preempt(pass *p, lm_sched_seq *seq) {
    p->n_free += seq->n_blocks + blocks_needed(p, seq, seq->n_rows);
    p->n_rows -= seq->n_rows;
    p->n_active--;
    seq->active = false;
    seq->preempt = true;
    seq->n_rows = 0;
    seq->n_computed = 0;
    seq->n_blocks = 0;
}

/* Frees blocks for seqs[index] by preempting younger ones, youngest first, then itself unless it is the only one. */
static bool make_room(pass *p, size_t index, int64_t n_blocks) {
    for (size_t i = p->n; p->n_free < n_blocks && i-- > index;) {
        if (!p->seqs[i]->active || (i == index && p->n_active == 1)) continue;
        preempt(p, p->seqs[i]);
    }
    return p->seqs[index]->active && p->n_free >= n_blocks;
}

static void give_rows(pass *p, lm_sched_seq *seq, int64_t n_rows) {
    p->n_free -= blocks_needed(p, seq, n_rows);
    p->n_rows += n_rows;
    seq->n_rows = n_rows;
}

/* How many sequences decode; they get their rows first. */
static int64_t plan_decoding(pass *p) {
    int64_t n = 0;
    for (size_t i = 0; i < p->n && p->n_rows < p->limits->max_rows; i++) {
        lm_sched_seq *seq = p->seqs[i];
        if (!seq->active || n_pending(seq) != 1) continue;
        if (!make_room(p, i, blocks_needed(p, seq, 1))) continue;
        give_rows(p, seq, 1);
        n++;
    }
    return n;
}

/* Rows for prompts beside n_decoding streams: max_prefill_rows, stretched by how many there are of both for each of these. */
static int64_t prefill_rows(const pass *p, int64_t n_decoding) {
    const lm_sched_limits *limits = p->limits;
    int64_t n_prompts = 0, n_slots = limits->max_seqs - p->n_active;
    for (size_t i = 0; i < p->n; i++) {
        const lm_sched_seq *seq = p->seqs[i];
        bool can_start = !seq->active && !seq->blocked && n_slots-- > 0;
        n_prompts += can_start || (seq->active && n_pending(seq) > 1);
    }
    int64_t n_all = n_prompts + n_decoding;
    if (n_all > LM_SCHED_MAX_STRETCH * n_decoding) n_all = LM_SCHED_MAX_STRETCH * n_decoding;
    return limits->max_prefill_rows * n_all / n_decoding;
}

static void plan_prompts(pass *p, int64_t budget) {
    for (size_t i = 0; i < p->n && budget > 0; i++) {
        lm_sched_seq *seq = p->seqs[i];
        if (!seq->active || seq->n_rows > 0 || n_pending(seq) < 2) continue;
        int64_t n_rows = min_i64(n_pending(seq), budget);
        if (!make_room(p, i, blocks_needed(p, seq, n_rows))) continue;
        give_rows(p, seq, n_rows);
        budget -= n_rows;
    }
}

/* Free blocks that no active sequence needs for the text it has and its next token. */
static int64_t blocks_uncommitted(const pass *p) {
    int64_t n = p->n_free;
    for (size_t i = 0; i < p->n; i++) {
        const lm_sched_seq *seq = p->seqs[i];
        if (!seq->active) continue;
        n -= blocks_needed(p, seq, n_pending(seq) + 1) - blocks_needed(p, seq, seq->n_rows);
    }
    return n;
}

static void admit_waiting(pass *p, int64_t budget) {
    int64_t n_free = blocks_uncommitted(p);
    for (size_t i = 0; i < p->n && budget > 0 && p->n_active < p->limits->max_seqs; i++) {
        lm_sched_seq *seq = p->seqs[i];
        if (seq->active || seq->preempt || seq->blocked) continue;
        int64_t n_blocks = blocks_needed(p, seq, n_pending(seq) + (p->n_active > 0));
        if (n_blocks > n_free) break; /* nobody overtakes the oldest */
        n_free -= n_blocks;
        seq->active = seq->admit = true;
        p->n_active++;
        int64_t n_rows = min_i64(n_pending(seq), budget);
        give_rows(p, seq, n_rows);
        budget -= n_rows;
    }
}

int64_t lm_schedule(const lm_sched_limits *limits, lm_sched_seq *const *seqs, size_t n) {
    pass p = {.limits = limits, .seqs = seqs, .n = n, .n_free = limits->n_free_blocks};
    for (size_t i = 0; i < n; i++) {
        seqs[i]->n_rows = 0;
        seqs[i]->admit = seqs[i]->preempt = false;
        p.n_active += seqs[i]->active;
    }
    int64_t n_decoding = plan_decoding(&p);
    int64_t budget = limits->max_rows - p.n_rows;
    if (n_decoding > 0) budget = min_i64(budget, prefill_rows(&p, n_decoding));
    int64_t before = p.n_rows;
    plan_prompts(&p, budget);
    admit_waiting(&p, budget - (p.n_rows - before));
    return p.n_rows;
}
