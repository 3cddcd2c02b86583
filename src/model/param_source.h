/* Where a file keeps a parameter: under which of its names, or as which rows of a tensor that holds several.
 *
 * The names are params.def's and spellings.def's. A folder that was saved from a model without its head lacks the first
 * part of every name ("model."), and one of a model that also sees images has the language model's behind
 * "language_model.": both are found. Borrows from the file.
 */
#ifndef LM_MODEL_PARAM_SOURCE_H
#define LM_MODEL_PARAM_SOURCE_H

#include "model/arch.h"
#include "model/model_file.h"

enum { LM_MAX_PARTS = 5 };

typedef enum lm_part_order {
    LM_PART_WHOLE,  /* the tensor is the parameter */
    LM_PART_PARTS,  /* its rows lie together, from first_row on */
    LM_PART_GROUPS, /* they lie in n_groups runs of run_rows, run_step apart, from first_row on */
    LM_PART_HEADS,  /* the same, one run a query head */
    LM_PART_KEY_HEADS, /* the same, one run a key head of recurrent layers */
    LM_PART_QUARTERS,  /* the same, one run a quarter of the heads */
    LM_PART_EXPERTS,   /* the same, one run an expert, in a tensor of three dimensions */
    LM_PART_TURNS, /* their rows lie by turns, one of each: n_groups runs of 1; of biases elements */
    LM_PART_APART, /* of experts: each has a tensor of its own, this is the first one's */
} lm_part_order;

typedef struct lm_param_source {
    const lm_stored_tensor *tensor;
    lm_part_order order;
    int64_t first_row, n_groups, run_rows, run_step;
    int64_t total_rows; /* of the tensor, as the model's sizes want them */
    int part;           /* which of the tensor's parameters, from 0 */
    bool turned;        /* its matrices of experts are [n_in, n_out] */
} lm_param_source;

lm_naming lm_naming_of(const lm_model_file *file);

/* A tensor as files of a naming are written with: one parameter, or several. */
typedef struct lm_param_tensor {
    char name[LM_PARAM_NAME_BYTES]; /* with "%e" where every expert has one */
    int n_parts;
    lm_param_id ids[LM_MAX_PARTS];
    lm_param_source parts[LM_MAX_PARTS]; /* where their rows are in it; `tensor` is NULL */
    bool one_row;                        /* a vector that is a matrix of one row */
} lm_param_tensor;

/* The tensor that begins with a parameter that a layer of the model has. false: another's has this one in it. */
bool lm_param_tensor_of(const lm_arch_config *config, lm_param_id id, int64_t layer,
                        lm_naming naming, lm_param_tensor *out);

/* A name with the expert where "%e" is. */
void lm_param_name_expert(const char *name, int64_t expert, char out[LM_PARAM_NAME_BYTES]);

/* The tensor of one expert of a parameter that is LM_PART_APART; NULL: there is none. */
const lm_stored_tensor *lm_param_source_expert(const lm_model_file *file,
                                               const lm_arch_config *config, lm_param_id id,
                                               int64_t layer, int64_t expert);

/* false: the file has it nowhere. */
bool lm_param_source_find(const lm_model_file *file, const lm_arch_config *config, lm_param_id id,
                          int64_t layer, lm_param_source *out);

#endif
