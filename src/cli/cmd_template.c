/* loam template: a conversation as the prompt that a model sees. */
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/text_io.h"
#include "model/chat.h"
#include "model/gguf.h"

enum { MAX_INPUT_BYTES = 64 << 20, MAX_PROMPT_BYTES = 64 << 20, MAX_NAME_BYTES = 128 };

typedef struct template_settings {
    const char *file, *tools;
    lm_option_list variables;
    bool generation_prompt, ids, show, json;
} template_settings;

/* What a conversation is made of, wherever it stood. */
typedef struct conversation {
    json_t *input, *tools, *variables;
    lm_chat_talk talk;
} conversation;

static loam_status read_json(const char *argument, const char *what, json_t **out,
                             loam_error *err) {
    lm_buf storage;
    lm_str text;
    bool is_inline = argument[0] == '[' || argument[0] == '{' || strcmp(argument, "-") == 0;
    lm_buf_init(&storage, MAX_INPUT_BYTES);
    loam_status status = is_inline ? lm_cli_text(argument, &storage, &text, err) : LOAM_OK;
    char *file = NULL;
    size_t size = 0;
    if (!is_inline) {
        status = lm_file_read(argument, MAX_INPUT_BYTES, &file, &size, err);
        text = (lm_str){file, size};
    }
    if (status == LOAM_OK) status = lm_json_parse(text, is_inline ? what : argument, out, err);
    lm_free(file);
    lm_buf_deinit(&storage);
    return status;
}

/* "name=json"; what is no JSON is a text. */
static loam_status add_variable(const char *given, json_t *variables, loam_error *err) {
    const char *equals = strchr(given, '=');
    char name[MAX_NAME_BYTES];
    if (!equals || equals == given || equals - given >= MAX_NAME_BYTES)
        return lm_error_set(err, LOAM_INVALID, "--var '%s' is not name=value", given);
    snprintf(name, sizeof name, "%.*s", (int)(equals - given), given);
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    if (!value) value = json_string(equals + 1);
    if (!value) return lm_error_set(err, LOAM_INVALID, "--var '%s': the value is no UTF-8", name);
    return json_object_set_new(variables, name, value) == 0 ? LOAM_OK : lm_error_no_memory(err, 1);
}

/* What else an object says is for the template to know. */
static void add_other_keys(const json_t *input, conversation *out) {
    static const char *const own[] = {"messages", "tools", "documents", "chat_template_kwargs",
                                      "add_generation_prompt"};
    const json_t *kwargs = json_object_get(input, "chat_template_kwargs");
    json_object_update(out->variables, (json_t *)input);
    for (size_t i = 0; i < LM_COUNT_OF(own); i++) json_object_del(out->variables, own[i]);
    if (json_is_object(kwargs)) json_object_update(out->variables, (json_t *)kwargs);
    if (json_is_false(json_object_get(input, "add_generation_prompt")))
        out->talk.no_generation_prompt = true;
}

/* An array of messages, or an object with "messages" and perhaps "tools", "documents", "chat_template_kwargs" and variables. */
static loam_status read_conversation(const template_settings *s, const char *argument,
                                     conversation *out, loam_error *err) {
    LM_TRY(read_json(argument, "conversation", &out->input, err));
    const json_t *in = out->input;
    bool is_object = json_is_object(in);
    out->variables = json_object();
    out->talk = (lm_chat_talk){.messages = is_object ? json_object_get(in, "messages") : in,
                               .tools = json_object_get(in, "tools"),
                               .documents = json_object_get(in, "documents"),
                               .variables = out->variables,
                               .no_generation_prompt = !s->generation_prompt};
    if (is_object) add_other_keys(in, out);
    for (int i = 0; i < s->variables.len; i++)
        LM_TRY(add_variable(s->variables.items[i], out->variables, err));
    if (!s->tools) return LOAM_OK;
    LM_TRY(read_json(s->tools, "tools", &out->tools, err));
    out->talk.tools = out->tools;
    return json_is_array(out->tools) ? LOAM_OK
                                     : lm_error_set(err, LOAM_INVALID, "the tools must be a list");
}

static void conversation_deinit(conversation *c) {
    json_decref(c->input);
    json_decref(c->tools);
    json_decref(c->variables);
}

/* The architecture that a GGUF file or a folder names; "" when it says nothing. */
static void read_arch(const char *path, char out[MAX_NAME_BYTES]) {
    loam_error ignored;
    lm_gguf *gguf = NULL;
    lm_str name = {"", 0};
    json_t *config = NULL;
    char *config_path = lm_path_join(path, "config.json");
    out[0] = '\0';
    if (lm_gguf_open(path, &gguf, &ignored) == LOAM_OK) {
        if (lm_gguf_str_or(gguf, "general.architecture", LM_STR(""), &name, &ignored) == LOAM_OK)
            snprintf(out, MAX_NAME_BYTES, "%.*s", (int)name.len, name.ptr);
        lm_gguf_close(gguf);
    } else if (config_path && lm_file_exists(config_path) &&
               read_json(config_path, "config", &config, &ignored) == LOAM_OK) {
        if (lm_json_str_or(config, config_path, "model_type", LM_STR(""), &name, &ignored) ==
            LOAM_OK)
            snprintf(out, MAX_NAME_BYTES, "%.*s", (int)name.len, name.ptr);
    }
    json_decref(config);
    lm_free(config_path);
}

static loam_status open_chat(const template_settings *s, const char *model,
                             lm_tokenizer **tokenizer, lm_chat **out, loam_error *err) {
    char arch[MAX_NAME_BYTES];
    if (model) LM_TRY(lm_tokenizer_open(model, tokenizer, err));
    if (!s->file) {
        read_arch(model, arch);
        return lm_chat_open(*tokenizer, arch, out, err);
    }
    char *source = NULL;
    size_t size = 0;
    LM_TRY(lm_file_read(s->file, MAX_INPUT_BYTES, &source, &size, err));
    loam_status status = lm_chat_new((lm_str){source, size}, *tokenizer, out, err);
    lm_free(source);
    return status == LOAM_OK ? status : lm_error_prefix(err, status, "%s", s->file);
}

static json_t *ids_json(const lm_vec_i32 *ids) {
    json_t *list = json_array();
    for (size_t i = 0; i < ids->len; i++) json_array_append_new(list, json_integer(ids->ptr[i]));
    return list;
}

static void print_json(const lm_chat *chat, lm_str prompt, const lm_vec_i32 *ids) {
    json_t *object = json_pack("{s:s, s:o}", "template", lm_chat_description(chat), "prompt",
                               lm_cli_json_text(prompt));
    if (ids) json_object_set_new(object, "ids", ids_json(ids));
    json_dumpf(object, stdout, 0);
    putchar('\n');
    json_decref(object);
}

static void print_plain(lm_str prompt, const lm_vec_i32 *ids) {
    if (!ids) fwrite(prompt.ptr, 1, prompt.len, stdout);
    for (size_t i = 0; ids && i < ids->len; i++) printf("%s%d", i ? " " : "", ids->ptr[i]);
    if (ids) putchar('\n');
}

static loam_status print_prompt(const template_settings *s, const lm_chat *chat,
                                const lm_chat_talk *talk, loam_error *err) {
    lm_buf prompt;
    lm_vec_i32 ids = {0};
    lm_buf_init(&prompt, MAX_PROMPT_BYTES);
    loam_status status = lm_chat_render(chat, talk, &prompt, err);
    if (status == LOAM_OK && s->ids) status = lm_chat_encode(chat, talk, 0, &ids, err);
    if (status == LOAM_OK && s->json)
        print_json(chat, lm_buf_view(&prompt), s->ids ? &ids : NULL);
    else if (status == LOAM_OK)
        print_plain((lm_str){lm_buf_cstr(&prompt), prompt.len}, s->ids ? &ids : NULL);
    lm_vec_deinit(&ids);
    lm_buf_deinit(&prompt);
    return status;
}

static loam_status check_arguments(const template_settings *s, int n_args, loam_error *err) {
    int n_model = !s->file || s->ids, wanted = n_model + !s->show;
    if (n_args >= n_model && n_args <= wanted + (s->file && !s->ids)) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, n_model ? "say which model" : "too many arguments");
}

static int run_template(const void *settings_, int n_args, char **args) {
    template_settings settings = *(const template_settings *)settings_;
    const template_settings *s = &settings;
    loam_error err = {0};
    if (!settings.file && n_args > 0 && lm_str_ends(lm_str_of(args[0]), LM_STR(".jinja"))) {
        settings.file = *args++; /* a template in the model's place */
        n_args--;
    }
    lm_tokenizer *tokenizer = NULL;
    lm_chat *chat = NULL;
    conversation c = {0};
    /* with a template's file the model may be left out: the last argument is the conversation */
    bool has_model = !s->file || s->ids || n_args > 1;
    const char *talk = n_args > has_model ? args[has_model] : "-";
    loam_status status = check_arguments(s, n_args, &err);
    if (status == LOAM_OK)
        status = open_chat(s, has_model ? args[0] : NULL, &tokenizer, &chat, &err);
    if (status == LOAM_OK && s->show) {
        lm_str source = lm_chat_source(chat);
        fwrite(source.ptr, 1, source.len, stdout);
        putchar('\n');
    } else if (status == LOAM_OK) {
        status = read_conversation(s, talk, &c, &err);
        if (status == LOAM_OK) status = print_prompt(s, chat, &c.talk, &err);
    }
    conversation_deinit(&c);
    lm_chat_free(chat);
    lm_tokenizer_free(tokenizer);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

#define AT(field) LM_OPTION_AT(template_settings, field)
static const lm_option options[] = {
    {.name = "template",
     .short_name = 't',
     .type = LM_OPT_STRING,
     .arg = "FILE",
     .offset = AT(file),
     .help = "use this template instead of the model's; the model may then be left out"},
    {.name = "tools",
     .type = LM_OPT_STRING,
     .arg = "JSON",
     .offset = AT(tools),
     .help = "the tools offered: a JSON list, or a file that holds one"},
    {.name = "generation-prompt",
     .type = LM_OPT_FLAG,
     .offset = AT(generation_prompt),
     .help =
         "end with what makes the model answer (default; --no-generation-prompt leaves it out)"},
    {.name = "var",
     .type = LM_OPT_LIST,
     .arg = "NAME=JSON",
     .offset = AT(variables),
     .help = "one more variable of the template, such as enable_thinking=false; what is no JSON is "
             "a text"},
    {.name = "ids",
     .type = LM_OPT_FLAG,
     .offset = AT(ids),
     .help = "print the token ids of the prompt"},
    {.name = "show", .type = LM_OPT_FLAG, .offset = AT(show), .help = "print the template itself"},
    {.name = "json",
     .type = LM_OPT_FLAG,
     .offset = AT(json),
     .help = "print a JSON object with the prompt and where the template is from"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_template = {
    .name = "template",
    .summary = "turn a conversation into the prompt that a model sees",
    .usage = "<model> [conversation]",
    .description = "The model is a GGUF file or a Hugging Face folder; a .jinja file in its place "
                   "is a template without a model. The conversation is JSON: a "
                   "list of messages, or an "
                   "object with messages and perhaps tools, documents and chat_template_kwargs, as "
                   "the chat API takes them; it "
                   "is given as text or as a file's name, or read from standard input. The prompt "
                   "is printed without a "
                   "newline behind it. A model without a template gets its family's.",
    .examples = "loam template ./model '[{\"role\": \"user\", \"content\": \"Hi\"}]'\n"
                "    print the prompt of a question\n"
                "loam template model.gguf talk.json --var enable_thinking=false --json\n"
                "    switch thinking off, and say where the template is from\n"
                "loam template --template chat.jinja talk.json --var bos_token='\"<s>\"'\n"
                "    try a template without a model\n",
    .options = options,
    .min_args = 0,
    .max_args = 2,
    .model_arg = 1,
    .settings_bytes = sizeof(template_settings),
    .defaults = &(template_settings){.generation_prompt = true},
    .run = run_template,
};
