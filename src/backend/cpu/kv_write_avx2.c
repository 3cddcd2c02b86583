/* kv_write.inc on AVX2 with FMA and F16C. */
#include "backend/cpu/kv_write.inc"
