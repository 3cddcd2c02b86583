#include "model/tokenizer.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/tokenizer_impl.h"
#include "model/tokenizer_readers.h"
#include "model/utf8.h"

#define LM_TOKENIZER_KIND(id, name) extern const lm_tokenizer_ops lm_tokenizer_ops_##name;
#include "model/tokenizer_kinds.def"
#undef LM_TOKENIZER_KIND

const lm_tokenizer_ops *const lm_tokenizer_kinds[LM_TOKENIZER_KIND_COUNT] = {
#define LM_TOKENIZER_KIND(id, name) [LM_TOKENIZER_##id] = &lm_tokenizer_ops_##name,
#include "model/tokenizer_kinds.def"
#undef LM_TOKENIZER_KIND
};

/* ------------------------------------------------------------------------------------------------- building */

/* "<0x0A>" is 10; -1 for anything else. */
static int byte_of_token(lm_str text) {
    unsigned byte;
    char end;
    if (text.len != 6 || sscanf(text.ptr, "<0x%2X%c", &byte, &end) != 2 || end != '>') return -1;
    return (int)byte;
}

static void append_token_bytes(const lm_tokenizer *tokenizer, const lm_token *token, lm_buf *out) {
    int byte;
    switch (token->type) {
    case LM_TOKEN_BYTE:
        byte = byte_of_token(token->text);
        if (byte >= 0) lm_buf_putc(out, (char)byte);
        break;
    case LM_TOKEN_NORMAL:
    case LM_TOKEN_UNUSED: tokenizer->ops->spell(token->text, out); break;
    case LM_TOKEN_USER_DEFINED:
        if (tokenizer->spec.kind == LM_TOKENIZER_SPM) {
            tokenizer->ops->spell(token->text, out);
        } else {
            lm_buf_append(out, token->text.ptr, token->text.len);
        }
        break;
    default: break; /* control and unknown tokens are no text */
    }
}

static LM_MUST_USE loam_status spell_tokens(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    tokenizer->bytes_start = lm_calloc(spec->tokens.len + 1, sizeof *tokenizer->bytes_start);
    if (!tokenizer->bytes_start) return lm_error_no_memory(err, spec->tokens.len);
    memset(tokenizer->byte_ids, 0xff, sizeof tokenizer->byte_ids); /* all -1 */
    for (size_t id = 0; id < spec->tokens.len; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        size_t start = tokenizer->bytes.len;
        append_token_bytes(tokenizer, token, &tokenizer->bytes);
        tokenizer->bytes_start[id + 1] = (uint32_t)tokenizer->bytes.len;
        LM_TRY(lm_buf_status(&tokenizer->bytes, err));
        lm_token_type of_bytes = spec->kind == LM_TOKENIZER_SPM ? LM_TOKEN_BYTE : LM_TOKEN_NORMAL;
        if (token->type != of_bytes || tokenizer->bytes.len != start + 1) continue;
        int32_t *slot = &tokenizer->byte_ids[(uint8_t)tokenizer->bytes.ptr[start]];
        if (*slot < 0) *slot = (int32_t)id;
    }
    return LOAM_OK;
}

static int longer_first(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

static LM_MUST_USE loam_status add_special(lm_tokenizer *tokenizer, lm_str text, size_t id,
                                           loam_error *err) {
    uint64_t there;
    if (text.len == 0 || lm_map_get(tokenizer->specials, text, &there)) return LOAM_OK;
    if (!lm_map_set(tokenizer->specials, text, id)) return lm_error_no_memory(err, text.len);
    tokenizer->special_first[(uint8_t)text.ptr[0]] = true;
    for (size_t i = 0; i < tokenizer->special_lens.len; i++) {
        if (tokenizer->special_lens.ptr[i] == text.len) return LOAM_OK;
    }
    return lm_vec_push(&tokenizer->special_lens, text.len)
               ? LOAM_OK
               : lm_error_no_memory(err, sizeof text.len);
}

static LM_MUST_USE loam_status index_specials(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    tokenizer->specials = lm_map_new();
    if (!tokenizer->specials) return lm_error_no_memory(err, sizeof(void *));
    for (size_t id = 0; id < spec->tokens.len; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        if (token->type == LM_TOKEN_CONTROL || token->type == LM_TOKEN_UNKNOWN) {
            LM_TRY(add_special(tokenizer, token->text, id, err));
        } else if (token->type == LM_TOKEN_USER_DEFINED) {
            LM_TRY(
                add_special(tokenizer, lm_tokenizer_token_bytes(tokenizer, (int32_t)id), id, err));
        }
    }
    if (tokenizer->special_lens.len)
        qsort(tokenizer->special_lens.ptr, tokenizer->special_lens.len, sizeof(size_t),
              longer_first);
    return LOAM_OK;
}

static LM_MUST_USE loam_status index_merges(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    if (spec->merges.len == 0 && spec->kind == LM_TOKENIZER_SPM)
        return LOAM_OK; /* it merges by scores */
    tokenizer->merges = lm_merge_table_new(spec->merges.len);
    if (!tokenizer->merges) return lm_error_no_memory(err, spec->merges.len);
    for (size_t i = 0; i < spec->merges.len; i++) {
        const lm_token_merge *merge = &spec->merges.ptr[i];
        lm_merge_table_add(tokenizer->merges, merge->left, merge->right, merge->result);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_id(const lm_tokenizer_spec *spec, const char *what, int32_t id,
                                        loam_error *err) {
    if (id >= -1 && id < (int32_t)spec->tokens.len) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "the %s token %d is outside the vocabulary of %zu", what,
                        id, spec->tokens.len);
}

static LM_MUST_USE loam_status check_spec(const lm_tokenizer_spec *spec, loam_error *err) {
    if (spec->tokens.len == 0) return lm_error_set(err, LOAM_INVALID, "the vocabulary is empty");
    LM_TRY(check_id(spec, "bos", spec->bos, err));
    LM_TRY(check_id(spec, "unk", spec->unk, err));
    LM_TRY(check_id(spec, "pad", spec->pad, err));
    for (size_t i = 0; i < spec->eos.len; i++) LM_TRY(check_id(spec, "eos", spec->eos.ptr[i], err));
    return LOAM_OK;
}

static LM_MUST_USE loam_status build(lm_tokenizer *tokenizer, loam_error *err) {
    LM_TRY(check_spec(&tokenizer->spec, err));
    LM_TRY(spell_tokens(tokenizer, err));
    LM_TRY(index_specials(tokenizer, err));
    LM_TRY(index_merges(tokenizer, err));
    return tokenizer->ops->prepare(tokenizer, err);
}

loam_status lm_tokenizer_new(lm_tokenizer_spec *spec, lm_tokenizer **out, loam_error *err) {
    lm_tokenizer *tokenizer = lm_calloc(1, sizeof *tokenizer);
    if (!tokenizer) {
        lm_tokenizer_spec_deinit(spec);
        return lm_error_no_memory(err, sizeof *tokenizer);
    }
    tokenizer->spec = *spec;
    *spec = (lm_tokenizer_spec){0};
    tokenizer->ops = lm_tokenizer_kinds[tokenizer->spec.kind];
    lm_buf_init(&tokenizer->bytes, UINT32_MAX);
    loam_status status = build(tokenizer, err);
    if (status != LOAM_OK) {
        lm_tokenizer_free(tokenizer);
        return status;
    }
    *out = tokenizer;
    return LOAM_OK;
}

void lm_tokenizer_free(lm_tokenizer *tokenizer) {
    if (!tokenizer) return;
    lm_tokenizer_spec_deinit(&tokenizer->spec);
    lm_buf_deinit(&tokenizer->bytes);
    lm_free(tokenizer->bytes_start);
    lm_map_free(tokenizer->specials);
    lm_vec_deinit(&tokenizer->special_lens);
    lm_merge_table_free(tokenizer->merges);
    lm_map_free(tokenizer->pieces);
    lm_map_free(tokenizer->whole);
    lm_pretokenizer_free(tokenizer->pretokenizer);
    lm_free(tokenizer);
}

/* ------------------------------------------------------------------------------------------------- encoding */

/* The longest special token that starts exactly at text[0] and may be matched; -1: none. */
static int32_t special_at(const lm_tokenizer *tokenizer, lm_str text, bool parse_special,
                          size_t *out_len) {
    for (size_t i = 0; i < tokenizer->special_lens.len; i++) {
        uint64_t id;
        size_t len = tokenizer->special_lens.ptr[i];
        if (len > text.len || !lm_map_get(tokenizer->specials, (lm_str){text.ptr, len}, &id))
            continue;
        if (!parse_special && tokenizer->spec.tokens.ptr[id].type != LM_TOKEN_USER_DEFINED)
            continue;
        *out_len = len;
        return (int32_t)id;
    }
    return -1;
}

/* The first special token in text: its id and place; -1: none, *out_at is the text's end. */
static int32_t next_special(const lm_tokenizer *tokenizer, lm_str text, bool parse_special,
                            size_t *out_at, size_t *out_len) {
    for (size_t at = 0; at < text.len; at++) {
        if (!tokenizer->special_first[(uint8_t)text.ptr[at]]) continue;
        lm_str rest = {text.ptr + at, text.len - at};
        int32_t id = special_at(tokenizer, rest, parse_special, out_len);
        if (id < 0) continue;
        *out_at = at;
        return id;
    }
    *out_at = text.len;
    *out_len = 0;
    return -1;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Brings text to its normal form; stretches that are no UTF-8 stay as they are. */
static LM_MUST_USE loam_status normalize(lm_normal_form form, lm_str text, lm_buf *out,
                                         loam_error *err) {
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    if (form == LM_NORMAL_FORM_NFKC) options |= UTF8PROC_COMPAT;
    for (size_t at = 0; at < text.len;) {
        size_t n = lm_utf8_run_bytes(text.ptr + at, text.len - at, false);
        lm_buf_append(out, text.ptr + at, n);
        at += n;
        n = lm_utf8_run_bytes(text.ptr + at, text.len - at, true);
        if (n == 0) continue;
        utf8proc_uint8_t *normal = NULL;
        utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)text.ptr + at,
                                            (utf8proc_ssize_t)n, &normal, options);
        if (len < 0) return lm_error_no_memory(err, n);
        lm_buf_append(out, normal, (size_t)len);
        free(normal); /* utf8proc's own allocation */
        at += n;
    }
    return lm_buf_status(out, err);
}

static LM_MUST_USE loam_status encode_section(const lm_tokenizer *tokenizer, lm_str text,
                                              bool is_first, lm_encode_scratch *scratch,
                                              lm_vec_i32 *ids, loam_error *err) {
    if (text.len == 0) return LOAM_OK;
    if (tokenizer->spec.normal_form == LM_NORMAL_FORM_NONE)
        return tokenizer->ops->encode(tokenizer, text, is_first, scratch, ids, err);
    lm_buf normal;
    lm_buf_init(&normal, (size_t)LM_TOKENIZER_MAX_TEXT_BYTES);
    loam_status status = normalize(tokenizer->spec.normal_form, text, &normal, err);
    if (status == LOAM_OK)
        status =
            tokenizer->ops->encode(tokenizer, lm_buf_view(&normal), is_first, scratch, ids, err);
    lm_buf_deinit(&normal);
    return status;
}

static LM_MUST_USE loam_status encode_all(const lm_tokenizer *tokenizer, lm_str text,
                                          bool parse_special, lm_encode_scratch *scratch,
                                          lm_vec_i32 *ids, loam_error *err) {
    for (bool is_first = true; text.len > 0; is_first = false) {
        size_t at, len;
        int32_t id = next_special(tokenizer, text, parse_special, &at, &len);
        const lm_token *special = id >= 0 ? &tokenizer->spec.tokens.ptr[id] : NULL;
        lm_str section = {text.ptr, at};
        while (special && special->lstrip && section.len && is_blank(section.ptr[section.len - 1]))
            section.len--;
        LM_TRY(encode_section(tokenizer, section, is_first, scratch, ids, err));
        if (special && !lm_vec_push(ids, id)) return lm_error_no_memory(err, sizeof id);
        text = (lm_str){text.ptr + at + len, text.len - at - len};
        while (special && special->rstrip && text.len && is_blank(text.ptr[0]))
            text = (lm_str){text.ptr + 1, text.len - 1};
    }
    return LOAM_OK;
}

loam_status lm_tokenizer_encode(const lm_tokenizer *tokenizer, lm_str text,
                                lm_encode_options options, lm_vec_i32 *ids, loam_error *err) {
    if (text.len > LM_TOKENIZER_MAX_TEXT_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "text of %zu bytes, at most %d are allowed", text.len,
                            LM_TOKENIZER_MAX_TEXT_BYTES);
    lm_encode_scratch scratch = {0};
    lm_buf_init(&scratch.text, UINT32_MAX);
    size_t before = ids->len;
    loam_status status = LOAM_OK;
    if (options.add_bos && tokenizer->spec.bos >= 0 && !lm_vec_push(ids, tokenizer->spec.bos))
        status = lm_error_no_memory(err, sizeof *ids->ptr);
    if (status == LOAM_OK)
        status = encode_all(tokenizer, text, options.parse_special, &scratch, ids, err);
    lm_merger_deinit(&scratch.merger);
    lm_pretokens_deinit(&scratch.pretokens);
    lm_buf_deinit(&scratch.text);
    if (status != LOAM_OK) ids->len = before;
    return status;
}

/* ------------------------------------------------------------------------------------------------- asking */

static bool in_range(const lm_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && (size_t)id < tokenizer->spec.tokens.len;
}

lm_str lm_tokenizer_token_bytes(const lm_tokenizer *tokenizer, int32_t id) {
    if (!in_range(tokenizer, id)) return LM_STR("");
    uint32_t start = tokenizer->bytes_start[id];
    return (lm_str){lm_buf_cstr(&tokenizer->bytes) + start, tokenizer->bytes_start[id + 1] - start};
}

lm_str lm_tokenizer_token_text(const lm_tokenizer *tokenizer, int32_t id) {
    return in_range(tokenizer, id) ? tokenizer->spec.tokens.ptr[id].text : LM_STR("");
}

lm_token_type lm_tokenizer_token_type(const lm_tokenizer *tokenizer, int32_t id) {
    return in_range(tokenizer, id) ? tokenizer->spec.tokens.ptr[id].type : LM_TOKEN_UNUSED;
}

int32_t lm_tokenizer_find(const lm_tokenizer *tokenizer, lm_str token_text) {
    return lm_tokenizer_spec_find(&tokenizer->spec, token_text);
}

int32_t lm_tokenizer_vocab_size(const lm_tokenizer *tokenizer) {
    return (int32_t)tokenizer->spec.tokens.len;
}

const char *lm_tokenizer_kind(const lm_tokenizer *tokenizer) {
    return tokenizer->ops->name;
}

int32_t lm_tokenizer_bos(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.bos;
}

int32_t lm_tokenizer_eos(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.eos.len ? tokenizer->spec.eos.ptr[0] : -1;
}

int32_t lm_tokenizer_unk(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.unk;
}

int32_t lm_tokenizer_pad(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.pad;
}

bool lm_tokenizer_is_eos(const lm_tokenizer *tokenizer, int32_t id) {
    for (size_t i = 0; i < tokenizer->spec.eos.len; i++) {
        if (tokenizer->spec.eos.ptr[i] == id) return true;
    }
    return false;
}

size_t lm_tokenizer_n_eos(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.eos.len;
}

int32_t lm_tokenizer_eos_at(const lm_tokenizer *tokenizer, size_t index) {
    return tokenizer->spec.eos.ptr[index];
}

bool lm_tokenizer_adds_bos(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.add_bos;
}

lm_str lm_tokenizer_chat_template(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.chat_template;
}

const lm_tokenizer_spec *lm_tokenizer_get_spec(const lm_tokenizer *tokenizer) {
    return &tokenizer->spec;
}

/* ------------------------------------------------------------------------------------------------- opening */

static LM_MUST_USE loam_status read_gguf_file(const char *path, lm_tokenizer_spec *out,
                                              loam_error *err) {
    lm_gguf *gguf = NULL;
    LM_TRY(lm_gguf_open(path, &gguf, err));
    loam_status status = lm_tokenizer_read_gguf(gguf, out, err);
    lm_gguf_close(gguf);
    return status;
}

static LM_MUST_USE loam_status read_any(const char *path, lm_tokenizer_spec *out, loam_error *err) {
    lm_str name = lm_str_of(path);
    if (lm_file_is_dir(path)) return lm_tokenizer_read_folder(path, out, err);
    if (lm_str_ends(name, LM_STR(".json")) || lm_str_ends(name, LM_STR(".model")))
        return lm_tokenizer_read_file(path, out, err);
    return read_gguf_file(path, out, err);
}

static LM_MUST_USE loam_status make(lm_tokenizer_spec *spec, const char *path, lm_tokenizer **out,
                                    loam_error *err) {
    loam_status status = lm_tokenizer_new(spec, out, err);
    return status == LOAM_OK ? LOAM_OK : lm_error_prefix(err, status, "%s", path);
}

loam_status lm_tokenizer_open(const char *path, lm_tokenizer **out, loam_error *err) {
    lm_tokenizer_spec spec;
    LM_TRY(read_any(path, &spec, err));
    return make(&spec, path, out, err);
}

loam_status lm_tokenizer_open_gguf(const lm_gguf *gguf, lm_tokenizer **out, loam_error *err) {
    lm_tokenizer_spec spec;
    LM_TRY(lm_tokenizer_read_gguf(gguf, &spec, err));
    return make(&spec, lm_gguf_path(gguf), out, err);
}
