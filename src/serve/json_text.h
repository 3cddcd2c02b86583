/* Writing JSON strings straight into a buffer: generated text goes out token by token, and may hold bytes that are no
 * UTF-8, which become U+FFFD.
 */
#ifndef LM_SERVE_JSON_TEXT_H
#define LM_SERVE_JSON_TEXT_H

#include "base/str.h"

/* Appends the text as a JSON string, quotes included. */
void lm_json_text_write(lm_buf *out, lm_str text);

#endif
