/* Inside of tokenizers: what the kinds share with tokenizer.c. Nobody else includes this. */
#ifndef LM_MODEL_TOKENIZER_IMPL_H
#define LM_MODEL_TOKENIZER_IMPL_H

#include "model/merge.h"
#include "model/tokenizer_spec.h"

/* Working memory of one encode call. */
typedef struct lm_encode_scratch {
    lm_merger merger;
    lm_buf text;            /* SPM: with spaces spelled out */
    lm_pretokens pretokens; /* BPE */
} lm_encode_scratch;

/* What a kind is. */
typedef struct lm_tokenizer_ops {
    const char *name;

    /* Appends to out the bytes a token of normal type stands for in running text. */
    void (*spell)(lm_str text, lm_buf *out);

    /* Builds the kind's own indexes; everything of lm_tokenizer above "the kind's own" is there. */
    loam_status (*prepare)(lm_tokenizer *tokenizer, loam_error *err);

    /* Appends the ids of text that holds no special tokens and is not empty. is_first: it begins the whole text. */
    loam_status (*encode)(const lm_tokenizer *tokenizer, lm_str text, bool is_first,
                          lm_encode_scratch *scratch, lm_vec_i32 *ids, loam_error *err);
} lm_tokenizer_ops;

extern const lm_tokenizer_ops *const lm_tokenizer_kinds[LM_TOKENIZER_KIND_COUNT];

struct lm_tokenizer {
    lm_tokenizer_spec spec;
    const lm_tokenizer_ops *ops;
    lm_buf bytes;          /* what all tokens stand for, one after the other */
    uint32_t *bytes_start; /* [vocab size + 1], into bytes */
    int32_t byte_ids[256]; /* token of one byte; -1: none */

    lm_map *specials;            /* spelling in text to id, of control and user-defined tokens */
    LM_VEC(size_t) special_lens; /* their lengths, longest first, each once */
    bool special_first[256];     /* bytes that one of them begins with */

    /* the kind's own */
    lm_merge_table *merges; /* NULL: by scores */
    lm_map *pieces;         /* SPM by scores: text to id of tokens that merging may make */
    size_t max_piece_bytes; /* longest of pieces */
    bool words_apart; /* no piece has a space behind another character: words merge on their own */
    lm_map *whole;    /* BPE that ignores merges: bytes to id */
    lm_pretokenizer *pretokenizer; /* BPE */
};

#endif
