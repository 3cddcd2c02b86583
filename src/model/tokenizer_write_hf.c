/* tokenizer.json and tokenizer_config.json of a byte-level BPE tokenizer, of BERT's WordPiece and of SentencePiece's Unigram, in the spelling of the tokenizers library. */
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

/* Special tokens of a template, one after the other. */
static json_t *put_specials(json_t *list, const lm_tokenizer_spec *spec, const lm_vec_i32 *ids,
                            int type_id) {
    for (size_t i = 0; i < ids->len && list; i++)
        list = append(list, json_pack("{s:{s:o, s:i}}", "SpecialToken", "id",
                                      token_text(spec, ids->ptr[i]), "type_id", type_id));
    return list;
}

static json_t *put_sequence(json_t *list, const char *name, int type_id) {
    return append(list, json_pack("{s:{s:s, s:i}}", "Sequence", "id", name, "type_id", type_id));
}

static json_t *describe_specials(json_t *object, const lm_tokenizer_spec *spec,
                                 const lm_vec_i32 *ids) {
    for (size_t i = 0; i < ids->len && object; i++) {
        json_t *text = token_text(spec, ids->ptr[i]);
        json_t *special =
            json_pack("{s:O, s:[i], s:[O]}", "id", text, "ids", (int)ids->ptr[i], "tokens", text);
        bool failed = json_object_set_new(object, json_string_value(text), special) != 0;
        json_decref(text);
        if (!failed) continue;
        json_decref(object);
        object = NULL;
    }
    return object;
}

/* What stands before a text, behind it, and between the two of a pair. */
static json_t *template_of(const lm_tokenizer_spec *spec, const lm_vec_i32 *before,
                           const lm_vec_i32 *after) {
    int second = spec->between.len == 2 ? 0 : 1; /* RoBERTa's have one segment */
    const lm_vec_i32 *between = spec->between.len ? &spec->between : after->len ? after : before;
    json_t *single = put_specials(json_array(), spec, before, 0), *pair = NULL;
    single = put_specials(put_sequence(single, "A", 0), spec, after, 0);
    pair = put_specials(json_array(), spec, before, 0);
    pair = put_specials(put_sequence(pair, "A", 0), spec, between, after->len ? 0 : second);
    pair = put_specials(put_sequence(pair, "B", second), spec, after, second);
    json_t *specials =
        describe_specials(describe_specials(json_object(), spec, before), spec, after);
    return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair",
                     pair, "special_tokens", specials);
}

static json_t *post_processor(const lm_tokenizer *tokenizer) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    int32_t eos = lm_tokenizer_eos(tokenizer), bos = spec->bos;
    bool listed = spec->before.len + spec->after.len > 0;
    const lm_vec_i32 only_bos = {&bos, spec->add_bos && bos >= 0, 0},
                     only_eos = {&eos, spec->add_eos && eos >= 0, 0};
    const lm_vec_i32 *before = listed && spec->before.len ? &spec->before : &only_bos,
                     *after = listed && spec->after.len ? &spec->after : &only_eos;
    if (before->len + after->len == 0)
        return spec->kind == LM_TOKENIZER_BPE ? byte_level(true, true) : json_null();
    return template_of(spec, before, after);
}

/* A token as tokenizer.json spells it; those that are matched whole are BPE's apart from its vocabulary. */
static bool spell(const lm_tokenizer_spec *spec, size_t id, lm_buf *piece, lm_str *out) {
    *out = spec->tokens.ptr[id].text;
    if (spec->kind != LM_TOKENIZER_WORDPIECE)
        return out->len > 0 && !is_added(&spec->tokens.ptr[id]);
    lm_tokenizer_spec_put_piece(spec, (int32_t)id, "", "##", piece);
    *out = lm_buf_view(piece);
    return piece->status == LOAM_OK && out->len > 0;
}

static json_t *vocabulary(const lm_tokenizer_spec *spec) {
    json_t *vocab = json_object();
    lm_buf piece;
    lm_buf_init(&piece, LM_TOKEN_MAX_BYTES + 8);
    for (size_t id = 0, n = lm_tokenizer_spec_n_used(spec); id < n && vocab; id++) {
        lm_str text;
        if (!spell(spec, id, &piece, &text)) continue;
        if (json_object_setn_new(vocab, text.ptr, text.len, json_integer((json_int_t)id)) == 0)
            continue;
        json_decref(vocab);
        vocab = NULL;
    }
    lm_buf_deinit(&piece);
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

static json_t *tokenizer_document(const lm_tokenizer *tokenizer) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0",
                     "truncation", "padding", "added_tokens", added_tokens(spec), "normalizer",
                     normalizer(spec), "pre_tokenizer", pre_tokenizer(spec), "post_processor",
                     post_processor(tokenizer), "decoder", byte_level(true, true), "model",
                     model(spec));
}

/* The same of BERT's WordPiece. */
static json_t *bert_document(const lm_tokenizer *tokenizer, lm_bert_steps steps) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    json_t *normalizer = json_pack("{s:s, s:b, s:b, s:b, s:b}", "type", "BertNormalizer",
                                   "clean_text", 1, "handle_chinese_chars", 1, "strip_accents",
                                   steps.strips_accents, "lowercase", steps.lowers);
    json_t *model = json_pack("{s:s, s:o, s:s, s:I, s:o}", "type", "WordPiece", "unk_token",
                              token_text(spec, spec->unk), "continuing_subword_prefix", "##",
                              "max_input_chars_per_word", (json_int_t)spec->max_word_chars, "vocab",
                              vocabulary(spec));
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:{s:s}, s:o, s:{s:s, s:s, s:b}, s:o}", "version",
                     "1.0", "truncation", "padding", "added_tokens", added_tokens(spec),
                     "normalizer", normalizer, "pre_tokenizer", "type", "BertPreTokenizer",
                     "post_processor", post_processor(tokenizer), "decoder", "type", "WordPiece",
                     "prefix", "##", "cleanup", 1, "model", model);
}

/* The same of SentencePiece's Unigram. */
static json_t *unigram_document(const lm_tokenizer *tokenizer, const lm_unigram_steps *steps) {
    const lm_tokenizer_spec *spec = lm_tokenizer_get_spec(tokenizer);
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0",
                     "truncation", "padding", "added_tokens", added_tokens(spec), "normalizer",
                     lm_tokenizer_unigram_normalizer(steps), "pre_tokenizer",
                     lm_tokenizer_unigram_metaspace(steps), "post_processor",
                     post_processor(tokenizer), "decoder", lm_tokenizer_unigram_metaspace(steps),
                     "model", lm_tokenizer_unigram_model(spec));
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
    static const char *const classes[LM_TOKENIZER_KIND_COUNT] = {
        [LM_TOKENIZER_SPM] = "LlamaTokenizer",
        [LM_TOKENIZER_BPE] = "PreTrainedTokenizerFast",
        [LM_TOKENIZER_WORDPIECE] = "PreTrainedTokenizerFast",
        [LM_TOKENIZER_UNIGRAM] = "PreTrainedTokenizerFast"};
    bool is_bert = spec->kind == LM_TOKENIZER_WORDPIECE && spec->after.len > 0;
    json_t *cls = is_bert ? token_text(spec, spec->bos) : NULL,
           *sep = is_bert ? token_text(spec, spec->after.ptr[0]) : NULL;
    return json_pack("{s:s, s:o*, s:o*, s:o, s:o, s:o, s:o, s:b, s:b, s:I, s:o*}",
                     "tokenizer_class", classes[spec->kind], "cls_token", cls, "sep_token", sep,
                     "bos_token", token_text(spec, spec->bos), "eos_token",
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

static LM_MUST_USE loam_status write_bert(const lm_tokenizer *tokenizer, const char *dir,
                                          loam_error *err) {
    lm_bert_steps steps;
    bool is_bert;
    LM_TRY(lm_tokenizer_spec_is_bert(lm_tokenizer_get_spec(tokenizer), &steps, &is_bert, err));
    if (is_bert) return write_document(bert_document(tokenizer, steps), dir, "tokenizer.json", err);
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "%s: of WordPiece only BERT's is written, and this one has other steps",
                        dir);
}

static LM_MUST_USE loam_status write_unigram(const lm_tokenizer *tokenizer, const char *dir,
                                             loam_error *err) {
    lm_unigram_steps steps;
    if (lm_tokenizer_spec_is_unigram(lm_tokenizer_get_spec(tokenizer), &steps))
        return write_document(unigram_document(tokenizer, &steps), dir, "tokenizer.json", err);
    return lm_error_set(err, LOAM_UNSUPPORTED,
                        "%s: of Unigram only SentencePiece's is written, and this one has other "
                        "steps",
                        dir);
}

loam_status lm_tokenizer_write_folder(const lm_tokenizer *tokenizer, const char *dir,
                                      int64_t context_len, loam_error *err) {
    switch (lm_tokenizer_get_spec(tokenizer)->kind) {
    case LM_TOKENIZER_SPM: LM_TRY(write_sentencepiece(tokenizer, dir, err)); break;
    case LM_TOKENIZER_WORDPIECE: LM_TRY(write_bert(tokenizer, dir, err)); break;
    case LM_TOKENIZER_UNIGRAM: LM_TRY(write_unigram(tokenizer, dir, err)); break;
    case LM_TOKENIZER_BPE:
        LM_TRY(write_document(tokenizer_document(tokenizer), dir, "tokenizer.json", err));
        break;
    default:
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "%s: tokenizers of kind %s are read, not written", dir,
                            lm_tokenizer_kind(tokenizer));
    }
    return write_document(config_document(tokenizer, context_len), dir, "tokenizer_config.json",
                          err);
}
