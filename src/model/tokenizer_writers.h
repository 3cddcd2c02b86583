/* Writing a tokenizer so that others read it: as GGUF metadata, and as the files of a Hugging Face folder. */
#ifndef LM_MODEL_TOKENIZER_WRITERS_H
#define LM_MODEL_TOKENIZER_WRITERS_H

#include "model/gguf_writer.h"
#include "model/tokenizer_spec.h"

/* Adds the tokenizer.* metadata. LOAM_UNSUPPORTED when GGUF cannot say it: pre-tokenization without a name in GGUF,
 * normal forms. SentencePiece by merges gets their ranks as scores; WordPiece is written where it is BERT's. */
loam_status lm_tokenizer_write_gguf(const lm_tokenizer *tokenizer, lm_gguf_writer *writer,
                                    loam_error *err) LM_MUST_USE;

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

/* A token of WordPiece with these marks in front of what begins a word and what is inside one. */
void lm_tokenizer_spec_put_piece(const lm_tokenizer_spec *spec, int32_t id, const char *word_mark,
                                 const char *inner_mark, lm_buf *out);

/* [tokens] The score of each: its own, or for SentencePiece by merges one that makes them in the same order. lm_free. */
loam_status lm_tokenizer_spec_scores(const lm_tokenizer_spec *spec, float **out,
                                     loam_error *err) LM_MUST_USE;

#endif
