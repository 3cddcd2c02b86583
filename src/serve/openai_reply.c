#include "serve/openai_reply.h"

#include <math.h>

#include "serve/json_text.h"

/* JSON has no infinity; OpenAI's stand-in for "impossible". */
static const double IMPOSSIBLE = -9999;

static void write_head(lm_buf *out, const lm_reply_head *head, const char *object) {
    lm_buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", head->id,
                  object, (long long)head->created_s);
    lm_json_text_write(out, head->model);
}

static void write_usage(lm_buf *out, lm_reply_usage usage) {
    lm_buf_printf(
        out,
        ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld}}",
        (long long)usage.prompt_tokens, (long long)usage.completion_tokens,
        (long long)(usage.prompt_tokens + usage.completion_tokens));
}

static void write_logprob(lm_buf *out, float logprob) {
    lm_buf_printf(out, "%.7g", isfinite(logprob) ? (double)logprob : IMPOSSIBLE);
}

/* The token's text; control tokens, which have none, as the vocabulary spells them. */
static lm_str token_text(const lm_reply_head *head, int32_t token) {
    lm_str bytes = lm_tokenizer_token_bytes(head->tokenizer, token);
    return bytes.len ? bytes : lm_tokenizer_token_text(head->tokenizer, token);
}

size_t lm_reply_token_bytes(const lm_reply_head *head, int32_t token) {
    return lm_tokenizer_token_bytes(head->tokenizer, token).len;
}

static void write_completion_top(lm_buf *out, const lm_reply_head *head, const lm_sample *sample) {
    lm_buf_putc(out, '{');
    for (int i = 0; i < sample->n_top; i++) {
        if (i) lm_buf_putc(out, ',');
        lm_json_text_write(out, token_text(head, sample->top[i].token));
        lm_buf_putc(out, ':');
        write_logprob(out, sample->top[i].logprob);
    }
    lm_buf_putc(out, '}');
}

static void write_completion_logprobs(lm_buf *out, const lm_reply_head *head,
                                      const lm_reply_choice *choice) {
    size_t n = choice->n_samples, offset = choice->text_offset;
    lm_buf_puts(out, "{\"tokens\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) lm_buf_putc(out, ',');
        lm_json_text_write(out, token_text(head, choice->samples[i].token));
    }
    lm_buf_puts(out, "],\"token_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) lm_buf_putc(out, ',');
        write_logprob(out, choice->samples[i].logprob);
    }
    lm_buf_puts(out, "],\"top_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) lm_buf_putc(out, ',');
        write_completion_top(out, head, &choice->samples[i]);
    }
    lm_buf_puts(out, "],\"text_offset\":[");
    for (size_t i = 0; i < n; i++) {
        lm_buf_printf(out, i ? ",%zu" : "%zu", offset);
        offset += lm_reply_token_bytes(head, choice->samples[i].token);
    }
    lm_buf_puts(out, "]}");
}

/* {"token", "logprob", "bytes" without the closing brace. */
static void write_chat_token(lm_buf *out, const lm_reply_head *head, int32_t token, float logprob) {
    lm_str text = token_text(head, token);
    lm_buf_puts(out, "{\"token\":");
    lm_json_text_write(out, text);
    lm_buf_puts(out, ",\"logprob\":");
    write_logprob(out, logprob);
    lm_buf_puts(out, ",\"bytes\":[");
    for (size_t i = 0; i < text.len; i++)
        lm_buf_printf(out, i ? ",%d" : "%d", (unsigned char)text.ptr[i]);
    lm_buf_putc(out, ']');
}

static void write_chat_logprobs(lm_buf *out, const lm_reply_head *head,
                                const lm_reply_choice *choice) {
    lm_buf_puts(out, "{\"content\":[");
    for (size_t i = 0; i < choice->n_samples; i++) {
        const lm_sample *sample = &choice->samples[i];
        if (i) lm_buf_putc(out, ',');
        write_chat_token(out, head, sample->token, sample->logprob);
        lm_buf_puts(out, ",\"top_logprobs\":[");
        for (int k = 0; k < sample->n_top; k++) {
            if (k) lm_buf_putc(out, ',');
            write_chat_token(out, head, sample->top[k].token, sample->top[k].logprob);
            lm_buf_putc(out, '}');
        }
        lm_buf_puts(out, "]}");
    }
    lm_buf_puts(out, "],\"refusal\":null}");
}

/* The end of a choice's object, which both kinds share. */
static void write_choice_tail(lm_buf *out, const lm_reply_head *head,
                              const lm_reply_choice *choice) {
    const char *finish = lm_finish_name(choice->finish);
    lm_buf_puts(out, ",\"logprobs\":");
    if (!choice->logprobs || choice->n_samples == 0)
        lm_buf_puts(out, "null");
    else if (head->chat)
        write_chat_logprobs(out, head, choice);
    else
        write_completion_logprobs(out, head, choice);
    if (finish)
        lm_buf_printf(out, ",\"finish_reason\":\"%s\"}", finish);
    else
        lm_buf_puts(out, ",\"finish_reason\":null}");
}

static void write_choice(lm_buf *out, const lm_reply_head *head, const lm_reply_choice *choice) {
    lm_buf_printf(out, "{\"index\":%d,", choice->index);
    lm_buf_puts(out, head->chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"text\":");
    lm_json_text_write(out, choice->text);
    if (head->chat) lm_buf_puts(out, ",\"refusal\":null}");
    write_choice_tail(out, head, choice);
}

static void write_choice_chunk(lm_buf *out, const lm_reply_head *head,
                               const lm_reply_choice *choice) {
    lm_buf_printf(out, "{\"index\":%d,", choice->index);
    if (!head->chat) {
        lm_buf_puts(out, "\"text\":");
        lm_json_text_write(out, choice->text);
    } else {
        lm_buf_puts(out, "\"delta\":{");
        if (choice->first) lm_buf_puts(out, "\"role\":\"assistant\"");
        if (choice->text.len || choice->first) {
            lm_buf_puts(out, choice->first ? ",\"content\":" : "\"content\":");
            lm_json_text_write(out, choice->text);
        }
        lm_buf_putc(out, '}');
    }
    write_choice_tail(out, head, choice);
}

void lm_reply_write(lm_buf *out, const lm_reply_head *head, const lm_reply_choice *choices,
                    size_t n, lm_reply_usage usage) {
    write_head(out, head, head->chat ? "chat.completion" : "text_completion");
    lm_buf_puts(out, ",\"choices\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) lm_buf_putc(out, ',');
        write_choice(out, head, &choices[i]);
    }
    lm_buf_putc(out, ']');
    write_usage(out, usage);
}

static const char *chunk_object(const lm_reply_head *head) {
    return head->chat ? "chat.completion.chunk" : "text_completion";
}

void lm_reply_write_chunk(lm_buf *out, const lm_reply_head *head, const lm_reply_choice *choice,
                          bool with_usage) {
    write_head(out, head, chunk_object(head));
    lm_buf_puts(out, ",\"choices\":[");
    write_choice_chunk(out, head, choice);
    lm_buf_puts(out, with_usage ? "],\"usage\":null}" : "]}");
}

void lm_reply_write_usage_chunk(lm_buf *out, const lm_reply_head *head, lm_reply_usage usage) {
    write_head(out, head, chunk_object(head));
    lm_buf_puts(out, ",\"choices\":[]");
    write_usage(out, usage);
}
