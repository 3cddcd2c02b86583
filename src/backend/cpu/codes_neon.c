/* codes.inc on NEON. */
#include "backend/cpu/codes.inc"
