/* Text between subcommands and the outside: an argument or standard input, and any bytes as a JSON text. */
#ifndef LM_CLI_TEXT_IO_H
#define LM_CLI_TEXT_IO_H

#include <jansson.h>

#include "base/str.h"

/* The argument itself, or for "-" all of standard input, kept in *storage (initialized by the caller, with its limit,
 * and deinitialized by the caller; the view lives as long). */
loam_status lm_cli_text(const char *argument, lm_buf *storage, lm_str *out,
                        loam_error *err) LM_MUST_USE;

/* JSON text must be UTF-8, and models generate anything: bytes that are none become U+FFFD. NULL when out of memory. */
json_t *lm_cli_json_text(lm_str text);

#endif
