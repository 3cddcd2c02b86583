/* The first start of a cloud: an empty store gets the operator's project and an admin key. */
#ifndef LM_CLOUD_BOOTSTRAP_H
#define LM_CLOUD_BOOTSTRAP_H

#include "cloud/cloud.h"
#include "cloud/secret.h"

/* Makes what is missing and loads keys and prices into memory. out_secret is empty unless a key was made. From the main
 * thread, before the loops run. */
loam_status lm_bootstrap(lm_cloud *cloud, char out_secret[LM_SECRET_BYTES],
                         loam_error *err) LM_MUST_USE;

#endif
