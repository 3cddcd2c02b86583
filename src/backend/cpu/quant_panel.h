/* The order in which the CPU's kernels read a constant quantized weight [N, K]: panels of 32 rows (the kernels' columns), one
 * after the other, the missing rows of the last one as zeros. Any format of quant/quant.h has one, about as large as its
 * rows; no format is known here by name.
 *
 *     panel    chunks of LM_QUANT_CHUNK k, the last one shorter, so that a panel is read from its first byte to its last
 *     chunk    scale records of its blocks, zeros up to 64 bytes, then the codes of its pieces of 32 k, in order
 *     codes    a piece is 16 vectors of 64 bytes, a byte a code: byte 4i + j of vector 2q + h is column 16h + i at k = 4q + j,
 *              as dot products of four bytes want it. Narrower codes are cut into planes of 4, 2 and 1 bits, the low bits
 *              first: a plane of w bits keeps vector v in its vector v % 2w, from bit v / 2w * w of every byte up, so that
 *              a shift and a mask bring a whole vector back
 *     record   of a block and its n parts: d [32] (f16; one byte for E8M0), dmin [32] f16, sub_scale [n][32],
 *              sub_min [n][32], those that the format has; where both are below 16, a byte is a sub_scale and, in its high
 *              bits, a sub_min
 */
#ifndef LM_BACKEND_CPU_QUANT_PANEL_H
#define LM_BACKEND_CPU_QUANT_PANEL_H

#include "base/pool.h"
#include "compute/quant/quant.h"

enum {
    LM_QUANT_COLUMNS = 32, /* in a panel */
    LM_QUANT_CHUNK = 512,  /* k in a chunk; a multiple of every format's block */
    LM_QUANT_PIECE = 32,   /* k in a piece */
    LM_QUANT_VECTOR = 64,  /* bytes */
    LM_QUANT_VECTORS = LM_QUANT_PIECE * LM_QUANT_COLUMNS / LM_QUANT_VECTOR,
};

/* Bytes of a piece's codes. */
static inline size_t lm_quant_piece_bytes(const lm_quant_info *quant) {
    return (size_t)quant->bits * LM_QUANT_PIECE * LM_QUANT_COLUMNS / 8;
}

static inline bool lm_quant_has_subs(const lm_quant_info *quant) {
    return quant->scales == LM_SCALES_SUB || quant->scales == LM_SCALES_SUB_MIN;
}

/* Whether sub_scale and sub_min share a byte. */
static inline bool lm_quant_has_pairs(const lm_quant_info *quant) {
    return quant->scales == LM_SCALES_SUB_MIN && quant->sub_scale_lo >= 0 &&
           quant->sub_scale_hi < 16 && quant->sub_min_hi < 16;
}

/* Where the fields of a block's record stand. */
typedef struct lm_quant_record {
    size_t dmin, sub_scale, sub_min, bytes;
} lm_quant_record;

static inline lm_quant_record lm_quant_record_of(const lm_dtype_info *type) {
    const lm_quant_info *quant = type->quant;
    size_t n_subs = lm_quant_has_subs(quant) ? (size_t)(type->block_elems / quant->sub_elems) : 0;
    size_t subs = n_subs * LM_QUANT_COLUMNS;
    size_t half = LM_QUANT_COLUMNS * sizeof(uint16_t);
    lm_quant_record r;
    r.dmin = quant->scales == LM_SCALES_E8M0 ? LM_QUANT_COLUMNS : half;
    r.sub_scale = r.dmin + (lm_quant_has_min(quant) ? half : 0);
    r.sub_min = r.sub_scale + (lm_quant_has_pairs(quant) ? 0 : subs);
    r.bytes = r.sub_min + (lm_quant_has_min(quant) ? subs : 0);
    return r;
}

/* Bytes of the records of n_k elements a row within a chunk, behind which their codes begin. */
static inline size_t lm_quant_records_bytes(const lm_dtype_info *type, int64_t n_k) {
    size_t bytes = (size_t)(n_k / type->block_elems) * lm_quant_record_of(type).bytes;
    return (bytes + LM_QUANT_VECTOR - 1) / LM_QUANT_VECTOR * LM_QUANT_VECTOR;
}

static inline size_t lm_quant_chunk_bytes(const lm_dtype_info *type, int64_t n_k) {
    return lm_quant_records_bytes(type, n_k) +
           (size_t)(n_k / LM_QUANT_PIECE) * lm_quant_piece_bytes(type->quant);
}

/* Bytes of one panel with K elements a row; its chunk from k on begins behind as many as a panel of k has. */
static inline size_t lm_quant_panel_bytes(const lm_dtype_info *type, int64_t k) {
    return (size_t)(k / LM_QUANT_CHUNK) * lm_quant_chunk_bytes(type, LM_QUANT_CHUNK) +
           lm_quant_chunk_bytes(type, k % LM_QUANT_CHUNK);
}

/* n_rows <= 32 rows of K elements, one after the other, into a panel, which need not be zeroed. */
void lm_quant_pack_panel(const lm_dtype_info *type, const void *rows, int64_t n_rows, int64_t k,
                         void *panel);

#endif
