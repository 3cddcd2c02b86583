#include "hub/hub_name.h"

#include <string.h>

#include "base/str.h"

enum { PART_MAX_BYTES = 96, FILE_NAME_MAX_BYTES = 255 };

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-_.", c);
}

/* Letters, digits, '-', '_' and '.', not beginning with '.' or '-'. */
static bool is_name_part(lm_str part) {
    if (part.len == 0 || part.len > PART_MAX_BYTES || strchr(".-", part.ptr[0])) return false;
    for (size_t i = 0; i < part.len; i++)
        if (!part.ptr[i] || !is_plain(part.ptr[i])) return false;
    return true;
}

loam_status lm_hub_name_parse(const char *text, lm_hub_name *out, loam_error *err) {
    const char *colon = strchr(text, ':');
    size_t repo_len = colon ? (size_t)(colon - text) : strlen(text);
    const char *slash = memchr(text, '/', repo_len);
    lm_hub_name name = {0};
    bool ok = slash && is_name_part((lm_str){text, (size_t)(slash - text)}) &&
              is_name_part((lm_str){slash + 1, repo_len - (size_t)(slash - text) - 1});
    const char *pick = colon ? colon + 1 : "";
    if (colon) ok = ok && *pick && lm_hub_path_is_safe(pick) && strlen(pick) < sizeof name.pick;
    if (!ok) {
        lm_error_set(err, LOAM_INVALID, "'%s' is not the name of a model on a hub", text);
        return lm_error_hint(err, LOAM_INVALID,
                             "write org/name, and behind a colon a file or quant: org/name:Q4_K_M");
    }
    memcpy(name.repo, text, repo_len);
    memcpy(name.pick, pick, strlen(pick));
    *out = name;
    return LOAM_OK;
}

static bool is_safe_part(lm_str part) {
    if (part.len == 0 || part.len > FILE_NAME_MAX_BYTES) return false;
    if (lm_str_is(part, ".") || lm_str_is(part, "..")) return false;
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.ptr[i];
        if (c < 0x20 || c == 0x7f || c == '\\') return false;
    }
    return true;
}

bool lm_hub_path_is_safe(const char *path) {
    if (strlen(path) > LM_HUB_PATH_MAX_BYTES) return false;
    for (const char *at = path;;) {
        const char *slash = strchr(at, '/');
        lm_str part = {at, slash ? (size_t)(slash - at) : strlen(at)};
        if (!is_safe_part(part) || (at == path && lm_str_is(part, ".loam"))) return false;
        if (!slash) return true;
        at = slash + 1;
    }
}
