/* For compare_tokenizers.py: reads texts, one a line in hexadecimal, and prints the ids of each on a line. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/tokenizer.h"

static int fail(const loam_error *err) {
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static void unhex(const char *line, lm_buf *out) {
    unsigned byte;
    lm_buf_reset(out);
    for (; sscanf(line, "%2x", &byte) == 1; line += 2) lm_buf_putc(out, (char)byte);
}

int main(int argc, char **argv) {
    loam_error err;
    lm_tokenizer *tokenizer;
    lm_vec_i32 ids = {0};
    lm_buf text;
    char *line = NULL;
    size_t capacity = 0;
    lm_buf_init(&text, 1 << 24);
    if (argc != 2 || lm_tokenizer_open(argv[1], &tokenizer, &err) != LOAM_OK) return fail(&err);
    while (getline(&line, &capacity, stdin) > 0) {
        unhex(line, &text);
        ids.len = 0;
        if (lm_tokenizer_encode(tokenizer, lm_buf_view(&text),
                                (lm_encode_options){.parse_special = true}, &ids, &err))
            return fail(&err);
        for (size_t i = 0; i < ids.len; i++) printf("%d ", ids.ptr[i]);
        putchar('\n');
    }
    lm_tokenizer_free(tokenizer);
    lm_vec_deinit(&ids);
    lm_buf_deinit(&text);
    free(line); /* getline's own allocation */
    return 0;
}
