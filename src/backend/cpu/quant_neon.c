/* quant.inc on NEON. */
#include "backend/cpu/quant.inc"
