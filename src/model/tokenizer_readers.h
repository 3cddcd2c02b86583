/* Readers of the files that hold tokenizers. Each fills a spec that the caller has not initialized, and leaves nothing
 * behind on failure.
 */
#ifndef LM_MODEL_TOKENIZER_READERS_H
#define LM_MODEL_TOKENIZER_READERS_H

#include <jansson.h>

#include "model/tokenizer_spec.h"

/* The tokenizer.ggml.* metadata of a GGUF file. */
loam_status lm_tokenizer_read_gguf(const lm_gguf *gguf, lm_tokenizer_spec *out,
                                   loam_error *err) LM_MUST_USE;

/* The text of a tokenizer.json, as the tokenizers library writes it, or of a tekken.json; `path` for messages. */
loam_status lm_tokenizer_read_json(lm_str text, const char *path, lm_tokenizer_spec *out,
                                   loam_error *err) LM_MUST_USE;

/* A SentencePiece model (protocol buffer); `path` for messages. */
loam_status lm_tokenizer_read_sentencepiece(lm_str bytes, const char *path, lm_tokenizer_spec *out,
                                            loam_error *err) LM_MUST_USE;

/* A rank file of tiktoken, which `path` names: what it does not say is known for some names and sizes. */
loam_status lm_tokenizer_read_tiktoken(lm_str text, const char *path, lm_tokenizer_spec *out,
                                       loam_error *err) LM_MUST_USE;
bool lm_tokenizer_is_tiktoken(lm_str text); /* by its first line */

/* Mistral's tekken.json, parsed, into a spec that is initialized. */
loam_status lm_tokenizer_read_tekken(const json_t *root, const char *path, lm_tokenizer_spec *spec,
                                     loam_error *err) LM_MUST_USE;
bool lm_tokenizer_is_tekken(const json_t *root);

/* A folder's tokenizer.json, tokenizer.model (SentencePiece's or tiktoken's), tekken.json or .tiktoken file, with what tokenizer_config.json, generation_config.json, config.json
 * and chat_template.jinja add: special tokens, whether BOS is added, the chat template. */
loam_status lm_tokenizer_read_folder(const char *dir, lm_tokenizer_spec *out,
                                     loam_error *err) LM_MUST_USE;

/* One of these files alone, told apart by its name's end (.json) and what is in it. */
loam_status lm_tokenizer_read_file(const char *path, lm_tokenizer_spec *out,
                                   loam_error *err) LM_MUST_USE;

#endif
