/* What becomes of a text's states: how one vector, or one score, of a text is made of those of its tokens.
 *
 * sentence-transformers writes it in modules.json and the folders of its modules, and in sentence_bert_config.json how long texts may be,
 * llama.cpp in "<architecture>.pooling_type"; an encoder without either means its states and makes the mean one of length 1. A model
 * with a classifier scores texts instead: of an encoder what it makes of the first token, of a decoder what it makes of the
 * last; Qwen3-Reranker says "yes" or "no". Plain data and functions; any thread.
 */
#ifndef LM_MODEL_POOLING_H
#define LM_MODEL_POOLING_H

#include "model/arch.h"
#include "model/dense.h"
#include "model/gguf_writer.h"
#include "model/model_file.h"

typedef enum lm_pooling_kind {
    LM_POOLING_NONE, /* the model writes text */
    LM_POOLING_MEAN,
    LM_POOLING_CLS, /* the first token's state */
    LM_POOLING_LAST,
    LM_POOLING_MAX, /* of every element the largest */
} lm_pooling_kind;

typedef struct lm_pooling {
    lm_pooling_kind kind;
    bool normalize; /* vectors have length 1 */
    bool ranks;     /* texts get one score from 0 to 1, no vector */
    bool by_answer; /* how much likelier "yes" is than "no" as the next token */
    lm_dense *
        scorer; /* what makes the score of the mean of all rows; NULL: the graph does, of one row */
    int64_t
        max_tokens; /* of a text, where the folder says fewer than the model's context; 0: it does not */
    lm_dense *
        dense; /* what is made of vectors before they are given; NULL: nothing. The model's: lm_pooling_deinit */
} lm_pooling;

/* path: what lm_model_open got; name: the model's. config: by file and tensors (lm_model_weights_describe). LOAM_UNSUPPORTED
 * names a module or kind that loam does not have. */
loam_status lm_pooling_read(const char *path, const char *name, const lm_model_file *file,
                            const lm_arch_config *config, lm_pooling *out,
                            loam_error *err) LM_MUST_USE;

void lm_pooling_deinit(lm_pooling *pooling);

/* How files say it. GGUF: LOAM_UNSUPPORTED for what the format has no words for. A folder has modules.json, NULL where there is
 * nothing to say, one module's config.json in LM_POOLING_MODULE, and the dense ones' folders in "<place in line>_Dense". */
loam_status lm_pooling_check_gguf(const lm_pooling *pooling, const lm_arch_config *config,
                                  loam_error *err) LM_MUST_USE;
void lm_pooling_write_gguf(const lm_pooling *pooling, const lm_arch_config *config,
                           lm_gguf_writer *writer);
#define LM_POOLING_MODULE "1_Pooling"
LM_MUST_USE json_t *lm_pooling_modules_json(const lm_pooling *pooling);
LM_MUST_USE json_t *lm_pooling_module_json(const lm_pooling *pooling, int64_t dim);

const char *lm_pooling_name(lm_pooling_kind kind); /* "mean", "cls", ... */

/* Whether the state at this position of n_tokens is looked at. */
bool lm_pooling_wants(const lm_pooling *pooling, int64_t position, int64_t n_tokens);

/* Takes in a state that is wanted, in order of positions; the result [dim] is whole after the last. Sums are in that order,
 * so a text's vector does not depend on how it was cut into steps. */
void lm_pooling_add(const lm_pooling *pooling, const float *state, int64_t dim, int64_t position,
                    int64_t n_tokens, float *inout);

/* Makes the first n of a vector's elements a vector of its own (arXiv:2205.13147), of length 1 where the model's are. */
void lm_pooling_finish(const lm_pooling *pooling, float *inout, int64_t n);

#endif
