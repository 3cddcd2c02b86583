/* Byte-level BPE: regular expressions cut the text into stretches, inside of which bytes merge by rank. Every byte has
 * a token, so that any text comes back exactly. Source: Radford et al. 2019 (GPT-2).
 */
#include "base/mem.h"
#include "model/tokenizer_impl.h"
#include "model/utf8.h"

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

/* A token with a character that stands for no byte is taken literally, as other implementations do. */
static void spell(lm_str text, lm_buf *out) {
    size_t before = out->len;
    for (size_t at = 0; at < text.len;) {
        size_t n = lm_utf8_char_bytes(text.ptr + at, text.len - at);
        int byte = n ? lm_bpe_byte_of_char(lm_utf8_decode(text.ptr + at, n)) : -1;
        if (byte < 0) {
            out->len = before;
            lm_buf_append(out, text.ptr, text.len);
            return;
        }
        lm_buf_putc(out, (char)byte);
        at += n;
    }
}

static LM_MUST_USE loam_status index_whole_tokens(lm_tokenizer *tokenizer, loam_error *err) {
    tokenizer->whole = lm_map_new();
    if (!tokenizer->whole) return lm_error_no_memory(err, sizeof(void *));
    for (size_t id = 0; id < tokenizer->spec.tokens.len; id++) {
        uint64_t there;
        lm_str bytes = lm_tokenizer_token_bytes(tokenizer, (int32_t)id);
        if (tokenizer->spec.tokens.ptr[id].type != LM_TOKEN_NORMAL || bytes.len == 0) continue;
        if (lm_map_get(tokenizer->whole, bytes, &there)) continue;
        if (!lm_map_set(tokenizer->whole, bytes, id)) return lm_error_no_memory(err, bytes.len);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    if (tokenizer->spec.ignore_merges) LM_TRY(index_whole_tokens(tokenizer, err));
    return lm_pretokenizer_new(&tokenizer->spec.patterns, &tokenizer->pretokenizer, err);
}

static LM_MUST_USE bool encode_stretch(const lm_tokenizer *tokenizer, lm_str text,
                                       lm_merger *merger, lm_vec_i32 *ids) {
    uint64_t whole;
    if (tokenizer->whole && lm_map_get(tokenizer->whole, text, &whole))
        return lm_vec_push(ids, (int32_t)whole);
    lm_merger_reset(merger);
    for (size_t i = 0; i < text.len; i++) {
        int32_t id = tokenizer->byte_ids[(uint8_t)text.ptr[i]];
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

static LM_MUST_USE loam_status encode(const lm_tokenizer *tokenizer, lm_str text, bool is_first,
                                      lm_encode_scratch *scratch, lm_vec_i32 *ids,
                                      loam_error *err) {
    if (tokenizer->spec.space_prefix != LM_SPACE_PREFIX_NONE && text.ptr[0] != ' ') {
        lm_buf_reset(&scratch->text);
        lm_buf_putc(&scratch->text, ' ');
        lm_buf_append(&scratch->text, text.ptr, text.len);
        LM_TRY(lm_buf_status(&scratch->text, err));
        text = lm_buf_view(&scratch->text);
    }
    LM_TRY(lm_pretokenizer_run(tokenizer->pretokenizer, text, &scratch->pretokens, err));
    size_t start = 0;
    for (size_t i = 0; i < scratch->pretokens.ends.len; i++) {
        size_t end = scratch->pretokens.ends.ptr[i];
        if (!encode_stretch(tokenizer, (lm_str){text.ptr + start, end - start}, &scratch->merger,
                            ids))
            return lm_error_no_memory(err, end - start);
        start = end;
    }
    return LOAM_OK;
}

const lm_tokenizer_ops lm_tokenizer_ops_bpe = {
    .name = "bpe", .spell = spell, .prepare = prepare, .encode = encode};
