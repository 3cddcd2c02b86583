/* machine.c's loops on NEON and its extensions. */
#include "backend/cpu/machine.inc"

#define LM_PEAK_OP(x, a, b) vfmaq_f32(x, a, b)
LM_PEAK_LOOP(lm_cpu_f32_loop_neon, , float32x4_t, float32x4_t, vdupq_n_f32(1.0f), vdupq_n_f32(0.5f),
             vdupq_n_f32(0.25f))
#undef LM_PEAK_OP

/* Products of bytes to 16 bits, those in pairs to 32. */
#define LM_PEAK_OP(x, a, b) \
    vpadalq_s16(x, vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b))
LM_PEAK_LOOP(lm_cpu_int8_loop_neon, , int32x4_t, int8x16_t, vdupq_n_s32(1), vdupq_n_s8(1),
             vdupq_n_s8(1))
#undef LM_PEAK_OP

#define LM_PEAK_OP(x, a, b) vdotq_s32(x, a, b)
LM_PEAK_LOOP(lm_cpu_int8_loop_neon_dotprod, LM_PEAK_TARGET("arch=armv8.2-a+dotprod"), int32x4_t,
             int8x16_t, vdupq_n_s32(1), vdupq_n_s8(1), vdupq_n_s8(1))
#undef LM_PEAK_OP

#define LM_PEAK_OP(x, a, b) vmmlaq_s32(x, a, b)
LM_PEAK_LOOP(lm_cpu_int8_loop_neon_i8mm, LM_PEAK_TARGET("arch=armv8.2-a+i8mm"), int32x4_t,
             int8x16_t, vdupq_n_s32(1), vdupq_n_s8(1), vdupq_n_s8(1))
#undef LM_PEAK_OP
