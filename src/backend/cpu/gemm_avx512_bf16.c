/* gemm.h on AVX-512 with dot products of bf16 pairs. */
#define LM_GEMM_DOT 1
#include "backend/cpu/gemm.inc"
