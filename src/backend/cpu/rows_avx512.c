/* rows.inc on AVX-512. */
#include "backend/cpu/rows.inc"
