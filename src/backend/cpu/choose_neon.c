/* choose.inc on NEON. */
#include "backend/cpu/choose.inc"
