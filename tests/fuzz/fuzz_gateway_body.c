/* Bodies of OpenAI requests as the gateway reads them before it passes them on. */
#include <string.h>

#include "cloud/gateway_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char model[LM_ROUTER_NAME_BYTES];
    lm_gateway_ask ask = {0};
    loam_error err = {0};
    if (lm_gateway_ask_parse((lm_str){(const char *)bytes, size}, model, &ask, &err) != LOAM_OK) {
        if (!err.message[0]) __builtin_trap();
        return 0;
    }
    if (ask.model != model || strlen(model) >= sizeof model || ask.max_new_tokens < 0 ||
        ask.body_bytes != (int64_t)size)
        __builtin_trap();
    return 0;
}
