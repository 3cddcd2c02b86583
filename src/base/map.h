/* Hash map from byte strings to 64-bit values (an index, or a pointer cast through uintptr_t).
 *
 * Open addressing with linear probing; keys are copied into the map. Hashing is seeded per map from the operating
 * system, so hostile keys cannot force collisions. Iteration order is not defined. One thread at a time; reads
 * without writes may be shared.
 */
#ifndef LM_BASE_MAP_H
#define LM_BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct lm_map lm_map;

LM_MUST_USE lm_map *lm_map_new(void); /* NULL when out of memory */
void lm_map_free(lm_map *map);
size_t lm_map_len(const lm_map *map);
LM_MUST_USE bool lm_map_get(const lm_map *map, lm_str key, uint64_t *out_value);
LM_MUST_USE bool lm_map_set(lm_map *map, lm_str key, uint64_t value); /* false: out of memory */
bool lm_map_remove(lm_map *map, lm_str key);                          /* false: was not there */

/* Walks all entries: start with *cursor = 0, until it returns false. The map must not change meanwhile. */
bool lm_map_next(const lm_map *map, size_t *cursor, lm_str *out_key, uint64_t *out_value);

#endif
