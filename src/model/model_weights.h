/* A model's weights: found in the file, checked against the hyperparameters, brought into the device's order.
 *
 * Matrices that only matrix products read are packed when the device wants that, and the file's pages of them are
 * given back to the system; vectors become f32; everything else is read from the map, or copied to a device that cannot
 * read it there. A parameter that is part of a stored tensor is used where it lies there, if its rows lie together;
 * what a file has in another order, transposed or in codes is made when it is packed (model/arrange.h). Immutable after loading; any thread.
 */
#ifndef LM_MODEL_MODEL_WEIGHTS_H
#define LM_MODEL_MODEL_WEIGHTS_H

#include "base/arena.h"
#include "base/file.h"
#include "compute/device.h"
#include "model/arch.h"
#include "model/model.h"
#include "model/pack_store.h"

typedef struct lm_model_weights {
    lm_device *device;
    int64_t n_layers;
    lm_weight *
        weights; /* [LM_PARAM_COUNT][n_layers], those without a layer at 0; name NULL where there is none */
    bool *owned;             /* same shape: data is a device buffer of ours */
    void *packed_memory;     /* or points into this one */
    const struct lm_arrangement **arrangements; /* same shape: how what the file has otherwise is made; NULL: it is not */
    lm_file_map *copies; /* same shape: what was made so, on its way to the device */
    bool reserve_only, on_demand;
    lm_file_map packed_file; /* what the packed weights point into when a packed file is in use */
    size_t stored_bytes;     /* of all weights as the file has them */
    lm_arena arena;          /* f32 vectors and the arrays above */
} lm_model_weights;

typedef struct lm_model_weights_options {
    bool no_pack;
    bool check_finite; /* LOAM_CORRUPT for NaN and infinity */
    lm_coded_weights coded;
    bool on_demand;    /* what would have to be made is not, until lm_model_weights_make */
    bool reserve_only; /* of what would have to be made, memory is reserved and not written */
    lm_pack_places pack_places;
} lm_model_weights_options;

/* The model by its file's numbers and tensors: which optional features these have, and the sizes that only they tell. */
void lm_model_weights_describe(const lm_model_file *file, const lm_arch *arch, lm_arch_config *out);

/* The file must outlive the weights. LOAM_NOT_FOUND and LOAM_INVALID name tensor and shapes; LOAM_UNSUPPORTED a
 * tensor that has no place in the architecture. */
loam_status lm_model_weights_load(lm_model_weights *weights, const lm_model_file *file,
                                  const lm_arch_config *config, lm_device *device,
                                  const lm_model_weights_options *options,
                                  loam_error *err) LM_MUST_USE;
void lm_model_weights_free(lm_model_weights *weights); /* zeroed and half-loaded ones too */

/* LM_PARAM_OUTPUT_HEAD of a tied model is the embedding in the order that matrix products want. */
const lm_weight *lm_model_weights_get(const lm_model_weights *weights, lm_param_id id,
                                      int64_t layer);

/* Of weights loaded on_demand: lm_model_make_param and lm_model_drop_param. */
loam_status lm_model_weights_make(lm_model_weights *weights, lm_param_id id, int64_t layer,
                                  loam_error *err) LM_MUST_USE;
/* Whether it had been made, so that pages of the file that it was made of are not needed either. */
bool lm_model_weights_drop(lm_model_weights *weights, lm_param_id id, int64_t layer);

/* Gives the pages of the file's embedding, which steps look rows up in, back to the system when the head of a tied model
 * holds the same weights packed: they come back from the page cache, and do not add up to a second copy. */
void lm_model_weights_trim(const lm_model_weights *weights);

/* LOAM_CORRUPT, with the position, if an element is NaN or infinite. */
loam_status lm_weight_check_finite(const lm_weight *weight, loam_error *err) LM_MUST_USE;

#endif
