#include "serve/embed_reply.h"

#include <math.h>
#include <stdlib.h>

#include <sodium.h>

#include "base/mem.h"
#include "serve/json_text.h"

/* JSON has no NaN and no infinity, which only broken weights give. */
static void write_number(lm_buf *out, float value) {
    if (isfinite(value))
        lm_buf_printf(out, "%.9g", (double)value);
    else
        lm_buf_puts(out, "null");
}

static void write_base64(lm_buf *out, const float *values, int64_t n) {
    size_t bytes = (size_t)n * sizeof *values,
           room = sodium_base64_encoded_len(bytes, sodium_base64_VARIANT_ORIGINAL);
    char *text = lm_alloc(room);
    if (!text) {
        out->status = LOAM_NO_MEMORY;
        return;
    }
    sodium_bin2base64(text, room, (const unsigned char *)values, bytes,
                      sodium_base64_VARIANT_ORIGINAL);
    lm_buf_printf(out, "\"%s\"", text);
    lm_free(text);
}

static void write_list(lm_buf *out, const float *values, int64_t n) {
    lm_buf_putc(out, '[');
    for (int64_t i = 0; i < n; i++) {
        if (i) lm_buf_putc(out, ',');
        write_number(out, values[i]);
    }
    lm_buf_putc(out, ']');
}

static void write_end(lm_buf *out, const lm_embed_reply *reply) {
    lm_buf_puts(out, "],\"model\":");
    lm_json_text_write(out, reply->model);
    lm_buf_printf(out, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}",
                  (long long)reply->n_tokens, (long long)reply->n_tokens);
}

void lm_embed_reply_vectors(lm_buf *out, const lm_embed_reply *reply,
                            const lm_embed_request *request, const lm_pooling *pooling) {
    int64_t n = request->dimensions > 0 ? request->dimensions : reply->width;
    lm_buf_printf(out, "{\"id\":\"%s\",\"object\":\"list\",\"data\":[", reply->id);
    for (size_t i = 0; i < request->inputs.len; i++) {
        float *vector = reply->vectors + (int64_t)i * reply->width;
        lm_pooling_finish(pooling, vector, n);
        lm_buf_printf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                      i);
        if (request->base64)
            write_base64(out, vector, n);
        else
            write_list(out, vector, n);
        lm_buf_putc(out, '}');
    }
    write_end(out, reply);
}

typedef struct ranked {
    size_t index;
    float score;
} ranked;

static int by_score(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

void lm_embed_reply_rank(lm_buf *out, const lm_embed_reply *reply,
                         const lm_embed_request *request) {
    size_t n = request->inputs.len,
           n_wanted = request->top_n > 0 && (size_t)request->top_n < n ? (size_t)request->top_n : n;
    ranked *list = lm_calloc(n, sizeof *list);
    if (!list) {
        out->status = LOAM_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < n; i++) list[i] = (ranked){i, reply->vectors[i]};
    qsort(list, n, sizeof *list, by_score);
    lm_buf_printf(out, "{\"id\":\"%s\",\"results\":[", reply->id);
    for (size_t i = 0; i < n_wanted; i++) {
        lm_buf_printf(out, "%s{\"index\":%zu,", i ? "," : "", list[i].index);
        if (request->return_documents) {
            lm_buf_puts(out, "\"document\":{\"text\":");
            lm_json_text_write(out, request->inputs.ptr[list[i].index].text);
            lm_buf_puts(out, "},");
        }
        lm_buf_puts(out, "\"relevance_score\":");
        write_number(out, list[i].score);
        lm_buf_putc(out, '}');
    }
    write_end(out, reply);
    lm_free(list);
}
