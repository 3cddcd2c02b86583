/* What instructions this CPU and operating system offer, read once at start-up. Any thread. */
#ifndef LM_BASE_CPU_H
#define LM_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lm_cpu {
    bool avx2;   /* AVX2 with FMA and F16C */
    bool avx512; /* F, BW, DQ, VL */
    bool avx512_vnni;
    bool avx512_bf16;
    bool bf16_dot_is_fast; /* avx512_bf16 does twice the operations a second of f32 */
    bool streams_alone; /* brings near by itself what is read in order; asking for it holds that up */
    bool avx512_fp16;
    bool neon; /* aarch64 */
    bool neon_dotprod;
    bool neon_i8mm; /* with neon_dotprod */
    int64_t l2_bytes; /* of a core's second-level cache; 1 MiB when unknown */
    char name[64];  /* brand string, "" when unknown */
} lm_cpu;

/* Features of this machine. Static storage. */
const lm_cpu *lm_cpu_get(void);

#endif
