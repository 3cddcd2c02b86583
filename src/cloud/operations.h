/* The services of cloud/operations.c; rows of services.def. */
#ifndef LM_CLOUD_OPERATIONS_H
#define LM_CLOUD_OPERATIONS_H

#include "cloud/cloud.h"

extern const lm_cloud_service lm_service_registry, lm_service_gateway, lm_service_replicas, lm_service_scheduler;

#endif
