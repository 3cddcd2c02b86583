/* tokenizer.json as the tokenizers library writes it: a pipeline of normalizer, pre-tokenizer, model, post-processor
 * and decoder. Here are the document, its tokens and its model; the steps of the stages are read in
 * tokenizer_json_steps.c. What loam would have to ignore is refused by name.
 */
#include "base/json.h"
#include "base/mem.h"
#include "model/tokenizer_json.h"
#include "model/tokenizer_readers.h"

enum {
    MAX_HOLES = 1 << 16,   /* ids without a token */
    MAX_SHOWN_BYTES = 100, /* of a text in messages */
};

typedef struct json_reader {
    const char *path;
    lm_tokenizer_spec *spec;
} json_reader;

static int shown(lm_str text) {
    return (int)(text.len < MAX_SHOWN_BYTES ? text.len : MAX_SHOWN_BYTES);
}

/* ------------------------------------------------------------------------------------------------- tokens */

typedef LM_VEC(lm_token) listed_tokens; /* by id; text.ptr NULL: a hole */

static LM_MUST_USE loam_status list_token(const json_reader *in, const json_t *id, lm_token token,
                                          size_t n_given, listed_tokens *out, loam_error *err) {
    json_int_t index = json_is_integer(id) ? json_integer_value(id) : -1;
    if (index < 0 || (size_t)index >= n_given + MAX_HOLES)
        return lm_error_set(err, LOAM_INVALID, "%s: token '%.*s' of %zu has the id %lld", in->path,
                            shown(token.text), token.text.ptr, n_given, (long long)index);
    size_t need = (size_t)index + 1;
    if (need > out->len) {
        if (!lm_vec_reserve(out, need - out->len))
            return lm_error_no_memory(err, need * sizeof token);
        memset(out->ptr + out->len, 0, (need - out->len) * sizeof token);
        out->len = need;
    }
    token.in_model |= out->ptr[index].in_model;
    token.score += out->ptr[index].score;
    out->ptr[index] = token;
    return LOAM_OK;
}

/* "<0x0A>" */
static bool is_byte_token(lm_str text) {
    return text.len == 6 && lm_str_starts(text, LM_STR("<0x")) && text.ptr[5] == '>';
}

static lm_token model_token(const json_reader *in, lm_str text, double score) {
    bool is_byte = in->spec->byte_fallback && is_byte_token(text);
    return (lm_token){.text = text,
                      .type = is_byte ? LM_TOKEN_BYTE : LM_TOKEN_NORMAL,
                      .score = score,
                      .in_model = true};
}

static LM_MUST_USE loam_status list_vocab(const json_reader *in, const json_t *vocab,
                                          size_t n_given, listed_tokens *out, loam_error *err) {
    const char *text;
    size_t len;
    json_t *id;
    json_object_keylen_foreach((json_t *)vocab, text, len, id) {
        lm_token token = model_token(in, (lm_str){text, len}, 0);
        LM_TRY(list_token(in, id, token, n_given, out, err));
    }
    return LOAM_OK;
}

/* Unigram's: a list of pairs of text and score, by id. */
static LM_MUST_USE loam_status list_pieces(const json_reader *in, const json_t *vocab,
                                           listed_tokens *out, loam_error *err) {
    for (size_t i = 0; i < json_array_size(vocab); i++) {
        const json_t *pair = json_array_get(vocab, i), *text = json_array_get(pair, 0),
                     *score = json_array_get(pair, 1);
        if (!json_is_string(text) || !json_is_number(score))
            return lm_error_set(err, LOAM_INVALID,
                                "%s: 'model.vocab' entry %zu is no pair of text and score",
                                in->path, i);
        lm_str piece = {json_string_value(text), json_string_length(text)};
        if (!lm_vec_push(out, model_token(in, piece, json_number_value(score))))
            return lm_error_no_memory(err, i * sizeof *out->ptr);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_added(const json_reader *in, const json_t *entry, lm_token *out,
                                          loam_error *err) {
    lm_token token = {.is_added = true};
    bool is_special = false;
    LM_TRY(lm_json_str(entry, in->path, "content", &token.text, err));
    LM_TRY(lm_json_bool_or(entry, in->path, "special", false, &is_special, err));
    LM_TRY(lm_json_bool_or(entry, in->path, "lstrip", false, &token.lstrip, err));
    LM_TRY(lm_json_bool_or(entry, in->path, "rstrip", false, &token.rstrip, err));
    LM_TRY(lm_json_bool_or(entry, in->path, "single_word", false, &token.single_word, err));
    LM_TRY(lm_json_bool_or(entry, in->path, "normalized", !is_special, &token.normalized, err));
    token.type = is_special ? LM_TOKEN_CONTROL : LM_TOKEN_USER_DEFINED;
    *out = token;
    return LOAM_OK;
}

static LM_MUST_USE loam_status list_added(const json_reader *in, const json_t *added,
                                          size_t n_given, listed_tokens *out, loam_error *err) {
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i);
        lm_token token;
        if (!json_is_object(entry))
            return lm_error_set(err, LOAM_INVALID, "%s: added token %zu is no object", in->path, i);
        LM_TRY(read_added(in, entry, &token, err));
        LM_TRY(list_token(in, json_object_get(entry, "id"), token, n_given, out, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_listed(json_reader *in, const listed_tokens *listed,
                                          loam_error *err) {
    for (size_t id = 0; id < listed->len; id++) {
        lm_token token = listed->ptr[id];
        lm_str text = token.text.ptr ? token.text : LM_STR("");
        if (!token.text.ptr) token.type = LM_TOKEN_UNUSED;
        LM_TRY(lm_tokenizer_spec_add_token(in->spec, text, token.type, token.score, err));
        token.text = in->spec->tokens.ptr[id].text;
        in->spec->tokens.ptr[id] = token;
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_tokens(json_reader *in, const json_t *root, const json_t *model,
                                           loam_error *err) {
    const json_t *vocab = json_object_get(model, "vocab"),
                 *added = json_object_get(root, "added_tokens");
    bool is_list = in->spec->kind == LM_TOKENIZER_UNIGRAM;
    if (is_list ? !json_is_array(vocab) : !json_is_object(vocab))
        return lm_error_set(err, LOAM_INVALID, "%s: 'model.vocab' must be an %s", in->path,
                            is_list ? "array" : "object");
    if (added && !json_is_null(added) && !json_is_array(added))
        return lm_error_set(err, LOAM_INVALID, "%s: 'added_tokens' must be an array", in->path);
    size_t n_given =
        (is_list ? json_array_size(vocab) : json_object_size(vocab)) + json_array_size(added);
    listed_tokens listed = {0};
    loam_status status = is_list ? list_pieces(in, vocab, &listed, err)
                                 : list_vocab(in, vocab, n_given, &listed, err);
    if (status == LOAM_OK) status = list_added(in, added, n_given, &listed, err);
    if (status == LOAM_OK) status = add_listed(in, &listed, err);
    lm_vec_deinit(&listed);
    return status;
}

/* ------------------------------------------------------------------------------------------------- model */

static LM_MUST_USE loam_status read_merges(json_reader *in, const json_t *model, loam_error *err) {
    const json_t *merges = json_object_get(model, "merges");
    if (!json_is_array(merges))
        return lm_error_set(err, LOAM_INVALID, "%s: 'model.merges' must be an array", in->path);
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i), *left = json_array_get(merge, 0),
                     *right = json_array_get(merge, 1);
        if (json_is_string(merge)) {
            lm_str both = {json_string_value(merge), json_string_length(merge)};
            LM_TRY(lm_tokenizer_spec_add_spaced_merge(in->spec, both, err));
        } else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right)) {
            LM_TRY(lm_tokenizer_spec_add_merge(
                in->spec, (lm_str){json_string_value(left), json_string_length(left)},
                (lm_str){json_string_value(right), json_string_length(right)}, err));
        } else {
            return lm_error_set(err, LOAM_INVALID, "%s: merge %zu is no pair of texts", in->path,
                                i);
        }
    }
    return LOAM_OK;
}

/* unk by its text (BPE, WordPiece, WordLevel) or by its id (Unigram). */
static LM_MUST_USE loam_status read_unk(json_reader *in, const json_t *model, loam_error *err) {
    lm_str text = {0};
    int64_t id = -1;
    LM_TRY(lm_json_str_or(model, in->path, "unk_token", LM_STR(""), &text, err));
    LM_TRY(lm_json_i64_or(model, in->path, "unk_id", -1, &id, err));
    if (id < -1 || id >= (int64_t)in->spec->tokens.len)
        return lm_error_set(err, LOAM_INVALID, "%s: 'model.unk_id' is %lld, there are %zu tokens",
                            in->path, (long long)id, in->spec->tokens.len);
    in->spec->unk = text.len ? lm_tokenizer_spec_find(in->spec, text) : (int32_t)id;
    if (in->spec->unk >= 0) in->spec->tokens.ptr[in->spec->unk].type = LM_TOKEN_UNKNOWN;
    return LOAM_OK;
}

/* What the models of tokenizers are called, and what they say when they do not say it. */
static const struct {
    const char *name;
    lm_tokenizer_kind_id kind;
    bool fuses_unk;
} models[] = {{"BPE", LM_TOKENIZER_SPM, false},
              {"WordPiece", LM_TOKENIZER_WORDPIECE, false},
              {"Unigram", LM_TOKENIZER_UNIGRAM, true},
              {"WordLevel", LM_TOKENIZER_WORDLEVEL, false}};

/* Older files leave the type out; then what else there is tells. */
static lm_str guess_type(const json_t *model) {
    if (json_object_get(model, "merges")) return LM_STR("BPE");
    if (json_object_get(model, "max_input_chars_per_word")) return LM_STR("WordPiece");
    if (json_is_array(json_object_get(model, "vocab"))) return LM_STR("Unigram");
    return LM_STR("BPE");
}

static LM_MUST_USE loam_status read_model_type(json_reader *in, const json_t *model,
                                               loam_error *err) {
    lm_str type = {0};
    if (!json_is_object(model))
        return lm_error_set(err, LOAM_INVALID, "%s: 'model' must be an object", in->path);
    LM_TRY(lm_json_str_or(model, in->path, "type", guess_type(model), &type, err));
    for (size_t i = 0; i < LM_COUNT_OF(models); i++) {
        if (!lm_str_is(type, models[i].name)) continue;
        in->spec->kind = models[i].kind;
        return lm_json_bool_or(model, in->path, "fuse_unk", models[i].fuses_unk,
                               &in->spec->fuse_unk, err);
    }
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: tokenizer model '%.*s'", in->path, shown(type),
                 type.ptr);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows BPE, WordPiece, Unigram and WordLevel");
}

static LM_MUST_USE loam_status read_text(json_reader *in, const json_t *model, const char *key,
                                         lm_str *out, loam_error *err) {
    lm_str text = {0};
    LM_TRY(lm_json_str_or(model, in->path, key, LM_STR(""), &text, err));
    *out = lm_tokenizer_spec_copy(in->spec, text);
    return out->ptr ? LOAM_OK : lm_error_no_memory(err, text.len);
}

static LM_MUST_USE loam_status read_model_settings(json_reader *in, const json_t *model,
                                                   loam_error *err) {
    lm_tokenizer_spec *spec = in->spec;
    int64_t max_chars = 0;
    LM_TRY(read_model_type(in, model, err));
    LM_TRY(lm_json_bool_or(model, in->path, "byte_fallback", false, &spec->byte_fallback, err));
    LM_TRY(lm_json_bool_or(model, in->path, "ignore_merges", false, &spec->ignore_merges, err));
    LM_TRY(read_text(in, model, "continuing_subword_prefix", &spec->inner_prefix, err));
    LM_TRY(read_text(in, model, "end_of_word_suffix", &spec->word_suffix, err));
    LM_TRY(lm_json_i64_or(model, in->path, "max_input_chars_per_word", 100, &max_chars, err));
    if (max_chars < 0)
        return lm_error_set(err, LOAM_INVALID, "%s: 'model.max_input_chars_per_word' is %lld",
                            in->path, (long long)max_chars);
    spec->max_word_chars = (size_t)max_chars;
    return LOAM_OK;
}

/* Bytes can only merge as they are when nothing is written around them. */
static void choose_byte_level(lm_tokenizer_spec *spec) {
    if (spec->kind != LM_TOKENIZER_SPM || !lm_tokenizer_spec_is_byte_level(spec)) return;
    if (spec->inner_prefix.len || spec->word_suffix.len) return;
    spec->kind = LM_TOKENIZER_BPE;
    const char *name = lm_pretokenizer_name_of(&spec->pretokenizer);
    if (name) snprintf(spec->pre_name, sizeof spec->pre_name, "%s", name);
}

static LM_MUST_USE loam_status read_document(json_reader *in, const json_t *root, loam_error *err) {
    const json_t *model = json_object_get(root, "model");
    LM_TRY(read_model_settings(in, model, err));
    LM_TRY(lm_tokenizer_json_read_steps(root, in->path, in->spec, err));
    bool merges = in->spec->kind == LM_TOKENIZER_SPM;
    choose_byte_level(in->spec);
    LM_TRY(read_tokens(in, root, model, err));
    LM_TRY(read_unk(in, model, err));
    if (merges) LM_TRY(read_merges(in, model, err));
    return lm_tokenizer_json_read_template(root, in->path, in->spec, err);
}

loam_status lm_tokenizer_read_json(lm_str text, const char *path, lm_tokenizer_spec *out,
                                   loam_error *err) {
    json_t *root = NULL;
    lm_tokenizer_spec spec;
    LM_TRY(lm_json_parse(text, path, &root, err));
    loam_status status = lm_tokenizer_spec_init(&spec, LM_TOKENIZER_BPE, err);
    json_reader in = {.path = path, .spec = &spec};
    if (status == LOAM_OK && lm_tokenizer_is_tekken(root))
        status = lm_tokenizer_read_tekken(root, path, &spec, err);
    else if (status == LOAM_OK)
        status = read_document(&in, root, err);
    json_decref(root);
    if (status == LOAM_OK) {
        *out = spec;
    } else {
        lm_tokenizer_spec_deinit(&spec);
    }
    return status;
}
