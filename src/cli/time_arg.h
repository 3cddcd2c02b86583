/* Times on the command line. */
#ifndef LM_CLI_TIME_ARG_H
#define LM_CLI_TIME_ARG_H

#include <stdint.h>

#include "base/error.h"

/* "2026-11-22", "2026-11-22T10:30" or "2026-11-22T10:30:00" in UTC, a Z at the end allowed; "+30d", "+12h" or "+15m" from
 * now; or epoch milliseconds. LOAM_INVALID otherwise. `option` is what the error calls it. */
loam_status lm_time_arg_parse(const char *option, const char *text, int64_t *out_epoch_ms,
                              loam_error *err) LM_MUST_USE;

#endif
