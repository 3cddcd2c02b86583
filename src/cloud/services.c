#include "cloud/services.h"

#define LM_CLOUD_SERVICE(name) extern const lm_cloud_service lm_service_##name;
#include "cloud/services.def"
#undef LM_CLOUD_SERVICE

static const lm_cloud_service *const services[] = {
#define LM_CLOUD_SERVICE(name) &lm_service_##name,
#include "cloud/services.def"
#undef LM_CLOUD_SERVICE
    NULL,
};

loam_status lm_services_start(lm_cloud *cloud, loam_error *err) {
    for (int i = 0; services[i]; i++) {
        loam_status status = services[i]->start(cloud, err);
        if (status != LOAM_OK) return lm_error_prefix(err, status, "%s", services[i]->name);
    }
    return LOAM_OK;
}

void lm_services_stop(lm_cloud *cloud) {
    for (int i = (int)LM_COUNT_OF(services) - 2; i >= 0; i--) services[i]->stop(cloud);
}

void lm_services_drain(lm_cloud *cloud) {
    for (int i = 0; services[i]; i++) {
        if (services[i]->drain) services[i]->drain(cloud);
    }
}

bool lm_services_idle(lm_cloud *cloud) {
    for (int i = 0; services[i]; i++) {
        if (services[i]->idle && !services[i]->idle(cloud)) return false;
    }
    return true;
}

void lm_services_metrics(lm_cloud *cloud, lm_buf *out) {
    for (int i = 0; services[i]; i++) {
        if (services[i]->metrics) services[i]->metrics(cloud, out);
    }
}
