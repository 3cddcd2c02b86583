/* The grammar of the demonstration corpus: small English stories with a hero, a friend, a place, a wish, what stands in its
 * way, and what comes of it. Data only; train/grammar.h says how it reads, train/corpus.h writes files from it.
 */
#ifndef LM_TRAIN_STORIES_H
#define LM_TRAIN_STORIES_H

#include "train/grammar.h"

extern const lm_grammar_rule lm_stories_rules[];
extern const size_t lm_stories_n_rules;

/* The rule that writes a whole story. */
extern const char lm_stories_start[];

#endif
