#include "serve/json_text.h"

#include "model/utf8.h"

static void write_ascii(lm_buf *out, char c) {
    switch (c) {
    case '"': lm_buf_puts(out, "\\\""); return;
    case '\\': lm_buf_puts(out, "\\\\"); return;
    case '\n': lm_buf_puts(out, "\\n"); return;
    case '\r': lm_buf_puts(out, "\\r"); return;
    case '\t': lm_buf_puts(out, "\\t"); return;
    }
    if ((unsigned char)c < 0x20 || c == 0x7f)
        lm_buf_printf(out, "\\u%04x", (unsigned)c);
    else
        lm_buf_putc(out, c);
}

void lm_json_text_write(lm_buf *out, lm_str text) {
    lm_buf_putc(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t begin = i;
        while (i < text.len && (unsigned char)text.ptr[i] >= 0x80) i++;
        if (i > begin)
            lm_utf8_repair((lm_str){text.ptr + begin, i - begin}, out);
        else
            write_ascii(out, text.ptr[i++]);
    }
    lm_buf_putc(out, '"');
}
