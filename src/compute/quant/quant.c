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
