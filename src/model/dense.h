/* Dense layers behind the pooling of a sentence-transformers model: each makes a vector of a vector, by a matrix, maybe a bias, an
 * activation and a layer norm. A folder has them in the folders of its modules, a GGUF file as tensors dense_2 and dense_3 (without biases and tanh). Sums are in double in the order
 * of lanes, so that bits are the same everywhere. Immutable once read: any thread.
 */
#ifndef LM_MODEL_DENSE_H
#define LM_MODEL_DENSE_H

#include "base/str.h"
#include "model/stored_tensor.h"

typedef struct lm_dense lm_dense; /* a list of layers; NULL: none */

typedef enum lm_dense_act { LM_DENSE_LINEAR, LM_DENSE_TANH, LM_DENSE_GELU } lm_dense_act;

/* What one is made of. */
typedef struct lm_dense_parts {
    const lm_stored_tensor *w, *bias, *norm; /* NULL: no bias, no norm */
    lm_dense_act act;
    double eps; /* of the norm */
} lm_dense_parts;

/* Appends a layer that reads n_in numbers, or those of n_in that are before it. Copies what it is made of. */
loam_status lm_dense_append(const lm_dense_parts *parts, int64_t n_in, lm_dense **inout,
                            loam_error *err) LM_MUST_USE;
/* Appends the layer of the module in the folder `module` of dir, which reads n_in numbers, or those of n_in that are before it. */
loam_status lm_dense_read_module(const char *dir, lm_str module, int64_t n_in, lm_dense **inout,
                                 loam_error *err) LM_MUST_USE;
/* Appends a GGUF file's, if it has any. */
loam_status lm_dense_read_tensors(const lm_stored_tensors *tensors, int64_t n_in, lm_dense **inout,
                                  loam_error *err) LM_MUST_USE;
void lm_dense_free(lm_dense *dense);

/* One of them. */
typedef struct lm_dense_layer {
    int64_t n_in, n_out;
    float *w, *bias, *norm; /* [n_out, n_in]; [n_out] or NULL */
    lm_dense_act act;
    double eps;
} lm_dense_layer;
int lm_dense_count(const lm_dense *dense);
const lm_dense_layer *lm_dense_at(const lm_dense *dense, int index);

/* The folder of a layer's module: config.json and its weights, as f32. */
loam_status lm_dense_write_module(const lm_dense_layer *layer, const char *dir,
                                  loam_error *err) LM_MUST_USE;

int64_t lm_dense_width(const lm_dense *dense, int64_t n_in); /* of what is made of n_in numbers */
int64_t lm_dense_room(const lm_dense *dense);                /* floats that lm_dense_apply wants */
int64_t lm_dense_flops(const lm_dense *dense);

/* inout: room for what is read and for what is made. */
void lm_dense_apply(const lm_dense *dense, float *inout, float *room);

#endif
