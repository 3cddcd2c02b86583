#include "model/charsmap.h"

static uint32_t unit_at(const lm_charsmap *map, uint32_t index) {
    uint8_t b[4];
    memcpy(b, map->units + 4 * (size_t)index, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* The fields of a unit: an edge with a label and an offset to its children, or a leaf's value. */
static uint32_t label_of(uint32_t unit) {
    return unit & 0x800000ffu;
}

static bool has_leaf(uint32_t unit) {
    return unit >> 8 & 1;
}

static uint32_t offset_of(uint32_t unit) {
    return unit >> 10 << ((unit & 0x200u) >> 6);
}

loam_status lm_charsmap_init(lm_charsmap *map, lm_str bytes, loam_error *err) {
    *map = (lm_charsmap){.units = "", .texts = LM_STR("")};
    if (bytes.len == 0) return LOAM_OK;
    lm_charsmap sized = {.units = bytes.ptr, .n_units = 1};
    uint32_t size = bytes.len >= 4 ? unit_at(&sized, 0) : UINT32_MAX;
    if (bytes.len < 4 || size > bytes.len - 4 || size % 4 != 0)
        return lm_error_set(err, LOAM_CORRUPT,
                            "a precompiled charsmap of %zu bytes says its trie has %u", bytes.len,
                            size);
    map->units = bytes.ptr + 4;
    map->n_units = size / 4;
    map->texts = (lm_str){bytes.ptr + 4 + size, bytes.len - 4 - size};
    return LOAM_OK;
}

static bool text_at(const lm_charsmap *map, uint32_t start, lm_str *out) {
    if (start >= map->texts.len) return false;
    const char *text = map->texts.ptr + start, *end = memchr(text, '\0', map->texts.len - start);
    if (!end) return false;
    *out = (lm_str){text, (size_t)(end - text)};
    return true;
}

bool lm_charsmap_match(const lm_charsmap *map, lm_str text, bool shortest, size_t *out_len,
                       lm_str *out_text) {
    if (map->n_units == 0) return false;
    uint32_t index = offset_of(unit_at(map, 0));
    bool found = false;
    for (size_t i = 0; i < text.len && text.ptr[i] != '\0'; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        index ^= byte;
        if (index >= map->n_units) break;
        uint32_t unit = unit_at(map, index);
        if (label_of(unit) != byte) break;
        index ^= offset_of(unit);
        if (!has_leaf(unit)) continue;
        if (index >= map->n_units) break;
        if (!text_at(map, unit_at(map, index) & 0x7fffffffu, out_text)) continue;
        *out_len = i + 1;
        found = true;
        if (shortest) break;
    }
    return found;
}
