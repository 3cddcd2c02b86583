/* The stages of a tokenizer.json. Each kind of step is a row of a table: its name, and what it is made of here. */
#include <sodium.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/tokenizer_json.h"
#include "model/utf8.h"

enum {
    MAX_STEPS = 64,        /* of a stage */
    MAX_DEPTH = 4,         /* of Sequences in Sequences */
    MAX_SHOWN_BYTES = 100, /* of a text in messages */
    MAX_TEMPLATE_IDS = 64,
};

typedef struct step_reader {
    const char *path;
    lm_tokenizer_spec *spec;
    const char *stage;
    int n_steps;
} step_reader;

/* What a step of that type is made of. */
typedef struct step_row {
    const char *type;
    loam_status (*read)(step_reader *in, const json_t *step, loam_error *err);
} step_row;

static LM_COLD loam_status unsupported(const step_reader *in, const char *what, lm_str detail,
                                       loam_error *err) {
    int shown = (int)(detail.len < MAX_SHOWN_BYTES ? detail.len : MAX_SHOWN_BYTES);
    return lm_error_set(err, LOAM_UNSUPPORTED, "%s: %s: %s '%.*s'", in->path, in->stage, what,
                        shown, detail.ptr);
}

/* A text of the step, as a copy that lives as long as the spec. */
static LM_MUST_USE loam_status copy(step_reader *in, lm_str text, lm_str *out, loam_error *err) {
    *out = lm_tokenizer_spec_copy(in->spec, text);
    return out->ptr ? LOAM_OK : lm_error_no_memory(err, text.len);
}

static LM_MUST_USE loam_status read_text(step_reader *in, const json_t *step, const char *key,
                                         const char *fallback, lm_str *out, loam_error *err) {
    lm_str text = {0};
    LM_TRY(lm_json_str_or(step, in->path, key, lm_str_of(fallback), &text, err));
    return copy(in, text, out, err);
}

/* {"Regex": text} or {"String": text} */
static LM_MUST_USE loam_status read_pattern(step_reader *in, const json_t *step, bool *out_is_regex,
                                            lm_str *out, loam_error *err) {
    const json_t *pattern = json_object_get(step, "pattern");
    lm_str text = {0};
    *out_is_regex = json_object_get(pattern, "Regex") != NULL;
    LM_TRY(lm_json_str(pattern, in->path, *out_is_regex ? "Regex" : "String", &text, err));
    return copy(in, text, out, err);
}

static LM_MUST_USE loam_status read_count(step_reader *in, const json_t *step, const char *key,
                                          int64_t fallback, size_t *out, loam_error *err) {
    int64_t n = 0;
    LM_TRY(lm_json_i64_or(step, in->path, key, fallback, &n, err));
    if (n < 0 || n > INT32_MAX)
        return lm_error_set(err, LOAM_INVALID, "%s: %s: '%s' is %lld", in->path, in->stage, key,
                            (long long)n);
    *out = (size_t)n;
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- normalizers */

static LM_MUST_USE loam_status add_plain(step_reader *in, lm_normalizer_kind kind,
                                         loam_error *err) {
    return lm_tokenizer_spec_add_normalizer(in->spec, (lm_normalizer_step){.kind = kind}, err);
}

#define PLAIN_NORMALIZER(name, kind)                                                       \
    static loam_status read_##name(step_reader *in, const json_t *step, loam_error *err) { \
        return add_plain(in, LM_NORMALIZER_##kind, err);                                   \
    }
PLAIN_NORMALIZER(nfc, NFC)
PLAIN_NORMALIZER(nfd, NFD)
PLAIN_NORMALIZER(nfkc, NFKC)
PLAIN_NORMALIZER(nfkd, NFKD)
PLAIN_NORMALIZER(lowercase, LOWERCASE)
PLAIN_NORMALIZER(strip_accents, STRIP_ACCENTS)
PLAIN_NORMALIZER(nmt, NMT)
PLAIN_NORMALIZER(byte_level_text, BYTE_LEVEL)
#undef PLAIN_NORMALIZER

static loam_status read_strip(step_reader *in, const json_t *step, loam_error *err) {
    lm_normalizer_step made = {.kind = LM_NORMALIZER_STRIP};
    LM_TRY(lm_json_bool_or(step, in->path, "strip_left", true, &made.left, err));
    LM_TRY(lm_json_bool_or(step, in->path, "strip_right", true, &made.right, err));
    return lm_tokenizer_spec_add_normalizer(in->spec, made, err);
}

static loam_status read_replace(step_reader *in, const json_t *step, loam_error *err) {
    lm_normalizer_step made = {.kind = LM_NORMALIZER_REPLACE};
    LM_TRY(read_pattern(in, step, &made.is_regex, &made.pattern, err));
    LM_TRY(read_text(in, step, "content", "", &made.text, err));
    return lm_tokenizer_spec_add_normalizer(in->spec, made, err);
}

static loam_status read_prepend(step_reader *in, const json_t *step, loam_error *err) {
    lm_normalizer_step made = {.kind = LM_NORMALIZER_PREPEND};
    LM_TRY(read_text(in, step, "prepend", "", &made.text, err));
    return lm_tokenizer_spec_add_normalizer(in->spec, made, err);
}

static loam_status read_bert_normalizer(step_reader *in, const json_t *step, loam_error *err) {
    bool cleans = true, spaces = true, lowers = true, strips = true;
    LM_TRY(lm_json_bool_or(step, in->path, "clean_text", true, &cleans, err));
    LM_TRY(lm_json_bool_or(step, in->path, "handle_chinese_chars", true, &spaces, err));
    LM_TRY(lm_json_bool_or(step, in->path, "lowercase", true, &lowers, err));
    LM_TRY(lm_json_bool_or(step, in->path, "strip_accents", lowers, &strips, err));
    return lm_tokenizer_spec_normalize_bert(in->spec, cleans, spaces, strips, lowers, err);
}

static loam_status read_precompiled(step_reader *in, const json_t *step, loam_error *err) {
    lm_normalizer_step made = {.kind = LM_NORMALIZER_CHARSMAP};
    lm_str text = {0};
    LM_TRY(lm_json_str_or(step, in->path, "precompiled_charsmap", LM_STR(""), &text, err));
    char *bytes = lm_arena_alloc(&in->spec->arena, text.len + 1);
    size_t len = 0;
    if (!bytes) return lm_error_no_memory(err, text.len);
    if (sodium_base642bin((unsigned char *)bytes, text.len + 1, text.ptr, text.len, NULL, &len,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return lm_error_set(err, LOAM_INVALID, "%s: 'precompiled_charsmap' is no base64", in->path);
    made.pattern = (lm_str){bytes, len};
    return lm_tokenizer_spec_add_normalizer(in->spec, made, err);
}

static const step_row normalizers[] = {
    {"NFC", read_nfc},
    {"NFD", read_nfd},
    {"NFKC", read_nfkc},
    {"NFKD", read_nfkd},
    {"Lowercase", read_lowercase},
    {"StripAccents", read_strip_accents},
    {"Strip", read_strip},
    {"Replace", read_replace},
    {"Prepend", read_prepend},
    {"BertNormalizer", read_bert_normalizer},
    {"Precompiled", read_precompiled},
    {"Nmt", read_nmt},
    {"ByteLevel", read_byte_level_text},
};

/* ------------------------------------------------------------------------------------------------- pre-tokenizers */

static const struct {
    const char *names[2]; /* as files and as the library's Python spell it */
    lm_split_behavior behavior;
} behaviors[] = {{{"Isolated", "isolated"}, LM_SPLIT_ISOLATED},
                 {{"Removed", "removed"}, LM_SPLIT_REMOVED},
                 {{"MergedWithPrevious", "merged_with_previous"}, LM_SPLIT_MERGED_WITH_PREVIOUS},
                 {{"MergedWithNext", "merged_with_next"}, LM_SPLIT_MERGED_WITH_NEXT},
                 {{"Contiguous", "contiguous"}, LM_SPLIT_CONTIGUOUS}};

static LM_MUST_USE loam_status read_behavior(step_reader *in, const json_t *step,
                                             lm_split_behavior *out, loam_error *err) {
    lm_str name = {0};
    LM_TRY(lm_json_str_or(step, in->path, "behavior", LM_STR("Isolated"), &name, err));
    for (size_t i = 0; i < LM_COUNT_OF(behaviors); i++) {
        if (!lm_str_is(name, behaviors[i].names[0]) && !lm_str_is(name, behaviors[i].names[1]))
            continue;
        *out = behaviors[i].behavior;
        return LOAM_OK;
    }
    return unsupported(in, "a split with behavior", name, err);
}

static LM_MUST_USE loam_status add_split(step_reader *in, lm_split_at at, lm_str text,
                                         lm_split_behavior behavior, bool inverted,
                                         loam_error *err) {
    lm_pretokenizer_step made = {.kind = LM_PRETOKENIZER_SPLIT,
                                 .at = at,
                                 .text = text,
                                 .behavior = behavior,
                                 .inverted = inverted};
    return lm_tokenizer_spec_add_pretokenizer(in->spec, made, err);
}

static loam_status read_split(step_reader *in, const json_t *step, loam_error *err) {
    lm_split_behavior behavior;
    bool inverted = false, is_regex = false;
    lm_str text = {0};
    LM_TRY(read_behavior(in, step, &behavior, err));
    LM_TRY(lm_json_bool_or(step, in->path, "invert", false, &inverted, err));
    LM_TRY(read_pattern(in, step, &is_regex, &text, err));
    return add_split(in, is_regex ? LM_SPLIT_AT_REGEX : LM_SPLIT_AT_TEXT, text, behavior, inverted,
                     err);
}

static loam_status read_byte_level(step_reader *in, const json_t *step, loam_error *err) {
    bool uses_regex = true, adds_space = false;
    lm_pretokenizer_step prefix = {.kind = LM_PRETOKENIZER_PREFIX_SPACE},
                         bytes = {.kind = LM_PRETOKENIZER_BYTE_LEVEL};
    LM_TRY(lm_json_bool_or(step, in->path, "use_regex", true, &uses_regex, err));
    LM_TRY(lm_json_bool_or(step, in->path, "add_prefix_space", false, &adds_space, err));
    if (adds_space) LM_TRY(lm_tokenizer_spec_add_pretokenizer(in->spec, prefix, err));
    if (uses_regex &&
        !lm_pretokenizer_add_preset(lm_pretokenizer_find(LM_STR("gpt-2")), &in->spec->pretokenizer))
        return lm_error_no_memory(err, sizeof bytes);
    return lm_tokenizer_spec_add_pretokenizer(in->spec, bytes, err);
}

static LM_MUST_USE loam_status read_scheme(step_reader *in, const json_t *step,
                                           lm_prepend_scheme *out, loam_error *err) {
    static const char *const names[] = {
        [LM_PREPEND_ALWAYS] = "always", [LM_PREPEND_FIRST] = "first", [LM_PREPEND_NEVER] = "never"};
    lm_str scheme = {0};
    bool adds_space = true;
    LM_TRY(lm_json_bool_or(step, in->path, "add_prefix_space", true, &adds_space, err));
    LM_TRY(lm_json_str_or(step, in->path, "prepend_scheme",
                          adds_space ? LM_STR("always") : LM_STR("never"), &scheme, err));
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        if (!lm_str_is(scheme, names[i])) continue;
        *out = (lm_prepend_scheme)i;
        return LOAM_OK;
    }
    return unsupported(in, "prepend scheme", scheme, err);
}

static loam_status read_metaspace(step_reader *in, const json_t *step, loam_error *err) {
    lm_pretokenizer_step made = {.kind = LM_PRETOKENIZER_METASPACE};
    LM_TRY(read_text(in, step, "replacement", LM_SPM_SPACE, &made.text, err));
    LM_TRY(lm_json_bool_or(step, in->path, "split", true, &made.cuts, err));
    LM_TRY(read_scheme(in, step, &made.scheme, err));
    return lm_tokenizer_spec_add_pretokenizer(in->spec, made, err);
}

static loam_status read_whitespace(step_reader *in, const json_t *step, loam_error *err) {
    return add_split(in, LM_SPLIT_AT_REGEX,
                     LM_STR("[\\w\\x{200c}\\x{200d}]+|[^\\w\\s\\x{200c}\\x{200d}]+"),
                     LM_SPLIT_REMOVED, true, err);
}

static loam_status read_whitespace_split(step_reader *in, const json_t *step, loam_error *err) {
    return add_split(in, LM_SPLIT_AT_SPACE, LM_STR(""), LM_SPLIT_REMOVED, false, err);
}

static loam_status read_bert_pretokenizer(step_reader *in, const json_t *step, loam_error *err) {
    return lm_tokenizer_spec_cut_bert(in->spec, err);
}

static loam_status read_punctuation(step_reader *in, const json_t *step, loam_error *err) {
    lm_split_behavior behavior;
    LM_TRY(read_behavior(in, step, &behavior, err));
    return add_split(in, LM_SPLIT_AT_PUNCTUATION, LM_STR(""), behavior, false, err);
}

static loam_status read_digits(step_reader *in, const json_t *step, loam_error *err) {
    bool individual = false;
    LM_TRY(lm_json_bool_or(step, in->path, "individual_digits", false, &individual, err));
    return add_split(in, LM_SPLIT_AT_NUMERIC, LM_STR(""),
                     individual ? LM_SPLIT_ISOLATED : LM_SPLIT_CONTIGUOUS, false, err);
}

static loam_status read_delimiter(step_reader *in, const json_t *step, loam_error *err) {
    lm_str text = {0};
    LM_TRY(read_text(in, step, "delimiter", " ", &text, err));
    return add_split(in, LM_SPLIT_AT_TEXT, text, LM_SPLIT_REMOVED, false, err);
}

static loam_status read_fixed_length(step_reader *in, const json_t *step, loam_error *err) {
    lm_pretokenizer_step made = {.kind = LM_PRETOKENIZER_LENGTH};
    LM_TRY(read_count(in, step, "length", 5, &made.length, err));
    if (made.length == 0) return unsupported(in, "a length", LM_STR("0"), err);
    return lm_tokenizer_spec_add_pretokenizer(in->spec, made, err);
}

/* Runs of one script, a space belonging to any; Han and kana count as one. */
static loam_status read_unicode_scripts(step_reader *in, const json_t *step, loam_error *err) {
    static const char *const names[] = {
#define LM_SCRIPT(name) #name,
#include "model/scripts.def"
#undef LM_SCRIPT
    };
    lm_buf pattern;
    lm_str text = {0};
    lm_buf_init(&pattern, LM_TEXT_PATTERN_MAX_BYTES);
    lm_buf_puts(&pattern, "(?:[\\p{Han}\\p{Hiragana}\\p{Katakana}\\x{30fc}] *)+");
    for (size_t i = 0; i < LM_COUNT_OF(names); i++)
        lm_buf_printf(&pattern, "|(?:(?![ \\x{30fc}])\\p{%s} *)+", names[i]);
    loam_status status = lm_buf_status(&pattern, err);
    if (status == LOAM_OK) status = copy(in, lm_buf_view(&pattern), &text, err);
    lm_buf_deinit(&pattern);
    LM_TRY(status);
    return add_split(in, LM_SPLIT_AT_REGEX, text, LM_SPLIT_ISOLATED, false, err);
}

static const step_row pretokenizers[] = {
    {"Split", read_split},
    {"ByteLevel", read_byte_level},
    {"Metaspace", read_metaspace},
    {"Whitespace", read_whitespace},
    {"WhitespaceSplit", read_whitespace_split},
    {"BertPreTokenizer", read_bert_pretokenizer},
    {"Punctuation", read_punctuation},
    {"Digits", read_digits},
    {"CharDelimiterSplit", read_delimiter},
    {"FixedLength", read_fixed_length},
    {"UnicodeScripts", read_unicode_scripts},
};

/* ------------------------------------------------------------------------------------------------- decoders */

static LM_MUST_USE loam_status add_decoder(step_reader *in, lm_decoder_kind kind, lm_str text,
                                           loam_error *err) {
    return lm_tokenizer_spec_add_decoder(in->spec, (lm_decoder_step){.kind = kind, .text = text},
                                         err);
}

static loam_status decode_bytes(step_reader *in, const json_t *step, loam_error *err) {
    return add_decoder(in, LM_DECODER_BYTE_LEVEL, LM_STR(""), err);
}

static loam_status decode_fallback(step_reader *in, const json_t *step, loam_error *err) {
    return add_decoder(in, LM_DECODER_BYTE_FALLBACK, LM_STR(""), err);
}

static loam_status decode_fuse(step_reader *in, const json_t *step, loam_error *err) {
    return add_decoder(in, LM_DECODER_FUSE, LM_STR(""), err);
}

static loam_status decode_metaspace(step_reader *in, const json_t *step, loam_error *err) {
    lm_decoder_step made = {.kind = LM_DECODER_METASPACE};
    lm_prepend_scheme scheme;
    LM_TRY(read_text(in, step, "replacement", LM_SPM_SPACE, &made.text, err));
    LM_TRY(read_scheme(in, step, &scheme, err));
    made.drops = scheme != LM_PREPEND_NEVER;
    return lm_tokenizer_spec_add_decoder(in->spec, made, err);
}

static LM_MUST_USE loam_status add_clean(step_reader *in, const json_t *step, loam_error *err) {
    bool cleans = true;
    LM_TRY(lm_json_bool_or(step, in->path, "cleanup", true, &cleans, err));
    return cleans ? add_decoder(in, LM_DECODER_CLEAN, LM_STR(""), err) : LOAM_OK;
}

static loam_status decode_wordpiece(step_reader *in, const json_t *step, loam_error *err) {
    lm_str prefix = {0};
    LM_TRY(read_text(in, step, "prefix", "##", &prefix, err));
    LM_TRY(add_decoder(in, LM_DECODER_WORDPIECE, prefix, err));
    return add_clean(in, step, err);
}

static loam_status decode_strip(step_reader *in, const json_t *step, loam_error *err) {
    lm_decoder_step made = {.kind = LM_DECODER_STRIP};
    LM_TRY(read_text(in, step, "content", " ", &made.text, err));
    LM_TRY(read_count(in, step, "start", 0, &made.start, err));
    LM_TRY(read_count(in, step, "stop", 0, &made.stop, err));
    return lm_tokenizer_spec_add_decoder(in->spec, made, err);
}

static loam_status decode_replace(step_reader *in, const json_t *step, loam_error *err) {
    lm_decoder_step made = {.kind = LM_DECODER_REPLACE};
    LM_TRY(read_pattern(in, step, &made.is_regex, &made.pattern, err));
    LM_TRY(read_text(in, step, "content", "", &made.text, err));
    return lm_tokenizer_spec_add_decoder(in->spec, made, err);
}

static loam_status decode_ctc(step_reader *in, const json_t *step, loam_error *err) {
    lm_decoder_step delimiter = {.kind = LM_DECODER_REPLACE, .text = LM_STR(" ")};
    lm_str pad = {0};
    LM_TRY(read_text(in, step, "pad_token", "<pad>", &pad, err));
    LM_TRY(read_text(in, step, "word_delimiter_token", "|", &delimiter.pattern, err));
    LM_TRY(add_decoder(in, LM_DECODER_CTC, pad, err));
    LM_TRY(add_clean(in, step, err));
    return lm_tokenizer_spec_add_decoder(in->spec, delimiter, err);
}

static loam_status decode_suffix(step_reader *in, const json_t *step, loam_error *err) {
    lm_str suffix = {0};
    LM_TRY(read_text(in, step, "suffix", "</w>", &suffix, err));
    return add_decoder(in, LM_DECODER_SUFFIX, suffix, err);
}

static const step_row decoders[] = {
    {"ByteLevel", decode_bytes},     {"ByteFallback", decode_fallback},
    {"Fuse", decode_fuse},           {"Metaspace", decode_metaspace},
    {"WordPiece", decode_wordpiece}, {"Strip", decode_strip},
    {"Replace", decode_replace},     {"CTC", decode_ctc},
    {"BPEDecoder", decode_suffix},
};

/* ------------------------------------------------------------------------------------------------- stages */

typedef struct stage {
    const char *name, *children; /* what Sequence calls its steps */
    const step_row *rows;
    size_t n_rows;
} stage;

static const stage stages[] = {
    {"normalizer", "normalizers", normalizers, LM_COUNT_OF(normalizers)},
    {"pre_tokenizer", "pretokenizers", pretokenizers, LM_COUNT_OF(pretokenizers)},
    {"decoder", "decoders", decoders, LM_COUNT_OF(decoders)},
};

static LM_MUST_USE loam_status read_step(step_reader *in, const stage *s, const json_t *step,
                                         int depth, loam_error *err) {
    lm_str type = {0};
    if (!json_is_object(step))
        return lm_error_set(err, LOAM_INVALID, "%s: %s: a step is no object", in->path, s->name);
    LM_TRY(lm_json_str(step, in->path, "type", &type, err));
    if (++in->n_steps > MAX_STEPS || depth > MAX_DEPTH)
        return lm_error_set(err, LOAM_LIMIT, "%s: %s has more than %d steps or %d levels", in->path,
                            s->name, MAX_STEPS, MAX_DEPTH);
    if (lm_str_is(type, "Sequence")) {
        const json_t *steps = json_object_get(step, s->children);
        for (size_t i = 0; i < json_array_size(steps); i++)
            LM_TRY(read_step(in, s, json_array_get(steps, i), depth + 1, err));
        return LOAM_OK;
    }
    for (size_t i = 0; i < s->n_rows; i++) {
        if (lm_str_is(type, s->rows[i].type)) return s->rows[i].read(in, step, err);
    }
    return unsupported(in, "unknown step", type, err);
}

static bool spells_spaces(const lm_tokenizer_spec *spec) {
    for (size_t i = 0; i < spec->normalizer.len; i++) {
        if (lm_str_is(spec->normalizer.ptr[i].text, LM_SPM_SPACE)) return true;
    }
    for (size_t i = 0; i < spec->pretokenizer.len; i++) {
        if (spec->pretokenizer.ptr[i].kind == LM_PRETOKENIZER_METASPACE) return true;
    }
    return false;
}

/* Without a decoder bytes are still bytes and "▁" a space; other tokens stand with spaces between. */
static LM_MUST_USE loam_status default_decoder(step_reader *in, loam_error *err) {
    if (in->spec->decoder.len > 0) return LOAM_OK;
    if (lm_tokenizer_spec_is_byte_level(in->spec))
        return add_decoder(in, LM_DECODER_BYTE_LEVEL, LM_STR(""), err);
    if (spells_spaces(in->spec))
        return lm_tokenizer_spec_decode_metaspace(in->spec, lm_tokenizer_spec_adds_space(in->spec),
                                                  err);
    return add_decoder(in, LM_DECODER_JOIN, LM_STR(""), err);
}

loam_status lm_tokenizer_json_read_steps(const json_t *root, const char *path,
                                         lm_tokenizer_spec *spec, loam_error *err) {
    step_reader in = {.path = path, .spec = spec};
    for (size_t i = 0; i < LM_COUNT_OF(stages); i++) {
        const json_t *step = json_object_get(root, stages[i].name);
        in.stage = stages[i].name;
        in.n_steps = 0;
        if (step && !json_is_null(step)) LM_TRY(read_step(&in, &stages[i], step, 0, err));
    }
    return default_decoder(&in, err);
}

/* ------------------------------------------------------------------------------------------------- template */

static LM_MUST_USE loam_status push_id(lm_vec_i32 *ids, int32_t id, loam_error *err) {
    if (ids->len == MAX_TEMPLATE_IDS)
        return lm_error_set(err, LOAM_LIMIT, "a template of more than %d tokens", MAX_TEMPLATE_IDS);
    return lm_vec_push(ids, id) ? LOAM_OK : lm_error_no_memory(err, sizeof id);
}

/* The ids a template's special token stands for: those it lists, or the token of that name. */
static LM_MUST_USE loam_status push_special(step_reader *in, const json_t *processor, lm_str name,
                                            lm_vec_i32 *out, loam_error *err) {
    const json_t *listed = json_object_get(
        json_object_get(json_object_get(processor, "special_tokens"), name.ptr), "ids");
    if (json_array_size(listed) == 0)
        return push_id(out, lm_tokenizer_spec_find(in->spec, name), err);
    for (size_t i = 0; i < json_array_size(listed); i++) {
        json_int_t id = json_integer_value(json_array_get(listed, i));
        LM_TRY(push_id(out, id < 0 || id > INT32_MAX ? -1 : (int32_t)id, err));
    }
    return LOAM_OK;
}

/* The special tokens of a list of pieces, by how many texts stand before them. */
static LM_MUST_USE loam_status read_pieces(step_reader *in, const json_t *step, const char *key,
                                           lm_vec_i32 *const out[3], loam_error *err) {
    const json_t *pieces = json_object_get(step, key);
    size_t n_texts = 0;
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        const json_t *piece = json_array_get(pieces, i),
                     *special = json_object_get(piece, "SpecialToken");
        lm_str name = {0};
        if (json_object_get(piece, "Sequence") && n_texts < 2) n_texts++;
        if (!special) continue;
        LM_TRY(lm_json_str(special, in->path, "id", &name, err));
        if (out[n_texts]) LM_TRY(push_special(in, step, name, out[n_texts], err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_template(step_reader *in, const json_t *step, loam_error *err) {
    lm_tokenizer_spec *spec = in->spec;
    LM_TRY(read_pieces(in, step, "single",
                       (lm_vec_i32 *[]){&spec->before, &spec->after, &spec->after}, err));
    return read_pieces(in, step, "pair", (lm_vec_i32 *[]){NULL, &spec->between, NULL}, err);
}

/* ["[CLS]", 101] */
static LM_MUST_USE loam_status push_pair(step_reader *in, const json_t *step, const char *key,
                                         lm_vec_i32 *out, loam_error *err) {
    const json_t *id = json_array_get(json_object_get(step, key), 1);
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (value < 0 || value > INT32_MAX)
        return lm_error_set(err, LOAM_INVALID, "%s: post_processor: '%s' has no id", in->path, key);
    return push_id(out, (int32_t)value, err);
}

static LM_MUST_USE loam_status read_processor(step_reader *in, const json_t *step, int depth,
                                              loam_error *err) {
    lm_str type = {0};
    LM_TRY(lm_json_str(step, in->path, "type", &type, err));
    if (lm_str_is(type, "TemplateProcessing")) return read_template(in, step, err);
    if (lm_str_is(type, "BertProcessing") || lm_str_is(type, "RobertaProcessing")) {
        LM_TRY(push_pair(in, step, "cls", &in->spec->before, err));
        LM_TRY(push_pair(in, step, "sep", &in->spec->after, err));
        if (lm_str_is(type, "RobertaProcessing"))
            LM_TRY(push_pair(in, step, "sep", &in->spec->between, err));
        return push_pair(in, step, "sep", &in->spec->between, err);
    }
    if (lm_str_is(type, "ByteLevel")) return LOAM_OK; /* moves offsets only */
    if (!lm_str_is(type, "Sequence") || depth > MAX_DEPTH)
        return unsupported(in, "unknown step", type, err);
    const json_t *steps = json_object_get(step, "processors");
    for (size_t i = 0; i < json_array_size(steps); i++)
        LM_TRY(read_processor(in, json_array_get(steps, i), depth + 1, err));
    return LOAM_OK;
}

loam_status lm_tokenizer_json_read_template(const json_t *root, const char *path,
                                            lm_tokenizer_spec *spec, loam_error *err) {
    step_reader in = {.path = path, .spec = spec, .stage = "post_processor"};
    const json_t *step = json_object_get(root, "post_processor");
    if (!step || json_is_null(step)) return LOAM_OK;
    LM_TRY(read_processor(&in, step, 0, err));
    for (size_t i = 0; i < spec->before.len + spec->after.len; i++) {
        int32_t id =
            i < spec->before.len ? spec->before.ptr[i] : spec->after.ptr[i - spec->before.len];
        if (id < 0 || (size_t)id >= spec->tokens.len)
            return lm_error_set(err, LOAM_INVALID,
                                "%s: post_processor: token %d is outside the vocabulary of %zu",
                                path, id, spec->tokens.len);
    }
    if (spec->before.len > 0) spec->bos = spec->before.ptr[0];
    spec->add_bos = spec->before.len > 0;
    spec->add_eos = spec->after.len > 0;
    return LOAM_OK;
}
