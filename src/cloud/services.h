/* The services of services.def as a group. */
#ifndef LM_CLOUD_SERVICES_H
#define LM_CLOUD_SERVICES_H

#include "cloud/cloud.h"

/* Starts all in order; those started before a failure stay, for lm_services_stop. */
loam_status lm_services_start(lm_cloud *cloud, loam_error *err) LM_MUST_USE;
void lm_services_stop(lm_cloud *cloud); /* in reverse order */
void lm_services_drain(lm_cloud *cloud);
bool lm_services_idle(lm_cloud *cloud);
void lm_services_metrics(lm_cloud *cloud, lm_buf *out);

#endif
