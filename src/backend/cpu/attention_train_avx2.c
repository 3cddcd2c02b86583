/* attention_train.inc on AVX2 with FMA and F16C. */
#include "backend/cpu/attention_train.inc"
