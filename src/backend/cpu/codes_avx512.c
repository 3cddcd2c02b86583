/* codes.inc on AVX-512 with VNNI. */
#include "backend/cpu/codes.inc"
