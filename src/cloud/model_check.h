/* Whether a path holds a model that can be opened: asked of the program itself, so that what can never be served is refused
 * when it comes in. The cloud reads no model; a child does. */
#ifndef LM_CLOUD_MODEL_CHECK_H
#define LM_CLOUD_MODEL_CHECK_H

#include "base/error.h"

/* Runs `program show path` to its end. LOAM_CORRUPT: it says no, and the message is its own; LOAM_UNAVAILABLE: it said nothing in
 * half a minute. Any thread. */
loam_status lm_model_check(const char *program, const char *path, loam_error *err) LM_MUST_USE;

#endif
