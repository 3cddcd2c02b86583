#include "backend/cpu/quant_panel.h"

#include <string.h>

/* The codes of one row of a block into the block's pieces, in order as for 8 bits. */
static void put_codes(const uint8_t *codes, int64_t n, int column, uint8_t *pieces) {
    uint8_t *out = pieces + column / 16 * LM_QUANT_VECTOR + column % 16 * 4;
    for (int64_t k = 0; k < n; k += 4, out += 2 * LM_QUANT_VECTOR) memcpy(out, codes + k, 4);
}

/* `width` bits, from bit `low` up, of every code of a piece as a plane. Eight bytes at a time. */
static void cut_plane(const uint8_t *piece, int low, int width, uint8_t *out) {
    uint64_t mask = UINT64_C(0x0101010101010101) * ((1u << width) - 1);
    int n_bytes = 2 * width * LM_QUANT_VECTOR;
    for (int at = 0; at < n_bytes; at += (int)sizeof mask) {
        uint64_t plane = 0, codes;
        for (int shift = 0; shift < 8; shift += width) {
            memcpy(&codes, piece + at + shift / width * n_bytes, sizeof codes);
            plane |= (codes >> low & mask) << shift;
        }
        memcpy(out + at, &plane, sizeof plane);
    }
}

static void cut_planes(const uint8_t *piece, int bits, uint8_t *out) {
    int low = 0;
    for (int width = 8; width > 0; width /= 2) { /* 8 bits are a plane alone */
        if (!(bits & width)) continue;
        cut_plane(piece, low, width, out);
        out += 2 * width * LM_QUANT_VECTOR;
        low += width;
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

/* The n_rows rows of one block, `stride` bytes from row to row, into its record and its pieces' codes. bytes: room for the
 * codes as bytes, zero where no row is. */
static void pack_block(const lm_dtype_info *type, const char *rows, int64_t n_rows, size_t stride,
                       uint8_t *bytes, uint8_t *record, uint8_t *codes) {
    const lm_quant_info *quant = type->quant;
    for (int64_t n = 0; n < n_rows; n++) {
        lm_quant_block block;
        quant->read(rows + (size_t)n * stride, &block);
        put_scales(type, &block, (int)n, record);
        put_codes(block.codes, type->block_elems, (int)n, bytes);
    }
    for (int64_t i = 0; i < type->block_elems / LM_QUANT_PIECE; i++)
        cut_planes(bytes + i * LM_QUANT_PIECE * LM_QUANT_COLUMNS, quant->bits,
                   codes + (size_t)i * lm_quant_piece_bytes(quant));
}

/* Blocks outside, rows inside: the panel is written once through, and rows are read as 32 streams. */
void lm_quant_pack_panel(const lm_dtype_info *type, const void *rows, int64_t n_rows, int64_t k,
                         void *panel) {
    const size_t record_bytes = lm_quant_record_of(type).bytes,
                 row_bytes = (size_t)(k / type->block_elems) * type->block_bytes;
    const int64_t n_pieces = type->block_elems / LM_QUANT_PIECE;
    const char *from = rows;
    uint8_t *chunk = panel, bytes[LM_QUANT_MAX_BLOCK * LM_QUANT_COLUMNS] = {0};
    for (int64_t k0 = 0; k0 < k; k0 += LM_QUANT_CHUNK) {
        int64_t n_k = k - k0 < LM_QUANT_CHUNK ? k - k0 : LM_QUANT_CHUNK;
        uint8_t *record = chunk, *codes = chunk + lm_quant_records_bytes(type, n_k);
        memset(record, 0, lm_quant_records_bytes(type, n_k));
        for (int64_t at = 0; at < n_k; at += type->block_elems) {
            pack_block(type, from, n_rows, row_bytes, bytes, record, codes);
            from += type->block_bytes;
            record += record_bytes;
            codes += (size_t)n_pieces * lm_quant_piece_bytes(type->quant);
        }
        chunk += lm_quant_chunk_bytes(type, n_k);
    }
}
