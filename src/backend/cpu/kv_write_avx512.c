/* kv_write.inc on AVX-512. */
#include "backend/cpu/kv_write.inc"
