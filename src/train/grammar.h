/* A generator of text from a table of rules, which knows the probability of what it writes.
 *
 * A rule is a name and alternatives, all equally likely. An alternative is text with these marks:
 *
 *     <rule>            one alternative of the rule
 *     <x=rule>          chooses an alternative, remembers it as x, writes nothing
 *     <x=rule!y>        the same, but never the alternative that y remembers from the same rule
 *     <x.field>         a field of what x remembers: fields stand between ';' and are named by the rule
 *     <rule_*x.field>   the rule whose name ends in that field's text
 *     a(n)              "a" or "an", as the next letter wants
 *
 * Letters at the start of a sentence become capitals. The information of a text is the sum of ln(number of alternatives
 * that were open) over the choices made: -ln p of its derivation. It bounds -ln p of the text from above, and is equal to it
 * where no other derivation writes the same text. Immutable after lm_grammar_new; any thread may write from it.
 */
#ifndef LM_TRAIN_GRAMMAR_H
#define LM_TRAIN_GRAMMAR_H

#include "base/rng.h"
#include "base/str.h"

typedef struct lm_grammar_rule {
    const char *name;
    const char *fields; /* names separated by spaces; NULL: alternatives are not divided */
    const char *const *alternatives; /* ends with NULL */
} lm_grammar_rule;

typedef struct lm_grammar lm_grammar;

/* rules: [n_rules], borrowed. LOAM_INVALID when two rules share a name or two alternatives of a rule are equal. */
loam_status lm_grammar_new(const lm_grammar_rule *rules, size_t n_rules, lm_grammar **out,
                           loam_error *err) LM_MUST_USE;
void lm_grammar_free(lm_grammar *grammar);

/* Appends one text from the rule `start` and sets *out_nats to its information. LOAM_INVALID when a mark names what does
 * not exist: the table is wrong. */
loam_status lm_grammar_write(const lm_grammar *grammar, const char *start, lm_rng *rng,
                             lm_buf *text, double *out_nats, loam_error *err) LM_MUST_USE;

#endif
