/* gemm.h on NEON. */
#include "backend/cpu/gemm.inc"
