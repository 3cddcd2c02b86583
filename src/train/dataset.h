/* A text as token ids on disk: packed once, mapped from then on, read by block.
 *
 * Documents stand one after the other as <|bos|> ... <|eos|>. A file holds header, ids (i32) and where documents start
 * (i64), and the digest of text, separator and vocabulary it was made from: another text or tokenizer makes it anew.
 *
 *     "LOAMTOK1"  i64 n_tokens  i64 n_documents  digest[32]  zeros to 64  ids  (to a multiple of 8)  starts
 */
#ifndef LM_TRAIN_DATASET_H
#define LM_TRAIN_DATASET_H

#include "base/file.h"
#include "base/hash.h"
#include "model/tokenizer.h"

typedef struct lm_dataset {
    lm_file_map map;
    const int32_t *tokens;
    int64_t n_tokens;
    const int64_t *starts; /* of documents, ascending; the first is 0 */
    int64_t n_documents;
    int32_t bos;
    uint8_t digest[LM_SHA256_BYTES];
} lm_dataset;

/* Opens the token file at `path`, after making it if it is absent, damaged or of something else. */
loam_status lm_dataset_open(const char *path, lm_str text, lm_str separator,
                            const lm_tokenizer *tokenizer, lm_dataset *out,
                            loam_error *err) LM_MUST_USE;
void lm_dataset_close(lm_dataset *dataset);

/* The n-th training sequence for a seed: len tokens and, for each, the one that follows. A document that fits into a sequence
 * is met from its beginning; a longer one from anywhere. A pure function, so the data position of a run is a number.
 * The dataset has more than len tokens. Nothing is allocated. */
void lm_dataset_sample(const lm_dataset *dataset, uint64_t seed, int64_t n, int64_t len,
                       int32_t *tokens, int32_t *targets);

/* Stretches of a dataset that together hold every token to be predicted exactly once: what a validation runs through. A
 * document that fits into len is in one window with all of what precedes a token; a longer one is cut. <|bos|> is not
 * predicted. */
typedef struct lm_window {
    int64_t start;     /* of len input tokens, fewer at the dataset's end */
    int64_t n_targets; /* leading positions whose next token counts */
} lm_window;

typedef LM_VEC(lm_window) lm_windows;

loam_status lm_dataset_windows(const lm_dataset *dataset, int64_t len, lm_windows *out,
                               loam_error *err) LM_MUST_USE;

/* The window's len tokens and targets; targets that do not count are -1, tokens past the end 0. Returns how many count. */
int64_t lm_dataset_window(const lm_dataset *dataset, const lm_window *window, int64_t len,
                          int32_t *tokens, int32_t *targets);

#endif
