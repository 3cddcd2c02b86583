/* Keeping control tokens that users spell apart from those that a template writes: before rendering, theirs are put between two
 * characters that no text holds (noncharacters of Unicode); behind it, what stands between them is tokenized as plain text.
 *
 * A template that takes texts apart may lose one of a pair; a single one still breaks the text, so that what is left on
 * its two sides cannot grow together into a control token.
 */
#ifndef LM_MODEL_CHAT_MARKS_H
#define LM_MODEL_CHAT_MARKS_H

#include "model/chat.h"

typedef struct lm_chat_control {
    lm_str text; /* borrowed from the tokenizer */
    int32_t id;
} lm_chat_control;

/* The vocabulary's control tokens by their first byte; longer ones before their prefixes. */
typedef struct lm_chat_controls {
    LM_VEC(lm_chat_control) items;
    uint32_t first[257]; /* items[first[b]..first[b + 1]) begin with byte b */
} lm_chat_controls;

/* tokenizer NULL: none. */
loam_status lm_chat_controls_init(lm_chat_controls *controls, const lm_tokenizer *tokenizer,
                                  loam_error *err) LM_MUST_USE;
void lm_chat_controls_deinit(lm_chat_controls *controls);
/* The longest control token that the text begins with; -1: none. */
int32_t lm_chat_control_at(const lm_chat_controls *controls, lm_str text, size_t *out_bytes);

typedef struct lm_chat_marked {
    lm_chat_talk talk; /* to be rendered */
    json_t *copies[4]; /* what it borrows; NULL: nothing had to be marked */
} lm_chat_marked;

loam_status lm_chat_mark(const lm_chat_controls *controls, const lm_chat_talk *talk,
                         lm_chat_marked *out, loam_error *err) LM_MUST_USE;
void lm_chat_unmark(lm_chat_marked *marked);

/* Appends the ids of what was rendered. On failure *ids may hold some of them. */
loam_status lm_chat_encode_marked(const lm_tokenizer *tokenizer, lm_str text, bool add_bos,
                                  lm_vec_i32 *ids, loam_error *err) LM_MUST_USE;

#endif
