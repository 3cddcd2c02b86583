/* The text part of a model that sees or hears, too: where its numbers are in config.json, and what it is by itself (text_parts.def).
 * Its tensors are found by param_source.h, which knows by what the whole calls it. */
#ifndef LM_MODEL_TEXT_PART_H
#define LM_MODEL_TEXT_PART_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/compiler.h"

/* The object with the numbers of the text part, completed by what the model around it says for it; of a model that has none apart a copy.
 * config   an object, of a config.json
 * path     for messages
 * out      new, the caller's
 * out_is_part  whether there is a model around it, whose numbers may lie beside the text part's
 * LOAM_UNSUPPORTED where that answers text otherwise than the part does. */
loam_status lm_text_part(const json_t *config, const char *path, json_t **out, bool *out_is_part,
                         loam_error *err) LM_MUST_USE;

/* The object that holds the text part's, or config itself. Borrowed. */
const json_t *lm_text_part_object(const json_t *config);

#endif
