/* A tensor of one format out of the parameters of a model: the inverse of arrange.h. Rows are cast, put in the order of the
 * format's rotary pairs, put together with those of other parameters, or transposed. Used by convert.c.
 */
#ifndef LM_MODEL_CONVERT_TENSOR_H
#define LM_MODEL_CONVERT_TENSOR_H

#include "model/model.h"
#include "model/param_source.h"

/* Which row of a parameter becomes a row of the tensor. */
typedef enum lm_row_order {
    LM_ROWS_AS_THEY_ARE,
    LM_ROWS_INTERLEAVE, /* of rotary pairs */
    LM_ROWS_SPLIT,
    LM_ROWS_TILE, /* of heads of states, from one key head's after the other to one of each in turn */
    LM_ROWS_GROUP,
} lm_row_order;

/* One to be written. Borrows from the model. */
typedef struct lm_convert_tensor {
    char name[LM_PARAM_NAME_BYTES];
    int n_dims;
    int64_t shape[4];
    lm_dtype to;
    int n_parts;
    lm_param_id ids[LM_MAX_PARTS];
    int64_t layer;
    lm_weight from[LM_MAX_PARTS]; /* as the model has them: vectors are f32 */
    lm_param_source parts[LM_MAX_PARTS];
    lm_row_order order[LM_MAX_PARTS];
    int64_t
        head_dim; /* of rows that are put in another order: a head's, and how many of them turn */
    int64_t rope_dim;
    int64_t first_row; /* of the parameter: a tensor may be one expert's rows of it */
    int64_t n_rows,
        n_columns; /* as they are written; vectors of several parts are rows of one element */
    int64_t
        run_rows; /* > 0: the first part's runs are matrices of so many rows that lie transposed in the tensor */
    int64_t
        turned_rows; /* > 0: matrices of so many rows, whose columns are the rows of all parts */
    int64_t state_heads, state_key_heads; /* of rows that are tiled or grouped */
    bool by_column;  /* it is the columns that are in another order, of a tensor of one part */
    bool kernel;     /* rows are channels, which are columns of the parts */
    bool logs;       /* of rates: their logarithms */
    float added;     /* to every element */
    float constant;  /* what every element is, whatever is in the parameter; 0: what is there */
    float factor[LM_MAX_PARTS]; /* that all elements of a part are multiplied by; 1: none */
} lm_convert_tensor;

/* Floats that writing it needs besides: of the longest row, and of a matrix that is transposed. */
int64_t lm_convert_tensor_room(const lm_convert_tensor *tensor);

/* Rows [row, row + n) of the tensor, in its type. room: as many as lm_convert_tensor_room says, the same for rows in ascending order. */
void lm_convert_tensor_rows(const lm_convert_tensor *tensor, int64_t row, int64_t n, float *room,
                            uint8_t *out);

#endif
