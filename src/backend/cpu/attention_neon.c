/* attention.inc on NEON. */
#include "backend/cpu/attention.inc"
