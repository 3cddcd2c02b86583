/* machine.c's loops on AVX2 with FMA. */
#include "backend/cpu/machine.inc"

#define LM_PEAK_OP(x, a, b) _mm256_fmadd_ps(x, a, b)
LM_PEAK_LOOP(lm_cpu_f32_loop_avx2, , __m256, __m256, _mm256_set1_ps(1.0f), _mm256_set1_ps(0.5f),
             _mm256_set1_ps(0.25f))
#undef LM_PEAK_OP

/* Products of bytes without VNNI: in pairs to 16 bits, those in pairs to 32. */
#define LM_PEAK_OP(x, a, b) _mm256_add_epi32(x, _mm256_madd_epi16(_mm256_maddubs_epi16(a, x), b))
LM_PEAK_LOOP(lm_cpu_int8_loop_avx2, , __m256i, __m256i, _mm256_set1_epi32(1), _mm256_set1_epi8(1),
             _mm256_set1_epi16(1))
#undef LM_PEAK_OP
