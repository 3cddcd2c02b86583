#include "model/session.h"

#include <string.h>

#include "base/mem.h"
#include "model/session_graph.h"

enum { TRIM_ROWS = 128 }; /* each may have brought in 64 KiB around its embedding */

/* What the current step knows of one sequence. */
typedef struct step_seq {
    int64_t n_rows; /* 0: not in this step */
    int64_t n_done; /* rows placed so far */
    int32_t line;   /* in the graph's block table */
} step_seq;

struct lm_session {
    const lm_model *model;
    lm_session_options limits;
    lm_kv_cache *cache;
    lm_state_cache *states; /* NULL: the model keeps none */
    lm_session_graph sg;
    step_seq *step_seqs; /* [max_seqs] */
    int32_t *in_step;    /* [n_in_step] the sequences of the current step; room for max_seqs */
    int64_t n_in_step;
    int64_t n_outs;                /* of the last step */
    int64_t n_untrimmed;           /* rows since the model was trimmed */
    int64_t extents[LM_N_EXTENTS]; /* of the last step */
    int64_t row_flops, out_flops;  /* of one row, of one row's logits */
    int64_t context_flops,
        window_flops; /* of one position attended to, in layers without and with a window */
};

/* --- Birth and death. */

static int64_t or_default(int64_t value, int64_t fallback) {
    return value > 0 ? value : fallback;
}

static loam_status fill_limits(lm_session_options *o, const lm_hparams *hp, loam_error *err) {
    if (o->max_rows < 0 || o->max_outs < 0 || o->max_seqs < 0 || o->max_context < 0 ||
        o->n_blocks < 0)
        return lm_error_set(err, LOAM_INVALID, "a session's limits must not be negative");
    o->max_rows = or_default(o->max_rows, 256);
    o->max_seqs = or_default(o->max_seqs, 1);
    o->max_outs = or_default(o->max_outs, o->max_seqs);
    o->max_context = or_default(o->max_context, hp->context_len);
    if (o->max_context > hp->context_len && hp->rope_scaling.kind != LM_ROPE_SCALING_DYNAMIC)
        return lm_error_set(err, LOAM_INVALID,
                            "a context of %lld tokens is wanted, the model was made for %lld",
                            (long long)o->max_context, (long long)hp->context_len);
    int64_t blocks_per_seq = (o->max_context + LM_KV_BLOCK_TOKENS - 1) / LM_KV_BLOCK_TOKENS;
    o->n_blocks = or_default(o->n_blocks, o->max_seqs * blocks_per_seq);
    if (o->max_rows > 1 << 20 || o->max_seqs > 1 << 20 || o->max_outs > 1 << 20)
        return lm_error_set(err, LOAM_INVALID, "a session takes at most %d rows and sequences",
                            1 << 20);
    return lm_kv_dtype_check(o->kv_dtype, err);
}

/* Of a step of which one extent is 1. */
static int64_t flops_of(const lm_session *session, lm_extent extent) {
    int64_t extents[LM_N_EXTENTS] = {0};
    extents[extent] = 1;
    return lm_plan_cost(session->sg.plan, extents).flops;
}

/* When memory ran out: what for, and what would take less. */
static loam_status say_what(loam_error *err, loam_status status, const char *what,
                            const char *hint) {
    if (status != LOAM_NO_MEMORY) return status;
    lm_error_prefix(err, status, "%s", what);
    return lm_error_hint(err, status, "%s", hint);
}

static loam_status check_head(const lm_arch_config *config, lm_head head, loam_error *err) {
    if (head != LM_HEAD_LOGITS || !lm_arch_has(config, LM_FEATURE_NO_HEAD)) return LOAM_OK;
    lm_error_set(err, LOAM_UNSUPPORTED, "this model writes no text, it is made for embeddings");
    return lm_error_hint(err, LOAM_UNSUPPORTED,
                         "use loam embed, or loam serve with /v1/embeddings and /v1/rerank");
}

static loam_status build(lm_session *session, loam_error *err) {
    const lm_hparams *hp = &lm_model_config(session->model)->hparams;
    lm_session_options *o = &session->limits;
    LM_TRY(check_head(lm_model_config(session->model), o->head, err));
    LM_TRY(fill_limits(o, hp, err));
    lm_kv_options kv = lm_kv_options_of(hp, o->kv_dtype, o->max_context);
    kv.n_blocks = o->n_blocks;
    kv.max_seqs = o->max_seqs;
    loam_status status =
        lm_kv_cache_new(lm_model_device(session->model), &kv, &session->cache, err);
    if (status != LOAM_OK)
        return say_what(err, status, "the cache of keys and values",
                        "ask for less context, fewer sequences or blocks, or a smaller type");
    status =
        lm_state_cache_new(lm_model_device(session->model), hp, o->max_seqs, &session->states, err);
    if (status != LOAM_OK)
        return say_what(err, status, "the states of sequences", "ask for fewer sequences");
    status = lm_session_graph_init(&session->sg, session->model, session->cache, session->states, o,
                                   err);
    if (status != LOAM_OK)
        return say_what(err, status, "the values of a step", "ask for fewer rows in a step");
    session->step_seqs = lm_calloc(o->max_seqs, sizeof *session->step_seqs);
    session->in_step = lm_calloc(o->max_seqs, sizeof *session->in_step);
    if (!session->step_seqs || !session->in_step)
        return lm_error_no_memory(err, o->max_seqs * sizeof *session->step_seqs);
    session->row_flops = flops_of(session, LM_EXTENT_ROWS);
    session->out_flops = flops_of(session, LM_EXTENT_OUTS);
    session->context_flops = flops_of(session, LM_EXTENT_CONTEXT);
    session->window_flops = flops_of(session, LM_EXTENT_WINDOW_CONTEXT);
    return LOAM_OK;
}

loam_status lm_session_new(const lm_model *model, const lm_session_options *options,
                           lm_session **out, loam_error *err) {
    lm_session *session = lm_calloc(1, sizeof *session);
    if (!session) return lm_error_no_memory(err, sizeof *session);
    session->model = model;
    session->limits = *options;
    loam_status status = build(session, err);
    if (status != LOAM_OK) {
        lm_session_free(session);
        return status;
    }
    *out = session;
    return LOAM_OK;
}

void lm_session_free(lm_session *session) {
    if (!session) return;
    lm_session_graph_deinit(&session->sg);
    lm_kv_cache_free(session->cache);
    lm_state_cache_free(session->states);
    lm_free(session->step_seqs);
    lm_free(session->in_step);
    lm_free(session);
}

const lm_model *lm_session_model(const lm_session *session) {
    return session->model;
}

const lm_session_options *lm_session_limits(const lm_session *session) {
    return &session->limits;
}

/* --- Sequences: the cache keeps the books. */

loam_status lm_session_seq_new(lm_session *session, int32_t *out_seq, loam_error *err) {
    return lm_kv_cache_seq_new(session->cache, out_seq, err);
}

int64_t lm_session_seq_keeps(const lm_session *session, int32_t seq, int64_t len) {
    return !session->states || len == lm_session_seq_len(session, seq) ? len : 0;
}

loam_status lm_session_seq_fork(lm_session *session, int32_t from, int64_t len, int32_t *out_seq,
                                loam_error *err) {
    LM_ASSERT(lm_session_seq_keeps(session, from, len) == len);
    LM_TRY(lm_kv_cache_seq_fork(session->cache, from, len, out_seq, err));
    loam_status status =
        len > 0 ? lm_state_cache_copy(session->states, from, *out_seq, err) : LOAM_OK;
    if (status != LOAM_OK) lm_kv_cache_seq_free(session->cache, *out_seq);
    return status;
}

void lm_session_seq_free(lm_session *session, int32_t seq) {
    lm_kv_cache_seq_free(session->cache, seq);
}

int64_t lm_session_seq_len(const lm_session *session, int32_t seq) {
    return lm_kv_cache_seq_len(session->cache, seq);
}

void lm_session_seq_truncate(lm_session *session, int32_t seq, int64_t len) {
    LM_ASSERT(lm_session_seq_keeps(session, seq, len) == len);
    lm_kv_cache_seq_truncate(session->cache, seq, len);
}

loam_status lm_session_seq_reserve(lm_session *session, int32_t seq, int64_t n_tokens,
                                   loam_error *err) {
    return lm_kv_cache_reserve(session->cache, seq, n_tokens, err);
}

int64_t lm_session_n_blocks(const lm_session *session) {
    return lm_kv_cache_n_blocks(session->cache);
}

int64_t lm_session_n_free_blocks(const lm_session *session) {
    return lm_kv_cache_n_free(session->cache);
}

/* --- Steps. */

static loam_status check_rows(const lm_session *session, const lm_step_row *rows, int64_t n_rows,
                              loam_error *err) {
    const lm_session_options *limits = &session->limits;
    const lm_hparams *hp = &lm_model_config(session->model)->hparams;
    int64_t n_vocab = hp->vocab_size, n_outs = 0;
    if (n_rows < 1 || n_rows > limits->max_rows)
        return lm_error_set(err, LOAM_INVALID, "a step of %lld rows, must be from 1 to %lld",
                            (long long)n_rows, (long long)limits->max_rows);
    for (int64_t i = 0; i < n_rows; i++) {
        if (rows[i].token < 0 || rows[i].token >= n_vocab)
            return lm_error_set(err, LOAM_INVALID,
                                "token %d is not in the model's vocabulary of %lld", rows[i].token,
                                (long long)n_vocab);
        if (!lm_kv_cache_seq_alive(session->cache, rows[i].seq))
            return lm_error_set(err, LOAM_INVALID, "there is no sequence %d", rows[i].seq);
        if (hp->bidirectional && lm_session_seq_len(session, rows[i].seq) > 0)
            return lm_error_set(err, LOAM_INVALID, "an encoder's sequence cannot grow");
        if (session->sg.types && (rows[i].type < 0 || rows[i].type >= hp->n_token_types))
            return lm_error_set(err, LOAM_INVALID, "there is no segment %d, only %lld",
                                rows[i].type, (long long)hp->n_token_types);
        n_outs += rows[i].want_logits;
    }
    if (n_outs > limits->max_outs)
        return lm_error_set(err, LOAM_INVALID,
                            "a step wants the logits of %lld rows, at most %lld can be had",
                            (long long)n_outs, (long long)limits->max_outs);
    return LOAM_OK;
}

/* Notes which sequences take part, in order of appearance, and with how many rows. */
static void count_rows(lm_session *session, const lm_step_row *rows, int64_t n_rows) {
    for (int64_t i = 0; i < session->n_in_step; i++)
        session->step_seqs[session->in_step[i]].n_rows = 0;
    session->n_in_step = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        step_seq *s = &session->step_seqs[rows[i].seq];
        if (s->n_rows++ > 0) continue;
        s->n_done = 0;
        s->line = session->n_in_step;
        session->in_step[session->n_in_step++] = rows[i].seq;
    }
}

/* Blocks for all rows, or for none. */
static loam_status reserve_rows(lm_session *session, loam_error *err) {
    int64_t n_promised = 0;
    for (int64_t i = 0; i < session->n_in_step; i++) {
        int32_t seq = session->in_step[i];
        LM_TRY(lm_kv_cache_check(session->cache, seq, session->step_seqs[seq].n_rows, n_promised,
                                 err));
        n_promised += lm_kv_cache_needed(session->cache, seq, session->step_seqs[seq].n_rows);
    }
    for (int64_t i = 0; i < session->n_in_step; i++) {
        int32_t seq = session->in_step[i];
        LM_TRY(lm_kv_cache_reserve(session->cache, seq, session->step_seqs[seq].n_rows, err));
    }
    return LOAM_OK;
}

static void fill_tables(lm_session *session) {
    int64_t width = lm_kv_cache_table_blocks(session->cache);
    for (int64_t i = 0; i < session->n_in_step; i++) {
        int32_t seq = session->in_step[i];
        int64_t len = lm_session_seq_len(session, seq) + session->step_seqs[seq].n_rows;
        int64_t n_used = (len + LM_KV_BLOCK_TOKENS - 1) / LM_KV_BLOCK_TOKENS;
        int32_t *line = (int32_t *)session->sg.table->host + i * width;
        memcpy(line, lm_kv_cache_table(session->cache, seq), n_used * sizeof *line);
    }
}

/* Of the positions up to `position` those that n rows, the last of them there, see through the model's window; where so many are chosen
 * for a row, as if they were the last. */
static int64_t in_window(const lm_session *session, int64_t position, int64_t n_rows) {
    const lm_hparams *hp = &lm_model_config(session->model)->hparams;
    int64_t window = hp->window > 0 ? hp->window : hp->index_topk, first = position - n_rows + 1;
    if (hp->chunked_windows && window > 0) return position + 1 - (first - first % window);
    return window > 0 && position >= window + n_rows - 1 ? window + n_rows - 1 : position + 1;
}

/* How many of a sequence's positions a row sees through the model's window. */
static int64_t n_seen(const lm_session *session, int64_t position, int64_t last) {
    const lm_hparams *hp = &lm_model_config(session->model)->hparams;
    int64_t half = hp->window / 2;
    if (!hp->bidirectional) return in_window(session, position, 1);
    if (hp->window == 0) return last + 1;
    return (position + half < last ? position + half : last) -
           (position > half ? position - half : 0) + 1;
}

/* Fills the row inputs, and the extents that say how many positions rows attend to. */
static void fill_rows(lm_session *session, const lm_step_row *rows, int64_t n_rows,
                      int64_t *extents) {
    lm_session_graph *sg = &session->sg;
    const lm_hparams *hp = &lm_model_config(session->model)->hparams;
    int32_t *tokens = sg->tokens->host, *positions = sg->positions->host, *slots = sg->slots->host;
    int32_t *row_seq = sg->row_seq->host, *out_rows = sg->out_rows->host, *seen = sg->seen->host;
    session->n_outs = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        step_seq *s = &session->step_seqs[rows[i].seq];
        int64_t position = lm_session_seq_len(session, rows[i].seq) + s->n_done++;
        int64_t last = hp->bidirectional ? s->n_rows - 1 : position;
        int32_t block =
            lm_kv_cache_table(session->cache, rows[i].seq)[position / LM_KV_BLOCK_TOKENS];
        tokens[i] = rows[i].token;
        seen[i] = last;
        if (sg->at) ((int32_t *)sg->at->host)[i] = position;
        positions[i] = position + hp->position_offset;
        slots[i] = block * LM_KV_BLOCK_TOKENS + position % LM_KV_BLOCK_TOKENS;
        row_seq[i] = s->line;
        if (sg->states) ((int32_t *)sg->states->host)[i] = rows[i].seq;
        if (sg->types) ((int32_t *)sg->types->host)[i] = rows[i].type;
        if (rows[i].want_logits) out_rows[session->n_outs++] = i;
        extents[LM_EXTENT_CONTEXT] += last + 1;
        extents[LM_EXTENT_WINDOW_CONTEXT] += n_seen(session, position, last);
        if (s->n_done < s->n_rows) continue;
        extents[LM_EXTENT_CACHED] += last + 1;
        extents[LM_EXTENT_WINDOW_CACHED] +=
            hp->bidirectional ? last + 1 : in_window(session, last, s->n_rows);
    }
}

loam_status lm_session_step(lm_session *session, const lm_step_row *rows, int64_t n_rows,
                            loam_error *err) {
    LM_TRY(check_rows(session, rows, n_rows, err));
    count_rows(session, rows, n_rows);
    LM_TRY(reserve_rows(session, err));
    fill_tables(session);
    memset(session->extents, 0, sizeof session->extents);
    session->extents[LM_EXTENT_ROWS] = n_rows;
    session->extents[LM_EXTENT_SEQS] = session->n_in_step;
    fill_rows(session, rows, n_rows, session->extents);
    session->extents[LM_EXTENT_OUTS] = session->n_outs;
    LM_TRY(lm_plan_run(session->sg.plan, session->extents, err));
    for (int64_t i = 0; i < session->n_in_step; i++)
        lm_kv_cache_append(session->cache, session->in_step[i],
                           session->step_seqs[session->in_step[i]].n_rows);
    session->n_untrimmed += n_rows;
    if (session->n_untrimmed >= TRIM_ROWS) {
        lm_model_trim(session->model);
        session->n_untrimmed = 0;
    }
    return LOAM_OK;
}

float *lm_session_logits(lm_session *session, int64_t i) {
    LM_ASSERT(i >= 0 && i < session->n_outs);
    return (float *)session->sg.logits->host + i * session->sg.logits->shape[1];
}

lm_plan *lm_session_plan(lm_session *session) {
    return session->sg.plan;
}

const int64_t *lm_session_extents(const lm_session *session) {
    return session->extents;
}

/* --- Costs. */

int64_t lm_session_row_flops(const lm_session *session, int64_t position, bool want_logits) {
    return session->row_flops + session->context_flops * (position + 1) +
           session->window_flops * in_window(session, position, 1) +
           (want_logits ? session->out_flops : 0);
}

size_t lm_session_memory_bytes(const lm_session *session) {
    return lm_kv_cache_bytes(session->cache) + lm_state_cache_bytes(session->states) +
           lm_plan_arena_bytes(session->sg.plan);
}
