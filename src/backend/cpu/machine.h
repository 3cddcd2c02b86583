/* The machine's own limits, measured: what kernels are held against. */
#ifndef LM_BACKEND_CPU_MACHINE_H
#define LM_BACKEND_CPU_MACHINE_H

#include "backend/cpu/cpu.h"

/* Most f32 operations a second (a fused multiply-add is two) of all threads with the device's instruction set. */
double lm_cpu_peak_flops(lm_device *device);

/* Bytes a second that all threads together read from a buffer of size_bytes, each over its own part again and again: small
 * sizes stay in a cache. LOAM_NO_MEMORY. */
loam_status lm_cpu_read_bandwidth(lm_device *device, size_t size_bytes, double *out,
                                  loam_error *err) LM_MUST_USE;

#endif
