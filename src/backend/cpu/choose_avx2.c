/* choose.inc on AVX2 with FMA and F16C. */
#include "backend/cpu/choose.inc"
