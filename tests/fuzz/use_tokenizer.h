/* What the targets of tokenizer files do with a spec that was read: build the tokenizer, encode, decode. */
#ifndef LM_TESTS_FUZZ_USE_TOKENIZER_H
#define LM_TESTS_FUZZ_USE_TOKENIZER_H

#include "model/tokenizer_spec.h"

static inline void round_trip(const lm_tokenizer *tokenizer, lm_str text) {
    loam_error err;
    lm_vec_i32 ids = {0};
    lm_buf decoded;
    lm_buf_init(&decoded, 1 << 24);
    loam_status status = lm_tokenizer_encode(
        tokenizer, text, (lm_encode_options){.add_special = true, .parse_special = true}, &ids,
        &err);
    if (status == LOAM_OK)
        status = lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &decoded, &err);
    LM_ASSERT(status != LOAM_INTERNAL);
    lm_buf_deinit(&decoded);
    lm_vec_deinit(&ids);
}

/* Takes the spec over. */
static inline void use_tokenizer(lm_tokenizer_spec *spec, lm_str text) {
    loam_error err;
    lm_tokenizer *tokenizer;
    if (lm_tokenizer_new(spec, &tokenizer, &err) != LOAM_OK) return;
    round_trip(tokenizer, LM_STR("Hello  w\xc3\xb6rld 123 <s>\xff"));
    round_trip(tokenizer, (lm_str){text.ptr, text.len < 200 ? text.len : 200});
    lm_tokenizer_free(tokenizer);
}

#endif
