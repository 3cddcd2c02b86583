#include "backend/cpu/quant.inc"
