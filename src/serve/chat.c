#include "serve/chat.h"

#include "base/mem.h"

enum { PROMPT_MAX_BYTES = 64 << 20 };

/* The prompt in the making: one text, and which stretches of it strangers wrote. */
typedef struct stretch {
    size_t begin, end;
} stretch;

struct lm_chat_writer {
    lm_buf text;
    LM_VEC(stretch) foreign;
    bool out_of_memory;
};

static void put(lm_chat_writer *writer, const char *text) {
    lm_buf_puts(&writer->text, text);
}

static void put_foreign(lm_chat_writer *writer, lm_str text) {
    stretch s = {writer->text.len, writer->text.len + text.len};
    lm_buf_append(&writer->text, text.ptr, text.len);
    if (!lm_vec_push(&writer->foreign, s)) writer->out_of_memory = true;
}

static lm_str trimmed(lm_str text) {
    while (text.len && strchr(" \t\r\n", text.ptr[0])) text = (lm_str){text.ptr + 1, text.len - 1};
    while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1])) text.len--;
    return text;
}

static void write_chatml(const lm_chat_message *messages, size_t n, lm_chat_writer *writer) {
    for (size_t i = 0; i < n; i++) {
        put(writer, "<|im_start|>");
        put_foreign(writer, messages[i].role);
        put(writer, "\n");
        put_foreign(writer, messages[i].content);
        put(writer, "<|im_end|>\n");
    }
    put(writer, "<|im_start|>assistant\n");
}

static void write_llama3(const lm_chat_message *messages, size_t n, lm_chat_writer *writer) {
    for (size_t i = 0; i < n; i++) {
        put(writer, "<|start_header_id|>");
        put_foreign(writer, messages[i].role);
        put(writer, "<|end_header_id|>\n\n");
        put_foreign(writer, trimmed(messages[i].content));
        put(writer, "<|eot_id|>");
    }
    put(writer, "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

/* The system message goes into the first user turn; an answer closes its turn, and the next begins anew. */
static void write_llama2(const lm_chat_message *messages, size_t n, lm_chat_writer *writer) {
    bool open = false;
    for (size_t i = 0; i < n; i++) {
        bool is_system = lm_str_is(messages[i].role, "system"), is_answer = lm_str_is(messages[i].role, "assistant");
        if (is_answer) {
            put(writer, open ? " [/INST] " : "");
            put_foreign(writer, trimmed(messages[i].content));
            put(writer, " </s><s>");
            open = false;
            continue;
        }
        put(writer, open ? "\n\n" : "[INST] ");
        put(writer, is_system ? "<<SYS>>\n" : "");
        put_foreign(writer, trimmed(messages[i].content));
        put(writer, is_system ? "\n<</SYS>>" : "");
        open = true;
    }
    put(writer, open ? " [/INST]" : "");
}

static void write_plain(const lm_chat_message *messages, size_t n, lm_chat_writer *writer) {
    for (size_t i = 0; i < n; i++) {
        put_foreign(writer, messages[i].role);
        put(writer, ": ");
        put_foreign(writer, messages[i].content);
        put(writer, "\n");
    }
    put(writer, "assistant:");
}

static const lm_chat_format FORMATS[] = {
    {"chatml", "<|im_start|>", "<|im_end|>", NULL, write_chatml},
    {"llama-3", "<|start_header_id|>", "<|eot_id|>", NULL, write_llama3},
    {"llama-2", "[INST]", NULL, NULL, write_llama2},
};

static const lm_chat_format PLAIN = {"plain", NULL, NULL, "\nuser:", write_plain};

const lm_chat_format *lm_chat_format_of(lm_str chat_template) {
    for (size_t i = 0; i < LM_COUNT_OF(FORMATS); i++)
        if (chat_template.len && memmem(chat_template.ptr, chat_template.len, FORMATS[i].landmark, strlen(FORMATS[i].landmark)))
            return &FORMATS[i];
    return &PLAIN;
}

/* Whether control tokens would be found in a stretch of foreign text: then it reads otherwise without them. */
static loam_status has_control(const lm_tokenizer *tokenizer, lm_str text, bool *out, loam_error *err) {
    lm_vec_i32 with = {0}, without = {0};
    loam_status status =
        lm_tokenizer_encode(tokenizer, text, (lm_encode_options){.parse_special = true}, &with, err);
    if (status == LOAM_OK) status = lm_tokenizer_encode(tokenizer, text, (lm_encode_options){0}, &without, err);
    if (status == LOAM_OK)
        *out = with.len != without.len || memcmp(with.ptr, without.ptr, with.len * sizeof *with.ptr) != 0;
    lm_vec_deinit(&with);
    lm_vec_deinit(&without);
    return status;
}

static loam_status any_control(const lm_chat_writer *writer, const lm_tokenizer *tokenizer, bool *out, loam_error *err) {
    *out = false;
    for (size_t i = 0; i < writer->foreign.len && !*out; i++) {
        stretch s = writer->foreign.ptr[i];
        if (s.end > s.begin)
            LM_TRY(has_control(tokenizer, (lm_str){writer->text.ptr + s.begin, s.end - s.begin}, out, err));
    }
    return LOAM_OK;
}

/* Stretch by stretch: foreign ones without control tokens. Words at the seams may be cut differently than in the whole
 * text, which is why this is only for messages that spell control tokens. */
static loam_status encode_apart(const lm_chat_writer *writer, const lm_tokenizer *tokenizer, bool add_bos, lm_vec_i32 *ids,
                                loam_error *err) {
    size_t at = 0;
    for (size_t i = 0; i <= writer->foreign.len; i++) {
        bool more = i < writer->foreign.len;
        size_t begin = more ? writer->foreign.ptr[i].begin : writer->text.len;
        lm_str ours = {writer->text.ptr + at, begin - at};
        lm_encode_options options = {.add_bos = add_bos && i == 0, .parse_special = true};
        LM_TRY(lm_tokenizer_encode(tokenizer, ours, options, ids, err));
        if (!more) break;
        lm_str theirs = {writer->text.ptr + begin, writer->foreign.ptr[i].end - begin};
        LM_TRY(lm_tokenizer_encode(tokenizer, theirs, (lm_encode_options){0}, ids, err));
        at = writer->foreign.ptr[i].end;
    }
    return LOAM_OK;
}

loam_status lm_chat_encode(const lm_chat_format *format, const lm_tokenizer *tokenizer, const lm_chat_message *messages,
                           size_t n, lm_vec_i32 *ids, loam_error *err) {
    lm_chat_writer writer = {0};
    bool apart = false, add_bos = lm_tokenizer_adds_bos(tokenizer);
    lm_buf_init(&writer.text, PROMPT_MAX_BYTES);
    format->write(messages, n, &writer);
    loam_status status = writer.out_of_memory ? lm_error_no_memory(err, 1) : lm_buf_status(&writer.text, err);
    if (status == LOAM_OK) status = any_control(&writer, tokenizer, &apart, err);
    if (status == LOAM_OK && apart) status = encode_apart(&writer, tokenizer, add_bos, ids, err);
    else if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, lm_buf_view(&writer.text),
                                     (lm_encode_options){.add_bos = add_bos, .parse_special = true}, ids, err);
    lm_buf_deinit(&writer.text);
    lm_vec_deinit(&writer.foreign);
    return status;
}
