/* A matrix whose numbers a checkpoint keeps as small codes, with scales (and zeros) in tensors beside them:
 *
 *     x[r, c] = scale[r, g] * (code[r, c] - zero[r, g])        g: the group of column c
 *
 * in f32, the difference exact and the product rounded once. A code is an integer, or stands for a float of 8 bits (E4M3) or of 4 (MXFP4).
 *
 * Where one of the engine's own types says the same numbers, the matrix can become that, and takes in memory what it takes in
 * the file: integers of 4 bits around 8 are Q4_0, with zeros of their own Q5_0, integers of 8 bits around 0 are Q8_0, if scales
 * are numbers of f16 and every 32 columns share one; MXFP4 is MXFP4; and -1, 0 and 1 are Q2_K where all share one scale. What none of these says becomes f16 where scales are
 * f16 and bf16 elsewhere, as those who publish such files have it computed. Products with these types round what they
 * multiply (ops/linear.c), but for f16: f32 is what gives the logits of a reference in f32.
 *
 * Filled by model/coded_folder.h, which checks everything against the tensors' sizes; then immutable, any thread. The memory
 * is the file's.
 */
#ifndef LM_MODEL_CODED_TENSOR_H
#define LM_MODEL_CODED_TENSOR_H

#include "base/error.h"
#include "compute/dtype.h"

typedef enum lm_code_kind { LM_CODE_INTEGER, LM_CODE_E4M3, LM_CODE_MXFP4 } lm_code_kind;

/* Where the code of a row and a column lies: a word holds several, of rows one under the other or of columns side by side. */
typedef struct lm_code_grid {
    const void *data;      /* NULL: there is none */
    int word_bytes;        /* 1 or 4 */
    int bits;              /* 2, 4 or 8; at most the word's */
    bool below;            /* a word's codes are of rows, not of columns, */
    int64_t apart;         /* so many apart; 0: of neighbours */
    bool is_signed;        /* a word is one signed code */
    const uint8_t *places; /* of a word's codes, counted from the lowest bits; NULL: in order */
    int64_t row_step, column_step; /* in words, between the words of neighbours */
} lm_code_grid;

typedef struct lm_scale_grid {
    const void *data;
    lm_dtype dtype;      /* F32, F16, BF16; I8: bytes e that stand for 2^(e - 127) */
    bool divides;        /* differences are divided by it, or rather multiplied by its reciprocal */
    int64_t rows_of_one; /* rows that share a scale; 0: all do */
    int64_t row_step, group_step;
} lm_scale_grid;

typedef struct lm_coded_tensor {
    lm_code_kind kind;
    int64_t n_rows, n_columns, n_groups;
    lm_code_grid codes, zeros; /* zeros: a row, and a group in place of the column */
    int zero;                  /* of all; added to those of `zeros` */
    int zero_mask;             /* bits of the sum that count; 0: all */
    lm_scale_grid scales;
    int64_t group_columns; /* that are one group */
    const int32_t *groups; /* [n_columns], each below n_groups; NULL: by group_columns */
} lm_coded_tensor;

/* The small type that it can become. Reads scales and zeros. */
lm_dtype lm_coded_tensor_dtype(const lm_coded_tensor *tensor);

/* Rows [first, first + n) in this type, or in f32. */
void lm_coded_tensor_rows(const lm_coded_tensor *tensor, lm_dtype dtype, int64_t first, int64_t n,
                          void *out);

#endif
