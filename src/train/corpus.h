/* Writes a training corpus of generated stories: two text files that share no story, and what is known about them.
 *
 *     DIR/train.txt, DIR/validation.txt   stories on one line each, divided by an empty line
 *     DIR/corpus.json                     stories, bytes and information of each file
 *
 * A story belongs to the validation file if its SHA-256 says so, whatever its place and seed, so that no story can be in
 * both. The information (nats) is that of the generator's choices: no model can have a lower expected loss on the
 * validation file, and one that knew the grammar would reach it (train/grammar.h).
 */
#ifndef LM_TRAIN_CORPUS_H
#define LM_TRAIN_CORPUS_H

#include <stdint.h>

#include "base/error.h"

enum { LM_CORPUS_MAX_STORIES = 10 * 1000 * 1000 };

typedef struct lm_corpus_options {
    const char *dir;   /* made when absent */
    int64_t n_stories; /* 1 to LM_CORPUS_MAX_STORIES, both files together */
    uint64_t seed;
    double validation_fraction; /* 0 to 0.5 */
} lm_corpus_options;

typedef struct lm_corpus_part {
    int64_t n_stories;
    int64_t n_bytes; /* of the stories, without what divides them */
    double nats;
} lm_corpus_part;

typedef struct lm_corpus_summary {
    lm_corpus_part train, validation;
} lm_corpus_summary;

/* Files are replaced entirely or not at all. */
loam_status lm_corpus_write(const lm_corpus_options *options, lm_corpus_summary *out,
                            loam_error *err) LM_MUST_USE;

/* Information per byte of the validation part that DIR/corpus.json (path) tells; LOAM_NOT_FOUND when it is absent. */
loam_status lm_corpus_read_nats_per_byte(const char *path, double *out,
                                         loam_error *err) LM_MUST_USE;

#endif
