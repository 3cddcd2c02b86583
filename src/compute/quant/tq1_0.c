/* TQ1_0: as TQ2_0, but a byte is five codes 0, 1 and 2: the fraction of 256 whose first five digits to the base 3 they are.
 * Bytes lie in stretches of 32, 16 and 4; code n * length + i of a stretch is digit n of its byte i, and the last stretch's
 * bytes have four digits, and a 0. GGUF's type 34. */
#include "base/compiler.h"
#include "compute/quant/quant.h"

enum { BLOCK_ELEMS = 256, N_DIGITS = 5, N_BYTES = 52 };

typedef struct block_tq1_0 {
    uint8_t q[N_BYTES];
    uint16_t d; /* f16 */
} block_tq1_0;

static const struct {
    int n_bytes, n_digits;
} stretches[] = {{32, N_DIGITS}, {16, N_DIGITS}, {4, N_DIGITS - 1}};

static void read(const void *src, lm_quant_block *out) {
    const block_tq1_0 *block = src;
    const uint8_t *bytes = block->q;
    uint8_t *codes = out->codes;
    out->d = block->d;
    for (size_t s = 0; s < LM_COUNT_OF(stretches); s++) {
        int length = stretches[s].n_bytes;
        for (int i = 0; i < length; i++) {
            uint8_t fraction = bytes[i];
            for (int n = 0; n < stretches[s].n_digits; n++) {
                codes[n * length + i] = (uint8_t)(fraction * 3 >> 8);
                fraction = (uint8_t)(fraction * 3);
            }
        }
        bytes += length;
        codes += length * stretches[s].n_digits;
    }
}

/* The least fraction with those digits. */
static void write(const lm_quant_block *block, void *dst) {
    enum { N_FRACTIONS = 243 };
    block_tq1_0 *out = dst;
    uint8_t *bytes = out->q;
    const uint8_t *codes = block->codes;
    out->d = block->d;
    for (size_t s = 0; s < LM_COUNT_OF(stretches); s++) {
        int length = stretches[s].n_bytes;
        for (int i = 0; i < length; i++) {
            int number = 0;
            for (int n = 0; n < N_DIGITS; n++)
                number = 3 * number + (n < stretches[s].n_digits ? codes[n * length + i] : 0);
            bytes[i] = (uint8_t)((number * 256 + N_FRACTIONS - 1) / N_FRACTIONS);
        }
        bytes += length;
        codes += length * stretches[s].n_digits;
    }
}

static const lm_quant_info quant = {.bits = 2,
                                    .n_codes = 3,
                                    .sub_elems = 32,
                                    .zero = 1,
                                    .scales = LM_SCALES_F16,
                                    .read = read,
                                    .write = write};

LM_QUANT_FORMAT(tq1_0, BLOCK_ELEMS);
