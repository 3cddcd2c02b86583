#include "model/chat_marks.h"

#include <stdlib.h>

#include "base/mem.h"

#define MARK_BEGIN "\xef\xb7\x90" /* U+FDD0 */
#define MARK_END "\xef\xb7\x91"   /* U+FDD1 */
enum { MARK_BYTES = 3, MAX_MARKED_BYTES = 256 << 20, MAX_NESTING = 512 };

/* ---- control tokens ---- */

static int by_text(const void *a_, const void *b_) {
    const lm_chat_control *a = a_, *b = b_;
    uint8_t first_a = (uint8_t)a->text.ptr[0], first_b = (uint8_t)b->text.ptr[0];
    if (first_a != first_b) return first_a < first_b ? -1 : 1;
    return a->text.len != b->text.len ? (a->text.len > b->text.len ? -1 : 1)
                                      : (a->id > b->id) - (a->id < b->id);
}

loam_status lm_chat_controls_init(lm_chat_controls *controls, const lm_tokenizer *tokenizer,
                                  loam_error *err) {
    int32_t n = tokenizer ? lm_tokenizer_vocab_size(tokenizer) : 0;
    *controls = (lm_chat_controls){0};
    for (int32_t id = 0; id < n; id++) {
        lm_chat_control control = {lm_tokenizer_token_text(tokenizer, id), id};
        if (lm_tokenizer_token_type(tokenizer, id) != LM_TOKEN_CONTROL || control.text.len == 0)
            continue;
        if (!lm_vec_push(&controls->items, control)) return lm_error_no_memory(err, sizeof control);
    }
    size_t len = controls->items.len, at = 0;
    if (len) qsort(controls->items.ptr, len, sizeof *controls->items.ptr, by_text);
    for (int byte = 0; byte <= 256; byte++) {
        controls->first[byte] = (uint32_t)at;
        while (at < len && (uint8_t)controls->items.ptr[at].text.ptr[0] == byte) at++;
    }
    return LOAM_OK;
}

void lm_chat_controls_deinit(lm_chat_controls *controls) {
    lm_vec_deinit(&controls->items);
}

int32_t lm_chat_control_at(const lm_chat_controls *controls, lm_str text, size_t *out_bytes) {
    if (text.len == 0) return -1;
    uint8_t byte = (uint8_t)text.ptr[0];
    for (uint32_t i = controls->first[byte]; i < controls->first[byte + 1]; i++) {
        const lm_chat_control *control = &controls->items.ptr[i];
        if (!lm_str_starts(text, control->text)) continue;
        if (out_bytes) *out_bytes = control->text.len;
        return control->id;
    }
    return -1;
}

/* ---- marking ---- */

static bool is_mark(lm_str text, size_t at) {
    return text.len - at >= MARK_BYTES && (memcmp(text.ptr + at, MARK_BEGIN, MARK_BYTES) == 0 ||
                                           memcmp(text.ptr + at, MARK_END, MARK_BYTES) == 0);
}

static bool needs_marks(const lm_chat_controls *controls, lm_str text) {
    for (size_t at = 0; at < text.len; at++)
        if (is_mark(text, at) ||
            lm_chat_control_at(controls, (lm_str){text.ptr + at, text.len - at}, NULL) >= 0)
            return true;
    return false;
}

/* Marks of the user's own are dropped first: what they held apart might be a control token. */
static void put_without_marks(lm_str text, lm_buf *out) {
    for (size_t at = 0; at < text.len;) {
        bool mark = is_mark(text, at);
        if (!mark) lm_buf_putc(out, text.ptr[at]);
        at += mark ? MARK_BYTES : 1;
    }
}

static json_t *marked_text(const lm_chat_controls *controls, lm_str given) {
    lm_buf clean, out;
    lm_buf_init(&clean, MAX_MARKED_BYTES);
    lm_buf_init(&out, MAX_MARKED_BYTES);
    put_without_marks(given, &clean);
    lm_str text = lm_buf_view(&clean);
    for (size_t at = 0; at < text.len;) {
        size_t bytes = 1;
        lm_str rest = {text.ptr + at, text.len - at};
        bool is_control = lm_chat_control_at(controls, rest, &bytes) >= 0;
        if (is_control) lm_buf_puts(&out, MARK_BEGIN);
        lm_buf_append(&out, rest.ptr, bytes);
        if (is_control) lm_buf_puts(&out, MARK_END);
        at += bytes;
    }
    bool failed = clean.status != LOAM_OK || out.status != LOAM_OK;
    json_t *made = failed ? NULL : json_stringn(lm_buf_cstr(&out), out.len);
    lm_buf_deinit(&clean);
    lm_buf_deinit(&out);
    return made;
}

static bool any_needs_marks(const lm_chat_controls *controls, const json_t *value, int depth) {
    const char *key;
    json_t *member;
    size_t i;
    if (depth > MAX_NESTING) return true;
    if (json_is_string(value))
        return needs_marks(controls, (lm_str){json_string_value(value), json_string_length(value)});
    if (json_is_array(value)) {
        json_array_foreach(value, i,
                           member) if (any_needs_marks(controls, member, depth + 1)) return true;
    } else if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key,
                            member) if (any_needs_marks(controls, member, depth + 1)) return true;
    }
    return false;
}

/* A copy whose texts are marked; keys, which templates look up, are not. NULL: out of memory, or nested too deep. */
static json_t *marked_copy(const lm_chat_controls *controls, const json_t *value, int depth) {
    const char *key;
    json_t *member, *made = NULL;
    size_t i;
    if (depth > MAX_NESTING) return NULL;
    if (json_is_string(value))
        return marked_text(controls, (lm_str){json_string_value(value), json_string_length(value)});
    if (json_is_array(value)) {
        made = json_array();
        json_array_foreach(value, i, member) {
            if (json_array_append_new(made, marked_copy(controls, member, depth + 1))) goto fail;
        }
    } else if (json_is_object(value)) {
        made = json_object();
        json_object_foreach((json_t *)value, key, member) {
            if (json_object_set_new(made, key, marked_copy(controls, member, depth + 1))) goto fail;
        }
    } else {
        made = json_copy((json_t *)value);
    }
    return made;
fail:
    json_decref(made);
    return NULL;
}

loam_status lm_chat_mark(const lm_chat_controls *controls, const lm_chat_talk *talk,
                         lm_chat_marked *out, loam_error *err) {
    const json_t *parts[4] = {talk->messages, talk->tools, talk->documents, talk->variables};
    *out = (lm_chat_marked){.talk = *talk};
    for (size_t i = 0; i < LM_COUNT_OF(parts); i++) {
        if (!parts[i] || !any_needs_marks(controls, parts[i], 0)) continue;
        out->copies[i] = marked_copy(controls, parts[i], 0);
        if (!out->copies[i]) return lm_error_no_memory(err, 1);
        parts[i] = out->copies[i];
    }
    out->talk.messages = parts[0];
    out->talk.tools = parts[1];
    out->talk.documents = parts[2];
    out->talk.variables = parts[3];
    return LOAM_OK;
}

void lm_chat_unmark(lm_chat_marked *marked) {
    for (size_t i = 0; i < LM_COUNT_OF(marked->copies); i++) json_decref(marked->copies[i]);
}

/* ---- tokenizing ---- */

/* A piece from within a text: tokenized behind a newline, which is taken away again, so that no space is put in front where the
 * tokenizer puts one at the beginning of texts. */
static loam_status encode_piece(const lm_tokenizer *tokenizer, lm_str piece, bool plain,
                                lm_vec_i32 *ids, loam_error *err) {
    lm_encode_options options = {.parse_special = !plain};
    lm_vec_i32 line = {0}, both = {0};
    lm_buf text;
    lm_buf_init(&text, piece.len + 2);
    lm_buf_putc(&text, '\n');
    lm_buf_append(&text, piece.ptr, piece.len);
    loam_status status = lm_buf_status(&text, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, LM_STR("\n"), options, &line, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, lm_buf_view(&text), options, &both, err);
    bool apart = status == LOAM_OK && both.len >= line.len && line.len &&
                 memcmp(both.ptr, line.ptr, line.len * sizeof *line.ptr) == 0;
    for (size_t i = line.len; apart && i < both.len && status == LOAM_OK; i++)
        if (!lm_vec_push(ids, both.ptr[i])) status = lm_error_no_memory(err, sizeof *ids->ptr);
    if (status == LOAM_OK && !apart)
        status = lm_tokenizer_encode(tokenizer, piece, options, ids, err);
    lm_vec_deinit(&line);
    lm_vec_deinit(&both);
    lm_buf_deinit(&text);
    return status;
}

/* Offset of the next mark at or behind `at`. */
static size_t next_mark(lm_str text, size_t at) {
    while (at < text.len) {
        const char *found = memchr(text.ptr + at, MARK_BEGIN[0], text.len - at);
        if (!found) break;
        at = (size_t)(found - text.ptr);
        if (is_mark(text, at)) return at;
        at++;
    }
    return text.len;
}

loam_status lm_chat_encode_marked(const lm_tokenizer *tokenizer, lm_str text, bool add_bos,
                                  lm_vec_i32 *ids, loam_error *err) {
    size_t end = next_mark(text, 0);
    lm_encode_options options = {.add_bos = add_bos, .parse_special = true};
    LM_TRY(lm_tokenizer_encode(tokenizer, (lm_str){text.ptr, end}, options, ids, err));
    while (end < text.len) {
        bool opens = memcmp(text.ptr + end, MARK_BEGIN, MARK_BYTES) == 0;
        size_t begin = end + MARK_BYTES;
        end = next_mark(text, begin);
        bool closes = end < text.len && memcmp(text.ptr + end, MARK_END, MARK_BYTES) == 0;
        lm_str piece = {text.ptr + begin, end - begin};
        if (piece.len) LM_TRY(encode_piece(tokenizer, piece, opens && closes, ids, err));
    }
    return LOAM_OK;
}
