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
        bool is_system = lm_str_is(messages[i].role, "system"),
             is_answer = lm_str_is(messages[i].role, "assistant");
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
        if (chat_template.len && memmem(chat_template.ptr, chat_template.len, FORMATS[i].landmark,
                                        strlen(FORMATS[i].landmark)))
            return &FORMATS[i];
    return &PLAIN;
}

static size_t n_control(const lm_tokenizer *tokenizer, const lm_vec_i32 *ids, size_t from) {
    size_t n = 0;
    for (size_t i = from; i < ids->len; i++)
        n += lm_tokenizer_token_type(tokenizer, ids->ptr[i]) == LM_TOKEN_CONTROL;
    return n;
}

/* Control tokens of the format alone, around messages without content. */
static loam_status count_own_control(const lm_chat_format *format, const lm_tokenizer *tokenizer,
                                     const lm_chat_message *messages, size_t n,
                                     lm_encode_options options, size_t *out, loam_error *err) {
    lm_chat_writer writer = {0};
    lm_vec_i32 ids = {0};
    lm_chat_message *hollow = lm_calloc(n + 1, sizeof *hollow);
    if (!hollow) return lm_error_no_memory(err, n * sizeof *hollow);
    for (size_t i = 0; i < n; i++) hollow[i] = (lm_chat_message){messages[i].role, LM_STR("")};
    lm_buf_init(&writer.text, PROMPT_MAX_BYTES);
    format->write(hollow, n, &writer);
    loam_status status = lm_buf_status(&writer.text, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, lm_buf_view(&writer.text), options, &ids, err);
    if (status == LOAM_OK) *out = n_control(tokenizer, &ids, 0);
    lm_free(hollow);
    lm_vec_deinit(&ids);
    lm_vec_deinit(&writer.foreign);
    lm_buf_deinit(&writer.text);
    return status;
}

/* Stretch by stretch: foreign ones without control tokens. Words at the seams may be cut differently than in the whole
 * text, which is why this is only for messages that spell control tokens. */
static loam_status encode_apart(const lm_chat_writer *writer, const lm_tokenizer *tokenizer,
                                bool add_bos, lm_vec_i32 *ids, loam_error *err) {
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

loam_status lm_chat_encode(const lm_chat_format *format, const lm_tokenizer *tokenizer,
                           const lm_chat_message *messages, size_t n, lm_vec_i32 *ids,
                           loam_error *err) {
    lm_chat_writer writer = {0};
    size_t begin = ids->len, n_own = 0;
    lm_encode_options options = {.add_bos = lm_tokenizer_adds_bos(tokenizer),
                                 .parse_special = true};
    lm_buf_init(&writer.text, PROMPT_MAX_BYTES);
    format->write(messages, n, &writer);
    loam_status status =
        writer.out_of_memory ? lm_error_no_memory(err, 1) : lm_buf_status(&writer.text, err);
    if (status == LOAM_OK)
        status = count_own_control(format, tokenizer, messages, n, options, &n_own, err);
    if (status == LOAM_OK)
        status = lm_tokenizer_encode(tokenizer, lm_buf_view(&writer.text), options, ids, err);
    if (status == LOAM_OK && n_control(tokenizer, ids, begin) != n_own) {
        ids->len = begin;
        status = encode_apart(&writer, tokenizer, options.add_bos, ids, err);
    }
    lm_buf_deinit(&writer.text);
    lm_vec_deinit(&writer.foreign);
    return status;
}
