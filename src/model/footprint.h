/* What a model takes in memory while it is served, by what for: from the order of its weights on the device, the planner and
 * the KV cache themselves (compute/measure.h), and from the process, not from formulas beside them.
 */
#ifndef LM_MODEL_FOOTPRINT_H
#define LM_MODEL_FOOTPRINT_H

#include "model/quantize_mix.h"
#include "model/session.h"

typedef struct lm_footprint {
    size_t
        packed_bytes; /* weights in the device's order: mapped and shared by replicas, or private */
    size_t
        stored_bytes; /* weights that are read where the file has them: embeddings by row, vectors */
    size_t cache_bytes;       /* keys and values of all sequences at full length */
    size_t state_bytes;       /* states of all sequences' recurrent layers */
    size_t step_bytes;        /* a step's values and workspace */
    size_t process_bytes;     /* program, tokenizer, tables and books */
    size_t token_cache_bytes; /* of the cache: for one token */
    size_t index_cache_bytes; /* of the cache: keys of indexers */
    int64_t n_tokens;         /* whose rows of the embedding are at hand at once */
} lm_footprint;

size_t lm_footprint_total(const lm_footprint *footprint);

/* Opens the model on the device, makes a session, and lets both go. Reads a few pages of the file. */
loam_status lm_footprint_measure(const char *path, lm_device *device,
                                 const lm_session_options *options, lm_footprint *out,
                                 loam_error *err) LM_MUST_USE;

/* The same with the weights as this mix would have them: their bytes alone change. */
loam_status lm_footprint_as_mix(const char *path, lm_device *device, const lm_mix *mix,
                                const lm_footprint *now, lm_footprint *out,
                                loam_error *err) LM_MUST_USE;

#endif
