#include "backend/cpu/cpu.h"

loam_status lm_cpu_pack(lm_device *device, const lm_weight *weight, lm_weight *out, loam_error *err) {
    return LOAM_UNSUPPORTED; /* every matrix is read in its own order */
}
