/* For compare_tokenizers.py: reads texts, one a line in hexadecimal, and prints of each the ids, and behind a '|' what
 * they decode to, in hexadecimal. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/tokenizer.h"

static int fail(const loam_error *err) {
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static int digit_of(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void unhex(const char *line, size_t len, lm_buf *out) {
    lm_buf_reset(out);
    for (size_t i = 0; i + 1 < len; i += 2)
        lm_buf_putc(out, (char)(16 * digit_of(line[i]) + digit_of(line[i + 1])));
}

static void print(const lm_vec_i32 *ids, const lm_buf *decoded) {
    for (size_t i = 0; i < ids->len; i++) printf("%d ", ids->ptr[i]);
    putchar('|');
    for (size_t i = 0; i < decoded->len; i++) printf("%02x", (unsigned char)decoded->ptr[i]);
    putchar('\n');
}

/* tokenize_lines TOKENIZER [special]: special asks for what the model wants around a text. */
int main(int argc, char **argv) {
    loam_error err;
    lm_tokenizer *tokenizer;
    lm_vec_i32 ids = {0};
    lm_buf text, decoded;
    char *line = NULL;
    size_t capacity = 0;
    lm_encode_options options = {.parse_special = true, .add_special = argc > 2};
    lm_buf_init(&text, 1 << 24);
    lm_buf_init(&decoded, 1 << 24);
    if (argc < 2 || lm_tokenizer_open(argv[1], &tokenizer, &err) != LOAM_OK) return fail(&err);
    for (ssize_t len; (len = getline(&line, &capacity, stdin)) > 0;) {
        unhex(line, (size_t)len - 1, &text);
        ids.len = 0;
        lm_buf_reset(&decoded);
        if (lm_tokenizer_encode(tokenizer, lm_buf_view(&text), options, &ids, &err) ||
            lm_tokenizer_decode(tokenizer, ids.ptr, ids.len, &decoded, &err))
            return fail(&err);
        print(&ids, &decoded);
    }
    lm_tokenizer_free(tokenizer);
    lm_vec_deinit(&ids);
    lm_buf_deinit(&text);
    lm_buf_deinit(&decoded);
    free(line); /* getline's own allocation */
    return 0;
}
