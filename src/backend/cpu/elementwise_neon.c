/* elementwise.inc on NEON. */
#include "backend/cpu/elementwise.inc"
