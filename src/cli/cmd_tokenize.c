/* loam tokenize: text to token ids and back, as a model does it. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/command.h"
#include "cli/text_io.h"
#include "model/tokenizer.h"

typedef struct tokenize_settings {
    bool decode, bos, special, json;
} tokenize_settings;

static bool is_separator(char c) {
    return c == ' ' || c == ',' || c == '[' || c == ']' || (c >= '\t' && c <= '\r');
}

/* "1 403, 407", with or without brackets. */
static loam_status parse_ids(lm_str text, lm_vec_i32 *out, loam_error *err) {
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        while (end < text.len && !is_separator(text.ptr[end])) end++;
        lm_str word = {text.ptr + at, end - at};
        uint64_t id;
        at = end + 1;
        if (word.len == 0) continue;
        if (!lm_str_to_u64(word, &id) || id > INT32_MAX)
            return lm_error_set(err, LOAM_INVALID, "'%.*s' is no token id",
                                (int)(word.len < 40 ? word.len : 40), word.ptr);
        if (!lm_vec_push(out, (int32_t)id)) return lm_error_no_memory(err, sizeof id);
    }
    return LOAM_OK;
}

static void print_ids(const lm_vec_i32 *ids) {
    for (size_t i = 0; i < ids->len; i++) printf("%s%d", i ? " " : "", ids->ptr[i]);
    putchar('\n');
}

static void print_json(const lm_tokenizer *tokenizer, const lm_vec_i32 *ids, lm_str text) {
    json_t *numbers = json_array(), *tokens = json_array();
    for (size_t i = 0; i < ids->len; i++) {
        json_array_append_new(numbers, json_integer(ids->ptr[i]));
        json_array_append_new(tokens,
                              lm_cli_json_text(lm_tokenizer_token_text(tokenizer, ids->ptr[i])));
    }
    json_t *object = json_pack("{s:o, s:I, s:o, s:o}", "text", lm_cli_json_text(text), "n_tokens",
                               (json_int_t)ids->len, "ids", numbers, "tokens", tokens);
    json_dumpf(object, stdout, 0);
    putchar('\n');
    json_decref(object);
}

static loam_status decode(const lm_tokenizer *tokenizer, const tokenize_settings *s, lm_str text,
                          loam_error *err) {
    lm_vec_i32 ids = {0};
    lm_buf decoded;
    lm_buf_init(&decoded, LM_TOKENIZER_MAX_TEXT_BYTES);
    loam_status status = parse_ids(text, &ids, err);
    if (status == LOAM_OK) status = lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &decoded, err);
    if (status == LOAM_OK && s->json) {
        print_json(tokenizer, &ids, lm_buf_view(&decoded));
    } else if (status == LOAM_OK) {
        fwrite(lm_buf_cstr(&decoded), 1, decoded.len, stdout);
        putchar('\n');
    }
    lm_buf_deinit(&decoded);
    lm_vec_deinit(&ids);
    return status;
}

static loam_status encode(const lm_tokenizer *tokenizer, const tokenize_settings *s, lm_str text,
                          loam_error *err) {
    lm_vec_i32 ids = {0};
    lm_encode_options options = {.add_special = s->bos, .parse_special = s->special};
    loam_status status = lm_tokenizer_encode(tokenizer, text, options, &ids, err);
    if (status == LOAM_OK && s->json) {
        print_json(tokenizer, &ids, text);
    } else if (status == LOAM_OK) {
        print_ids(&ids);
    }
    lm_vec_deinit(&ids);
    return status;
}

static int run_tokenize(const void *settings_, int n_args, char **args) {
    const tokenize_settings *settings = settings_;
    loam_error err = {0};
    lm_tokenizer *tokenizer = NULL;
    lm_buf input;
    lm_str text;
    lm_buf_init(&input, LM_TOKENIZER_MAX_TEXT_BYTES);
    loam_status status = lm_tokenizer_open(args[0], &tokenizer, &err);
    if (status == LOAM_OK) status = lm_cli_text(n_args > 1 ? args[1] : "-", &input, &text, &err);
    if (status == LOAM_OK)
        status = settings->decode ? decode(tokenizer, settings, text, &err)
                                  : encode(tokenizer, settings, text, &err);
    lm_buf_deinit(&input);
    lm_tokenizer_free(tokenizer);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(tokenize_settings, field)
static const lm_option options[] = {
    {.name = "decode",
     .short_name = 'd',
     .type = LM_OPT_FLAG,
     .offset = AT(decode),
     .help = "the text is token ids; print what they stand for"},
    {.name = "bos",
     .type = LM_OPT_FLAG,
     .offset = AT(bos),
     .help = "put the tokens around the text that the model was trained with (default; --no-bos "
             "leaves them out)"},
    {.name = "special",
     .type = LM_OPT_FLAG,
     .offset = AT(special),
     .help = "let control tokens spelled in the text, such as <|im_end|>, become their ids"},
    {.name = "json",
     .type = LM_OPT_FLAG,
     .offset = AT(json),
     .help = "print text, ids and tokens as a JSON object"},
    LM_OPTIONS_END,
};

static const tokenize_settings defaults = {.bos = true};

const lm_command lm_cmd_tokenize = {
    .name = "tokenize",
    .summary = "turn text into a model's token ids, or back",
    .usage = "<model> [text]",
    .description = "The model is a GGUF file, a Hugging Face folder, a tokenizer.json, a "
                   "tokenizer.model, a tekken.json or a .tiktoken file. Without a text, "
                   "or with '-', standard input is read. Ids are printed on one line.",
    .examples = "loam tokenize model.gguf 'Once upon a time'\n"
                "    print the ids of a text\n"
                "loam tokenize model.gguf --decode '1 403 407'\n"
                "    print the text of ids\n",
    .options = options,
    .min_args = 1,
    .max_args = 2,
    .model_arg = 1,
    .settings_bytes = sizeof(tokenize_settings),
    .defaults = &defaults,
    .run = run_tokenize,
};
