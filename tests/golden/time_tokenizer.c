/* For tools/bench/compare_tokenizers.py: time_tokenizer TOKENIZER FILE ROUNDS encodes the file's pieces of 64 KiB, and prints the
 * number of ids, their sum, and of each round the seconds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/tokenizer.h"

enum { PIECE_BYTES = 64 << 10, MAX_FILE_BYTES = 1 << 30 };

static int fail(const loam_error *err) {
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

/* Pieces end behind a line. */
static size_t piece_bytes(lm_str rest) {
    if (rest.len <= PIECE_BYTES) return rest.len;
    const char *end = memchr(rest.ptr + PIECE_BYTES, '\n', rest.len - PIECE_BYTES);
    return end ? (size_t)(end - rest.ptr) + 1 : rest.len;
}

static loam_status encode_all(const lm_tokenizer *tokenizer, lm_str text, size_t *out_n,
                              int64_t *out_sum, loam_error *err) {
    lm_vec_i32 ids = {0};
    *out_n = 0;
    *out_sum = 0;
    for (size_t n; text.len > 0; text = (lm_str){text.ptr + n, text.len - n}) {
        n = piece_bytes(text);
        ids.len = 0;
        LM_TRY(lm_tokenizer_encode(tokenizer, (lm_str){text.ptr, n}, (lm_encode_options){0}, &ids,
                                   err));
        *out_n += ids.len;
        for (size_t i = 0; i < ids.len; i++) *out_sum += ids.ptr[i];
    }
    lm_vec_deinit(&ids);
    return LOAM_OK;
}

int main(int argc, char **argv) {
    loam_error err;
    lm_tokenizer *tokenizer;
    char *text;
    size_t size, n = 0;
    int64_t sum = 0;
    if (argc != 4) return 2;
    if (lm_tokenizer_open(argv[1], &tokenizer, &err) != LOAM_OK ||
        lm_file_read(argv[2], MAX_FILE_BYTES, &text, &size, &err) != LOAM_OK)
        return fail(&err);
    for (int round = 0; round < atoi(argv[3]); round++) {
        int64_t start_ns = lm_clock_mono_ns();
        if (encode_all(tokenizer, (lm_str){text, size}, &n, &sum, &err) != LOAM_OK)
            return fail(&err);
        printf("%.6f\n", (double)(lm_clock_mono_ns() - start_ns) / 1e9);
    }
    printf("%zu %lld\n", n, (long long)sum);
    lm_tokenizer_free(tokenizer);
    lm_free(text);
    return 0;
}
