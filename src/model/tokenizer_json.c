/* tokenizer.json as the tokenizers library writes it: a pipeline of normalizer, pre-tokenizer, model, post-processor
 * and decoder. Loam takes the two pipelines that language models use, SentencePiece's and byte-level BPE, in all the
 * spellings known of them, and refuses by name whatever it would have to ignore.
 */
#include "base/json.h"
#include "base/mem.h"
#include "model/tokenizer_readers.h"

enum {
    MAX_STEPS = 32,        /* of a Sequence */
    MAX_HOLES = 1 << 16,   /* ids without a token */
    MAX_SHOWN_BYTES = 100, /* of a text in messages */
};

#define SPM_SPACE LM_STR(LM_SPM_SPACE)

typedef struct json_reader {
    const char *path;
    lm_tokenizer_spec *spec;
    bool spells_spaces; /* a step turns spaces into "▁" */
    bool is_byte_level;
} json_reader;

static int shown(lm_str text) {
    return (int)(text.len < MAX_SHOWN_BYTES ? text.len : MAX_SHOWN_BYTES);
}

static LM_COLD loam_status unsupported(const json_reader *in, const char *what, lm_str detail,
                                       loam_error *err) {
    lm_error_set(err, LOAM_UNSUPPORTED, "%s: %s '%.*s'", in->path, what, shown(detail), detail.ptr);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows SentencePiece BPE and byte-level BPE");
}

/* The steps of an optional pipeline stage: a Sequence's children, or the one there is. */
typedef loam_status (*step_reader)(json_reader *in, const json_t *step, lm_str type,
                                   loam_error *err);

static LM_MUST_USE loam_status read_step(json_reader *in, const json_t *step, step_reader read,
                                         loam_error *err) {
    lm_str type = {0};
    if (!json_is_object(step))
        return lm_error_set(err, LOAM_INVALID, "%s: a step is no object", in->path);
    LM_TRY(lm_json_str(step, in->path, "type", &type, err));
    return read(in, step, type, err);
}

static LM_MUST_USE loam_status read_stage(json_reader *in, const json_t *root, const char *stage,
                                          const char *children, step_reader read, loam_error *err) {
    const json_t *step = json_object_get(root, stage);
    if (!step || json_is_null(step)) return LOAM_OK;
    const char *type = json_string_value(json_object_get(step, "type"));
    if (!type || strcmp(type, "Sequence") != 0) return read_step(in, step, read, err);
    const json_t *steps = json_object_get(step, children);
    if (json_array_size(steps) > MAX_STEPS)
        return lm_error_set(err, LOAM_LIMIT, "%s: %s has more than %d steps", in->path, stage,
                            MAX_STEPS);
    for (size_t i = 0; i < json_array_size(steps); i++)
        LM_TRY(read_step(in, json_array_get(steps, i), read, err));
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- stages */

static bool replaces_spaces(const json_t *step) {
    const char *from =
        json_string_value(json_object_get(json_object_get(step, "pattern"), "String"));
    const char *to = json_string_value(json_object_get(step, "content"));
    return from && to && strcmp(from, " ") == 0 && strcmp(to, LM_SPM_SPACE) == 0;
}

static loam_status read_normalizer(json_reader *in, const json_t *step, lm_str type,
                                   loam_error *err) {
    lm_str text = {0};
    if (lm_str_is(type, "NFC")) {
        in->spec->normal_form = LM_NORMAL_FORM_NFC;
    } else if (lm_str_is(type, "NFKC")) {
        in->spec->normal_form = LM_NORMAL_FORM_NFKC;
    } else if (lm_str_is(type, "Replace") && replaces_spaces(step)) {
        in->spells_spaces = true;
    } else if (lm_str_is(type, "Prepend")) {
        LM_TRY(lm_json_str(step, in->path, "prepend", &text, err));
        if (!lm_str_equal(text, SPM_SPACE))
            return unsupported(in, "a normalizer that prepends", text, err);
        in->spec->space_prefix = LM_SPACE_PREFIX_EACH;
    } else {
        return unsupported(in, "normalizer", type, err);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_pattern(json_reader *in, lm_str pattern, loam_error *err) {
    lm_pretokenizer_patterns *patterns = &in->spec->patterns;
    if (patterns->n == LM_PRETOKENIZER_MAX_PATTERNS)
        return lm_error_set(err, LOAM_LIMIT, "%s: more than %d pre-tokenization patterns", in->path,
                            LM_PRETOKENIZER_MAX_PATTERNS);
    lm_str copy = lm_tokenizer_spec_copy(in->spec, pattern);
    if (!copy.ptr) return lm_error_no_memory(err, pattern.len);
    patterns->items[patterns->n++] = copy;
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_split(json_reader *in, const json_t *step, loam_error *err) {
    const json_t *pattern = json_object_get(step, "pattern");
    lm_str behavior = {0}, literal = {0}, regex = {0};
    bool inverted = false;
    LM_TRY(lm_json_str(step, in->path, "behavior", &behavior, err));
    LM_TRY(lm_json_bool_or(step, in->path, "invert", false, &inverted, err));
    if (!lm_str_is(behavior, "Isolated") || inverted)
        return unsupported(in, "a split with behavior", behavior, err);
    LM_TRY(lm_json_str_or(pattern, in->path, "Regex", LM_STR(""), &regex, err));
    if (regex.len) return add_pattern(in, regex, err);
    LM_TRY(lm_json_str(pattern, in->path, "String", &literal, err));
    char quoted[MAX_SHOWN_BYTES];
    if (literal.len == 0 || literal.len > sizeof quoted - sizeof "\\Q\\E" ||
        strstr(literal.ptr, "\\E"))
        return unsupported(in, "a split at", literal, err);
    int len = snprintf(quoted, sizeof quoted, "\\Q%s\\E", literal.ptr);
    return add_pattern(in, (lm_str){quoted, (size_t)len}, err);
}

static LM_MUST_USE loam_status read_byte_level(json_reader *in, const json_t *step,
                                               loam_error *err) {
    bool uses_regex = true, adds_space = false;
    lm_pretokenizer_patterns gpt2;
    in->is_byte_level = true;
    LM_TRY(lm_json_bool_or(step, in->path, "use_regex", true, &uses_regex, err));
    LM_TRY(lm_json_bool_or(step, in->path, "add_prefix_space", false, &adds_space, err));
    if (adds_space) in->spec->space_prefix = LM_SPACE_PREFIX_EACH_IF_ABSENT;
    if (!uses_regex) return LOAM_OK;
    bool is_known = lm_pretokenizer_find(LM_STR("gpt-2"), &gpt2);
    LM_ASSERT(is_known);
    return add_pattern(in, gpt2.items[0], err);
}

static LM_MUST_USE loam_status read_metaspace(json_reader *in, const json_t *step,
                                              loam_error *err) {
    static const struct {
        const char *name;
        lm_space_prefix prefix;
    } schemes[] = {{"always", LM_SPACE_PREFIX_EACH_IF_ABSENT},
                   {"first", LM_SPACE_PREFIX_FIRST_IF_ABSENT},
                   {"never", LM_SPACE_PREFIX_NONE}};
    lm_str replacement = {0}, scheme = {0};
    bool splits = true, adds_space = true;
    LM_TRY(lm_json_str_or(step, in->path, "replacement", SPM_SPACE, &replacement, err));
    LM_TRY(lm_json_bool_or(step, in->path, "split", true, &splits, err));
    LM_TRY(lm_json_bool_or(step, in->path, "add_prefix_space", true, &adds_space, err));
    LM_TRY(lm_json_str_or(step, in->path, "prepend_scheme",
                          adds_space ? LM_STR("always") : LM_STR("never"), &scheme, err));
    if (!lm_str_equal(replacement, SPM_SPACE))
        return unsupported(in, "a space spelled", replacement, err);
    if (splits) return unsupported(in, "pre-tokenizer", LM_STR("Metaspace with split"), err);
    in->spells_spaces = true;
    for (size_t i = 0; i < LM_COUNT_OF(schemes); i++) {
        if (!lm_str_is(scheme, schemes[i].name)) continue;
        in->spec->space_prefix = schemes[i].prefix;
        return LOAM_OK;
    }
    return unsupported(in, "prepend scheme", scheme, err);
}

static loam_status read_pretokenizer(json_reader *in, const json_t *step, lm_str type,
                                     loam_error *err) {
    bool individual = false;
    if (lm_str_is(type, "Split")) return read_split(in, step, err);
    if (lm_str_is(type, "ByteLevel")) return read_byte_level(in, step, err);
    if (lm_str_is(type, "Metaspace")) return read_metaspace(in, step, err);
    if (!lm_str_is(type, "Digits")) return unsupported(in, "pre-tokenizer", type, err);
    LM_TRY(lm_json_bool_or(step, in->path, "individual_digits", false, &individual, err));
    return add_pattern(in, individual ? LM_STR("\\p{N}") : LM_STR("\\p{N}+"), err);
}

/* A template that begins with a special token: that is BOS, and it is added. */
static loam_status read_postprocessor(json_reader *in, const json_t *step, lm_str type,
                                      loam_error *err) {
    if (!lm_str_is(type, "TemplateProcessing")) return LOAM_OK; /* the others only move offsets */
    const json_t *first = json_array_get(json_object_get(step, "single"), 0);
    const json_t *special = json_object_get(first, "SpecialToken");
    lm_str id = {0};
    if (!special) return LOAM_OK;
    LM_TRY(lm_json_str(special, in->path, "id", &id, err));
    in->spec->bos = lm_tokenizer_spec_find(in->spec, id);
    in->spec->add_bos = in->spec->bos >= 0;
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- tokens */

typedef struct listed_token {
    lm_str text; /* ptr NULL: a hole */
    lm_token_type type;
    bool lstrip, rstrip;
} listed_token;

typedef LM_VEC(listed_token) listed_tokens;

static LM_MUST_USE loam_status list_token(const json_reader *in, const json_t *id,
                                          listed_token token, size_t n_given, listed_tokens *out,
                                          loam_error *err) {
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
    out->ptr[index] = token;
    return LOAM_OK;
}

/* "<0x0A>" */
static bool is_byte_token(lm_str text) {
    return text.len == 6 && lm_str_starts(text, LM_STR("<0x")) && text.ptr[5] == '>';
}

static LM_MUST_USE loam_status list_vocab(const json_reader *in, const json_t *vocab,
                                          size_t n_given, listed_tokens *out, loam_error *err) {
    const char *text;
    size_t len;
    json_t *id;
    json_object_keylen_foreach((json_t *)vocab, text, len, id) {
        listed_token token = {.text = {text, len}, .type = LM_TOKEN_NORMAL};
        if (in->spec->byte_fallback && is_byte_token(token.text)) token.type = LM_TOKEN_BYTE;
        LM_TRY(list_token(in, id, token, n_given, out, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status list_added(const json_reader *in, const json_t *added,
                                          size_t n_given, listed_tokens *out, loam_error *err) {
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i);
        listed_token token = {0};
        bool is_special = false, single_word = false;
        if (!json_is_object(entry))
            return lm_error_set(err, LOAM_INVALID, "%s: added token %zu is no object", in->path, i);
        LM_TRY(lm_json_str(entry, in->path, "content", &token.text, err));
        LM_TRY(lm_json_bool_or(entry, in->path, "special", false, &is_special, err));
        LM_TRY(lm_json_bool_or(entry, in->path, "lstrip", false, &token.lstrip, err));
        LM_TRY(lm_json_bool_or(entry, in->path, "rstrip", false, &token.rstrip, err));
        LM_TRY(lm_json_bool_or(entry, in->path, "single_word", false, &single_word, err));
        if (single_word)
            return unsupported(in, "a token that only matches whole words,", token.text, err);
        token.type = is_special ? LM_TOKEN_CONTROL : LM_TOKEN_USER_DEFINED;
        LM_TRY(list_token(in, json_object_get(entry, "id"), token, n_given, out, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_listed(json_reader *in, const listed_tokens *listed,
                                          loam_error *err) {
    for (size_t id = 0; id < listed->len; id++) {
        const listed_token *token = &listed->ptr[id];
        lm_str text = token->text.ptr ? token->text : LM_STR("");
        LM_TRY(lm_tokenizer_spec_add_token(
            in->spec, text, token->text.ptr ? token->type : LM_TOKEN_UNUSED, 0, err));
        in->spec->tokens.ptr[id].lstrip = token->lstrip;
        in->spec->tokens.ptr[id].rstrip = token->rstrip;
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_tokens(json_reader *in, const json_t *root, const json_t *model,
                                           loam_error *err) {
    const json_t *vocab = json_object_get(model, "vocab"),
                 *added = json_object_get(root, "added_tokens");
    if (!json_is_object(vocab))
        return lm_error_set(err, LOAM_INVALID, "%s: 'model.vocab' must be an object", in->path);
    if (added && !json_is_null(added) && !json_is_array(added))
        return lm_error_set(err, LOAM_INVALID, "%s: 'added_tokens' must be an array", in->path);
    size_t n_given = json_object_size(vocab) + json_array_size(added);
    listed_tokens listed = {0};
    loam_status status = list_vocab(in, vocab, n_given, &listed, err);
    if (status == LOAM_OK) status = list_added(in, added, n_given, &listed, err);
    if (status == LOAM_OK) status = add_listed(in, &listed, err);
    lm_vec_deinit(&listed);
    return status;
}

/* ------------------------------------------------------------------------------------------------- model */

static LM_MUST_USE loam_status check_model_type(const json_reader *in, const json_t *model,
                                                loam_error *err) {
    static const char *const refused[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    lm_str type = {0}, text = {0};
    if (!json_is_object(model))
        return lm_error_set(err, LOAM_INVALID, "%s: 'model' must be an object", in->path);
    LM_TRY(lm_json_str_or(model, in->path, "type", LM_STR("BPE"), &type, err));
    if (!lm_str_is(type, "BPE")) return unsupported(in, "tokenizer model", type, err);
    for (size_t i = 0; i < LM_COUNT_OF(refused); i++) {
        LM_TRY(lm_json_str_or(model, in->path, refused[i], LM_STR(""), &text, err));
        if (text.len) return unsupported(in, refused[i], text, err);
    }
    return LOAM_OK;
}

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

static LM_MUST_USE loam_status read_unk(json_reader *in, const json_t *model, loam_error *err) {
    lm_str text = {0};
    LM_TRY(lm_json_str_or(model, in->path, "unk_token", LM_STR(""), &text, err));
    in->spec->unk = text.len ? lm_tokenizer_spec_find(in->spec, text) : -1;
    if (in->spec->unk >= 0) in->spec->tokens.ptr[in->spec->unk].type = LM_TOKEN_UNKNOWN;
    return LOAM_OK;
}

static LM_MUST_USE loam_status choose_kind(json_reader *in, loam_error *err) {
    if (in->is_byte_level == in->spells_spaces)
        return unsupported(in, "a BPE pipeline that is",
                           in->is_byte_level ? LM_STR("byte-level and SentencePiece at once")
                                             : LM_STR("neither byte-level nor SentencePiece"),
                           err);
    in->spec->kind = in->is_byte_level ? LM_TOKENIZER_BPE : LM_TOKENIZER_SPM;
    const char *name = in->is_byte_level ? lm_pretokenizer_name_of(&in->spec->patterns) : NULL;
    if (name) snprintf(in->spec->pre_name, sizeof in->spec->pre_name, "%s", name);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_document(json_reader *in, const json_t *root, loam_error *err) {
    const json_t *model = json_object_get(root, "model");
    LM_TRY(check_model_type(in, model, err));
    LM_TRY(lm_json_bool_or(model, in->path, "byte_fallback", false, &in->spec->byte_fallback, err));
    LM_TRY(lm_json_bool_or(model, in->path, "ignore_merges", false, &in->spec->ignore_merges, err));
    LM_TRY(read_stage(in, root, "normalizer", "normalizers", read_normalizer, err));
    LM_TRY(read_stage(in, root, "pre_tokenizer", "pretokenizers", read_pretokenizer, err));
    LM_TRY(choose_kind(in, err));
    LM_TRY(read_tokens(in, root, model, err));
    LM_TRY(read_unk(in, model, err));
    LM_TRY(read_merges(in, model, err));
    return read_stage(in, root, "post_processor", "processors", read_postprocessor, err);
}

loam_status lm_tokenizer_read_json(lm_str text, const char *path, lm_tokenizer_spec *out,
                                   loam_error *err) {
    json_t *root = NULL;
    lm_tokenizer_spec spec;
    LM_TRY(lm_json_parse(text, path, &root, err));
    loam_status status = lm_tokenizer_spec_init(&spec, LM_TOKENIZER_BPE, err);
    json_reader in = {.path = path, .spec = &spec};
    if (status == LOAM_OK) status = read_document(&in, root, err);
    json_decref(root);
    if (status == LOAM_OK) {
        *out = spec;
    } else {
        lm_tokenizer_spec_deinit(&spec);
    }
    return status;
}
