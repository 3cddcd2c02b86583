#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

typedef struct map_slot {
    char *key; /* NULL: empty */
    size_t len;
    uint64_t hash;
    uint64_t value;
} map_slot;

struct lm_map {
    map_slot *slots;
    size_t n_slots; /* a power of two */
    size_t len;
    uint64_t seed;
};

lm_map *lm_map_new(void) {
    lm_map *map = lm_calloc(1, sizeof *map);
    if (!map) return NULL;
    map->n_slots = 16;
    map->slots = lm_calloc(map->n_slots, sizeof *map->slots);
    if (!map->slots) {
        lm_free(map);
        return NULL;
    }
    map->seed = lm_rng_os_seed();
    return map;
}

void lm_map_free(lm_map *map) {
    if (!map) return;
    for (size_t i = 0; i < map->n_slots; i++) lm_free(map->slots[i].key);
    lm_free(map->slots);
    lm_free(map);
}

size_t lm_map_len(const lm_map *map) {
    return map->len;
}

/* The slot that holds the key, or the empty slot where it belongs. */
static map_slot *find_slot(const lm_map *map, lm_str key, uint64_t hash) {
    size_t mask = map->n_slots - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        map_slot *slot = &map->slots[i];
        if (!slot->key) return slot;
        if (slot->hash == hash && lm_str_equal((lm_str){slot->key, slot->len}, key)) return slot;
    }
}

bool lm_map_get(const lm_map *map, lm_str key, uint64_t *out_value) {
    const map_slot *slot = find_slot(map, key, lm_hash64(key.ptr, key.len, map->seed));
    if (!slot->key) return false;
    *out_value = slot->value;
    return true;
}

static bool map_grow(lm_map *map) {
    map_slot *slots = lm_calloc(map->n_slots * 2, sizeof *slots);
    if (!slots) return false;
    lm_map bigger = {.slots = slots, .n_slots = map->n_slots * 2};
    for (size_t i = 0; i < map->n_slots; i++) {
        map_slot *old = &map->slots[i];
        if (old->key) *find_slot(&bigger, (lm_str){old->key, old->len}, old->hash) = *old;
    }
    lm_free(map->slots);
    map->slots = slots;
    map->n_slots *= 2;
    return true;
}

bool lm_map_set(lm_map *map, lm_str key, uint64_t value) {
    uint64_t hash = lm_hash64(key.ptr, key.len, map->seed);
    map_slot *slot = find_slot(map, key, hash);
    if (slot->key) {
        slot->value = value;
        return true;
    }
    if ((map->len + 1) * 4 > map->n_slots * 3) {
        if (!map_grow(map)) return false;
        slot = find_slot(map, key, hash);
    }
    char *copy = lm_alloc(key.len + 1);
    if (!copy) return false;
    if (key.len) memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    *slot = (map_slot){copy, key.len, hash, value};
    map->len++;
    return true;
}

bool lm_map_remove(lm_map *map, lm_str key) {
    map_slot *slot = find_slot(map, key, lm_hash64(key.ptr, key.len, map->seed));
    if (!slot->key) return false;
    lm_free(slot->key);
    size_t mask = map->n_slots - 1, hole = (size_t)(slot - map->slots);
    map->slots[hole].key = NULL;
    map->len--;
    /* Close the gap: an entry further on may move into the hole unless its home lies between hole and itself. */
    for (size_t i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        map->slots[hole] = map->slots[i];
        map->slots[i].key = NULL;
        hole = i;
    }
    return true;
}

bool lm_map_next(const lm_map *map, size_t *cursor, lm_str *out_key, uint64_t *out_value) {
    for (; *cursor < map->n_slots; (*cursor)++) {
        const map_slot *slot = &map->slots[*cursor];
        if (!slot->key) continue;
        *out_key = (lm_str){slot->key, slot->len};
        *out_value = slot->value;
        (*cursor)++;
        return true;
    }
    return false;
}
