#include "backend/cpu/quant_panel.h"

#include <string.h>

/* One code into the planes of its piece, whose bits there are zero. */
static void put_code(uint8_t *piece, int bits, int column, int k, int code) {
    int vector = k / 4 * 2 + column / 16, byte = column % 16 * 4 + k % 4;
    for (int width = 8; width > 0; width /= 2) { /* 8 bits are a plane alone */
        if (!(bits & width)) continue;
        int n = 2 * width;
        piece[vector % n * LM_QUANT_VECTOR + byte] |=
            (uint8_t)((code & ((1 << width) - 1)) << vector / n * width);
        piece += n * LM_QUANT_VECTOR;
        code >>= width;
    }
}

static void put_scales(const lm_dtype_info *type, const lm_quant_block *block, int column,
                       uint8_t *record) {
    const lm_quant_info *quant = type->quant;
    lm_quant_record at = lm_quant_record_of(type);
    size_t d_bytes = at.dmin / LM_QUANT_COLUMNS;
    memcpy(record + (size_t)column * d_bytes, &block->d, d_bytes);
    if (lm_quant_has_min(quant))
        memcpy(record + at.dmin + (size_t)column * sizeof block->dmin, &block->dmin,
               sizeof block->dmin);
    if (!lm_quant_has_subs(quant)) return;
    int min_shift = lm_quant_has_pairs(quant) ? 4 : 0;
    for (int s = 0; s < type->block_elems / quant->sub_elems; s++) {
        size_t sub = (size_t)(s * LM_QUANT_COLUMNS + column);
        record[at.sub_scale + sub] = (uint8_t)block->sub_scale[s];
        if (lm_quant_has_min(quant))
            record[at.sub_min + sub] |= (uint8_t)(block->sub_min[s] << min_shift);
    }
}

void lm_quant_pack_panel(const lm_dtype_info *type, const void *rows, int64_t n_rows, int64_t k,
                         void *panel) {
    const lm_quant_info *quant = type->quant;
    size_t piece_bytes = lm_quant_piece_bytes(quant), record_bytes = lm_quant_record_of(type).bytes;
    uint8_t *codes = panel, *records = codes + lm_quant_codes_bytes(quant, k);
    int64_t n_blocks = k / type->block_elems, pieces = type->block_elems / LM_QUANT_PIECE;
    memset(panel, 0, lm_quant_panel_bytes(type, k));
    /* Blocks outside, rows inside: the panel is written once through, and rows are read as 32 streams. */
    for (int64_t b = 0; b < n_blocks; b++) {
        for (int64_t n = 0; n < n_rows; n++) {
            lm_quant_block block;
            quant->read((const char *)rows + (size_t)(n * n_blocks + b) * type->block_bytes,
                        &block);
            put_scales(type, &block, (int)n, records + (size_t)b * record_bytes);
            for (int i = 0; i < type->block_elems; i++)
                put_code(codes + (size_t)(b * pieces + i / LM_QUANT_PIECE) * piece_bytes,
                         quant->bits, (int)n, i % LM_QUANT_PIECE, block.codes[i]);
        }
    }
}
