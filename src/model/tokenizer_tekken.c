/* Mistral's tekken.json: a pattern, tokens with their bytes in base64 by rank, and special tokens, which take the first ids.
 * Source: github.com/mistralai/mistral-common.
 */
#include "base/json.h"
#include "model/tokenizer_ranks.h"
#include "model/tokenizer_readers.h"

enum { MAX_SPECIAL = 1 << 16 };

/* The special tokens of files that do not list them. */
static const char *const old_specials[] = {"<unk>",
                                           "<s>",
                                           "</s>",
                                           "[INST]",
                                           "[/INST]",
                                           "[AVAILABLE_TOOLS]",
                                           "[/AVAILABLE_TOOLS]",
                                           "[TOOL_RESULTS]",
                                           "[/TOOL_RESULTS]",
                                           "[TOOL_CALLS]",
                                           "[IMG]",
                                           "<pad>",
                                           "[IMG_BREAK]",
                                           "[IMG_END]",
                                           "[PREFIX]",
                                           "[MIDDLE]",
                                           "[SUFFIX]"};

typedef struct tekken_file {
    const char *path;
    lm_str pattern;
    int64_t n_special, vocab_size;
} tekken_file;

static LM_MUST_USE loam_status read_config(const json_t *root, tekken_file *file, loam_error *err) {
    const json_t *config = json_object_get(root, "config");
    LM_TRY(lm_json_str(config, file->path, "pattern", &file->pattern, err));
    LM_TRY(lm_json_i64(config, file->path, "default_num_special_tokens", &file->n_special, err));
    LM_TRY(lm_json_i64(config, file->path, "default_vocab_size", &file->vocab_size, err));
    if (file->n_special < 0 || file->n_special > MAX_SPECIAL ||
        file->vocab_size < file->n_special || file->vocab_size > LM_VOCAB_MAX_TOKENS)
        return lm_error_set(err, LOAM_INVALID,
                            "%s: 'config' has %lld special tokens in a vocabulary of %lld",
                            file->path, (long long)file->n_special, (long long)file->vocab_size);
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_specials(const json_t *root, const tekken_file *file,
                                             lm_tokenizer_spec *spec, lm_ranked_tokens *tokens,
                                             loam_error *err) {
    const json_t *listed = json_object_get(root, "special_tokens");
    for (int64_t id = 0; id < file->n_special; id++) {
        char filler[32];
        int len = snprintf(filler, sizeof filler, "<SPECIAL_%lld>", (long long)id);
        lm_str text = {filler, (size_t)len};
        bool is_old = !json_is_array(listed) && id < (int64_t)LM_COUNT_OF(old_specials);
        LM_TRY(lm_ranks_put_special(spec, tokens, id, is_old ? lm_str_of(old_specials[id]) : text,
                                    err));
    }
    for (size_t i = 0; i < json_array_size(listed); i++) {
        const json_t *entry = json_array_get(listed, i);
        lm_str text;
        int64_t rank;
        LM_TRY(lm_json_str(entry, file->path, "token_str", &text, err));
        LM_TRY(lm_json_i64(entry, file->path, "rank", &rank, err));
        if (rank < 0 || rank >= file->n_special)
            return lm_error_set(err, LOAM_INVALID, "%s: special token '%.*s' has the rank %lld",
                                file->path, (int)(text.len < 100 ? text.len : 100), text.ptr,
                                (long long)rank);
        LM_TRY(lm_ranks_put_special(spec, tokens, rank, text, err));
    }
    return LOAM_OK;
}

/* Tokens past the vocabulary's size are in the file for bigger models. */
static LM_MUST_USE loam_status read_vocab(const json_t *root, const tekken_file *file,
                                          lm_tokenizer_spec *spec, lm_ranked_tokens *tokens,
                                          loam_error *err) {
    const json_t *vocab = json_object_get(root, "vocab");
    for (size_t i = 0; i < json_array_size(vocab); i++) {
        const json_t *entry = json_array_get(vocab, i);
        lm_str bytes;
        int64_t rank;
        LM_TRY(lm_json_i64(entry, file->path, "rank", &rank, err));
        if (rank >= file->vocab_size - file->n_special) continue;
        LM_TRY(lm_json_str(entry, file->path, "token_bytes", &bytes, err));
        if (rank < 0)
            return lm_error_set(err, LOAM_INVALID, "%s: token %zu has the rank %lld", file->path, i,
                                (long long)rank);
        LM_TRY(lm_ranks_put_bytes(spec, tokens, file->n_special + rank, bytes, err));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status set_pattern(const tekken_file *file, lm_tokenizer_spec *spec,
                                           loam_error *err) {
    lm_pretokenizer_step split = {.kind = LM_PRETOKENIZER_SPLIT,
                                  .at = LM_SPLIT_AT_REGEX,
                                  .behavior = LM_SPLIT_ISOLATED,
                                  .text = lm_tokenizer_spec_copy(spec, file->pattern)},
                         bytes = {.kind = LM_PRETOKENIZER_BYTE_LEVEL};
    if (!split.text.ptr) return lm_error_no_memory(err, file->pattern.len);
    LM_TRY(lm_tokenizer_spec_add_pretokenizer(spec, split, err));
    LM_TRY(lm_tokenizer_spec_add_pretokenizer(spec, bytes, err));
    const char *name = lm_pretokenizer_name_of(&spec->pretokenizer);
    if (name) snprintf(spec->pre_name, sizeof spec->pre_name, "%s", name);
    return lm_tokenizer_spec_add_decoder(spec, (lm_decoder_step){.kind = LM_DECODER_BYTE_LEVEL},
                                         err);
}

bool lm_tokenizer_is_tekken(const json_t *root) {
    return json_object_get(json_object_get(root, "config"), "pattern") &&
           json_is_array(json_object_get(root, "vocab"));
}

loam_status lm_tokenizer_read_tekken(const json_t *root, const char *path, lm_tokenizer_spec *spec,
                                     loam_error *err) {
    tekken_file file = {.path = path};
    lm_ranked_tokens tokens = {0};
    LM_TRY(read_config(root, &file, err));
    LM_TRY(set_pattern(&file, spec, err));
    loam_status status = read_specials(root, &file, spec, &tokens, err);
    if (status == LOAM_OK) status = read_vocab(root, &file, spec, &tokens, err);
    if (status == LOAM_OK) status = lm_ranks_finish(spec, &tokens, err);
    lm_ranks_deinit(&tokens);
    LM_TRY(status);
    spec->bos = lm_tokenizer_spec_find(spec, LM_STR("<s>"));
    spec->unk = lm_tokenizer_spec_find(spec, LM_STR("<unk>"));
    spec->pad = lm_tokenizer_spec_find(spec, LM_STR("<pad>"));
    spec->add_bos = spec->bos >= 0;
    int32_t eos = lm_tokenizer_spec_find(spec, LM_STR("</s>"));
    return eos >= 0 ? lm_tokenizer_spec_add_eos(spec, eos, err) : LOAM_OK;
}
