#include "model/chat.h"

#include <stdio.h>

#include "base/mem.h"
#include "model/chat_marks.h"
#include "model/jinja/jinja.h"

enum { PROMPT_MAX_BYTES = 64 << 20 };

struct lm_chat {
    lm_jinja *jinja;
    lm_jinja *tool_jinja;          /* for talks with tools; NULL: the same */
    const lm_tokenizer *tokenizer; /* may be NULL */
    lm_chat_controls controls;
    const char *stop;
    int32_t end;
    bool knows_developers;
    char description[64];
};

/* ---- families ---- */

#define TEXT_OF_CONTENT                                                                           \
    "{% macro text(c) %}{% if c is string %}{{ c }}{% elif c is iterable and c is not mapping %}" \
    "{% for p in c %}{{ p.text if p is mapping else p }}{% endfor %}{% endif %}{% endmacro %}"

typedef struct family {
    const char *name, *archs, *token, *stop, *source;
} family;

static const family FAMILIES[] = {
#define LM_CHAT_FAMILY(name, archs, token, stop, source) \
    {name, archs, token, stop, TEXT_OF_CONTENT source},
#include "model/chat_families.def"
#undef LM_CHAT_FAMILY
};

static bool names_arch(const char *archs, const char *arch) {
    size_t len = strlen(arch);
    for (; *archs; archs += strcspn(archs, ","), archs += *archs == ',')
        if (strcspn(archs, ",") == len && strncmp(archs, arch, len) == 0) return true;
    return false;
}

static const family *family_of(const lm_tokenizer *tokenizer, const char *arch) {
    for (size_t i = 0; i < LM_COUNT_OF(FAMILIES); i++)
        if (FAMILIES[i].token && lm_tokenizer_find(tokenizer, lm_str_of(FAMILIES[i].token)) >= 0)
            return &FAMILIES[i];
    for (size_t i = 0; arch && i < LM_COUNT_OF(FAMILIES); i++)
        if (names_arch(FAMILIES[i].archs, arch)) return &FAMILIES[i];
    return &FAMILIES[LM_COUNT_OF(FAMILIES) - 1];
}

/* ---- variables ---- */

/* Names under which a message's thinking is passed; the first is what templates read, the second what some do. */
static const char *const THINKING[] = {"reasoning_content", "thinking", "reasoning"};

/* The message with its thinking under the first two names, or the message itself. A new reference. */
static json_t *with_thinking(json_t *message) {
    json_t *thinking = NULL;
    for (size_t i = 0; i < LM_COUNT_OF(THINKING) && (!thinking || json_is_null(thinking)); i++)
        thinking = json_object_get(message, THINKING[i]);
    if (!thinking || json_is_null(thinking)) return json_incref(message);
    json_t *named = json_object(), *copy = json_copy(message);
    if (!json_object_get(copy, "thinking")) json_object_set(named, "thinking", thinking);
    json_object_update(named, copy);
    json_object_set(named, "reasoning_content", thinking);
    json_decref(copy);
    return named;
}

static json_t *all_with_thinking(const json_t *messages) {
    json_t *made = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++)
        json_array_append_new(made, with_thinking(json_array_get(messages, i)));
    return made;
}

static void set_token(json_t *variables, const char *name, const lm_tokenizer *tokenizer,
                      int32_t id) {
    lm_str text = lm_tokenizer_token_text(tokenizer, id);
    if (id >= 0 && text.len) json_object_set_new(variables, name, json_stringn(text.ptr, text.len));
}

static json_t *or_none(const json_t *value) {
    return value ? json_incref((json_t *)value) : json_null();
}

/* What the template may name. NULL when out of memory. */
static json_t *variables_of(const lm_chat *chat, const lm_chat_talk *talk) {
    const lm_tokenizer *tokenizer = chat->tokenizer;
    json_t *made = json_object();
    if (tokenizer) {
        set_token(made, "bos_token", tokenizer, lm_tokenizer_bos(tokenizer));
        set_token(made, "eos_token", tokenizer, lm_tokenizer_eos(tokenizer));
        set_token(made, "unk_token", tokenizer, lm_tokenizer_unk(tokenizer));
        set_token(made, "pad_token", tokenizer, lm_tokenizer_pad(tokenizer));
    }
    bool failed = json_object_set_new(made, "messages", all_with_thinking(talk->messages)) != 0;
    failed |= json_object_set_new(made, "tools", or_none(talk->tools)) != 0;
    failed |= json_object_set_new(made, "documents", or_none(talk->documents)) != 0;
    failed |= json_object_set_new(made, "add_generation_prompt",
                                  json_boolean(!talk->no_generation_prompt)) != 0;
    if (talk->variables) failed |= json_object_update(made, (json_t *)talk->variables) != 0;
    if (!failed) return made;
    json_decref(made);
    return NULL;
}

/* ---- rendering ---- */

static loam_status check_talk(const lm_chat_talk *talk, loam_error *err) {
    if (!json_is_array(talk->messages))
        return lm_error_set(err, LOAM_INVALID, "'messages' must be a list");
    for (size_t i = 0; i < json_array_size(talk->messages); i++)
        if (!json_is_object(json_array_get(talk->messages, i)))
            return lm_error_set(err, LOAM_INVALID, "'messages[%zu]' must be an object", i);
    return LOAM_OK;
}

loam_status lm_chat_render(const lm_chat *chat, const lm_chat_talk *talk, lm_buf *out,
                           loam_error *err) {
    LM_TRY(check_talk(talk, err));
    json_t *variables = variables_of(chat, talk);
    if (!variables) return lm_error_no_memory(err, 1);
    bool with_tools = chat->tool_jinja && json_array_size(talk->tools) > 0;
    lm_jinja_options options = {.variables = variables, .now_epoch_s = talk->now_epoch_s};
    loam_status status =
        lm_jinja_render(with_tools ? chat->tool_jinja : chat->jinja, &options, out, err);
    json_decref(variables);
    return status;
}

loam_status lm_chat_encode(const lm_chat *chat, const lm_chat_talk *talk, size_t max_bytes,
                           lm_vec_i32 *ids, loam_error *err) {
    lm_chat_marked marked = {0};
    lm_buf text;
    size_t begin = ids->len;
    int32_t bos = lm_tokenizer_bos(chat->tokenizer);
    lm_buf_init(&text, PROMPT_MAX_BYTES);
    loam_status status = lm_chat_mark(&chat->controls, talk, &marked, err);
    if (status == LOAM_OK) status = lm_chat_render(chat, &marked.talk, &text, err);
    if (status == LOAM_OK && max_bytes && text.len > max_bytes)
        status = lm_error_set(err, LOAM_LIMIT, "the prompt has %zu bytes, more than %zu", text.len,
                              max_bytes);
    bool adds_bos = bos >= 0 && lm_tokenizer_adds_bos(chat->tokenizer);
    lm_str bos_text = lm_tokenizer_token_text(chat->tokenizer, bos);
    bool has_bos = bos_text.len && lm_str_starts(lm_buf_view(&text), bos_text);
    if (status == LOAM_OK)
        status = lm_chat_encode_marked(chat->tokenizer, lm_buf_view(&text), adds_bos && !has_bos,
                                       ids, err);
    if (status != LOAM_OK) ids->len = begin;
    lm_chat_unmark(&marked);
    lm_buf_deinit(&text);
    return status;
}

/* ---- making ---- */

/* The control token behind an answer, when the template is asked to write one down; -1: none. */
static int32_t probe_end(const lm_chat *chat, bool goes_on) {
    static const char answer[] = "loamanswer";
    loam_error err;
    lm_buf text;
    int32_t end = -1;
    json_t *messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "user", "content", "Hi",
                                 "role", "assistant", "content", answer);
    if (goes_on)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "user", "content", "Hi"));
    lm_chat_talk talk = {.messages = messages, .no_generation_prompt = true};
    lm_buf_init(&text, PROMPT_MAX_BYTES);
    if (messages && lm_chat_render(chat, &talk, &text, &err) == LOAM_OK && text.len) {
        const char *found = memmem(text.ptr, text.len, answer, sizeof answer - 1);
        if (found) {
            found += sizeof answer - 1;
            while (*found == ' ' || *found == '\n') found++;
            size_t left = (size_t)(text.ptr + text.len - found);
            end = lm_chat_control_at(&chat->controls, (lm_str){found, left}, NULL);
        }
    }
    lm_buf_deinit(&text);
    json_decref(messages);
    return end;
}

static loam_status finish(lm_chat *chat, lm_str source, lm_str tool_source, loam_error *err) {
    LM_TRY(lm_jinja_compile(source, &chat->jinja, err));
    if (tool_source.len) LM_TRY(lm_jinja_compile(tool_source, &chat->tool_jinja, err));
    LM_TRY(lm_chat_controls_init(&chat->controls, chat->tokenizer, err));
    chat->knows_developers = memmem(source.ptr, source.len, "developer", 9) != NULL;
    chat->end = probe_end(chat, false);
    if (chat->end < 0) chat->end = probe_end(chat, true);
    return LOAM_OK;
}

static loam_status new_chat(lm_str source, lm_str tool_source, const lm_tokenizer *tokenizer,
                            lm_chat **out, loam_error *err) {
    lm_chat *chat = lm_calloc(1, sizeof *chat);
    if (!chat) return lm_error_no_memory(err, sizeof *chat);
    chat->tokenizer = tokenizer;
    snprintf(chat->description, sizeof chat->description, "its own template");
    loam_status status = finish(chat, source, tool_source, err);
    if (status == LOAM_OK)
        *out = chat;
    else
        lm_chat_free(chat);
    return status;
}

loam_status lm_chat_new(lm_str source, const lm_tokenizer *tokenizer, lm_chat **out,
                        loam_error *err) {
    return new_chat(source, LM_STR(""), tokenizer, out, err);
}

loam_status lm_chat_open(const lm_tokenizer *tokenizer, const char *arch, lm_chat **out,
                         loam_error *err) {
    lm_str own = lm_tokenizer_chat_template(tokenizer);
    if (own.len) {
        loam_status status =
            new_chat(own, lm_tokenizer_tool_template(tokenizer), tokenizer, out, err);
        return status == LOAM_OK ? status : lm_error_prefix(err, status, "chat template");
    }
    return lm_chat_open_family(tokenizer, arch, out, err);
}

loam_status lm_chat_open_family(const lm_tokenizer *tokenizer, const char *arch, lm_chat **out,
                                loam_error *err) {
    const family *fallback = family_of(tokenizer, arch);
    LM_TRY(new_chat(lm_str_of(fallback->source), LM_STR(""), tokenizer, out, err));
    (*out)->stop = fallback->stop;
    snprintf((*out)->description, sizeof(*out)->description, "the template of its family, %s",
             fallback->name);
    return LOAM_OK;
}

void lm_chat_free(lm_chat *chat) {
    if (!chat) return;
    lm_jinja_free(chat->jinja);
    lm_jinja_free(chat->tool_jinja);
    lm_chat_controls_deinit(&chat->controls);
    lm_free(chat);
}

const char *lm_chat_description(const lm_chat *chat) {
    return chat->description;
}

lm_str lm_chat_source(const lm_chat *chat) {
    return lm_jinja_source(chat->jinja);
}

int32_t lm_chat_end(const lm_chat *chat) {
    return chat->end;
}

const char *lm_chat_stop(const lm_chat *chat) {
    return chat->stop;
}

bool lm_chat_knows_developers(const lm_chat *chat) {
    return chat->knows_developers;
}
