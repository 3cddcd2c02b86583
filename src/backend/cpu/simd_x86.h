/* What simd_avx2.h and simd_avx512.h share: folding the two 256-bit halves of the lanes. Included by those alone, at their end. */
#ifndef LM_BACKEND_CPU_SIMD_X86_H
#define LM_BACKEND_CPU_SIMD_X86_H

/* Sum of the lanes in the order of lm_lanes_fold. */
static LM_ALWAYS_INLINE float lm_v16_fold(lm_v16 x) {
    __m256 eight = _mm256_add_ps(lm_v16_low(x), lm_v16_high(x));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* The largest lane; no NaN among them, or all NaN. */
static LM_ALWAYS_INLINE float lm_v16_max_lane(lm_v16 x) {
    __m256 eight = _mm256_max_ps(lm_v16_low(x), lm_v16_high(x));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#endif
