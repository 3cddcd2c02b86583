/* Mixes: which tensor of a model is stored in which type when a file is quantized. The names, numbers and rules are those
 * of the llama.cpp family (llama-quantize), so that a file of a mix has the same types tensor by tensor, whoever made it.
 *
 * A mix is one row of quantize_mixes.def: a type for most matrices, and rules for those that need more bits. Plain data;
 * any thread.
 */
#ifndef LM_MODEL_QUANTIZE_MIX_H
#define LM_MODEL_QUANTIZE_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compute/dtype.h"

typedef struct lm_mix {
    const char *name;   /* "Q4_K_M" */
    uint32_t file_type; /* general.file_type */
    lm_dtype dtype;     /* of most matrices */
} lm_mix;

/* Case does not matter; Q3_K, Q4_K and Q5_K are their _M. NULL: there is none of that name. */
const lm_mix *lm_mix_find(const char *name);
size_t lm_mix_count(void);
const lm_mix *lm_mix_at(size_t index);

/* What the rules look at beside a tensor. */
typedef struct lm_mix_model {
    int64_t n_layers;
    int64_t heads_per_kv; /* query heads that share a key head */
    bool tied_head;       /* the embedding is the output matrix */
    bool has_imatrix;
    bool pure; /* one type for all matrices, the output and the embedding among them */
} lm_mix_model;

/* Whether the tensor is one that mixes quantize: a weight matrix, no norm, no router. */
bool lm_mix_quantizes(const char *name, int n_dims);

/* The type of such a tensor, whose rows have n_cols elements: where they are no whole blocks, the next type with smaller
 * ones, at last F16. */
lm_dtype lm_mix_dtype(const lm_mix *mix, const lm_mix_model *model, const char *name,
                      int64_t n_cols);

/* The type itself, or where n_cols are no whole blocks of it what stands in for it. */
lm_dtype lm_mix_fitting(lm_dtype dtype, int64_t n_cols);

#endif
