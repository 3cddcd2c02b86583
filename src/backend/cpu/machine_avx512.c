/* machine.c's loops on AVX-512 and its extensions. */
#include "backend/cpu/machine.inc"

#define LM_PEAK_OP(x, a, b) _mm512_fmadd_ps(x, a, b)
LM_PEAK_LOOP(lm_cpu_f32_loop_avx512, , __m512, __m512, _mm512_set1_ps(1.0f), _mm512_set1_ps(0.5f),
             _mm512_set1_ps(0.25f))
#undef LM_PEAK_OP

#define LM_PEAK_OP(x, a, b) _mm512_dpbf16_ps(x, (__m512bh)a, (__m512bh)b)
LM_PEAK_LOOP(lm_cpu_bf16_loop_avx512, LM_PEAK_TARGET("avx512bf16"), __m512, __m512i,
             _mm512_set1_ps(1.0f), _mm512_set1_epi16(1), _mm512_set1_epi16(1))
#undef LM_PEAK_OP

/* In assembly: not every compiler in use has the type of sixteen-bit floats for this set. 0x3c00 is 1 as f16. */
#define LM_PEAK_OP(x, a, b)                                           \
    ({                                                                \
        __asm__("vfmadd213ph %2, %1, %0" : "+v"(x) : "v"(a), "v"(b)); \
        x;                                                            \
    })
LM_PEAK_LOOP(lm_cpu_f16_loop_avx512, , __m512i, __m512i, _mm512_set1_epi16(0x3c00),
             _mm512_set1_epi16(0x3800), _mm512_set1_epi16(0x3400))
#undef LM_PEAK_OP

#define LM_PEAK_OP(x, a, b) _mm256_dpbusd_epi32(x, a, b)
LM_PEAK_LOOP(lm_cpu_int8_ymm_loop_avx512, LM_PEAK_TARGET("avx512vnni"), __m256i, __m256i,
             _mm256_set1_epi32(1), _mm256_set1_epi8(1), _mm256_set1_epi8(1))
#undef LM_PEAK_OP

#define LM_PEAK_OP(x, a, b) _mm512_dpbusd_epi32(x, a, b)
LM_PEAK_LOOP(lm_cpu_int8_loop_avx512, LM_PEAK_TARGET("avx512vnni"), __m512i, __m512i,
             _mm512_set1_epi32(1), _mm512_set1_epi8(1), _mm512_set1_epi8(1))
#undef LM_PEAK_OP
