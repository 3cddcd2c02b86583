/* The machine's own limits, measured: what kernels are held against (the roofline model, doi:10.1145/1498765.1498785).
 *
 * Every figure is the best of many runs of about a millisecond, as neighbours only ever slow us.
 */
#ifndef LM_BACKEND_CPU_MACHINE_H
#define LM_BACKEND_CPU_MACHINE_H

#include "backend/cpu/cpu.h"

/* Kinds of arithmetic that kernels work in: what products are made of, whatever they are summed up in. */
typedef enum lm_cpu_arith {
    LM_CPU_ARITH_F32,
    LM_CPU_ARITH_BF16,
    LM_CPU_ARITH_F16,
    LM_CPU_ARITH_INT8,
    LM_CPU_N_ARITHS,
} lm_cpu_arith;

const char *lm_cpu_arith_name(lm_cpu_arith arith); /* "f32", "int8" */

/* One instruction that does it. */
typedef struct lm_cpu_peak {
    lm_cpu_arith arith;
    const char *isa;         /* "avx512" */
    const char *instruction; /* "vpdpbusd zmm" */
} lm_cpu_peak;

/* All instructions that the device may use, best instruction set last. Static storage. */
int lm_cpu_n_peaks(void);
bool lm_cpu_peak_get(const lm_device *device, int i, lm_cpu_peak *out); /* false: not here */

/* Operations a second (a multiply and an add are two) of all threads together with that instruction. */
double lm_cpu_peak_ops(lm_device *device, int i);

/* The most operations a second with products of this kind by any instruction that the device has: what is exact in a wider
 * type may be computed there, so that bf16 and f16 are never slower than f32. */
double lm_cpu_best_ops(lm_device *device, lm_cpu_arith arith);

/* Where a working set of the threads lies. */
typedef struct lm_cpu_level {
    const char *name;   /* "L1", "memory" */
    size_t size_bytes;  /* of one thread's own cache or of the shared one; 0: memory */
    size_t probe_bytes; /* a working set of one thread that lies there */
} lm_cpu_level;

enum { LM_CPU_N_LEVELS = 4 };

/* The caches of this machine and its memory; a level that the system does not tell of has size 0. */
void lm_cpu_levels(int n_threads, lm_cpu_level out[LM_CPU_N_LEVELS]);

typedef enum lm_cpu_traffic {
    LM_CPU_READ,
    LM_CPU_COPY, /* counts what is read and what is written */
} lm_cpu_traffic;

/* Bytes a second that all threads together move in a buffer of size_bytes, each in its own part again and again: small
 * sizes stay in a cache. LOAM_NO_MEMORY. */
loam_status lm_cpu_bandwidth(lm_device *device, lm_cpu_traffic traffic, size_t size_bytes,
                             double *out, loam_error *err) LM_MUST_USE;

#endif
