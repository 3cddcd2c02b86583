/* tokenizer.json and tokenizer_config.json of a byte-level BPE tokenizer, in the spelling of the tokenizers library. */
#include <jansson.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/tokenizer_spec.h"
#include "model/tokenizer_writers.h"

/* jansson's builders take NULL and hand it on, so a document is NULL when memory ran out anywhere inside. */

static json_t *text_of(lm_str text) {
    return json_stringn(text.ptr, text.len);
}

static json_t *token_text(const lm_tokenizer_spec *spec, int32_t id) {
    return id < 0 ? json_null() : text_of(spec->tokens.ptr[id].text);
}

static bool is_added(const lm_token *token) {
    return token->type == LM_TOKEN_CONTROL || token->type == LM_TOKEN_USER_DEFINED ||
           token->type == LM_TOKEN_UNKNOWN;
}

/* Appends to an array that may be NULL already; NULL from then on when it fails. */
static json_t *append(json_t *array, json_t *value) {
    if (array && json_array_append_new(array, value) == 0) return array;
    json_decref(array);
    return NULL;
}

static json_t *added_tokens(const lm_tokenizer_spec *spec) {
    json_t *added = json_array();
    for (size_t id = 0; id < spec->tokens.len && added; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        if (!is_added(token)) continue;
        added = append(added, json_pack("{s:I, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                                        "content", text_of(token->text), "single_word", 0, "lstrip",
                                        token->lstrip, "rstrip", token->rstrip, "normalized", 0,
                                        "special", token->type != LM_TOKEN_USER_DEFINED));
    }
    return added;
}

static json_t *byte_level(bool adds_space, bool uses_regex) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", adds_space,
                     "trim_offsets", 1, "use_regex", uses_regex);
}

static json_t *split(const lm_pretokenizer_step *step) {
    static const char *const behaviors[] = {[LM_SPLIT_ISOLATED] = "Isolated",
                                            [LM_SPLIT_REMOVED] = "Removed",
                                            [LM_SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
                                            [LM_SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
                                            [LM_SPLIT_CONTIGUOUS] = "Contiguous"};
    const char *behavior = behaviors[step->behavior];
    switch (step->at) {
    case LM_SPLIT_AT_PUNCTUATION:
        return json_pack("{s:s, s:s}", "type", "Punctuation", "behavior", behavior);
    case LM_SPLIT_AT_NUMERIC:
        return json_pack("{s:s, s:b}", "type", "Digits", "individual_digits",
                         step->behavior == LM_SPLIT_ISOLATED);
    case LM_SPLIT_AT_SPACE: return json_pack("{s:s}", "type", "WhitespaceSplit");
    default:
        return json_pack("{s:s, s:{s:o}, s:s, s:b}", "type", "Split", "pattern",
                         step->at == LM_SPLIT_AT_REGEX ? "Regex" : "String", text_of(step->text),
                         "behavior", behavior, "invert", step->inverted);
    }
}

/* Byte-level BPE: splits, maybe a space in front, and bytes at the end. */
static json_t *pre_tokenizer(const lm_tokenizer_spec *spec) {
    json_t *steps = json_array();
    bool adds_space = lm_tokenizer_spec_adds_space(spec);
    for (size_t i = 0; i < spec->pretokenizer.len && steps; i++) {
        const lm_pretokenizer_step *step = &spec->pretokenizer.ptr[i];
        if (step->kind == LM_PRETOKENIZER_SPLIT) steps = append(steps, split(step));
    }
    steps = append(steps, byte_level(adds_space, false));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", steps);
}

static json_t *special_at(const lm_tokenizer_spec *spec, int type_id) {
    return json_pack("{s:{s:o, s:i}}", "SpecialToken", "id", token_text(spec, spec->bos), "type_id",
                     type_id);
}

static json_t *sequence_at(const char *name, int type_id) {
    return json_pack("{s:{s:s, s:i}}", "Sequence", "id", name, "type_id", type_id);
}

static json_t *post_processor(const lm_tokenizer_spec *spec) {
    if (!spec->add_bos || spec->bos < 0) return byte_level(true, true);
    json_t *bos = json_pack("{s:o, s:[i], s:[o]}", "id", token_text(spec, spec->bos), "ids",
                            spec->bos, "tokens", token_text(spec, spec->bos));
    json_t *specials = json_object();
    if (json_object_set_new(specials, spec->tokens.ptr[spec->bos].text.ptr, bos) != 0) {
        json_decref(specials);
        specials = NULL;
    }
    return json_pack("{s:s, s:[o, o], s:[o, o, o, o], s:o}", "type", "TemplateProcessing", "single",
                     special_at(spec, 0), sequence_at("A", 0), "pair", special_at(spec, 0),
                     sequence_at("A", 0), special_at(spec, 1), sequence_at("B", 1),
                     "special_tokens", specials);
}

static json_t *vocabulary(const lm_tokenizer_spec *spec) {
    json_t *vocab = json_object();
    for (size_t id = 0; id < spec->tokens.len && vocab; id++) {
        lm_str text = spec->tokens.ptr[id].text;
        if (text.len == 0 || is_added(&spec->tokens.ptr[id])) continue;
        if (json_object_setn_new(vocab, text.ptr, text.len, json_integer((json_int_t)id)) == 0)
            continue;
        json_decref(vocab);
        vocab = NULL;
    }
    return vocab;
}

static json_t *merges(const lm_tokenizer_spec *spec) {
    json_t *list = json_array();
    for (size_t i = 0; i < spec->merges.len && list; i++) {
        const lm_token_merge *merge = &spec->merges.ptr[i];
        list = append(list, json_pack("[o, o]", token_text(spec, merge->left),
                                      token_text(spec, merge->right)));
    }
    return list;
}

static json_t *model(const lm_tokenizer_spec *spec) {
    return json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                     "unk_token", token_text(spec, spec->unk), "continuing_subword_prefix",
                     "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges",
                     spec->ignore_merges, "vocab", vocabulary(spec), "merges", merges(spec));
}

static json_t *normalizer(const lm_tokenizer_spec *spec) {
    static const char *const names[LM_NORMALIZER_KIND_COUNT] = {
        [LM_NORMALIZER_NFC] = "NFC",
        [LM_NORMALIZER_NFD] = "NFD",
        [LM_NORMALIZER_NFKC] = "NFKC",
        [LM_NORMALIZER_NFKD] = "NFKD",
        [LM_NORMALIZER_LOWERCASE] = "Lowercase",
        [LM_NORMALIZER_STRIP_ACCENTS] = "StripAccents"};
    if (spec->normalizer.len == 0) return json_null();
    json_t *steps = json_array();
    for (size_t i = 0; i < spec->normalizer.len && steps; i++)
        steps = append(steps, json_pack("{s:s}", "type", names[spec->normalizer.ptr[i].kind]));
    return json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", steps);
}

static json_t *tokenizer_document(const lm_tokenizer_spec *spec) {
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0",
                     "truncation", "padding", "added_tokens", added_tokens(spec), "normalizer",
                     normalizer(spec), "pre_tokenizer", pre_tokenizer(spec), "post_processor",
                     post_processor(spec), "decoder", byte_level(true, true), "model", model(spec));
}

/* A text, or with one for tools a list of named ones; NULL: none. */
static json_t *templates(const lm_tokenizer_spec *spec) {
    if (!spec->chat_template.len) return NULL;
    if (!spec->tool_template.len) return text_of(spec->chat_template);
    return json_pack("[{s:s, s:o}, {s:s, s:o}]", "name", "default", "template",
                     text_of(spec->chat_template), "name", "tool_use", "template",
                     text_of(spec->tool_template));
}

static json_t *config_document(const lm_tokenizer *tokenizer, int64_t context_len) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    bool is_spm = spec->kind == LM_TOKENIZER_SPM;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:I, s:o*}", "tokenizer_class",
                     is_spm ? "LlamaTokenizer" : "PreTrainedTokenizerFast", "bos_token",
                     token_text(spec, spec->bos), "eos_token",
                     token_text(spec, lm_tokenizer_eos(tokenizer)), "unk_token",
                     token_text(spec, spec->unk), "pad_token", token_text(spec, spec->pad),
                     "add_bos_token", spec->add_bos, "clean_up_tokenization_spaces", 0,
                     "model_max_length", (json_int_t)context_len, "chat_template", templates(spec));
}

/* Takes the document over. */
static LM_MUST_USE loam_status write_document(json_t *document, const char *dir, const char *name,
                                              loam_error *err) {
    char *path = lm_path_join(dir, name),
         *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    json_decref(document);
    loam_status status = path && text ? lm_file_write_atomic(path, text, strlen(text), err)
                                      : lm_error_no_memory(err, 1);
    free(text); /* jansson's own allocation */
    lm_free(path);
    return status;
}

static LM_MUST_USE loam_status write_sentencepiece(const lm_tokenizer *tokenizer, const char *dir,
                                                   loam_error *err) {
    char *path = lm_path_join(dir, "tokenizer.model");
    loam_status status =
        path ? lm_tokenizer_write_sentencepiece(tokenizer, path, err) : lm_error_no_memory(err, 1);
    lm_free(path);
    return status;
}

loam_status lm_tokenizer_write_folder(const lm_tokenizer *tokenizer, const char *dir,
                                      int64_t context_len, loam_error *err) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    if (spec->kind == LM_TOKENIZER_SPM)
        LM_TRY(write_sentencepiece(tokenizer, dir, err));
    else if (spec->kind == LM_TOKENIZER_BPE)
        LM_TRY(write_document(tokenizer_document(spec), dir, "tokenizer.json", err));
    else
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "%s: tokenizers of kind %s are read, not written", dir,
                            lm_tokenizer_kind(tokenizer));
    return write_document(config_document(tokenizer, context_len), dir, "tokenizer_config.json",
                          err);
}
