/* Tensors that GGUF has beside a model's parameters, in f32: factors of its rope's frequencies, dense modules, and the rows of its head by which
 * a reranker answers. Used by convert.c.
 */
#ifndef LM_MODEL_CONVERT_EXTRAS_H
#define LM_MODEL_CONVERT_EXTRAS_H

#include "model/model.h"
#include "model/rope_table.h"

enum { LM_CONVERT_MAX_EXTRAS = 5 };

typedef struct lm_convert_extra {
    char name[32];
    int n_dims;
    int64_t shape[2];
    const float *values;
} lm_convert_extra;

/* Borrows from the model and from itself. */
typedef struct lm_convert_extras {
    lm_convert_extra list[LM_CONVERT_MAX_EXTRAS];
    int n;
    float freq_factors[LM_MAX_ROPE_PAIRS];
    float *answers; /* [2, dim] */
} lm_convert_extras;

/* config: the model's, as it is written. inout: zero. Also where it fails lm_convert_extras_deinit wants it. */
loam_status lm_convert_extras_find(lm_model *model, const lm_arch_config *config,
                                   lm_convert_extras *inout, loam_error *err) LM_MUST_USE;
void lm_convert_extras_deinit(lm_convert_extras *extras);

size_t lm_convert_extra_bytes(const lm_convert_extra *extra);

#endif
