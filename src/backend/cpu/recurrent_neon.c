/* recurrent.inc on NEON. */
#include "backend/cpu/recurrent.inc"
