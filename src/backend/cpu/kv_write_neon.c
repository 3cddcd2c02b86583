/* kv_write.inc on NEON. */
#include "backend/cpu/kv_write.inc"
