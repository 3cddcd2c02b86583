/* Writing a tokenizer so that others read it: as GGUF metadata, and as the files of a Hugging Face folder. */
#ifndef LM_MODEL_TOKENIZER_WRITERS_H
#define LM_MODEL_TOKENIZER_WRITERS_H

#include "model/gguf_writer.h"
#include "model/tokenizer_spec.h"

/* Adds the tokenizer.* metadata. LOAM_UNSUPPORTED when GGUF cannot say it: pre-tokenization without a name in GGUF,
 * normal forms. SentencePiece by merges gets their ranks as scores. */
loam_status lm_tokenizer_write_gguf(const lm_tokenizer *tokenizer, lm_gguf_writer *writer,
                                    loam_error *err) LM_MUST_USE;

/* Writes tokenizer.json, or for SentencePiece tokenizer.model, and tokenizer_config.json into dir, which is there.
 * context_len is what the configuration gives as model_max_length. LOAM_UNSUPPORTED for other kinds. */
loam_status lm_tokenizer_write_folder(const lm_tokenizer *tokenizer, const char *dir,
                                      int64_t context_len, loam_error *err) LM_MUST_USE;

/* tokenizer.model of a SentencePiece BPE. */
loam_status lm_tokenizer_write_sentencepiece(const lm_tokenizer *tokenizer, const char *path,
                                             loam_error *err) LM_MUST_USE;

/* [tokens] The score of each: its own, or for SentencePiece by merges one that makes them in the same order. lm_free. */
loam_status lm_tokenizer_spec_scores(const lm_tokenizer_spec *spec, float **out,
                                     loam_error *err) LM_MUST_USE;

#endif
