/* machine.inc on AVX-512. */
#include "backend/cpu/machine.inc"
