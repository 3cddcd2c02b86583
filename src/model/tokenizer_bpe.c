/* Byte-level BPE: the pre-tokenizer cuts the text into stretches, inside of which bytes merge by rank. Every byte has
 * a token, so that any text comes back exactly. Source: Radford et al. 2019 (GPT-2).
 */
#include "base/mem.h"
#include "model/tokenizer_impl.h"

/* Printable Latin-1 characters stand for themselves; the other bytes follow, in order, from U+0100 on. */
static bool stands_for_itself(uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

uint32_t lm_bpe_char_of_byte(uint8_t byte) {
    if (stands_for_itself(byte)) return byte;
    uint32_t code_point = 0x100;
    for (uint32_t b = 0; b < byte; b++) code_point += !stands_for_itself(b);
    return code_point;
}

int lm_bpe_byte_of_char(uint32_t code_point) {
    if (code_point < 0x100) return stands_for_itself(code_point) ? (int)code_point : -1;
    uint32_t n = code_point - 0x100;
    for (uint32_t b = 0; b < 0x100; b++) {
        if (!stands_for_itself(b) && n-- == 0) return (int)b;
    }
    return -1;
}

static lm_str bytes_of(const lm_tokenizer *tokenizer, int32_t id) {
    if (tokenizer->spec.tokens.ptr[id].type != LM_TOKEN_NORMAL) return LM_STR("");
    return lm_tokenizer_token_bytes(tokenizer, id);
}

static loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    return lm_words_index(tokenizer, bytes_of, err);
}

static bool encode_word(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                        lm_vec_i32 *ids) {
    lm_merger *merger = &scratch->merger;
    lm_merger_reset(merger);
    for (size_t i = 0; i < word.len; i++) {
        int32_t id = tokenizer->byte_ids[(uint8_t)word.ptr[i]];
        if (id < 0)
            id = tokenizer->spec.unk; /* a vocabulary without this byte; without unk it is lost */
        if (id >= 0 && !lm_merger_push(merger, (uint32_t)i, 1, id)) return false;
    }
    if (!lm_merger_run(merger, lm_merge_by_table, tokenizer->merges)) return false;
    for (int32_t i = merger->symbols.len ? 0 : -1; i >= 0; i = merger->symbols.ptr[i].next) {
        if (!lm_vec_push(ids, merger->symbols.ptr[i].id)) return false;
    }
    return true;
}

const lm_tokenizer_ops lm_tokenizer_ops_bpe = {
    .name = "bpe", .prepare = prepare, .encode = lm_words_encode, .encode_word = encode_word};
