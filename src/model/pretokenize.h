/* Pre-tokenization: cutting text into the stretches inside which a model finds its tokens, as a list of small steps.
 *
 * Each step cuts every stretch the former ones left, or writes it anew; most keep all bytes, some drop the
 * separators. Bytes that are no UTF-8 become stretches of their own, which no step touches.
 */
#ifndef LM_MODEL_PRETOKENIZE_H
#define LM_MODEL_PRETOKENIZE_H

#include "base/str.h"
#include "base/vec.h"
#include "model/text_pattern.h"

enum {
    LM_PRETOKENIZER_MAX_PATTERNS = 16,
    LM_PRETOKENIZER_MAX_STEPS = 64,
    LM_PRETOKENIZER_NAME_BYTES = 32,
};

typedef enum lm_pretokenizer_kind {
    LM_PRETOKENIZER_SPLIT,
    LM_PRETOKENIZER_PREFIX_SPACE, /* a space in front of stretches that begin with none */
    LM_PRETOKENIZER_METASPACE, /* spaces are spelled `text`, one may come in front, cuts before each */
    LM_PRETOKENIZER_BYTE_LEVEL, /* each byte as GPT-2 spells it */
    LM_PRETOKENIZER_LENGTH,     /* cuts behind every `length` characters */
} lm_pretokenizer_kind;

/* What a split looks for. */
typedef enum lm_split_at {
    LM_SPLIT_AT_REGEX,       /* `text` */
    LM_SPLIT_AT_TEXT,        /* `text` itself */
    LM_SPLIT_AT_SPACE,       /* a white space character */
    LM_SPLIT_AT_PUNCTUATION, /* a punctuation character, as BERT sees it */
    LM_SPLIT_AT_NUMERIC,     /* a character of class N */
} lm_split_at;

/* What becomes of what it finds. */
typedef enum lm_split_behavior {
    LM_SPLIT_ISOLATED, /* a stretch of its own */
    LM_SPLIT_REMOVED,
    LM_SPLIT_MERGED_WITH_PREVIOUS,
    LM_SPLIT_MERGED_WITH_NEXT,
    LM_SPLIT_CONTIGUOUS, /* neighbours become one stretch */
} lm_split_behavior;

typedef enum lm_prepend_scheme {
    LM_PREPEND_ALWAYS,
    LM_PREPEND_FIRST, /* only to the stretch that the whole text begins with */
    LM_PREPEND_NEVER
} lm_prepend_scheme;

/* One step as plain data; the text is borrowed. */
typedef struct lm_pretokenizer_step {
    lm_pretokenizer_kind kind;
    lm_split_at at;
    lm_split_behavior behavior;
    bool inverted; /* SPLIT: what lies between the matches counts as found */
    lm_str text;
    lm_prepend_scheme scheme; /* METASPACE */
    bool cuts;                /* METASPACE */
    size_t length;            /* LENGTH: in characters */
} lm_pretokenizer_step;

typedef LM_VEC(lm_pretokenizer_step) lm_pretokenizer_steps;

/* A pre-tokenization that GGUF files call by name. */
typedef struct lm_pretokenizer_preset {
    const char *name;
    unsigned flags;
    const char
        *patterns[LM_PRETOKENIZER_MAX_PATTERNS]; /* isolated one after the other; NULL ends them */
} lm_pretokenizer_preset;

enum {                         /* flags of presets: what the name also says about the tokenizer */
       LM_PRE_WHOLE = 1,       /* a stretch that is a token is taken whole */
       LM_PRE_BOS = 2,         /* texts begin with BOS when the file does not say */
       LM_PRE_CHARACTERS = 4,  /* tokens are spelled as they are, not byte by byte as GPT-2 does */
       LM_PRE_METASPACE = 8,   /* with "▁" for spaces */
       LM_PRE_SEPARATORS = 16, /* texts stand between BOS and a separator, as in RoBERTa */
       LM_PRE_BYTE_TOKENS = 32 /* characters without a token become <0x..> tokens */
};

const lm_pretokenizer_preset *lm_pretokenizer_find(lm_str name); /* NULL: unknown */
const char *lm_pretokenizer_known_names(void);                   /* "gpt-2, llama-bpe, ..." */

/* The name whose patterns are exactly those of the steps (but for a last BYTE_LEVEL), or NULL. */
const char *lm_pretokenizer_name_of(const lm_pretokenizer_steps *steps);

/* Appends the preset's patterns as steps. False: out of memory. */
LM_MUST_USE bool lm_pretokenizer_add_preset(const lm_pretokenizer_preset *preset,
                                            lm_pretokenizer_steps *steps);

/* Steps made ready. Immutable: any thread; what the steps borrow must outlive it. */
typedef struct lm_pretokenizer lm_pretokenizer;

/* leaves_bytes: a last BYTE_LEVEL step is not done, since the model takes the bytes themselves. LOAM_INVALID with the
 * place in a pattern that does not compile. */
loam_status lm_pretokenizer_new(const lm_pretokenizer_steps *steps, bool leaves_bytes,
                                lm_pretokenizer **out, loam_error *err) LM_MUST_USE;
void lm_pretokenizer_free(lm_pretokenizer *pretokenizer); /* NULL is fine */

typedef struct lm_stretch {
    uint32_t start, end; /* bytes of the text, which is lm_pretokens.text */
} lm_stretch;
typedef LM_VEC(lm_stretch) lm_stretches;

/* The result, and working memory reused from text to text. */
typedef struct lm_pretokens {
    lm_str text; /* the caller's, or in `written` */
    lm_stretches stretches, next;
    lm_buf written, rewritten;
    lm_text_matcher matcher;
} lm_pretokens;
void lm_pretokens_init(lm_pretokens *pretokens);
void lm_pretokens_deinit(lm_pretokens *pretokens);

/* Replaces *out by the stretches of the text. is_first: the text is where a whole one begins. LOAM_LIMIT when a
 * pattern takes too long, LOAM_NO_MEMORY. */
loam_status lm_pretokenizer_run(const lm_pretokenizer *pretokenizer, lm_str text, bool is_first,
                                lm_pretokens *out, loam_error *err) LM_MUST_USE;

#endif
