/* Texts through a model, and of each a vector or a score: a session and the pooling behind it.
 *
 * A step takes as many texts as fit, in order: texts of an encoder whole, since their tokens see each other; texts of a
 * decoder may go on in the next step. What a text gives is the same bits whatever stands beside it, however it was cut,
 * and whatever the number of threads. Nothing is allocated after birth. One thread at a time; the model's device must not
 * run anything else meanwhile.
 */
#ifndef LM_MODEL_EMBEDDER_H
#define LM_MODEL_EMBEDDER_H

#include "base/vec.h"
#include "model/session.h"

typedef struct lm_embedder lm_embedder;

/* A text under way: the caller's, who fills the first part and zeroes the rest. */
typedef struct lm_embed_text {
    const int32_t *tokens; /* [n_tokens], each below the model's n_vocab */
    int64_t n_tokens;      /* 1 .. lm_embedder_max_tokens */
    int64_t
        second_begin; /* tokens from here on are the second text of a pair; n_tokens: there is none */
    float *out;       /* [lm_embedder_width], whole when n_done is n_tokens */
    int64_t n_done;   /* tokens computed */
    int64_t flops;
    bool has_seq;
    int32_t seq;
} lm_embed_text;

/* LOAM_UNSUPPORTED for a model that writes text. Zero members have defaults: of max_rows 256, of an encoder its context; of
 * max_seqs 64; of max_context the model's, as far as a quarter of the device's memory goes. The cache is f32. */
loam_status lm_embedder_new(const lm_model *model, const lm_session_options *options,
                            lm_embedder **out, loam_error *err) LM_MUST_USE;
void lm_embedder_free(lm_embedder *embedder);

/* The session that an embedder of these options would have. */
lm_session_options lm_embedder_session_options(const lm_model *model,
                                               const lm_session_options *options);

const lm_model *lm_embedder_model(const lm_embedder *embedder);
int64_t
lm_embedder_width(const lm_embedder *embedder); /* numbers of a text: the model's width, or 1 */
int64_t lm_embedder_max_tokens(const lm_embedder *embedder);
int64_t lm_embedder_max_texts(const lm_embedder *embedder); /* of a step */

/* Computes a step of texts[0..n), of which none is done; returns in *out_n_rows how many tokens. After a failure the texts
 * under way are lost: lm_embedder_drop them. */
loam_status lm_embedder_step(lm_embedder *embedder, lm_embed_text *const *texts, size_t n,
                             int64_t *out_n_rows, loam_error *err) LM_MUST_USE;
/* Steps until all of texts[0..n) are done. */
loam_status lm_embedder_run(lm_embedder *embedder, lm_embed_text *const *texts, size_t n,
                            loam_error *err) LM_MUST_USE;
void lm_embedder_drop(lm_embedder *embedder,
                      lm_embed_text *text); /* its cache; harmless when done */

/* Appends the ids of a text as the model wants it, or of a query and a document to be judged together (Qwen3-Reranker's
 * published prompt, else the tokenizer's template of pairs). *out_second_begin as in lm_embed_text, counted from *ids's old end. */
loam_status lm_embed_encode(const lm_model *model, lm_str text, lm_vec_i32 *ids,
                            loam_error *err) LM_MUST_USE;
loam_status lm_embed_encode_pair(const lm_model *model, lm_str query, lm_str document,
                                 lm_vec_i32 *ids, int64_t *out_second_begin,
                                 loam_error *err) LM_MUST_USE;
extern const char lm_embed_question_template[]; /* that prompt, as GGUF has it: around {query} and {document} */

/* Cuts ids from `begin` on, which lm_embed_encode appended, or lm_embed_encode_pair with this query (its ptr NULL: the former), to at
 * most max: tokens at the end of the text, of a pair of the document, go; what the model has around it stays. LOAM_INVALID when that
 * alone is more. */
loam_status lm_embed_cut(const lm_model *model, lm_str query, size_t begin, int64_t max,
                         lm_vec_i32 *ids, loam_error *err) LM_MUST_USE;

#endif
