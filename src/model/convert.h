/* A model from one format of file to the other: a Hugging Face folder to GGUF and a GGUF file to a folder, with the
 * tokenizer and the chat template; a folder to a folder or GGUF to GGUF changes the element type.
 *
 * Names, shapes and the rows' order come from the architecture's tables; matrices are cast row by row, so that memory holds
 * a few rows, and of what the file has otherwise (experts with a tensor each, codes) those of a layer; what appears is whole
 * or not there at all.
 */
#ifndef LM_MODEL_CONVERT_H
#define LM_MODEL_CONVERT_H

#include "model/model.h"

typedef struct lm_convert_options {
    bool to_folder;    /* else GGUF */
    bool no_tokenizer; /* weights and configuration only */
    bool fixed_dtype;  /* matrices become `dtype`: F32, F16 or BF16; else they stay as they are */
    lm_dtype dtype;
    /* Called now and then; false stops with LOAM_CANCELLED. NULL: none. */
    bool (*on_progress)(void *ctx, int64_t n_done, int64_t n_elems);
    void *ctx;
} lm_convert_options;

typedef struct lm_convert_result {
    int64_t n_tensors, n_elems;
    size_t size_bytes; /* of the tensors */
} lm_convert_result;

/* model: opened with no_pack, and on_demand so that memory holds no more than a layer of what has to be made. LOAM_UNSUPPORTED for quantized matrices that are to be a folder's without a fixed type, architectures or tokenizers
 * that the other format cannot say, LOAM_LIMIT when the disk has too little room. */
loam_status lm_convert(lm_model *model, const char *out_path, const lm_convert_options *options,
                       lm_convert_result *out, loam_error *err) LM_MUST_USE;

#endif
