/* From text to text: tokenizes a prompt, generates (model/generate.h), and hands the answer on as it comes, in whole
 * UTF-8 characters.
 */
#ifndef LM_MODEL_COMPLETE_H
#define LM_MODEL_COMPLETE_H

#include "base/vec.h"
#include "model/generate.h"

typedef struct lm_complete_options {
    lm_generate_options generate;
    bool parse_special;    /* control tokens spelled in the prompt become their ids */
    const lm_vec_i32 *ids; /* the prompt as ids, in the place of its text; NULL: none */
} lm_complete_options;

/* text: what the token added, may be empty while a character is incomplete; valid during the call. sample is NULL for
 * the last piece, when bytes of an incomplete character were still held. false ends the generation. */
typedef bool lm_complete_fn(void *ctx, lm_str text, const lm_sample *sample);

/* An empty prompt stands for the beginning of a text (BOS). LOAM_INVALID when the model has no tokenizer, or an empty
 * prompt and no BOS; else as lm_generate. */
loam_status lm_complete(lm_session *session, lm_str prompt, const lm_complete_options *options,
                        lm_complete_fn *fn, void *ctx, lm_generate_stats *out_stats,
                        loam_error *err) LM_MUST_USE;

#endif
