/* attention_train.inc on NEON. */
#include "backend/cpu/attention_train.inc"
