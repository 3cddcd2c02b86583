/* recurrent.inc on AVX-512. */
#include "backend/cpu/recurrent.inc"
