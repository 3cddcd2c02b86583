/* UTF-8 one character at a time, for text that may hold invalid bytes. Source: RFC 3629. Any thread. */
#ifndef LM_MODEL_UTF8_H
#define LM_MODEL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { LM_UTF8_MAX_BYTES = 4 };

/* Bytes of the valid character that starts at text (n > 0 bytes are there); 0 when none does. */
size_t lm_utf8_char_bytes(const char *text, size_t n);

/* Bytes of the valid character that text ends with; 0 when it ends with none. */
size_t lm_utf8_last_char_bytes(lm_str text);

/* True when the n bytes (1 to 3) could be the beginning of a valid character that is cut off. */
bool lm_utf8_is_cut(const char *text, size_t n);

/* Length of the longest prefix that is valid (or, if `valid` is false, that holds no valid character). */
size_t lm_utf8_run_bytes(const char *text, size_t n, bool valid);

/* Whether the whole text is valid. */
bool lm_utf8_is_valid(lm_str text);

/* The code point of a valid character of n bytes. */
uint32_t lm_utf8_decode(const char *text, size_t n);

/* Writes the character and returns its bytes; the code point must be valid. */
size_t lm_utf8_encode(uint32_t code_point, char out[LM_UTF8_MAX_BYTES]);

/* Appends the text, with U+FFFD for every byte that belongs to no valid character: for JSON, which must be valid. */
void lm_utf8_repair(lm_str text, lm_buf *out);

/* The same with one U+FFFD for every longest beginning of a character that breaks off, as Unicode recommends (chapter
 * 3.9) and lossy decoders of other languages do: what tokenizers see that know characters only. */
void lm_utf8_decode_lossy(lm_str text, lm_buf *out);

#endif
