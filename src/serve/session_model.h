/* The engine's view of a real model: one session over all its sequences. */
#ifndef LM_SERVE_SESSION_MODEL_H
#define LM_SERVE_SESSION_MODEL_H

#include "serve/engine_model.h"

/* The model is borrowed. options as for lm_session_new; n_blocks 0 gives every sequence its full context. */
loam_status lm_session_model_new(const lm_model *model, const lm_session_options *options,
                                 lm_engine_model **out, loam_error *err) LM_MUST_USE;
void lm_session_model_free(lm_engine_model *model);

#endif
