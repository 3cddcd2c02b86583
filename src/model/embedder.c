#include "model/embedder.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "compute/device.h"
#include "model/pooling.h"
#include "model/tokenizer.h"

enum { DEFAULT_ROWS = 256, DEFAULT_SEQS = 64 };

struct lm_embedder {
    const lm_model *model;
    const lm_pooling *pooling;
    lm_session *session;
    lm_step_row *rows;     /* [max_rows] */
    float *room;           /* for dense layers */
    float *
        sum; /* [n_head] of the text whose rows are pooled, where a score or less numbers are made of that; or NULL */
    int64_t *n_rows;       /* [max_seqs] of the step's texts */
    int64_t width, n_head; /* of what a text gives; of a row's */
    int32_t yes, no;       /* tokens, of a model that ranks by its answer */
};

/* --- Birth and death. */

static lm_head head_of(const lm_pooling *pooling) {
    if (pooling->by_answer || pooling->kind == LM_POOLING_NONE) return LM_HEAD_LOGITS;
    return pooling->ranks && !pooling->scorer ? LM_HEAD_SCORES : LM_HEAD_STATE;
}

static int64_t or_default(int64_t value, int64_t fallback) {
    return value > 0 ? value : fallback;
}

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t n_tokens) {
    return (n_tokens + LM_KV_BLOCK_TOKENS - 1) / LM_KV_BLOCK_TOKENS;
}

/* The model's context, or what a quarter of the memory holds of it in the cache. */
static int64_t affordable_context(const lm_model *model) {
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    lm_kv_options kv = lm_kv_options_of(hp, LM_F32, 0);
    size_t block_bytes = lm_kv_block_bytes(&kv);
    int64_t n_blocks = (int64_t)(lm_device_memory_bytes(lm_model_device(model)) / 4 / block_bytes);
    if (n_blocks < 1) n_blocks = 1;
    bool all = blocks_of(hp->context_len) <= n_blocks;
    return all ? hp->context_len : n_blocks * LM_KV_BLOCK_TOKENS;
}

lm_session_options lm_embedder_session_options(const lm_model *model,
                                               const lm_session_options *options) {
    const lm_pooling *pooling = lm_model_pooling(model);
    bool whole = lm_model_config(model)->hparams.bidirectional;
    lm_session_options o = *options;
    bool every = pooling->kind == LM_POOLING_MEAN || pooling->kind == LM_POOLING_MAX;
    o.head = head_of(pooling);
    o.kv_dtype = LM_F32;
    o.max_context = or_default(o.max_context, affordable_context(model));
    if (pooling->max_tokens > 0) o.max_context = min_i64(o.max_context, pooling->max_tokens);
    o.max_seqs = or_default(o.max_seqs, DEFAULT_SEQS);
    o.max_rows = or_default(o.max_rows, DEFAULT_ROWS);
    if (whole && o.max_rows < o.max_context) o.max_rows = o.max_context;
    if (o.max_rows < o.max_seqs) o.max_rows = o.max_seqs;
    o.max_outs = every ? o.max_rows : o.max_seqs;
    /* one text that goes on, and a step's others with a block begun for each */
    o.n_blocks = blocks_of(o.max_rows) + o.max_seqs + (whole ? 0 : blocks_of(o.max_context));
    return o;
}

static loam_status find_answers(lm_embedder *e, loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(e->model);
    if (!e->pooling->by_answer) return LOAM_OK;
    e->yes = tokenizer ? lm_tokenizer_find(tokenizer, LM_STR("yes")) : -1;
    e->no = tokenizer ? lm_tokenizer_find(tokenizer, LM_STR("no")) : -1;
    if (e->yes >= 0 && e->no >= 0 && e->yes < e->n_head && e->no < e->n_head) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "the vocabulary has no tokens 'yes' and 'no'");
}

static loam_status alloc_room(lm_embedder *e, loam_error *err) {
    const lm_dense *scorer = e->pooling->scorer;
    int64_t room = lm_dense_room(scorer ? scorer : e->pooling->dense);
    if (room > 0) e->room = lm_calloc((size_t)room, sizeof *e->room);
    bool narrows = !e->pooling->ranks && e->width < e->n_head;
    if (scorer || narrows) e->sum = lm_calloc((size_t)e->n_head, sizeof *e->sum);
    if ((room > 0 && !e->room) || ((scorer || narrows) && !e->sum))
        return lm_error_no_memory(err, (size_t)(room + e->n_head) * sizeof *e->room);
    return LOAM_OK;
}

static loam_status build(lm_embedder *e, const lm_session_options *options, loam_error *err) {
    if (e->pooling->kind == LM_POOLING_NONE) {
        lm_error_set(err, LOAM_UNSUPPORTED,
                     "this model writes text and was not made for embeddings");
        return lm_error_hint(err, LOAM_UNSUPPORTED,
                             "a folder says it in modules.json, a GGUF file in pooling_type");
    }
    lm_session_options o = lm_embedder_session_options(e->model, options);
    LM_TRY(lm_session_new(e->model, &o, &e->session, err));
    e->n_head = lm_arch_head_width(lm_model_config(e->model), o.head);
    e->width = e->pooling->ranks ? 1 : lm_dense_width(e->pooling->dense, e->n_head);
    LM_TRY(alloc_room(e, err));
    e->rows = lm_calloc((size_t)o.max_rows, sizeof *e->rows);
    e->n_rows = lm_calloc((size_t)o.max_seqs, sizeof *e->n_rows);
    if (!e->rows || !e->n_rows)
        return lm_error_no_memory(err, (size_t)o.max_rows * sizeof *e->rows);
    return find_answers(e, err);
}

loam_status lm_embedder_new(const lm_model *model, const lm_session_options *options,
                            lm_embedder **out, loam_error *err) {
    lm_embedder *made = lm_calloc(1, sizeof *made);
    if (!made) return lm_error_no_memory(err, sizeof *made);
    made->model = model;
    made->pooling = lm_model_pooling(model);
    loam_status status = build(made, options, err);
    if (status != LOAM_OK) {
        lm_embedder_free(made);
        return status;
    }
    *out = made;
    return LOAM_OK;
}

void lm_embedder_free(lm_embedder *embedder) {
    if (!embedder) return;
    lm_session_free(embedder->session);
    lm_free(embedder->room);
    lm_free(embedder->sum);
    lm_free(embedder->rows);
    lm_free(embedder->n_rows);
    lm_free(embedder);
}

const lm_model *lm_embedder_model(const lm_embedder *embedder) {
    return embedder->model;
}

int64_t lm_embedder_width(const lm_embedder *embedder) {
    return embedder->width;
}

int64_t lm_embedder_max_tokens(const lm_embedder *embedder) {
    return lm_session_limits(embedder->session)->max_context;
}

int64_t lm_embedder_max_texts(const lm_embedder *embedder) {
    return lm_session_limits(embedder->session)->max_seqs;
}

/* --- A step. */

static loam_status add_rows(lm_embedder *e, lm_embed_text *text, int64_t n, lm_step_row *rows,
                            loam_error *err) {
    bool segments = lm_model_config(e->model)->hparams.n_token_types > 1;
    if (!text->has_seq) LM_TRY(lm_session_seq_new(e->session, &text->seq, err));
    text->has_seq = true;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = text->n_done + i;
        rows[i] = (lm_step_row){.token = text->tokens[at],
                                .seq = text->seq,
                                .want_logits = lm_pooling_wants(e->pooling, at, text->n_tokens),
                                .type = segments && at >= text->second_begin};
    }
    return LOAM_OK;
}

/* The rows of as many texts as fit, the last of a decoder's maybe in part. Fills n_rows of *out_n_texts texts. */
static loam_status gather(lm_embedder *e, lm_embed_text *const *texts, size_t n,
                          size_t *out_n_texts, int64_t *out_n_rows, loam_error *err) {
    const lm_session_options *limits = lm_session_limits(e->session);
    bool whole = lm_model_config(e->model)->hparams.bidirectional;
    int64_t n_rows = 0;
    size_t i = 0;
    for (; i < n && (int64_t)i < limits->max_seqs && n_rows < limits->max_rows; i++) {
        int64_t left = texts[i]->n_tokens - texts[i]->n_done, room = limits->max_rows - n_rows;
        if (whole && left > room) break;
        e->n_rows[i] = min_i64(left, room);
        LM_TRY(add_rows(e, texts[i], e->n_rows[i], e->rows + n_rows, err));
        n_rows += e->n_rows[i];
    }
    *out_n_texts = i;
    *out_n_rows = n_rows;
    return LOAM_OK;
}

static float sigmoid(float x) {
    return (float)(1 / (1 + exp(-(double)x)));
}

/* The score that a row's numbers mean: the classifier's, or how much likelier yes is than no. */
static float score_of(const lm_embedder *e, const float *head) {
    if (e->pooling->by_answer) return sigmoid(head[e->yes] - head[e->no]);
    return sigmoid(e->n_head == 2 ? head[0] - head[1] : head[0]);
}

/* What is made of a text once all its rows are pooled. */
static void finish(lm_embedder *e, float *inout) {
    lm_dense_apply(e->pooling->dense, e->sum ? e->sum : inout, e->room);
    lm_dense_apply(e->pooling->scorer, e->sum, e->room);
    if (e->pooling->scorer)
        inout[0] = sigmoid(e->sum[0]);
    else if (e->sum)
        memcpy(inout, e->sum, (size_t)e->width * sizeof *inout);
}

/* Takes in what the step says of a text's rows; *inout_row counts those that were wanted. */
static void pool(lm_embedder *e, lm_embed_text *text, int64_t n, int64_t *inout_row) {
    bool whole = lm_model_config(e->model)->hparams.bidirectional;
    for (int64_t at = text->n_done; at < text->n_done + n; at++) {
        bool wanted = lm_pooling_wants(e->pooling, at, text->n_tokens);
        int64_t seen = whole ? text->n_tokens - 1 : at;
        text->flops += lm_session_row_flops(e->session, seen, wanted);
        if (!wanted) continue;
        const float *head = lm_session_logits(e->session, (*inout_row)++);
        if (e->pooling->ranks && !e->pooling->scorer)
            text->out[0] = score_of(e, head);
        else
            lm_pooling_add(e->pooling, head, e->n_head, at, text->n_tokens,
                           e->sum ? e->sum : text->out);
    }
    text->n_done += n;
    if (text->n_done < text->n_tokens) return;
    finish(e, text->out);
    text->flops += lm_dense_flops(e->pooling->dense) + lm_dense_flops(e->pooling->scorer);
    lm_embedder_drop(e, text);
}

loam_status lm_embedder_step(lm_embedder *e, lm_embed_text *const *texts, size_t n,
                             int64_t *out_n_rows, loam_error *err) {
    size_t n_texts;
    int64_t n_rows, row = 0;
    LM_TRY(gather(e, texts, n, &n_texts, &n_rows, err));
    LM_TRY(lm_session_step(e->session, e->rows, n_rows, err));
    for (size_t i = 0; i < n_texts; i++) pool(e, texts[i], e->n_rows[i], &row);
    *out_n_rows = n_rows;
    return LOAM_OK;
}

loam_status lm_embedder_run(lm_embedder *embedder, lm_embed_text *const *texts, size_t n,
                            loam_error *err) {
    loam_status status = LOAM_OK;
    for (size_t done = 0; done < n && status == LOAM_OK;) {
        int64_t n_rows;
        status = lm_embedder_step(embedder, texts + done, n - done, &n_rows, err);
        while (done < n && texts[done]->n_done == texts[done]->n_tokens) done++;
    }
    for (size_t i = 0; i < n; i++) lm_embedder_drop(embedder, texts[i]);
    return status;
}

void lm_embedder_drop(lm_embedder *embedder, lm_embed_text *text) {
    if (text->has_seq) lm_session_seq_free(embedder->session, text->seq);
    text->has_seq = false;
}

/* --- From text to tokens. */

loam_status lm_embed_encode(const lm_model *model, lm_str text, lm_vec_i32 *ids, loam_error *err) {
    return lm_tokenizer_encode(lm_model_tokenizer(model), text,
                               (lm_encode_options){.add_special = true}, ids, err);
}

/* Qwen3-Reranker's prompt, as its authors publish it (huggingface.co/Qwen/Qwen3-Reranker-0.6B). */
#define QUESTION_BEFORE                                                                         \
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query " \
    "and the Instruct provided. Note that the answer can only be \"yes\" or \"no\"."            \
    "<|im_end|>\n<|im_start|>user\n"
#define QUESTION_QUERY                                                                         \
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n" \
    "<Query>: "
#define QUESTION_DOCUMENT "\n<Document>: "
#define QUESTION_AFTER "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"

const char lm_embed_question_template[] =
    QUESTION_BEFORE QUESTION_QUERY "{query}" QUESTION_DOCUMENT "{document}" QUESTION_AFTER;

/* Texts of users cannot spell control tokens; the parts around them do. */
static loam_status encode_question(const lm_tokenizer *tokenizer, lm_str query, lm_str document,
                                   lm_vec_i32 *ids, loam_error *err) {
    const lm_encode_options control = {.parse_special = true}, plain = {0};
    lm_buf body;
    lm_buf_init(&body, LM_TOKENIZER_MAX_TEXT_BYTES);
    lm_buf_puts(&body, QUESTION_QUERY);
    lm_buf_append(&body, query.ptr, query.len);
    lm_buf_puts(&body, QUESTION_DOCUMENT);
    lm_buf_append(&body, document.ptr, document.len);
    loam_status status = lm_buf_status(&body, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, LM_STR(QUESTION_BEFORE), control, ids, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, lm_buf_view(&body), plain, ids, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, LM_STR(QUESTION_AFTER), control, ids, err);
    lm_buf_deinit(&body);
    return status;
}

loam_status lm_embed_encode_pair(const lm_model *model, lm_str query, lm_str document,
                                 lm_vec_i32 *ids, int64_t *out_second_begin, loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(model);
    size_t before = ids->len, second = 0;
    bool asks = strcmp(lm_model_config(model)->arch->hf_type, "qwen3") == 0;
    loam_status status =
        asks ? encode_question(tokenizer, query, document, ids, err)
             : lm_tokenizer_encode_pair(tokenizer, query, document, ids, &second, err);
    if (status != LOAM_OK) {
        ids->len = before;
        return status;
    }
    *out_second_begin = (int64_t)((asks ? ids->len : second) - before);
    return LOAM_OK;
}

/* What stands around a text: what becomes of none. */
static loam_status encode_around(const lm_model *model, lm_str query, lm_vec_i32 *ids,
                                 loam_error *err) {
    int64_t second;
    if (!query.ptr) return lm_embed_encode(model, LM_STR(""), ids, err);
    return lm_embed_encode_pair(model, query, LM_STR(""), ids, &second, err);
}

loam_status lm_embed_cut(const lm_model *model, lm_str query, size_t begin, int64_t max,
                         lm_vec_i32 *ids, loam_error *err) {
    lm_vec_i32 around = {0};
    size_t front = 0, n = ids->len - begin, keep = (size_t)max;
    if (n <= keep) return LOAM_OK;
    loam_status status = encode_around(model, query, &around, err);
    if (status == LOAM_OK && around.len > keep)
        status = lm_error_set(err, LOAM_INVALID,
                              "there are %zu tokens around a text; %lld leave no room for it",
                              around.len, (long long)max);
    if (status == LOAM_OK) {
        while (front < around.len && around.ptr[front] == ids->ptr[begin + front]) front++;
        size_t behind = around.len - front;
        memmove(ids->ptr + begin + keep - behind, ids->ptr + ids->len - behind,
                behind * sizeof *ids->ptr);
        ids->len = begin + keep;
    }
    lm_vec_deinit(&around);
    return status;
}
