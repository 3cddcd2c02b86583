/* attention.inc on AVX-512. */
#include "backend/cpu/attention.inc"
