/* Added tokens: those that are found in a text before anything else is done with it, such as <|im_end|>. Of several
 * that begin at one place the longest is taken; they may swallow the white space beside them.
 */
#ifndef LM_MODEL_ADDED_TOKENS_H
#define LM_MODEL_ADDED_TOKENS_H

#include "model/tokenizer_spec.h"

/* Immutable: any thread. Borrows the spec. */
typedef struct lm_added_tokens lm_added_tokens;

typedef struct lm_added_token {
    lm_str text; /* what is looked for; empty ones are never found */
    int32_t id;
} lm_added_token;

LM_MUST_USE lm_added_tokens *lm_added_tokens_new(const lm_tokenizer_spec *spec,
                                                 const lm_added_token *tokens, size_t n);
void lm_added_tokens_free(lm_added_tokens *added); /* NULL is fine */

/* The first added token in text at or behind `from`, which is no less than where the one before ended: its id and
 * what it takes away, white space included; -1 when there is none. parse_special: control tokens count too. */
int32_t lm_added_tokens_next(const lm_added_tokens *added, lm_str text, size_t from,
                             bool parse_special, size_t *out_start, size_t *out_end);

#endif
