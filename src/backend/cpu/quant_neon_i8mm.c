/* quant.inc on NEON with matrix products of bytes. */
#include "backend/cpu/quant.inc"
