/* Text to token ids and back. Immutable after open; any thread; models and sessions share it.
 *
 * Kinds: BPE of bytes (GPT-2 and its heirs) and of characters (SentencePiece), WordPiece, Unigram, word level; each
 * behind the normalizers and pre-tokenizers its file names.
 *
 * Any bytes are accepted. Where every byte has a token (BPE of bytes, byte fallback), those that are no valid UTF-8
 * pass every step unchanged and become their own tokens: BPE of bytes gives every input back exactly. SentencePiece
 * does too, but for two things it cannot tell apart: U+2581, its spelling of a space, comes back as a space; and where
 * it puts a space in front only if there is none (Metaspace), a leading space is lost. The space that it put in front
 * itself is taken away again by lm_tokenizer_decode. Elsewhere invalid bytes are read as U+FFFD, as a lossy decoder
 * does. What a normalizer changed stays changed.
 */
#ifndef LM_MODEL_TOKENIZER_H
#define LM_MODEL_TOKENIZER_H

#include "base/str.h"
#include "base/vec.h"
#include "model/gguf.h"

typedef struct lm_tokenizer lm_tokenizer;

typedef enum lm_token_type { /* SentencePiece's numbers, which GGUF took over */
                             LM_TOKEN_NORMAL = 1,
                             LM_TOKEN_UNKNOWN,
                             LM_TOKEN_CONTROL, /* <s>, <|im_end|>: never text; matched in input only with parse_special */
                             LM_TOKEN_USER_DEFINED, /* added token that is text: matched whole before anything else */
                             LM_TOKEN_UNUSED,
                             LM_TOKEN_BYTE, /* <0x41> */
} lm_token_type;

/* Limit on the text of one call, in bytes; more is LOAM_LIMIT. */
enum { LM_TOKENIZER_MAX_TEXT_BYTES = 1 << 30 };

/* path: a GGUF file, a folder (tokenizer.json, else tokenizer.model, tekken.json, a .tiktoken file), or one of those
 * files itself.
 * LOAM_UNSUPPORTED names the kind that is there and those that loam knows. */
loam_status lm_tokenizer_open(const char *path, lm_tokenizer **out, loam_error *err) LM_MUST_USE;
loam_status lm_tokenizer_open_gguf(const lm_gguf *gguf, lm_tokenizer **out,
                                   loam_error *err) LM_MUST_USE;
/* Whether a folder holds a tokenizer that lm_tokenizer_open would read. */
bool lm_tokenizer_is_in_folder(const char *dir);

void lm_tokenizer_free(lm_tokenizer *tokenizer); /* NULL is fine */

typedef struct lm_encode_options {
    /* put BOS in front, if there is one; lm_tokenizer_adds_bos says what the model wants */
    bool add_bos;
    /* put everything in front and behind that the model was trained with: [CLS] and [SEP], EOS */
    bool add_special;
    /* control tokens spelled in the text become their ids; never on for text of strangers */
    bool parse_special;
} lm_encode_options;

/* Appends the ids of `text` to *ids. On failure *ids is as before. LOAM_LIMIT, LOAM_NO_MEMORY. */
loam_status lm_tokenizer_encode(const lm_tokenizer *tokenizer, lm_str text,
                                lm_encode_options options, lm_vec_i32 *ids,
                                loam_error *err) LM_MUST_USE;

/* Two texts that are judged together, with everything around and between them that the model was trained with. The second
 * begins at (*ids)[*out_second_begin]. */
loam_status lm_tokenizer_encode_pair(const lm_tokenizer *tokenizer, lm_str first, lm_str second,
                                     lm_vec_i32 *ids, size_t *out_second_begin,
                                     loam_error *err) LM_MUST_USE;

/* The bytes one token stands for in running text; empty for control and unknown tokens and ids out of range. Borrowed.
 */
lm_str lm_tokenizer_token_bytes(const lm_tokenizer *tokenizer, int32_t id);

/* The token as the vocabulary spells it ("▁the", "<0x0A>", "Ġthe"); empty for ids out of range. Borrowed. */
lm_str lm_tokenizer_token_text(const lm_tokenizer *tokenizer, int32_t id);
lm_token_type lm_tokenizer_token_type(const lm_tokenizer *tokenizer,
                                      int32_t id); /* UNUSED when out of range */
int32_t lm_tokenizer_find(const lm_tokenizer *tokenizer,
                          lm_str token_text); /* -1 when there is none */

/* Appends the text of ids[0..n); control and unknown tokens give nothing. A space that encode put in front is taken
 * away. */
loam_status lm_tokenizer_decode(const lm_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                lm_buf *out, loam_error *err) LM_MUST_USE;

/* Decodes a stream token by token; never splits a UTF-8 character. The pieces and the flush, one after the other, are
 * exactly what lm_tokenizer_decode gives for all ids (bytes that are no UTF-8 included). Borrows the tokenizer; plain
 * storage of the caller; one thread. */
enum { LM_DETOKENIZER_MAX_PIECE_BYTES = 1 << 16 };
typedef struct lm_detokenizer {
    const lm_tokenizer *tokenizer;
    bool at_start;   /* the first token has not come yet */
    size_t n_front;  /* characters that may still be dropped at the beginning */
    size_t n_back;   /* characters held back that are dropped if the text ends behind them */
    int32_t last_id; /* -1: none yet */
    uint8_t held[4]; /* first bytes of a character whose rest has not come */
    int n_held;
} lm_detokenizer;

/* `at_start`: the stream begins a text, so that its prefix space is dropped; false goes on behind a prompt. */
void lm_detokenizer_init(lm_detokenizer *stream, const lm_tokenizer *tokenizer, bool at_start);
void lm_detokenizer_push(lm_detokenizer *stream, int32_t id,
                         lm_buf *out);                          /* failure shows in out's status */
void lm_detokenizer_flush(lm_detokenizer *stream, lm_buf *out); /* bytes still held, as they are */

int32_t lm_tokenizer_vocab_size(const lm_tokenizer *tokenizer);
const char *lm_tokenizer_kind(const lm_tokenizer *tokenizer); /* "spm", "bpe", "wordpiece", ... */
int32_t lm_tokenizer_bos(const lm_tokenizer *tokenizer);      /* these are -1 when there is none */
int32_t lm_tokenizer_eos(const lm_tokenizer *tokenizer);      /* the first of the set */
int32_t lm_tokenizer_unk(const lm_tokenizer *tokenizer);
int32_t lm_tokenizer_pad(const lm_tokenizer *tokenizer);
bool lm_tokenizer_is_eos(const lm_tokenizer *tokenizer,
                         int32_t id); /* any token that ends generation */
size_t lm_tokenizer_n_eos(const lm_tokenizer *tokenizer);
int32_t lm_tokenizer_eos_at(const lm_tokenizer *tokenizer, size_t index);
bool lm_tokenizer_adds_bos(const lm_tokenizer *tokenizer); /* what the model was trained with */

/* The chat template (Jinja) that came with the model; empty when there is none. */
lm_str lm_tokenizer_chat_template(const lm_tokenizer *tokenizer);
/* The one for talks with tools, where the model has one of its own; else empty. */
lm_str lm_tokenizer_tool_template(const lm_tokenizer *tokenizer);

#endif
