#include "serve/openai_chat.h"

#include <stdio.h>

#include "base/str.h"

static const char *const ROLES[] = {"system", "developer", "user", "assistant", "tool", "function"};

/* ---- messages ---- */

static loam_status set(json_t *object, const char *key, json_t *value, lm_api_error *error) {
    return value && json_object_set_new(object, key, value) == 0 ? LOAM_OK
                                                                 : lm_api_no_memory(error);
}

static loam_status check_parts(const json_t *parts, const char *where, size_t *out_len,
                               lm_api_error *error) {
    *out_len = 0;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i), *type = json_object_get(part, "type");
        const json_t *piece = json_object_get(part, "text");
        if (!json_is_string(type) || strcmp(json_string_value(type), "text") != 0 ||
            !json_is_string(piece))
            return lm_api_invalid(error, where, "'%s': only parts of type 'text' are supported",
                                  where);
        *out_len += json_string_length(piece);
    }
    return LOAM_OK;
}

/* The texts of a list of content parts, one after the other: most templates know only texts. */
static loam_status join_parts(const json_t *parts, const char *where, lm_api_request *out,
                              json_t *message, lm_api_error *error) {
    size_t len, at = 0;
    LM_TRY(check_parts(parts, where, &len, error));
    char *joined = lm_arena_alloc(&out->arena, len + 1);
    if (!joined) return lm_api_no_memory(error);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        lm_str piece = lm_api_text(json_object_get(json_array_get(parts, i), "text"));
        memcpy(joined + at, piece.ptr, piece.len);
        at += piece.len;
    }
    return set(message, "content", json_stringn(joined, len), error);
}

static loam_status read_role(const lm_chat *chat, json_t *message, const char *where,
                             lm_api_error *error) {
    const json_t *role = json_object_get(message, "role");
    if (!json_is_string(role))
        return lm_api_invalid(error, where, "'%s.role' must be a string", where);
    for (size_t i = 0; i < LM_COUNT_OF(ROLES); i++) {
        if (!lm_str_is(lm_api_text(role), ROLES[i])) continue;
        if (strcmp(ROLES[i], "developer") != 0 || lm_chat_knows_developers(chat)) return LOAM_OK;
        return set(message, "role", json_string("system"), error);
    }
    return lm_api_invalid(error, where, "'%s.role' is '%.40s', which is no role", where,
                          json_string_value(role));
}

/* Arguments come as JSON text and go to templates as objects; what is none is left as it is. */
static loam_status read_call(json_t *calls, size_t index, const char *where, lm_api_error *error) {
    json_t *call = json_array_get(calls, index), *function = json_object_get(call, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    if (!json_is_object(call) || !json_is_object(function) ||
        !json_is_string(json_object_get(function, "name")))
        return lm_api_invalid(error, where, "'%s.tool_calls[%zu]' must have a function with a name",
                              where, index);
    if (!json_is_string(arguments)) return LOAM_OK;
    lm_str text = lm_api_text(arguments);
    json_t *parsed = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : json_object();
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return LOAM_OK;
    }
    json_t *made = json_copy(call), *made_function = json_copy(function);
    json_object_set_new(made_function, "arguments", parsed);
    json_object_set_new(made, "function", made_function);
    return json_array_set_new(calls, index, made) == 0 ? LOAM_OK : lm_api_no_memory(error);
}

static loam_status read_calls(json_t *message, const char *where, lm_api_error *error) {
    const json_t *given = lm_api_field(message, "tool_calls");
    if (!given) {
        json_object_del(message, "tool_calls");
        return LOAM_OK;
    }
    if (!json_is_array(given))
        return lm_api_invalid(error, where, "'%s.tool_calls' must be a list", where);
    json_t *calls = json_copy((json_t *)given);
    LM_TRY(set(message, "tool_calls", calls, error));
    for (size_t i = 0; i < json_array_size(calls); i++) LM_TRY(read_call(calls, i, where, error));
    return LOAM_OK;
}

static loam_status read_content(json_t *message, const char *where, lm_api_request *out,
                                lm_api_error *error) {
    const json_t *content = lm_api_field(message, "content");
    bool is_answer = lm_str_is(lm_api_text(json_object_get(message, "role")), "assistant");
    if (json_is_array(content)) return join_parts(content, where, out, message, error);
    if (json_is_string(content)) return LOAM_OK;
    if (content || !is_answer)
        return lm_api_invalid(error, where, "'%s.content' must be a string or a list of parts",
                              where);
    if (json_array_size(json_object_get(message, "tool_calls")) > 0)
        return set(message, "content", json_null(), error);
    return set(message, "content", json_string(""), error);
}

static loam_status add_message(const lm_chat *chat, const json_t *given, size_t index,
                               lm_api_request *out, lm_api_error *error) {
    char where[40];
    snprintf(where, sizeof where, "messages[%zu]", index);
    if (!json_is_object(given))
        return lm_api_invalid(error, where, "'%s' must be an object", where);
    json_t *message = json_copy((json_t *)given);
    if (!message || json_array_append_new(out->messages, message)) return lm_api_no_memory(error);
    LM_TRY(read_role(chat, message, where, error));
    LM_TRY(read_calls(message, where, error));
    return read_content(message, where, out, error);
}

static loam_status read_messages(const lm_chat *chat, lm_api_request *out, lm_api_error *error) {
    const json_t *messages = lm_api_field(out->body, "messages");
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return lm_api_invalid(error, "messages",
                              "'messages' must be a list of at least one message");
    out->messages = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++)
        LM_TRY(add_message(chat, json_array_get(messages, i), i, out, error));
    out->talk.messages = out->messages;
    return LOAM_OK;
}

/* ---- what else templates see ---- */

static loam_status read_tools(lm_api_request *out, lm_api_error *error) {
    const json_t *tools = lm_api_field(out->body, "tools"),
                 *choice = lm_api_field(out->body, "tool_choice");
    if (tools && !json_is_array(tools))
        return lm_api_invalid(error, "tools", "'tools' must be a list");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (!json_is_string(json_object_get(function, "name")))
            return lm_api_invalid(error, "tools", "'tools[%zu]' must have a function with a name",
                                  i);
    }
    bool none = json_is_string(choice) && strcmp(json_string_value(choice), "none") == 0;
    bool automatic = json_is_string(choice) && strcmp(json_string_value(choice), "auto") == 0;
    if (choice && !none && !automatic)
        return lm_api_invalid(
            error, "tool_choice",
            "'tool_choice' must be \"auto\" or \"none\": others are not supported");
    if (json_array_size(tools) > 0 && !none) out->talk.tools = tools;
    return LOAM_OK;
}

static loam_status read_variables(lm_api_request *out, lm_api_error *error) {
    const json_t *given = lm_api_field(out->body, "chat_template_kwargs"),
                 *effort = lm_api_field(out->body, "reasoning_effort");
    const json_t *prompt = lm_api_field(out->body, "add_generation_prompt"),
                 *documents = lm_api_field(out->body, "documents");
    if (given && !json_is_object(given))
        return lm_api_invalid(error, "chat_template_kwargs",
                              "'chat_template_kwargs' must be an object");
    if (effort && !json_is_string(effort))
        return lm_api_invalid(error, "reasoning_effort", "'reasoning_effort' must be a string");
    if (prompt && !json_is_boolean(prompt))
        return lm_api_invalid(error, "add_generation_prompt",
                              "'add_generation_prompt' must be true or false");
    if (documents && !json_is_array(documents))
        return lm_api_invalid(error, "documents", "'documents' must be a list");
    out->variables = given ? json_copy((json_t *)given) : json_object();
    if (!out->variables) return lm_api_no_memory(error);
    /* messages and tools come from their own fields alone: those are the ones that have been checked */
    json_object_del(out->variables, "messages");
    json_object_del(out->variables, "tools");
    if (effort)
        LM_TRY(set(out->variables, "reasoning_effort", json_incref((json_t *)effort), error));
    out->talk.variables = out->variables;
    out->talk.documents = documents;
    out->talk.no_generation_prompt = json_is_false(prompt);
    return LOAM_OK;
}

loam_status lm_api_read_talk(const lm_chat *chat, lm_api_request *out, lm_api_error *error) {
    LM_TRY(read_messages(chat, out, error));
    LM_TRY(read_tools(out, error));
    return read_variables(out, error);
}

loam_status lm_api_talk_parse(const lm_chat *chat, json_t *body, lm_api_request *out,
                              lm_api_error *error) {
    *out = (lm_api_request){.chat = true, .body = json_incref(body)};
    loam_status status = lm_api_read_talk(chat, out, error);
    if (status != LOAM_OK) lm_api_request_deinit(out);
    return status;
}

bool lm_api_retry_talk(lm_api_request *request, int attempt) {
    bool changed = false;
    for (size_t i = 0; i < json_array_size(request->messages); i++) {
        json_t *message = json_array_get(request->messages, i),
               *content = json_object_get(message, "content");
        if (attempt == 1 && json_is_null(content))
            changed |= json_object_del(message, "content") == 0;
        if (attempt == 2 && !content)
            changed |= json_object_set_new(message, "content", json_string("")) == 0;
    }
    return changed;
}

loam_status lm_api_encode_talk(const lm_chat *chat, lm_api_request *request, size_t max_bytes,
                               lm_vec_i32 *ids, loam_error *err) {
    loam_status status = lm_chat_encode(chat, &request->talk, max_bytes, ids, err);
    for (int attempt = 1; status == LOAM_INVALID && attempt <= 2; attempt++) {
        loam_error ignored;
        if (!lm_api_retry_talk(request, attempt)) continue;
        if (lm_chat_encode(chat, &request->talk, max_bytes, ids, &ignored) == LOAM_OK)
            status = LOAM_OK;
    }
    return status;
}
