/* The parameters of a model in training: one flat array each of weights, gradients and AdamW's moments.
 *
 * Matrices come first, then vectors, so that what is decayed is one stretch and what is not the other; the optimizer, the
 * gradient's norm and a checkpoint then see few long arrays instead of many small ones. Each parameter begins at a multiple
 * of 64 bytes; the elements between stay zero. Owned by the device; one thread.
 */
#ifndef LM_TRAIN_PARAMS_H
#define LM_TRAIN_PARAMS_H

#include "compute/device.h"
#include "model/arch.h"

typedef struct lm_train_param {
    lm_param_id id;
    int64_t layer;
    int n_dims; /* 2: a matrix, which decays */
    int64_t shape[2];
    int64_t offset, n_elems; /* in the flat arrays */
} lm_train_param;

typedef struct lm_train_params {
    lm_device *device;
    lm_arch_config config;
    lm_train_param *list; /* [len], in the order of offsets */
    int len;
    int64_t n_matrix_elems;         /* leading elements that belong to matrices, gaps included */
    int64_t n_elems;                /* of each flat array */
    float *weights, *grads, *m, *v; /* [n_elems], in device memory */
    uint16_t
        *bf16; /* [n_matrix_elems] the matrices rounded, in device memory; NULL in f32 training */
} lm_train_params;

typedef struct lm_train_params_options {
    uint64_t seed;
    double init_std;
    bool bf16;
} lm_train_params_options;

/* Allocates all arrays and draws the initial weights: normal with init_std, over sqrt(2 n_layers) for the matrices that write
 * into the residual; norms 1, biases 0. A parameter's draws depend on the seed and its place in the list alone. */
loam_status lm_train_params_init(lm_train_params *params, lm_device *device,
                                 const lm_arch_config *config,
                                 const lm_train_params_options *options,
                                 loam_error *err) LM_MUST_USE;
void lm_train_params_deinit(lm_train_params *params); /* a zeroed one is fine */

/* The parameter's place in the list. In a tied model the output head is the token embedding. */
int lm_train_params_find(const lm_train_params *params, lm_param_id id, int64_t layer);

/* After the weights were changed by hand. */
loam_status lm_train_params_round(lm_train_params *params, loam_error *err) LM_MUST_USE;

#endif
