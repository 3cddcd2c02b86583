#include "compute/quant/quant.h"

#include <math.h>

float lm_e8m0_half(uint8_t e) {
    return ldexpf(1.0f, (int)e - 128);
}

void lm_quant_scales_of(const lm_quant_info *quant, const lm_quant_block *block, int n_subs,
                        float *scale, float *min) {
    bool has_subs = quant->scales == LM_SCALES_SUB || quant->scales == LM_SCALES_SUB_MIN;
    float d =
        quant->scales == LM_SCALES_E8M0 ? lm_e8m0_half((uint8_t)block->d) : lm_f16_to_f32(block->d);
    for (int s = 0; s < n_subs; s++) scale[s] = has_subs ? d * (float)block->sub_scale[s] : d;
    if (!lm_quant_has_min(quant)) return;
    float dmin = lm_f16_to_f32(block->dmin);
    for (int s = 0; s < n_subs; s++) min[s] = has_subs ? dmin * (float)block->sub_min[s] : dmin;
}

void lm_quant_unpack(const lm_dtype_info *info, const void *src, float *dst, int64_t n) {
    const lm_quant_info *quant = info->quant;
    int block_elems = (int)info->block_elems, n_subs = block_elems / quant->sub_elems;
    bool has_min = lm_quant_has_min(quant);
    lm_quant_block block;
    float scale[LM_QUANT_MAX_SUBS], min[LM_QUANT_MAX_SUBS];
    for (int64_t b = 0; b < n / block_elems; b++) {
        quant->read((const char *)src + (size_t)b * info->block_bytes, &block);
        lm_quant_scales_of(quant, &block, n_subs, scale, min);
        for (int i = 0; i < block_elems; i++) {
            int s = i / quant->sub_elems;
            int value = quant->values ? quant->values[block.codes[i]] : block.codes[i];
            float x = scale[s] * (float)(value - quant->zero);
            dst[b * block_elems + i] = has_min ? x - min[s] : x;
        }
    }
}

void lm_quant_get_nibbles(const uint8_t *bytes, int n, uint8_t *codes) {
    for (int i = 0; i < n; i++) {
        codes[i] = bytes[i] & 15;
        codes[i + n] = bytes[i] >> 4;
    }
}

void lm_quant_put_nibbles(const uint8_t *codes, int n, uint8_t *bytes) {
    for (int i = 0; i < n; i++) bytes[i] = (uint8_t)((codes[i] & 15) | (codes[i + n] & 15) << 4);
}

void lm_quant_get_fifths(const uint8_t bytes[4], uint8_t *codes) {
    for (int i = 0; i < 32; i++) codes[i] |= (uint8_t)((bytes[i / 8] >> i % 8 & 1) << 4);
}

void lm_quant_put_fifths(const uint8_t *codes, uint8_t bytes[4]) {
    for (int i = 0; i < 4; i++) bytes[i] = 0;
    for (int i = 0; i < 32; i++) bytes[i / 8] |= (uint8_t)((codes[i] >> 4 & 1) << i % 8);
}

void lm_quant_get_pairs(const uint8_t bytes[64], uint8_t codes[256]) {
    for (int i = 0; i < 256; i++) codes[i] = bytes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

void lm_quant_put_pairs(const uint8_t codes[256], uint8_t bytes[64]) {
    for (int i = 0; i < 64; i++) bytes[i] = 0;
    for (int i = 0; i < 256; i++)
        bytes[i / 128 * 32 + i % 32] |= (uint8_t)((codes[i] & 3) << i % 128 / 32 * 2);
}

/* Scales and mins 0 to 3 have their six bits in bytes 0 to 7; 4 to 7 have four in bytes 8 to 11 and
 * two on top of the first eight. */
void lm_quant_get_six_bits(const uint8_t bytes[12], lm_quant_block *out) {
    for (int i = 0; i < 4; i++) {
        out->sub_scale[i] = (int8_t)(bytes[i] & 63);
        out->sub_min[i] = bytes[i + 4] & 63;
        out->sub_scale[i + 4] = (int8_t)((bytes[i + 8] & 15) | bytes[i] >> 6 << 4);
        out->sub_min[i + 4] = (uint8_t)(bytes[i + 8] >> 4 | bytes[i + 4] >> 6 << 4);
    }
}

void lm_quant_put_six_bits(const lm_quant_block *block, uint8_t bytes[12]) {
    for (int i = 0; i < 4; i++) {
        int high_scale = block->sub_scale[i + 4], high_min = block->sub_min[i + 4];
        bytes[i] = (uint8_t)(block->sub_scale[i] | high_scale >> 4 << 6);
        bytes[i + 4] = (uint8_t)(block->sub_min[i] | high_min >> 4 << 6);
        bytes[i + 8] = (uint8_t)((high_scale & 15) | (high_min & 15) << 4);
    }
}

const uint8_t lm_quant_bell[LM_QUANT_VALUES] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                129, 141, 153, 166, 181, 197, 217, 241};
