/* Any bytes as a SentencePiece model: refused, or a tokenizer that encodes and decodes. */
#include <stdint.h>

#include "fuzz/use_tokenizer.h"
#include "model/tokenizer_readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_tokenizer_spec spec;
    lm_str text = {(const char *)bytes, size};
    if (lm_tokenizer_read_sentencepiece(text, "fuzz", &spec, &err) == LOAM_OK)
        use_tokenizer(&spec, text);
    return 0;
}
