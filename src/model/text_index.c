#include "model/text_index.h"

#include "base/mem.h"

typedef struct index_slot {
    const char *text; /* NULL: empty */
    uint32_t len;
    int32_t id;
    uint64_t hash;
} index_slot;

struct lm_text_index {
    size_t mask; /* number of slots, a power of two, minus one */
    size_t n_left;
    index_slot slots[];
};

lm_text_index *lm_text_index_new(size_t n_texts) {
    size_t n_slots = 16;
    while (n_slots < n_texts + n_texts / 2) n_slots *= 2;
    lm_text_index *index = lm_calloc(1, sizeof *index + n_slots * sizeof(index_slot));
    if (!index) return NULL;
    index->mask = n_slots - 1;
    index->n_left = n_texts;
    return index;
}

void lm_text_index_free(lm_text_index *index) {
    lm_free(index);
}

static size_t slot_of(const lm_text_index *index, lm_str text, uint64_t hash) {
    size_t i = hash & index->mask;
    for (;; i = (i + 1) & index->mask) {
        const index_slot *slot = &index->slots[i];
        if (!slot->text) return i;
        if (slot->hash == hash && slot->len == text.len &&
            memcmp(slot->text, text.ptr, text.len) == 0)
            return i;
    }
}

void lm_text_index_add(lm_text_index *index, lm_str text, int32_t id) {
    LM_ASSERT(index->n_left > 0 && text.len <= UINT32_MAX);
    uint64_t hash = lm_text_hash(text);
    index_slot *slot = &index->slots[slot_of(index, text, hash)];
    index->n_left--;
    if (!slot->text) *slot = (index_slot){text.ptr, (uint32_t)text.len, id, hash};
}

int32_t lm_text_index_get(const lm_text_index *index, lm_str text, uint64_t hash) {
    const index_slot *slot = &index->slots[slot_of(index, text, hash)];
    return slot->text ? slot->id : -1;
}
