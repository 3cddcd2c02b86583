/* Any bytes as a GGUF file: refused, or everything it hands out lies inside the bytes. */
#include <stdint.h>

#include "fuzz/use_tokenizer.h"
#include "model/hparams.h"
#include "model/tokenizer_readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint64_t sum; /* keeps the reads from being optimized away */

static void read_all(const lm_gguf *gguf) {
    const lm_stored_tensors *tensors = lm_gguf_tensors(gguf);
    for (size_t i = 0; i < tensors->items.len; i++) {
        const lm_stored_tensor *tensor = &tensors->items.ptr[i];
        const uint8_t *data = tensor->data;
        if (tensor->size_bytes) sum += data[0] + data[tensor->size_bytes - 1];
    }
    for (size_t i = 0; i < lm_gguf_n_values(gguf); i++) {
        const lm_gguf_value *value = lm_gguf_value_at(gguf, i);
        size_t cursor = 0;
        lm_str text;
        if (value->type != LM_GGUF_ARRAY || value->array.type != LM_GGUF_STRING) continue;
        while (lm_gguf_array_next_str(&value->array, &cursor, &text))
            sum += text.len ? (uint8_t)text.ptr[text.len - 1] : 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_gguf *gguf;
    lm_hparams hparams;
    lm_tokenizer_spec spec;
    if (lm_gguf_open_bytes("fuzz", bytes, size, &gguf, &err) != LOAM_OK) return 0;
    read_all(gguf);
    if (lm_hparams_from_gguf(gguf, &hparams, &err) == LOAM_OK) sum += (uint64_t)hparams.dim;
    if (lm_tokenizer_read_gguf(gguf, &spec, &err) == LOAM_OK)
        use_tokenizer(&spec, LM_STR("a text"));
    lm_gguf_close(gguf);
    return 0;
}
