/* Inside of tokenizers: what the kinds share with tokenizer.c. Nobody else includes this.
 *
 *     text -> added tokens -> normalizer -> added tokens -> pre-tokenizer -> words -> the kind -> ids
 *             (as they are)                 (normalized)
 */
#ifndef LM_MODEL_TOKENIZER_IMPL_H
#define LM_MODEL_TOKENIZER_IMPL_H

#include "model/added_tokens.h"
#include "model/merge.h"
#include "model/text_index.h"
#include "model/token_trie.h"
#include "model/tokenizer_spec.h"

/* A word met before in this call, and what it gave. */
enum { LM_CACHED_WORD_BYTES = 31, LM_CACHED_WORD_IDS = 8, LM_WORD_CACHE_SLOTS = 1 << 12 };
typedef struct lm_cached_word {
    uint64_t hash;
    uint8_t len, n_ids; /* len 0: empty slot */
    char word[LM_CACHED_WORD_BYTES];
    int32_t ids[LM_CACHED_WORD_IDS];
} lm_cached_word;

/* UNIGRAM: the best way to the end of a character. */
typedef struct lm_lattice_node {
    double score;
    uint32_t start; /* where its last piece begins */
    uint32_t next;  /* where the piece behind it ends, when it is on the best way of all */
    int32_t id;     /* of the last piece */
} lm_lattice_node;

/* Working memory of one encode call. */
typedef struct lm_encode_scratch {
    lm_buf lossy; /* the text, made valid for kinds that know characters only */
    lm_normalizer_scratch normalizer;
    lm_pretokens pretokens;
    lm_merger merger;
    LM_VEC(lm_lattice_node) lattice;
    lm_cached_word *cache; /* NULL: the text is too short for one */
    bool after_unknown;    /* SPM: the last character had no token, from word to word */
    bool met_unknown;      /* a character of this word had none */
} lm_encode_scratch;

/* What a kind is. */
typedef struct lm_tokenizer_ops {
    const char *name;

    /* Builds the kind's own indexes; everything of lm_tokenizer above "the kind's own" is there. */
    loam_status (*prepare)(lm_tokenizer *tokenizer, loam_error *err);

    /* Appends the ids of a stretch between the pre-tokenizer's cuts, which is not empty. False: out of memory. */
    bool (*encode)(const lm_tokenizer *tokenizer, lm_str stretch, lm_encode_scratch *scratch,
                   lm_vec_i32 *ids);

    /* The same for a word that lm_words_encode does not find; NULL for kinds that do not call it. */
    bool (*encode_word)(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                        lm_vec_i32 *ids);
} lm_tokenizer_ops;

extern const lm_tokenizer_ops *const lm_tokenizer_kinds[LM_TOKENIZER_KIND_COUNT];

struct lm_tokenizer {
    lm_tokenizer_spec spec;
    const lm_tokenizer_ops *ops;
    lm_normalizer *normalizer;
    lm_pretokenizer *pretokenizer;
    lm_decoder *decoder;
    bool takes_bytes;      /* any bytes have tokens, so that none need to be replaced by U+FFFD */
    lm_buf bytes;          /* what all tokens stand for in running text, one after the other */
    uint32_t *bytes_start; /* [vocab size + 1], into bytes */
    int32_t byte_ids[256]; /* token of one byte; -1: none */
    lm_added_tokens *raw;  /* added tokens that are matched in the text as it comes */
    lm_added_tokens *normalized; /* those that are matched in the normalized one */

    /* the kind's own */
    lm_text_index *words; /* words that may be one token, to ids */
    uint8_t *word_states; /* [vocab size], atomic: whether encoding the word gives that one token */
    lm_merge_table *merges; /* NULL: by scores */
    lm_text_index *pieces;  /* SPM: token text to id of tokens that merging may make */
    size_t max_piece_bytes; /* longest of pieces */
    bool
        words_apart; /* SPM: no piece has a space behind another character: words merge on their own */
    lm_token_trie *trie;            /* UNIGRAM, WORDPIECE: all pieces */
    uint32_t word_root, inner_root; /* WORDPIECE: where words and what follows inside begin in it */
    bool has_words, has_inners;
    lm_token_trie *symbols; /* user-defined tokens that are matched in the normalized text */
    double unk_score;       /* UNIGRAM: of a character that is no piece */
};

/* Fills tokenizer->words with the texts that `key_of` gives; an empty one is left out. The texts live as long as the
 * tokenizer. */
loam_status lm_words_index(lm_tokenizer *tokenizer,
                           lm_str (*key_of)(const lm_tokenizer *tokenizer, int32_t id),
                           loam_error *err) LM_MUST_USE;

/* The kind's encode_word, but words that are one token, or were met before in this call, are looked up. */
LM_MUST_USE bool lm_words_encode(const lm_tokenizer *tokenizer, lm_str word,
                                 lm_encode_scratch *scratch, lm_vec_i32 *ids);

/* Appends the tokens of the bytes of a character that has none, if all of them have one; else appends nothing and
 * *out_done is false. False: out of memory. */
LM_MUST_USE bool lm_encode_bytes(const lm_tokenizer *tokenizer, lm_str text, lm_vec_i32 *ids,
                                 bool *out_done);

/* A trie of all tokens that `is_in` names, by their text, which is not empty. */
loam_status lm_tokens_trie(const lm_tokenizer *tokenizer, bool (*is_in)(const lm_token *token),
                           lm_token_trie **out, loam_error *err) LM_MUST_USE;

#endif
