/* The texts of a run: where they are, which part is held out, and how they divide into documents. */
#ifndef LM_TRAIN_TEXTS_H
#define LM_TRAIN_TEXTS_H

#include "base/file.h"
#include "train/recipe.h"

typedef struct lm_texts {
    lm_file_map maps[2];
    lm_str train, validation; /* into the maps */
    double nats_per_byte;     /* the generator's information, from corpus.json; 0: unknown */
} lm_texts;

/* path: a text file, or a folder with train.txt and perhaps validation.txt and corpus.json; from the recipe's data.path, which
 * is relative to base_dir, or the command line. Without a validation text the end of the training text is held out, from
 * a document's or at least a character's beginning on. LOAM_INVALID when a part is empty. */
loam_status lm_texts_open(const lm_recipe *recipe, const char *path, const char *base_dir,
                          lm_texts *out, loam_error *err) LM_MUST_USE;
void lm_texts_close(lm_texts *texts);

/* Takes the next document off *rest; false at the end. Empty documents are passed over. An empty separator: one document. */
bool lm_texts_next_document(lm_str *rest, lm_str separator, lm_str *out);

#endif
