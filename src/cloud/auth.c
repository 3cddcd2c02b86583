#include "cloud/auth.h"

#include <string.h>

#include "base/compiler.h"

const char *const lm_scope_names[] = {"inference", "read",     "write", "billing",
                                      "admin",     "operator", NULL};
const char *const lm_role_names[] = {[LM_ROLE_VIEWER] = "viewer",
                                     [LM_ROLE_DEVELOPER] = "developer",
                                     [LM_ROLE_ADMIN] = "admin",
                                     NULL};

static const unsigned scopes_of_role[] = {
    [LM_ROLE_VIEWER] = LM_SCOPE_READ | LM_SCOPE_BILLING,
    [LM_ROLE_DEVELOPER] = LM_SCOPE_READ | LM_SCOPE_BILLING | LM_SCOPE_INFERENCE | LM_SCOPE_WRITE,
    [LM_ROLE_ADMIN] = LM_SCOPES_ALL,
};

bool lm_role_parse(const char *name, lm_role *out) {
    for (int role = 0; lm_role_names[role]; role++) {
        if (strcmp(lm_role_names[role], name) != 0) continue;
        *out = (lm_role)role;
        return true;
    }
    return false;
}

unsigned lm_role_scopes(lm_role role) {
    LM_ASSERT((size_t)role < LM_COUNT_OF(scopes_of_role));
    return scopes_of_role[role];
}

const char *lm_scope_name(lm_scope scope) {
    for (int i = 0; lm_scope_names[i]; i++) {
        if (scope == 1u << i) return lm_scope_names[i];
    }
    return "none";
}

json_t *lm_scopes_json(unsigned scopes) {
    json_t *names = json_array();
    for (int i = 0; lm_scope_names[i]; i++) {
        if (scopes & 1u << i) json_array_append_new(names, json_string(lm_scope_names[i]));
    }
    return names;
}

unsigned lm_scopes_parse(const json_t *names) {
    unsigned scopes = 0;
    for (size_t n = 0; n < json_array_size(names); n++) {
        const char *name = json_string_value(json_array_get(names, n));
        for (int i = 0; name && lm_scope_names[i]; i++) {
            if (strcmp(lm_scope_names[i], name) == 0) scopes |= 1u << i;
        }
    }
    return scopes;
}
