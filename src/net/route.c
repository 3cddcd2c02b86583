#include "net/route.h"

/* Takes the segment up to the next slash off the front of *text. */
static lm_str next_segment(const char **text) {
    const char *begin = *text, *end = strchrnul(begin, '/');
    *text = end;
    return (lm_str){begin, (size_t)(end - begin)};
}

static bool is_param(lm_str segment) {
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static void add_param(lm_route_params *params, lm_str name, lm_str value) {
    LM_ASSERT(params->len < LM_ROUTE_MAX_PARAMS);
    params->items[params->len].name = name;
    params->items[params->len].value = value;
    params->len++;
}

bool lm_route_match(const char *pattern, const char *path, lm_route_params *out) {
    out->len = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        lm_str want = next_segment(&pattern);
        if (is_param(want)) {
            lm_str name = {want.ptr + 1, want.len - 2};
            if (lm_str_ends(name, LM_STR("..."))) {
                add_param(out, (lm_str){name.ptr, name.len - 3}, lm_str_of(path));
                return true;
            }
            lm_str segment = next_segment(&path);
            if (segment.len == 0) return false;
            add_param(out, name, segment);
        } else if (!lm_str_equal(want, next_segment(&path))) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}
