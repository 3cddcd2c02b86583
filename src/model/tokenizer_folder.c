/* The tokenizer of a Hugging Face folder: tokenizer.json, else tokenizer.model, and what the other files add. */
#include "base/json.h"
#include "base/mem.h"
#include "model/hf_folder.h"
#include "model/tokenizer_readers.h"

enum {
    MAX_TOKENIZER_BYTES = 256 << 20,
    MAX_TEMPLATE_BYTES = 4 << 20,
    MAX_ADDED_TOKENS = 1 << 16,
};

typedef loam_status (*text_reader)(lm_str text, const char *path, lm_tokenizer_spec *out,
                                   loam_error *err);

static LM_MUST_USE loam_status read_with(text_reader read, const char *path, lm_tokenizer_spec *out,
                                         loam_error *err) {
    char *text = NULL;
    size_t size = 0;
    LM_TRY(lm_file_read(path, MAX_TOKENIZER_BYTES, &text, &size, err));
    loam_status status = read((lm_str){text, size}, path, out, err);
    lm_free(text);
    return status;
}

/* tokenizer.model is SentencePiece's, but for families that keep tiktoken's ranks under this name. */
static loam_status read_model(lm_str bytes, const char *path, lm_tokenizer_spec *out,
                              loam_error *err) {
    return lm_tokenizer_is_tiktoken(bytes) ? lm_tokenizer_read_tiktoken(bytes, path, out, err)
                                           : lm_tokenizer_read_sentencepiece(bytes, path, out, err);
}

/* In the order in which they are preferred. */
static const struct {
    const char *name;
    text_reader read;
} files[] = {{"tokenizer.json", lm_tokenizer_read_json},
             {"tokenizer.model", read_model},
             {"tekken.json", lm_tokenizer_read_json},
             {"tiktoken.model", read_model},
             {"qwen.tiktoken", read_model},
             {"tokenizer.tiktoken", read_model}};

/* The path of the first of them that is there; NULL when none is or memory is out. */
static char *find_vocabulary(const char *dir, size_t *out_index) {
    for (size_t i = 0; i < LM_COUNT_OF(files); i++) {
        char *path = lm_path_join(dir, files[i].name);
        *out_index = i;
        if (!path || lm_file_exists(path)) return path;
        lm_free(path);
    }
    return NULL;
}

bool lm_tokenizer_is_in_folder(const char *dir) {
    size_t index;
    char *path = find_vocabulary(dir, &index);
    lm_free(path);
    return path != NULL;
}

static LM_MUST_USE loam_status read_vocabulary(const char *dir, lm_tokenizer_spec *out,
                                               loam_error *err) {
    size_t index = 0;
    char *path = find_vocabulary(dir, &index);
    if (path) {
        loam_status status = read_with(files[index].read, path, out, err);
        lm_free(path);
        return status;
    }
    lm_error_set(err, LOAM_NOT_FOUND, "%s: no tokenizer.json and no tokenizer.model", dir);
    return lm_error_hint(err, LOAM_NOT_FOUND, "copy the tokenizer's files into the model's folder");
}

/* ------------------------------------------------------------------------------------------------- special tokens */

/* A token given as text or as {"content": text}; -1 when it is absent or not in the vocabulary. */
static int32_t named_token(const lm_tokenizer_spec *spec, const json_t *config, const char *key) {
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    if (!json_is_string(value)) return -1;
    return lm_tokenizer_spec_find(spec,
                                  (lm_str){json_string_value(value), json_string_length(value)});
}

static void prefer(int32_t *id, int32_t better) {
    if (better >= 0) *id = better;
}

/* "added_tokens_decoder": what slow tokenizers add behind a SentencePiece vocabulary. */
static LM_MUST_USE loam_status add_tokens(const json_t *config, lm_tokenizer_spec *spec,
                                          loam_error *err) {
    const json_t *added = json_object_get(config, "added_tokens_decoder");
    for (int n = 0; n < MAX_ADDED_TOKENS; n++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", spec->tokens.len);
        const json_t *entry = json_object_get(added, key);
        if (!entry) return LOAM_OK;
        lm_str text = {0};
        bool is_special = true;
        LM_TRY(lm_json_str(entry, "tokenizer_config.json", "content", &text, err));
        LM_TRY(lm_json_bool_or(entry, "tokenizer_config.json", "special", true, &is_special, err));
        lm_token_type type = is_special ? LM_TOKEN_CONTROL : LM_TOKEN_USER_DEFINED;
        LM_TRY(lm_tokenizer_spec_add_token(spec, text, type, 0, err));
    }
    return LOAM_OK;
}

/* Ids may be given as one number or a list; those outside the vocabulary cannot end anything and are left out. */
static LM_MUST_USE loam_status add_eos_ids(const json_t *config, lm_tokenizer_spec *spec,
                                           loam_error *err) {
    const json_t *ids = json_object_get(config, "eos_token_id");
    size_t n = json_is_array(ids) ? json_array_size(ids) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_is_array(ids) ? json_array_get(ids, i) : ids;
        json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value < 0 || (size_t)value >= spec->tokens.len) continue;
        LM_TRY(lm_tokenizer_spec_add_eos(spec, (int32_t)value, err));
    }
    return LOAM_OK;
}

/* ------------------------------------------------------------------------------------------------- chat template */

static LM_MUST_USE loam_status set_template(lm_str text, lm_tokenizer_spec *spec, lm_str *out,
                                            loam_error *err) {
    *out = lm_tokenizer_spec_copy(spec, text);
    return out->ptr ? LOAM_OK : lm_error_no_memory(err, text.len);
}

/* The one of that name in a list of named ones. */
static const json_t *named_template(const json_t *templates, const char *name) {
    for (size_t i = 0; i < json_array_size(templates); i++) {
        const json_t *entry = json_array_get(templates, i);
        const char *found = json_string_value(json_object_get(entry, "name"));
        if (found && strcmp(found, name) == 0) return json_object_get(entry, "template");
    }
    return NULL;
}

/* "chat_template": a text, or a list of named ones, of which those for all talks and for talks with tools are taken. */
static LM_MUST_USE loam_status set_templates(const json_t *config, lm_tokenizer_spec *spec,
                                             loam_error *err) {
    const json_t *templates = json_object_get(config, "chat_template");
    bool is_list = json_is_array(templates);
    const json_t *text = is_list ? named_template(templates, "default") : templates,
                 *tool_text = is_list ? named_template(templates, "tool_use") : NULL;
    if (is_list && !text) text = json_object_get(json_array_get(templates, 0), "template");
    if (json_is_string(text))
        LM_TRY(set_template((lm_str){json_string_value(text), json_string_length(text)}, spec,
                            &spec->chat_template, err));
    if (!json_is_string(tool_text)) return LOAM_OK;
    return set_template((lm_str){json_string_value(tool_text), json_string_length(tool_text)}, spec,
                        &spec->tool_template, err);
}

static LM_MUST_USE loam_status read_template_file(const char *dir, const char *name,
                                                  lm_tokenizer_spec *spec, lm_str *out,
                                                  loam_error *err) {
    char *path = lm_path_join(dir, name), *text = NULL;
    size_t size = 0;
    if (!path) return lm_error_no_memory(err, strlen(dir));
    loam_status status = LOAM_OK;
    if (lm_file_exists(path)) {
        status = lm_file_read(path, MAX_TEMPLATE_BYTES, &text, &size, err);
        if (status == LOAM_OK) status = set_template((lm_str){text, size}, spec, out, err);
    }
    lm_free(text);
    lm_free(path);
    return status;
}

/* Files of their own override what tokenizer_config.json says. */
static LM_MUST_USE loam_status read_template_files(const char *dir, lm_tokenizer_spec *spec,
                                                   loam_error *err) {
    json_t *config = NULL;
    LM_TRY(lm_hf_folder_read_json(dir, "chat_template.json", &config, err));
    loam_status status = config ? set_templates(config, spec, err) : LOAM_OK;
    json_decref(config);
    LM_TRY(status);
    LM_TRY(read_template_file(dir, "chat_template.jinja", spec, &spec->chat_template, err));
    return read_template_file(dir, "additional_chat_templates/tool_use.jinja", spec,
                              &spec->tool_template, err);
}

/* ------------------------------------------------------------------------------------------------- folder */

static LM_MUST_USE loam_status apply_tokenizer_config(const json_t *config, lm_tokenizer_spec *spec,
                                                      loam_error *err) {
    LM_TRY(add_tokens(config, spec, err));
    prefer(&spec->bos, named_token(spec, config, "bos_token"));
    prefer(&spec->unk, named_token(spec, config, "unk_token"));
    prefer(&spec->pad, named_token(spec, config, "pad_token"));
    int32_t eos = named_token(spec, config, "eos_token");
    if (eos >= 0) LM_TRY(lm_tokenizer_spec_add_eos(spec, eos, err));
    LM_TRY(lm_json_bool_or(config, "tokenizer_config.json", "add_bos_token", spec->add_bos,
                           &spec->add_bos, err));
    return set_templates(config, spec, err);
}

static LM_MUST_USE loam_status apply_folder(const char *dir, lm_tokenizer_spec *spec,
                                            loam_error *err) {
    static const char *const id_files[] = {"generation_config.json", "config.json"};
    json_t *config = NULL;
    LM_TRY(lm_hf_folder_read_json(dir, "tokenizer_config.json", &config, err));
    loam_status status = config ? apply_tokenizer_config(config, spec, err) : LOAM_OK;
    json_decref(config);
    for (size_t i = 0; i < LM_COUNT_OF(id_files) && status == LOAM_OK; i++) {
        config = NULL;
        LM_TRY(lm_hf_folder_read_json(dir, id_files[i], &config, err));
        status = add_eos_ids(config, spec, err);
        json_decref(config);
    }
    LM_TRY(status);
    return read_template_files(dir, spec, err);
}

loam_status lm_tokenizer_read_folder(const char *dir, lm_tokenizer_spec *out, loam_error *err) {
    lm_tokenizer_spec spec;
    LM_TRY(read_vocabulary(dir, &spec, err));
    loam_status status = apply_folder(dir, &spec, err);
    if (status == LOAM_OK) {
        *out = spec;
        return LOAM_OK;
    }
    lm_tokenizer_spec_deinit(&spec);
    return lm_error_prefix(err, status, "%s", dir);
}

loam_status lm_tokenizer_read_file(const char *path, lm_tokenizer_spec *out, loam_error *err) {
    bool is_json = lm_str_ends(lm_str_of(path), LM_STR(".json"));
    return read_with(is_json ? lm_tokenizer_read_json : read_model, path, out, err);
}
