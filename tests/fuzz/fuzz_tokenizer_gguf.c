/* Any bytes as a GGUF file with a vocabulary: refused, or a tokenizer that encodes and decodes. */
#include <stdint.h>

#include "base/mem.h"
#include "fuzz/use_tokenizer.h"
#include "model/tokenizer_readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_gguf *gguf = NULL;
    lm_tokenizer_spec spec;
    void *copy = lm_alloc_aligned(8, (size + 8) & ~(size_t)7); /* the reader wants it aligned */
    if (size) memcpy(copy, bytes, size);
    if (lm_gguf_open_bytes("fuzz", copy, size, &gguf, &err) == LOAM_OK) {
        if (lm_tokenizer_read_gguf(gguf, &spec, &err) == LOAM_OK)
            use_tokenizer(&spec, (lm_str){copy, size});
        lm_gguf_close(gguf);
    }
    lm_free(copy);
    return 0;
}
