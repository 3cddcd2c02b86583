/* What the cloud serves beside its APIs: the console's files, /health and /metrics. */
#ifndef LM_CLOUD_PAGES_H
#define LM_CLOUD_PAGES_H

#include "cloud/cloud.h"

/* Adds the routes to the cloud's. */
loam_status lm_pages_add_routes(lm_cloud *cloud, loam_error *err) LM_MUST_USE;

#endif
