/* Making a tokenizer for a text: byte-level BPE learned from it, or one token a byte (the same with no merges).
 *
 * Ids: the bytes by value, the merges in the order they were learned, then <|bos|> and <|eos|>.
 */
#ifndef LM_TRAIN_VOCAB_H
#define LM_TRAIN_VOCAB_H

#include "model/tokenizer.h"

enum {
    LM_VOCAB_SAMPLE_BYTES = 64 << 20 /* merges are learned from the first so many bytes of text */
};

typedef struct lm_vocab_options {
    lm_str text;
    lm_str
        separator; /* of documents; empty: the text is one, and then prompts do not begin with <|bos|> */
    int64_t
        vocab_size; /* at least 258; fewer tokens come out when the text has no more pairs that occur twice */
} lm_vocab_options;

loam_status lm_vocab_make(const lm_vocab_options *options, lm_tokenizer **out,
                          loam_error *err) LM_MUST_USE;

#endif
