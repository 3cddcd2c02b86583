/* Classes of characters, as the normalizers and pre-tokenizers of others define them. Tables are utf8proc's. Any thread.
 */
#ifndef LM_MODEL_CHAR_CLASS_H
#define LM_MODEL_CHAR_CLASS_H

#include <stdbool.h>
#include <stdint.h>

bool lm_char_is_space(uint32_t c); /* Unicode's White_Space */
bool lm_char_is_word(uint32_t c);  /* \w: letters, marks, decimal digits, connecting punctuation */
bool lm_char_is_mark(uint32_t c);  /* Mn, Mc, Me */
bool lm_char_is_numeric(uint32_t c); /* Nd, Nl, No */

/* What BERT's normalizer does (Devlin et al., arXiv:1810.04805, and its reference code). */
bool lm_char_is_bert_dropped(uint32_t c); /* NUL, U+FFFD, control, format and private characters */
bool lm_char_is_bert_accent(uint32_t c);  /* Mn */
bool lm_char_is_bert_punctuation(
    uint32_t c); /* P*, and all of ASCII that is neither letter, digit nor space */
bool lm_char_is_bert_ideograph(uint32_t c);

/* Whether normal forms leave the character as it is, since the tables they come from are older. */
bool lm_char_is_young_normal(uint32_t c);

/* Lower case of one character: at most two code points, returns how many. */
int lm_char_lower(uint32_t c, uint32_t out[2]);

#endif
