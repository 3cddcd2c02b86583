/* The pool of this machine: made at the first start, so that there is somewhere to run. On the store's thread. */
#ifndef LM_CLOUD_POOLS_H
#define LM_CLOUD_POOLS_H

#include "cloud/db.h"
#include "cloud/id.h"

/* Makes site, pool and node "local" when there is no local pool yet; with peak_flops > 0 also brings an old one's peak up to
 * date. What is leased later is priced by that peak; what is booked stays. */
loam_status lm_pools_ensure_local(lm_db *db, lm_id_gen *ids, int64_t peak_flops,
                                  loam_error *err) LM_MUST_USE;

/* Nominal f32 peak of this machine, FLOP/s: processors we may use, times clock, times the widest fused multiply-add. */
int64_t lm_pools_nominal_peak(void);

#endif
