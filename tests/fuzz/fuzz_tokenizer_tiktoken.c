/* Any bytes as a rank file of tiktoken: refused, or a tokenizer that encodes and decodes. */
#include <stdint.h>

#include "fuzz/use_tokenizer.h"
#include "model/tokenizer_readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_tokenizer_spec spec;
    lm_str text = {(const char *)bytes, size};
    if (lm_tokenizer_read_tiktoken(text, "cl100k_base.tiktoken", &spec, &err) == LOAM_OK)
        use_tokenizer(&spec, text);
    return 0;
}
