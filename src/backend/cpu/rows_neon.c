/* rows.inc on NEON. */
#include "backend/cpu/rows.inc"
