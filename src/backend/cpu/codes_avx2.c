/* codes.inc on AVX2. */
#include "backend/cpu/codes.inc"
