#include "cli/text_io.h"

#include <stdio.h>

#include "model/utf8.h"

static loam_status read_stdin(lm_buf *out, loam_error *err) {
    char chunk[1 << 16];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) lm_buf_append(out, chunk, n);
    if (ferror(stdin)) return lm_error_errno(err, "standard input");
    return lm_buf_status(out, err);
}

loam_status lm_cli_text(const char *argument, lm_buf *storage, lm_str *out, loam_error *err) {
    bool is_stdin = strcmp(argument, "-") == 0;
    if (is_stdin) LM_TRY(read_stdin(storage, err));
    *out = is_stdin ? lm_buf_view(storage) : lm_str_of(argument);
    return LOAM_OK;
}

json_t *lm_cli_json_text(lm_str text) {
    lm_buf valid;
    lm_buf_init(&valid, 3 * text.len + 1);
    lm_utf8_repair(text, &valid);
    json_t *value = json_stringn(lm_buf_cstr(&valid), valid.len);
    lm_buf_deinit(&valid);
    return value;
}
