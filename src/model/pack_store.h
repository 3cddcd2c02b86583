/* Where a model's packed file is kept, and when it is made.
 *
 * Looked for, and made if it is not there or no longer right, in the first of the places that can be had; what was wrong
 * with a file, and why a place could not be had, is logged. Any thread, for any number of models.
 */
#ifndef LM_MODEL_PACK_STORE_H
#define LM_MODEL_PACK_STORE_H

#include "model/model_file.h"
#include "model/pack_file.h"

/* Zeroed: nowhere. */
typedef struct lm_pack_places {
    bool beside;     /* "m.gguf.loam-pack" beside m.gguf, "model.loam-pack" in a folder */
    const char *dir; /* or in this folder, which is made, a cache: files that nobody used for 30
                         days are removed when it is next looked into; NULL: not */
    lm_pack_progress_fn *on_progress; /* called while weights are packed; NULL: not */
    void *progress_ctx;
    size_t
        min_bytes; /* of packed weights that are worth a file; 0: 64 MiB, as less is packed in a blink */
} lm_pack_places;

/* Points the plan's weights at a packed file's map. False: there is none, and none could be made; the weights are as they
 * were. The plan's source is filled in here. */
bool lm_pack_store_open(const lm_pack_places *places, const lm_model_file *file, lm_pack_plan *plan,
                        lm_file_map *out) LM_MUST_USE;

#endif
