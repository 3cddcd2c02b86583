/* Importance of a matrix's input columns: the mean square of what enters them while a model reads a text. Quantization
 * weighs its errors with it (compute/quant/search.h).
 *
 * Files: the GGUF form of the llama.cpp family (general.type "imatrix"; <tensor>.in_sum2 and .counts), and to read also
 * its older form without a magic number. Immutable after reading; any thread.
 */
#ifndef LM_MODEL_IMATRIX_H
#define LM_MODEL_IMATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lm_imatrix lm_imatrix;

/* LOAM_NOT_FOUND, LOAM_CORRUPT (a broken file; sums that are negative or no numbers), LOAM_INVALID (another kind of
 * GGUF). */
loam_status lm_imatrix_read(const char *path, lm_imatrix **out, loam_error *err) LM_MUST_USE;
/* The same for bytes, aligned to 8; `name` stands in messages for the path. */
loam_status lm_imatrix_read_bytes(const char *name, const void *bytes, size_t size_bytes,
                                  lm_imatrix **out, loam_error *err) LM_MUST_USE;
void lm_imatrix_free(lm_imatrix *imatrix); /* NULL is fine */

/* [n_mats][n_cols], the mean squares of a tensor's columns, one after the other for matrices stacked in one tensor; borrowed.
 * NULL when the file has none for it. */
const float *lm_imatrix_find(const lm_imatrix *imatrix, const char *tensor, size_t *out_n);

size_t lm_imatrix_n_entries(const lm_imatrix *imatrix);
int64_t lm_imatrix_n_chunks(
    const lm_imatrix *imatrix); /* of text that was read; 0: the file does not say */

/* Gathering one: an empty matrix, sums added to it, then written. */
LM_MUST_USE lm_imatrix *lm_imatrix_new(void); /* NULL: out of memory */

/* Adds n_rows rows of x [n_rows, n_cols] that enter this tensor. LOAM_INVALID for another number of columns than before. */
loam_status lm_imatrix_add(lm_imatrix *imatrix, const char *tensor, const float *x, int64_t n_rows,
                           int64_t n_cols, loam_error *err) LM_MUST_USE;

/* Rows that enter matrices stacked in one tensor, n_used of them each: those that ids [n_rows, n_used] name. */
typedef struct lm_imatrix_chosen {
    const float *x; /* [n_rows, n_cols] for all n_used, or [n_rows, n_used, n_cols] */
    bool x_is_shared;
    int64_t n_rows, n_cols;
    const int32_t *ids; /* each in [0, n_mats) */
    int64_t n_used, n_mats;
} lm_imatrix_chosen;

/* The same for experts. LOAM_INVALID also for another number of matrices than before. */
loam_status lm_imatrix_add_chosen(lm_imatrix *imatrix, const char *tensor,
                                  const lm_imatrix_chosen *rows, loam_error *err) LM_MUST_USE;

/* As GGUF. n_chunks of chunk_size tokens were read from `dataset`. LOAM_INVALID when nothing was added, LOAM_CORRUPT when a
 * sum is no finite number. */
loam_status lm_imatrix_write(const lm_imatrix *imatrix, const char *path, const char *dataset,
                             int64_t n_chunks, int64_t chunk_size, loam_error *err) LM_MUST_USE;

#endif
