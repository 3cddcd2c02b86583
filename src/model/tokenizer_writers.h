/* Writing a tokenizer so that others read it: as GGUF metadata, and as the files of a Hugging Face folder. */
#ifndef LM_MODEL_TOKENIZER_WRITERS_H
#define LM_MODEL_TOKENIZER_WRITERS_H

#include <jansson.h>

#include "model/gguf_writer.h"
#include "model/tokenizer_spec.h"

/* Adds the tokenizer.* metadata. LOAM_UNSUPPORTED when GGUF cannot say it: pre-tokenization without a name in GGUF,
 * normal forms. SentencePiece by merges gets their ranks as scores; WordPiece is written where it is BERT's, Unigram where it is
 * SentencePiece's. There are at least n_rows tokens
 * then, as llama.cpp wants one for each row of the embedding: unused ones behind the tokenizer's. */
loam_status lm_tokenizer_write_gguf(const lm_tokenizer *tokenizer, int64_t n_rows,
                                    lm_gguf_writer *writer, loam_error *err) LM_MUST_USE;

/* Writes tokenizer.json, or for SentencePiece tokenizer.model, and tokenizer_config.json into dir, which is there.
 * context_len is what the configuration gives as model_max_length. LOAM_UNSUPPORTED for other kinds. */
loam_status lm_tokenizer_write_folder(const lm_tokenizer *tokenizer, const char *dir,
                                      int64_t context_len, loam_error *err) LM_MUST_USE;

/* tokenizer.model of a SentencePiece BPE. */
loam_status lm_tokenizer_write_sentencepiece(const lm_tokenizer *tokenizer, const char *path,
                                             loam_error *err) LM_MUST_USE;

/* Whether a tokenizer is BERT's but for these two steps, which GGUF can say. */
typedef struct lm_bert_steps {
    bool strips_accents, lowers;
} lm_bert_steps;
loam_status lm_tokenizer_spec_is_bert(const lm_tokenizer_spec *spec, lm_bert_steps *out,
                                      bool *out_is, loam_error *err) LM_MUST_USE;

/* Whether a tokenizer is SentencePiece's Unigram, and what it does to a text: by one step or by those that tokenizer.json has for
 * it. Borrows from the spec. */
typedef struct lm_unigram_steps {
    lm_str charsmap;
    bool squeezes, prefixes; /* runs of spaces become one; a space is put in front */
} lm_unigram_steps;
bool lm_tokenizer_spec_is_unigram(const lm_tokenizer_spec *spec, lm_unigram_steps *out);

/* The parts of such a tokenizer.json; NULL when out of memory. */
LM_MUST_USE json_t *lm_tokenizer_unigram_normalizer(const lm_unigram_steps *steps);
LM_MUST_USE json_t *lm_tokenizer_unigram_metaspace(const lm_unigram_steps *steps);
LM_MUST_USE json_t *lm_tokenizer_unigram_model(const lm_tokenizer_spec *spec);

/* A token of WordPiece with these marks in front of what begins a word and what is inside one. */
void lm_tokenizer_spec_put_piece(const lm_tokenizer_spec *spec, int32_t id, const char *word_mark,
                                 const char *inner_mark, lm_buf *out);

/* Tokens but for unused ones behind the last that is not. */
size_t lm_tokenizer_spec_n_used(const lm_tokenizer_spec *spec);

/* [tokens] The score of each: its own, or for SentencePiece by merges one that makes them in the same order. lm_free. */
loam_status lm_tokenizer_spec_scores(const lm_tokenizer_spec *spec, float **out,
                                     loam_error *err) LM_MUST_USE;

#endif
