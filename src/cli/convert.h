/* Converting a model's file or folder, for the commands that do: with its progress on a terminal, until lm_cli_interrupted. */
#ifndef LM_CLI_CONVERT_H
#define LM_CLI_CONVERT_H

#include "model/convert.h"

/* lm_convert of the model at `in`; on_progress is set here. */
loam_status lm_cli_convert(const char *in, const char *out_path, const lm_convert_options *options,
                           lm_convert_result *result, loam_error *err) LM_MUST_USE;

#endif
