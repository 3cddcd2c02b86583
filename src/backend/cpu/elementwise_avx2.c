/* elementwise.inc on AVX2 with FMA and F16C. */
#include "backend/cpu/elementwise.inc"
