/* Everything that defines a tokenizer, as plain data: what every reader fills, what a trainer makes, what every
 * writer puts out, and what lm_tokenizer_new turns into a tokenizer.
 *
 * The spec owns copies of all its texts. One thread until it becomes a tokenizer.
 */
#ifndef LM_MODEL_TOKENIZER_SPEC_H
#define LM_MODEL_TOKENIZER_SPEC_H

#include "base/arena.h"
#include "base/map.h"
#include "model/decode.h"
#include "model/normalize.h"
#include "model/pretokenize.h"
#include "model/tokenizer.h"

enum {
    LM_TOKEN_MAX_BYTES = 1 << 15,
    LM_VOCAB_MAX_TOKENS = 1 << 24,
};

/* A token type by its number in files; 0 (undefined) is normal. LOAM_CORRUPT for any other. */
loam_status lm_token_type_of(int64_t number, lm_token_type *out, loam_error *err) LM_MUST_USE;

typedef enum lm_tokenizer_kind_id {
#define LM_TOKENIZER_KIND(id, name) LM_TOKENIZER_##id,
#include "model/tokenizer_kinds.def"
#undef LM_TOKENIZER_KIND
    LM_TOKENIZER_KIND_COUNT,
} lm_tokenizer_kind_id;

typedef struct lm_token {
    lm_str text; /* as the vocabulary spells it */
    lm_token_type type;
    double score;  /* SPM without merges: higher merges first; UNIGRAM: log probability */
    bool in_model; /* of the model's own vocabulary, not only added to it */
    bool is_added; /* matched whole in text, before the model sees it */
    /* Added tokens: */
    bool lstrip;      /* swallows the white space before it, or */
    bool rstrip;      /* behind it */
    bool single_word; /* is passed over beside a letter, digit or '_' */
    bool normalized;  /* is looked for in the normalized text, itself normalized */
} lm_token;

typedef struct lm_token_merge {
    int32_t left, right, result;
} lm_token_merge;

typedef struct lm_tokenizer_spec {
    lm_tokenizer_kind_id kind;
    LM_VEC(lm_token) tokens;       /* by id */
    LM_VEC(lm_token_merge) merges; /* by rank; empty for SPM by scores */
    lm_map *by_text;               /* token text to id; the first of equal ones */
    lm_normalizer_steps normalizer;
    lm_pretokenizer_steps pretokenizer;
    lm_decoder_steps decoder;
    char pre_name[LM_PRETOKENIZER_NAME_BYTES]; /* BPE: GGUF's name of the pre-tokenization; "" when
                                                  it has none */

    /* The model */
    bool byte_fallback; /* characters without a token become <0x..> tokens; else unk */
    bool fuse_unk;      /* neighbouring unknown characters give one unk */
    bool ignore_merges; /* BPE: a stretch that is a token is taken whole */
    bool
        merge_by_result; /* BPE: of merges, the one that makes the smallest id comes first, as in tiktoken */
    lm_str word_prefix;    /* WORDPIECE: in front of tokens that begin a word */
    lm_str inner_prefix;   /* WORDPIECE, SPM: in front of tokens inside a word */
    lm_str word_suffix;    /* SPM: behind tokens that end a word */
    size_t max_word_chars; /* WORDPIECE: longer words are unknown */
    bool single_precision; /* UNIGRAM: scores add up as floats, as SentencePiece does it */
    bool symbols_inside; /* SPM, UNIGRAM: user-defined tokens are matched in the normalized text */
    bool symbols_spell_spaces; /* user-defined tokens mean a space by "▁" */

    /* What stands around a text */
    int32_t bos, unk, pad; /* -1: none */
    lm_vec_i32 eos;
    bool add_bos, add_eos;
    lm_vec_i32 before, after; /* all of it; empty: BOS and EOS by the two flags */
    lm_vec_i32 between;       /* the two texts of a pair; empty: `after` */

    lm_str chat_template;
    lm_str tool_template; /* the chat template for talks with tools, where a model has one of its own */
    lm_arena arena;
    char *pool; /* rest of the arena block that short texts are cut from */
    size_t pool_left;
} lm_tokenizer_spec;

loam_status lm_tokenizer_spec_init(lm_tokenizer_spec *spec, lm_tokenizer_kind_id kind,
                                   loam_error *err) LM_MUST_USE;
void lm_tokenizer_spec_deinit(lm_tokenizer_spec *spec); /* a zeroed spec is fine */

/* The next id. LOAM_LIMIT past LM_VOCAB_MAX_TOKENS tokens or LM_TOKEN_MAX_BYTES bytes. */
loam_status lm_tokenizer_spec_add_token(lm_tokenizer_spec *spec, lm_str text, lm_token_type type,
                                        double score, loam_error *err) LM_MUST_USE;

/* The next rank. LOAM_INVALID when one of the two, or what they make together, is no token. */
loam_status lm_tokenizer_spec_add_merge(lm_tokenizer_spec *spec, lm_str left, lm_str right,
                                        loam_error *err) LM_MUST_USE;

/* The same for "left right", cut at the first space that is not the first byte. */
loam_status lm_tokenizer_spec_add_spaced_merge(lm_tokenizer_spec *spec, lm_str both,
                                               loam_error *err) LM_MUST_USE;

/* For trainers of byte-level BPE: the 256 bytes in order as the next tokens; then each merge of two ids makes the next
 * token and takes the next rank. */
loam_status lm_tokenizer_spec_add_bytes(lm_tokenizer_spec *spec, loam_error *err) LM_MUST_USE;
loam_status lm_tokenizer_spec_add_merged(lm_tokenizer_spec *spec, int32_t left, int32_t right,
                                         loam_error *err) LM_MUST_USE;
loam_status lm_tokenizer_spec_add_eos(lm_tokenizer_spec *spec, int32_t id,
                                      loam_error *err) LM_MUST_USE;         /* once each */
int32_t lm_tokenizer_spec_find(const lm_tokenizer_spec *spec, lm_str text); /* -1: none */

/* Uses a named pre-tokenization ("gpt-2", "llama-bpe"). LOAM_UNSUPPORTED names those loam knows. */
loam_status lm_tokenizer_spec_set_pre(lm_tokenizer_spec *spec, lm_str name,
                                      loam_error *err) LM_MUST_USE;

/* Puts a step behind those there are; its texts are to live as long as the spec. */
loam_status lm_tokenizer_spec_add_normalizer(lm_tokenizer_spec *spec, lm_normalizer_step step,
                                             loam_error *err) LM_MUST_USE;
loam_status lm_tokenizer_spec_add_pretokenizer(lm_tokenizer_spec *spec, lm_pretokenizer_step step,
                                               loam_error *err) LM_MUST_USE;
loam_status lm_tokenizer_spec_add_decoder(lm_tokenizer_spec *spec, lm_decoder_step step,
                                          loam_error *err) LM_MUST_USE;

/* BERT's normalizer and its pre-tokenizer, in steps. */
loam_status lm_tokenizer_spec_normalize_bert(lm_tokenizer_spec *spec, bool cleans,
                                             bool spaces_ideographs, bool strips_accents,
                                             bool lowers, loam_error *err) LM_MUST_USE;
loam_status lm_tokenizer_spec_cut_bert(lm_tokenizer_spec *spec, loam_error *err) LM_MUST_USE;

/* The decoder of SentencePiece: "▁" is a space, <0x..> a byte, and the space put in front is dropped again. */
loam_status lm_tokenizer_spec_decode_metaspace(lm_tokenizer_spec *spec, bool has_prefix,
                                               loam_error *err) LM_MUST_USE;

/* Whether a step puts a space in front of a text that has none. */
bool lm_tokenizer_spec_adds_space(const lm_tokenizer_spec *spec);

/* A copy that lives as long as the spec; ptr NULL when out of memory. */
lm_str lm_tokenizer_spec_copy(lm_tokenizer_spec *spec, lm_str text);

/* Whether the model takes bytes as they are: its pre-tokenization ends with spelling them one by one. */
bool lm_tokenizer_spec_is_byte_level(const lm_tokenizer_spec *spec);

/* Takes the spec over, on failure too; spec is empty afterwards. LOAM_INVALID for ids out of range. */
loam_status lm_tokenizer_new(lm_tokenizer_spec *spec, lm_tokenizer **out,
                             loam_error *err) LM_MUST_USE;

/* What a tokenizer was made from. */
const lm_tokenizer_spec *lm_tokenizer_get_spec(const lm_tokenizer *tokenizer);

const lm_decoder *lm_tokenizer_decoder(const lm_tokenizer *tokenizer);

/* Byte-level BPE spells every byte as one printable character (Radford et al. 2019, GPT-2). */
uint32_t lm_bpe_char_of_byte(uint8_t byte);
int lm_bpe_byte_of_char(uint32_t code_point); /* -1: stands for no byte */

/* "▁", what SentencePiece writes for a space. */
#define LM_SPM_SPACE "\xe2\x96\x81"

#endif
