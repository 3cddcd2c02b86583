#include "model/tokenizer.h"

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

/* Whether a token is text as it stands, whatever the decoder makes of the model's own tokens. */
static bool is_literal(const lm_tokenizer_spec *spec, const lm_token *token) {
    return token->type == LM_TOKEN_USER_DEFINED && spec->kind == LM_TOKENIZER_BPE;
}

/* Working memory of spelling all tokens. */
typedef struct speller {
    lm_decoder_scratch decoder;
    lm_normalizer_scratch normalizer;
} speller;

/* A token that is looked for in normalized text stands for that. */
static LM_MUST_USE loam_status append_token_bytes(lm_tokenizer *tokenizer, const lm_token *token,
                                                  speller *scratch, loam_error *err) {
    lm_buf *out = &tokenizer->bytes;
    lm_str text = token->text;
    if (token->type == LM_TOKEN_CONTROL || token->type == LM_TOKEN_UNKNOWN) return LOAM_OK;
    if (token->normalized)
        LM_TRY(lm_normalizer_run(tokenizer->normalizer, text, &scratch->normalizer, &text, err));
    if (!is_literal(&tokenizer->spec, token))
        return lm_decoder_spell(tokenizer->decoder, text, false, &scratch->decoder, out, err);
    lm_buf_append(out, text.ptr, text.len);
    return lm_buf_status(out, err);
}

/* A token of one byte becomes that byte's. */
static void note_byte(lm_tokenizer *tokenizer, const lm_token *token, int32_t id, lm_str bytes) {
    int byte = -1;
    if (token->type == LM_TOKEN_BYTE) byte = lm_decoder_byte_of_token(token->text);
    if (token->type == LM_TOKEN_NORMAL && tokenizer->spec.kind == LM_TOKENIZER_BPE &&
        bytes.len == 1)
        byte = (uint8_t)bytes.ptr[0];
    if (byte >= 0 && tokenizer->byte_ids[byte] < 0) tokenizer->byte_ids[byte] = id;
}

static LM_MUST_USE loam_status spell_tokens(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    speller scratch;
    tokenizer->bytes_start = lm_calloc(spec->tokens.len + 1, sizeof *tokenizer->bytes_start);
    if (!tokenizer->bytes_start) return lm_error_no_memory(err, spec->tokens.len);
    memset(tokenizer->byte_ids, 0xff, sizeof tokenizer->byte_ids); /* all -1 */
    lm_decoder_scratch_init(&scratch.decoder);
    lm_normalizer_scratch_init(&scratch.normalizer);
    loam_status status = LOAM_OK;
    for (size_t id = 0; id < spec->tokens.len && status == LOAM_OK; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        size_t start = tokenizer->bytes.len;
        status = append_token_bytes(tokenizer, token, &scratch, err);
        tokenizer->bytes_start[id + 1] = (uint32_t)tokenizer->bytes.len;
        lm_str bytes = {lm_buf_cstr(&tokenizer->bytes) + start, tokenizer->bytes.len - start};
        note_byte(tokenizer, token, (int32_t)id, bytes);
    }
    lm_decoder_scratch_deinit(&scratch.decoder);
    lm_normalizer_scratch_deinit(&scratch.normalizer);
    return status;
}

static LM_MUST_USE loam_status index_merges(lm_tokenizer *tokenizer, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    if (spec->kind != LM_TOKENIZER_BPE && (spec->kind != LM_TOKENIZER_SPM || spec->merges.len == 0))
        return LOAM_OK; /* SPM without merges goes by scores */
    tokenizer->merges = lm_merge_table_new(spec->merges.len);
    if (!tokenizer->merges) return lm_error_no_memory(err, spec->merges.len);
    for (size_t i = 0; i < spec->merges.len; i++) {
        const lm_token_merge *merge = &spec->merges.ptr[i];
        int32_t rank = spec->merge_by_result ? merge->result : (int32_t)i;
        lm_merge_table_add_ranked(tokenizer->merges, merge->left, merge->right, rank,
                                  merge->result);
    }
    return LOAM_OK;
}

/* What an added token is looked for as. `normal`: the result when it is normalized, kept there until all are. */
static LM_MUST_USE loam_status text_of_added(const lm_tokenizer *tokenizer, int32_t id,
                                             lm_normalizer_scratch *scratch, lm_arena *arena,
                                             lm_str *out, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    const lm_token *token = &spec->tokens.ptr[id];
    *out = token->text;
    if (token->type == LM_TOKEN_USER_DEFINED && spec->symbols_spell_spaces)
        *out = lm_tokenizer_token_bytes(tokenizer, id);
    if (!token->normalized) return LOAM_OK;
    LM_TRY(lm_normalizer_run(tokenizer->normalizer, *out, scratch, out, err));
    char *copy = lm_arena_strndup(arena, out->ptr, out->len);
    *out = (lm_str){copy, out->len};
    return copy ? LOAM_OK : lm_error_no_memory(err, out->len);
}

typedef LM_VEC(lm_added_token) added_list;

static LM_MUST_USE loam_status list_added(const lm_tokenizer *tokenizer, bool normalized,
                                          lm_arena *arena, added_list *out, loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    lm_normalizer_scratch scratch;
    lm_normalizer_scratch_init(&scratch);
    loam_status status = LOAM_OK;
    for (size_t id = 0; id < spec->tokens.len && status == LOAM_OK; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        lm_added_token added = {.id = (int32_t)id};
        if (!token->is_added || token->normalized != normalized) continue;
        if (spec->symbols_inside && token->type == LM_TOKEN_USER_DEFINED) continue;
        status = text_of_added(tokenizer, (int32_t)id, &scratch, arena, &added.text, err);
        if (status == LOAM_OK && !lm_vec_push(out, added)) status = lm_error_no_memory(err, id);
    }
    lm_normalizer_scratch_deinit(&scratch);
    return status;
}

static LM_MUST_USE loam_status index_added(lm_tokenizer *tokenizer, bool normalized,
                                           lm_added_tokens **out, loam_error *err) {
    added_list list = {0};
    loam_status status = list_added(tokenizer, normalized, &tokenizer->spec.arena, &list, err);
    if (status == LOAM_OK && list.len > 0) {
        *out = lm_added_tokens_new(&tokenizer->spec, list.ptr, list.len);
        if (!*out) status = lm_error_no_memory(err, list.len);
    }
    lm_vec_deinit(&list);
    return status;
}

static LM_MUST_USE loam_status check_id(const lm_tokenizer_spec *spec, const char *what, int32_t id,
                                        loam_error *err) {
    if (id >= -1 && id < (int32_t)spec->tokens.len) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "the %s token %d is outside the vocabulary of %zu", what,
                        id, spec->tokens.len);
}

static LM_MUST_USE loam_status check_ids(const lm_tokenizer_spec *spec, const char *what,
                                         const lm_vec_i32 *ids, loam_error *err) {
    for (size_t i = 0; i < ids->len; i++) LM_TRY(check_id(spec, what, ids->ptr[i], err));
    return LOAM_OK;
}

static LM_MUST_USE loam_status check_spec(const lm_tokenizer_spec *spec, loam_error *err) {
    if (spec->tokens.len == 0) return lm_error_set(err, LOAM_INVALID, "the vocabulary is empty");
    LM_TRY(check_id(spec, "bos", spec->bos, err));
    LM_TRY(check_id(spec, "unk", spec->unk, err));
    LM_TRY(check_id(spec, "pad", spec->pad, err));
    LM_TRY(check_ids(spec, "eos", &spec->eos, err));
    LM_TRY(check_ids(spec, "template's", &spec->before, err));
    LM_TRY(check_ids(spec, "template's", &spec->between, err));
    return check_ids(spec, "template's", &spec->after, err);
}

/* What stands around a text, where the file said only whether BOS and EOS do. */
static LM_MUST_USE loam_status complete_template(lm_tokenizer_spec *spec, loam_error *err) {
    if (spec->add_bos && spec->before.len == 0 && spec->bos >= 0 &&
        !lm_vec_push(&spec->before, spec->bos))
        return lm_error_no_memory(err, sizeof spec->bos);
    if (spec->add_eos && spec->after.len == 0 && spec->eos.len > 0 &&
        !lm_vec_push(&spec->after, spec->eos.ptr[0]))
        return lm_error_no_memory(err, sizeof spec->bos);
    return LOAM_OK;
}

static bool is_user_defined(const lm_token *token) {
    return token->type == LM_TOKEN_USER_DEFINED;
}

static LM_MUST_USE loam_status build(lm_tokenizer *tokenizer, loam_error *err) {
    lm_tokenizer_spec *spec = &tokenizer->spec;
    LM_TRY(check_spec(spec, err));
    LM_TRY(complete_template(spec, err));
    if (spec->symbols_inside)
        LM_TRY(lm_tokens_trie(tokenizer, is_user_defined, &tokenizer->symbols, err));
    LM_TRY(lm_normalizer_new(&spec->normalizer, tokenizer->symbols, &tokenizer->normalizer, err));
    LM_TRY(lm_pretokenizer_new(&spec->pretokenizer, spec->kind == LM_TOKENIZER_BPE,
                               &tokenizer->pretokenizer, err));
    LM_TRY(lm_decoder_new(&spec->decoder, &tokenizer->decoder, err));
    tokenizer->takes_bytes = spec->kind == LM_TOKENIZER_BPE || spec->byte_fallback;
    LM_TRY(spell_tokens(tokenizer, err));
    LM_TRY(index_added(tokenizer, false, &tokenizer->raw, err));
    LM_TRY(index_added(tokenizer, true, &tokenizer->normalized, err));
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
    lm_normalizer_free(tokenizer->normalizer);
    lm_pretokenizer_free(tokenizer->pretokenizer);
    lm_decoder_free(tokenizer->decoder);
    lm_buf_deinit(&tokenizer->bytes);
    lm_free(tokenizer->bytes_start);
    lm_added_tokens_free(tokenizer->raw);
    lm_added_tokens_free(tokenizer->normalized);
    lm_text_index_free(tokenizer->words);
    lm_free(tokenizer->word_states);
    lm_merge_table_free(tokenizer->merges);
    lm_text_index_free(tokenizer->pieces);
    lm_token_trie_free(tokenizer->trie);
    lm_token_trie_free(tokenizer->symbols);
    lm_free(tokenizer);
}

/* ------------------------------------------------------------------------------------------------- encoding */

enum { CACHE_WORTH_BYTES = 2048 }; /* texts from here on are worth a cache of words */

static void scratch_init(lm_encode_scratch *scratch, size_t text_len) {
    *scratch = (lm_encode_scratch){0};
    lm_buf_init(&scratch->lossy, UINT32_MAX);
    lm_normalizer_scratch_init(&scratch->normalizer);
    lm_pretokens_init(&scratch->pretokens);
    if (text_len >= CACHE_WORTH_BYTES) /* without memory for it, it goes without */
        scratch->cache = lm_calloc(LM_WORD_CACHE_SLOTS, sizeof *scratch->cache);
}

static void scratch_deinit(lm_encode_scratch *scratch) {
    lm_buf_deinit(&scratch->lossy);
    lm_normalizer_scratch_deinit(&scratch->normalizer);
    lm_pretokens_deinit(&scratch->pretokens);
    lm_merger_deinit(&scratch->merger);
    lm_vec_deinit(&scratch->lattice);
    lm_free(scratch->cache);
}

/* Text without added tokens, normalized. */
static LM_MUST_USE loam_status encode_words(const lm_tokenizer *tokenizer, lm_str text,
                                            bool is_first, lm_encode_scratch *scratch,
                                            lm_vec_i32 *ids, loam_error *err) {
    lm_pretokens *pretokens = &scratch->pretokens;
    LM_TRY(lm_pretokenizer_run(tokenizer->pretokenizer, text, is_first, pretokens, err));
    for (size_t i = 0; i < pretokens->stretches.len; i++) {
        lm_stretch stretch = pretokens->stretches.ptr[i];
        lm_str word = {pretokens->text.ptr + stretch.start, stretch.end - stretch.start};
        if (!tokenizer->ops->encode(tokenizer, word, scratch, ids))
            return lm_error_no_memory(err, word.len);
    }
    return LOAM_OK;
}

/* What is between added tokens goes to `encode`; `added` may be NULL. */
typedef loam_status (*section_encoder)(const lm_tokenizer *tokenizer, lm_str text, bool is_first,
                                       bool parse_special, lm_encode_scratch *scratch,
                                       lm_vec_i32 *ids, loam_error *err);

static LM_MUST_USE loam_status encode_around(const lm_tokenizer *tokenizer,
                                             const lm_added_tokens *added, lm_str text,
                                             bool is_first, bool parse_special,
                                             section_encoder encode, lm_encode_scratch *scratch,
                                             lm_vec_i32 *ids, loam_error *err) {
    size_t done = 0;
    while (done < text.len) {
        size_t start = text.len, end = text.len;
        int32_t id =
            added ? lm_added_tokens_next(added, text, done, parse_special, &start, &end) : -1;
        lm_str section = {text.ptr + done, start - done};
        if (section.len > 0)
            LM_TRY(encode(tokenizer, section, is_first && done == 0, parse_special, scratch, ids,
                          err));
        if (id >= 0 && !lm_vec_push(ids, id)) return lm_error_no_memory(err, sizeof id);
        done = end;
    }
    return LOAM_OK;
}

static loam_status encode_normalized(const lm_tokenizer *tokenizer, lm_str text, bool is_first,
                                     bool parse_special, lm_encode_scratch *scratch,
                                     lm_vec_i32 *ids, loam_error *err) {
    return encode_words(tokenizer, text, is_first, scratch, ids, err);
}

static loam_status encode_raw(const lm_tokenizer *tokenizer, lm_str text, bool is_first,
                              bool parse_special, lm_encode_scratch *scratch, lm_vec_i32 *ids,
                              loam_error *err) {
    LM_TRY(lm_normalizer_run(tokenizer->normalizer, text, &scratch->normalizer, &text, err));
    return encode_around(tokenizer, tokenizer->normalized, text, is_first, parse_special,
                         encode_normalized, scratch, ids, err);
}

static LM_MUST_USE loam_status push_all(lm_vec_i32 *ids, const lm_vec_i32 *more, loam_error *err) {
    for (size_t i = 0; i < more->len; i++) {
        if (!lm_vec_push(ids, more->ptr[i])) return lm_error_no_memory(err, sizeof *ids->ptr);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status put_before(const lm_tokenizer_spec *spec, lm_encode_options options,
                                          lm_vec_i32 *ids, loam_error *err) {
    if (!options.add_bos && !options.add_special) return LOAM_OK;
    if (spec->before.len > 0 || !options.add_bos || spec->bos < 0)
        return push_all(ids, &spec->before, err);
    return lm_vec_push(ids, spec->bos) ? LOAM_OK : lm_error_no_memory(err, sizeof spec->bos);
}

static LM_MUST_USE loam_status encode_all(const lm_tokenizer *tokenizer, lm_str text,
                                          lm_encode_options options, lm_encode_scratch *scratch,
                                          lm_vec_i32 *ids, loam_error *err) {
    LM_TRY(put_before(&tokenizer->spec, options, ids, err));
    if (!tokenizer->takes_bytes && !lm_utf8_is_valid(text)) {
        lm_utf8_decode_lossy(text, &scratch->lossy);
        LM_TRY(lm_buf_status(&scratch->lossy, err));
        text = lm_buf_view(&scratch->lossy);
    }
    LM_TRY(encode_around(tokenizer, tokenizer->raw, text, true, options.parse_special, encode_raw,
                         scratch, ids, err));
    return options.add_special ? push_all(ids, &tokenizer->spec.after, err) : LOAM_OK;
}

loam_status lm_tokenizer_encode(const lm_tokenizer *tokenizer, lm_str text,
                                lm_encode_options options, lm_vec_i32 *ids, loam_error *err) {
    if (text.len > LM_TOKENIZER_MAX_TEXT_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "text of %zu bytes, at most %d are allowed", text.len,
                            LM_TOKENIZER_MAX_TEXT_BYTES);
    lm_encode_scratch scratch;
    size_t before = ids->len;
    scratch_init(&scratch, text.len);
    loam_status status = encode_all(tokenizer, text, options, &scratch, ids, err);
    scratch_deinit(&scratch);
    if (status != LOAM_OK) ids->len = before;
    return status;
}

static LM_MUST_USE loam_status encode_pair(const lm_tokenizer *tokenizer, lm_str first,
                                           lm_str second, lm_vec_i32 *ids, size_t *out_second_begin,
                                           loam_error *err) {
    const lm_tokenizer_spec *spec = &tokenizer->spec;
    const lm_encode_options plain = {0};
    LM_TRY(push_all(ids, &spec->before, err));
    LM_TRY(lm_tokenizer_encode(tokenizer, first, plain, ids, err));
    LM_TRY(push_all(ids, spec->between.len ? &spec->between : &spec->after, err));
    *out_second_begin = ids->len;
    LM_TRY(lm_tokenizer_encode(tokenizer, second, plain, ids, err));
    return push_all(ids, &spec->after, err);
}

loam_status lm_tokenizer_encode_pair(const lm_tokenizer *tokenizer, lm_str first, lm_str second,
                                     lm_vec_i32 *ids, size_t *out_second_begin, loam_error *err) {
    size_t before = ids->len;
    loam_status status = encode_pair(tokenizer, first, second, ids, out_second_begin, err);
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
    return tokenizer->spec.before.len > 0;
}

lm_str lm_tokenizer_chat_template(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.chat_template;
}

lm_str lm_tokenizer_tool_template(const lm_tokenizer *tokenizer) {
    return tokenizer->spec.tool_template;
}

const lm_decoder *lm_tokenizer_decoder(const lm_tokenizer *tokenizer) {
    return tokenizer->decoder;
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
    if (lm_str_ends(name, LM_STR(".json")) || lm_str_ends(name, LM_STR(".model")) ||
        lm_str_ends(name, LM_STR(".tiktoken")))
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
