/* Quantizing a model's file: a GGUF file in, another of smaller types out, tensor by tensor as a mix says
 * (quantize_mix.h).
 *
 * Works on any architecture: metadata is carried over, and names decide. Memory holds a few rows at a time. The new file
 * appears whole or not at all. The same bytes for any number of threads.
 */
#ifndef LM_MODEL_QUANTIZE_H
#define LM_MODEL_QUANTIZE_H

#include "base/error.h"
#include "model/imatrix.h"
#include "model/quantize_mix.h"

typedef struct lm_quantize_progress {
    const char *tensor; /* being written */
    lm_dtype dtype;     /* as what */
    int64_t n_done, n_elems;
} lm_quantize_progress;

typedef struct lm_quantize_options {
    const lm_mix *mix;
    bool pure; /* no rules: the mix's type for every matrix */
    bool
        fixed_head; /* head_dtype for the output matrix, and for the embedding where it serves as one */
    lm_dtype head_dtype;
    bool
        requantize; /* also what is quantized already, which loses more than quantizing the original */
    const lm_imatrix *imatrix; /* borrowed; NULL: none */
    const char *imatrix_path;  /* what the new file says about it */
    int n_threads;             /* 0: all usable CPUs */
    /* Called now and then from the caller's thread; false stops with LOAM_CANCELLED. NULL: none. */
    bool (*on_progress)(void *ctx, const lm_quantize_progress *progress);
    void *ctx;
} lm_quantize_options;

typedef struct lm_quantize_result {
    size_t bytes_in, bytes_out; /* of all tensors */
    int64_t n_elems;
    int n_tensors[LM_DTYPE_COUNT]; /* by their new type */
    int n_fallbacks; /* matrices whose rows are no whole blocks of the type they should have */
    int n_without_imatrix; /* quantized matrices that it says nothing of; 0 without one */
} lm_quantize_result;

/* LOAM_CORRUPT for weights that are no finite numbers, LOAM_UNSUPPORTED for types loam cannot read, LOAM_INVALID for a
 * file that is quantized already or an imatrix of another model, LOAM_LIMIT when the disk has too little room. */
loam_status lm_quantize_file(const char *in_path, const char *out_path,
                             const lm_quantize_options *options, lm_quantize_result *out,
                             loam_error *err) LM_MUST_USE;

#endif
