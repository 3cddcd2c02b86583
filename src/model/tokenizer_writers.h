/* Writing a tokenizer so that others read it: as GGUF metadata, and as the files of a Hugging Face folder. */
#ifndef LM_MODEL_TOKENIZER_WRITERS_H
#define LM_MODEL_TOKENIZER_WRITERS_H

#include "model/gguf_writer.h"
#include "model/tokenizer.h"

/* Adds the tokenizer.* metadata. LOAM_UNSUPPORTED when GGUF cannot say it: pre-tokenization without a name in GGUF,
 * SentencePiece by merges instead of scores, normal forms. */
loam_status lm_tokenizer_write_gguf(const lm_tokenizer *tokenizer, lm_gguf_writer *writer,
                                    loam_error *err) LM_MUST_USE;

/* Writes tokenizer.json and tokenizer_config.json into dir, which is there. context_len is what the configuration
 * gives as model_max_length. LOAM_UNSUPPORTED for other kinds than byte-level BPE. */
loam_status lm_tokenizer_write_folder(const lm_tokenizer *tokenizer, const char *dir,
                                      int64_t context_len, loam_error *err) LM_MUST_USE;

#endif
