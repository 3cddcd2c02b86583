/* Decoding: what turns tokens, as the vocabulary spells them, back into text, as a list of small steps.
 *
 * Steps work on one token after the other. Whatever follows FUSE works on the text as a whole; of those steps only
 * STRIP is known there, so that a stream can be decoded token by token.
 */
#ifndef LM_MODEL_DECODE_H
#define LM_MODEL_DECODE_H

#include "base/str.h"
#include "base/vec.h"

typedef enum lm_decoder_kind {
    LM_DECODER_BYTE_LEVEL, /* characters are bytes, as GPT-2 spells them; works as FUSE too */
    LM_DECODER_METASPACE,  /* `text` is a space; those of the first token are dropped if `drops` */
    LM_DECODER_WORDPIECE,  /* a space before tokens without the prefix `text` */
    LM_DECODER_BYTE_FALLBACK, /* "<0x0A>" is a byte */
    LM_DECODER_FUSE,
    LM_DECODER_STRIP,   /* up to `start` times and `stop` times `text` goes from the two ends */
    LM_DECODER_REPLACE, /* `pattern` by `text`; never across two tokens */
    LM_DECODER_CTC,     /* runs of a token are one; `text` is no token */
    LM_DECODER_CLEAN,   /* no spaces before punctuation and English contractions */
    LM_DECODER_SUFFIX,  /* `text` is a space, at the very end nothing */
    LM_DECODER_JOIN,    /* a space between tokens */
} lm_decoder_kind;

/* One step as plain data; the texts are borrowed. */
typedef struct lm_decoder_step {
    lm_decoder_kind kind;
    lm_str pattern, text;
    bool is_regex; /* REPLACE */
    bool drops;    /* METASPACE */
    size_t start, stop;
} lm_decoder_step;

typedef LM_VEC(lm_decoder_step) lm_decoder_steps;

/* Steps made ready. Immutable: any thread; what the steps borrow must outlive it. */
typedef struct lm_decoder lm_decoder;

/* LOAM_UNSUPPORTED when something else than STRIP stands behind FUSE, LOAM_INVALID for a pattern. */
loam_status lm_decoder_new(const lm_decoder_steps *steps, lm_decoder **out,
                           loam_error *err) LM_MUST_USE;
void lm_decoder_free(lm_decoder *decoder); /* NULL is fine */

/* What is done to the text as a whole. */
typedef struct lm_decoder_whole {
    bool first_differs;     /* the first token is spelled otherwise than later ones */
    bool drops_repeats;     /* a token that repeats the one before it is left out */
    char front, back;       /* what is dropped at the ends, */
    size_t n_front, n_back; /* and how often at most */
} lm_decoder_whole;
const lm_decoder_whole *lm_decoder_of_whole(const lm_decoder *decoder);

/* "<0x0A>" is 10; -1 for anything else. */
int lm_decoder_byte_of_token(lm_str token);

/* Working memory; one thread. */
typedef struct lm_decoder_scratch {
    lm_buf from, to;
} lm_decoder_scratch;
void lm_decoder_scratch_init(lm_decoder_scratch *scratch);
void lm_decoder_scratch_deinit(lm_decoder_scratch *scratch);

/* Appends what the token stands for. */
loam_status lm_decoder_spell(const lm_decoder *decoder, lm_str token, bool is_first,
                             lm_decoder_scratch *scratch, lm_buf *out, loam_error *err) LM_MUST_USE;

#endif
