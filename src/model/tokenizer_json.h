/* Inside of the reader of tokenizer.json: the stages of its pipeline. */
#ifndef LM_MODEL_TOKENIZER_JSON_H
#define LM_MODEL_TOKENIZER_JSON_H

#include <jansson.h>

#include "model/tokenizer_spec.h"

/* Reads normalizer, pre-tokenizer and decoder. LOAM_UNSUPPORTED names a step that is not known. */
loam_status lm_tokenizer_json_read_steps(const json_t *root, const char *path,
                                         lm_tokenizer_spec *spec, loam_error *err) LM_MUST_USE;

/* Reads the post-processor: what stands before and behind a text. The tokens are there. */
loam_status lm_tokenizer_json_read_template(const json_t *root, const char *path,
                                            lm_tokenizer_spec *spec, loam_error *err) LM_MUST_USE;

#endif
