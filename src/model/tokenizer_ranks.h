/* Inside of the readers of rank files (tiktoken's, Mistral's tekken): tokens as bytes, whose place in the list is the
 * rank of the merge that makes them. Of a stretch, those two neighbours merge first that make the smallest rank. */
#ifndef LM_MODEL_TOKENIZER_RANKS_H
#define LM_MODEL_TOKENIZER_RANKS_H

#include "model/tokenizer_spec.h"

/* Tokens by id until all are known; files may leave ids out. */
typedef struct lm_ranked_token {
    lm_str text; /* as byte-level BPE spells it; ptr NULL: none */
    lm_token_type type;
} lm_ranked_token;
typedef struct lm_ranked_tokens {
    LM_VEC(lm_ranked_token) list;
    size_t n_put;
} lm_ranked_tokens;
void lm_ranks_deinit(lm_ranked_tokens *tokens);

/* Puts a token at its id, its text copied to the spec. `base64` is decoded and spelled. LOAM_INVALID, LOAM_LIMIT. */
loam_status lm_ranks_put_bytes(lm_tokenizer_spec *spec, lm_ranked_tokens *tokens, int64_t id,
                               lm_str base64, loam_error *err) LM_MUST_USE;
loam_status lm_ranks_put_special(lm_tokenizer_spec *spec, lm_ranked_tokens *tokens, int64_t id,
                                 lm_str text, loam_error *err) LM_MUST_USE;

/* Gives the tokens to the spec, holes as unused ones, with all merges there are between them. */
loam_status lm_ranks_finish(lm_tokenizer_spec *spec, const lm_ranked_tokens *tokens,
                            loam_error *err) LM_MUST_USE;

#endif
