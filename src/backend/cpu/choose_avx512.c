/* choose.inc on AVX-512. */
#include "backend/cpu/choose.inc"
