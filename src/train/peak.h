/* What the device can do at best: the yardstick of model FLOPs utilization. */
#ifndef LM_TRAIN_PEAK_H
#define LM_TRAIN_PEAK_H

#include "compute/backend.h"

/* Floating-point operations a second of one large matrix product in this dtype, the best of a few runs within some tenths of a
 * second. */
loam_status lm_peak_measure(lm_device *device, lm_dtype dtype, double *out_flops_per_s,
                            loam_error *err) LM_MUST_USE;

#endif
