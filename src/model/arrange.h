/* Parameters that a file has in another order than a device reads: parts of tensors whose rows lie apart, experts with a tensor
 * each, transposed matrices, coded ones. They are made when they are packed, or read; a packed file that is found holds
 * them, and nothing is made at all. */
#ifndef LM_MODEL_ARRANGE_H
#define LM_MODEL_ARRANGE_H

#include "compute/device.h"
#include "model/param_source.h"

typedef struct lm_arrangement {
    lm_param_source source;
    const lm_stored_tensor *const *experts; /* [shape[0]] of LM_PART_APART */
    bool by_element;                        /* rows are single elements */
    bool turned;                            /* the tensor is [n_in, rows] */
    bool turned_experts; /* it is [experts, n_in, rows of one], of one parameter, one behind the other or by turns */
    bool turned_runs; /* each of its runs of rows is a matrix [n_in, n_out], of at most LM_MAX_HEAD_DIM columns */
    bool unit_rows;                         /* rows are divided by their lengths */
} lm_arrangement;

/* Whether the weight's bytes lie in the tensor as it wants them, from the source's first row on. */
bool lm_arrangement_is_needless(const lm_arrangement *a);

/* Writes the weight of this type and shape, whose data are not read, on all threads of the device. Of a tensor of another
 * type, that one is coded, or quantized with runs that are turned, and the weight's is f32. */
void lm_arrange(const lm_arrangement *a, lm_device *device, const lm_weight *weight, void *out);

#endif
