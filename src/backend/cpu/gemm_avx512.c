/* gemm.h on AVX-512. */
#include "backend/cpu/gemm.inc"
