/* quant.inc on NEON with dot products of bytes. */
#include "backend/cpu/quant.inc"
