/* A model: weights, hyperparameters, tokenizer and generation defaults; immutable after opening and shared by
 * sessions.
 *
 * Opening maps the files and checks every tensor's name and shape against the hyperparameters. Matrices that the
 * device wants in its own order are packed once (and the mapped pages given back); everything else stays in the map,
 * so that memory holds the weights once. Any number of sessions on any threads may read a model; it must outlive
 * them.
 */
#ifndef LM_MODEL_MODEL_H
#define LM_MODEL_MODEL_H

#include "compute/backend.h"
#include "model/arch.h"
#include "model/pack_store.h"
#include "model/pooling.h"
#include "model/sampler.h"

/* What the matrices of a quantized folder become (model/coded_tensor.h): f32, or small types. By default the first while all
 * together take no more than LM_CODED_EXACT_BYTES so: in narrow models rounding shows most, and memory is no matter. */
typedef enum lm_coded_weights { LM_CODED_AUTO, LM_CODED_EXACT, LM_CODED_SMALL } lm_coded_weights;
enum { LM_CODED_EXACT_BYTES = 1 << 30 };

typedef struct lm_model lm_model;
typedef struct lm_tokenizer lm_tokenizer; /* model/tokenizer.h */

typedef struct lm_model_options {
    bool no_pack; /* leave every matrix as the file has it */
    bool on_demand; /* with no_pack: matrices that the file has otherwise are made by lm_model_make_param */
    bool
        check_weights; /* also refuse NaN and infinite weights (reads everything: as slow as the disk) */
    lm_coded_weights coded_weights; /* of a quantized folder */
    bool measured; /* on a device that only measures: weights that would have to be made are not */
    lm_pack_places pack_places; /* where packed weights are kept between runs; zeroed: nowhere */
} lm_model_options;

/* path: a .gguf file or a Hugging Face folder. The device is borrowed for the model's life (its memory holds packed
 * weights). options NULL: defaults. LOAM_CORRUPT names the file and tensor, LOAM_UNSUPPORTED the architecture or
 * format. */
loam_status lm_model_open(const char *path, lm_device *device, const lm_model_options *options,
                          lm_model **out, loam_error *err) LM_MUST_USE;
void lm_model_free(lm_model *model);

const lm_arch_config *
lm_model_config(const lm_model *model); /* n_vocab is ->hparams.vocab_size, and so on */
const lm_tokenizer *lm_model_tokenizer(const lm_model *model);
const char *lm_model_name(const lm_model *model); /* last part of the path, without ".gguf" */
lm_device *lm_model_device(const lm_model *model);

/* What the model's authors recommend (generation_config.json), else plain sampling at temperature 1. */
lm_sampler_options lm_model_sampling(const lm_model *model);

/* What becomes of a text's states; kind LM_POOLING_NONE: the model writes text. */
const lm_pooling *lm_model_pooling(const lm_model *model);

/* Whether generation ends at this token: end of text or of turn, and BOS, which begins another text. */
bool lm_model_is_end(const lm_model *model, int32_t token);

/* Parameter as the device reads it; NULL when the model has none (lm_param_in). */
const lm_weight *lm_model_param(const lm_model *model, lm_param_id id, int64_t layer);

/* Of a model opened on_demand: gives a parameter its data, and takes it, or the pages that were read, back. LOAM_NO_MEMORY.
 * One thread, which is the only one that reads the model. */
loam_status lm_model_make_param(lm_model *model, lm_param_id id, int64_t layer,
                                loam_error *err) LM_MUST_USE;
void lm_model_drop_param(lm_model *model, lm_param_id id, int64_t layer);

void lm_model_trim(const lm_model *model); /* lm_model_weights_trim */
size_t
lm_model_weight_bytes(const lm_model *model); /* as stored: what one decode step reads at least */

#endif
