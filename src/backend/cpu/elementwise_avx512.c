/* elementwise.inc on AVX-512. */
#include "backend/cpu/elementwise.inc"
