/* attention_train.inc on AVX-512. */
#include "backend/cpu/attention_train.inc"
