/* A device whose memory is counted and not taken: models, sessions and plans that are made on it say what they would take,
 * through the very code that takes it, in no time and with next to no memory.
 *
 *     lm_measure measure;
 *     lm_measure_begin(&measure, device);        the device gives out addresses without memory behind them
 *     lm_model_open(path, device, ...);          packs nothing
 *     n = measure.n_bytes;
 *     ... free what was made ...
 *     lm_measure_end(&measure, device);
 *
 * What was made must not run. For devices whose memory is the host's. One thread, as the device.
 */
#ifndef LM_COMPUTE_MEASURE_H
#define LM_COMPUTE_MEASURE_H

#include "base/vec.h"
#include "compute/device.h"

typedef struct lm_measured_block {
    void *ptr;
    size_t size_bytes;
} lm_measured_block;

typedef struct lm_measure {
    lm_backend
        backend; /* the device's own, but for memory and packing; first, so that a device leads to it */
    const lm_backend *real;
    size_t n_bytes; /* given out now */
    LM_VEC(lm_measured_block) given;
} lm_measure;

void lm_measure_begin(lm_measure *measure, lm_device *device);
void lm_measure_end(lm_measure *measure, lm_device *device); /* all is given back before */

#endif
