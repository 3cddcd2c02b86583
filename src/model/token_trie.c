#include "model/token_trie.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"

typedef struct trie_node {
    uint32_t first; /* child; its siblings follow */
    uint16_t n;
    uint8_t label;
    int32_t value; /* -1: none */
} trie_node;

struct lm_token_trie {
    LM_VEC(trie_node) nodes; /* 0 is the root */
    uint32_t roots[256];     /* the root's children by label; 0: none */
};

/* What is still to be done for a node: its keys are entries[begin..end), which share their first `depth` bytes. */
typedef struct pending_node {
    size_t begin, end, depth;
} pending_node;

static int compare_entries(const void *a_, const void *b_) {
    const lm_trie_entry *a = a_, *b = b_;
    size_t n = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.ptr, b->key.ptr, n);
    if (order) return order;
    if (a->key.len != b->key.len) return a->key.len < b->key.len ? -1 : 1;
    return (a->value > b->value) - (a->value < b->value);
}

static uint8_t byte_at(const lm_trie_entry *entry, size_t depth) {
    return (uint8_t)entry->key.ptr[depth];
}

typedef LM_VEC(pending_node) pending_nodes;

/* Gives node `index` its value and children; the queue has one entry per node. */
static LM_MUST_USE bool expand(lm_token_trie *trie, const lm_trie_entry *entries, uint32_t index,
                               pending_nodes *queue) {
    pending_node p = queue->ptr[index];
    for (; p.begin < p.end && entries[p.begin].key.len == p.depth; p.begin++) {
        trie_node *node = &trie->nodes.ptr[index];
        if (node->value < 0) node->value = entries[p.begin].value;
    }
    trie->nodes.ptr[index].first = (uint32_t)trie->nodes.len;
    while (p.begin < p.end) {
        pending_node child = {p.begin, p.begin, p.depth + 1};
        uint8_t label = byte_at(&entries[p.begin], p.depth);
        while (child.end < p.end && byte_at(&entries[child.end], p.depth) == label) child.end++;
        p.begin = child.end;
        if (!lm_vec_push(&trie->nodes, ((trie_node){.label = label, .value = -1})) ||
            !lm_vec_push(queue, child))
            return false;
        trie->nodes.ptr[index].n++;
    }
    return true;
}

static LM_MUST_USE bool fill(lm_token_trie *trie, const lm_trie_entry *entries, size_t n) {
    pending_nodes queue = {0};
    bool ok = lm_vec_push(&trie->nodes, ((trie_node){.value = -1})) &&
              lm_vec_push(&queue, ((pending_node){0, n, 0}));
    for (uint32_t i = 0; ok && i < trie->nodes.len; i++) ok = expand(trie, entries, i, &queue);
    lm_vec_deinit(&queue);
    return ok;
}

lm_token_trie *lm_token_trie_new(lm_trie_entry *entries, size_t n) {
    lm_token_trie *trie = lm_calloc(1, sizeof *trie);
    if (!trie) return NULL;
    if (n) qsort(entries, n, sizeof *entries, compare_entries);
    if (!fill(trie, entries, n)) {
        lm_token_trie_free(trie);
        return NULL;
    }
    const trie_node *root = &trie->nodes.ptr[0];
    for (uint32_t i = 0; i < root->n; i++)
        trie->roots[trie->nodes.ptr[root->first + i].label] = root->first + i;
    return trie;
}

void lm_token_trie_free(lm_token_trie *trie) {
    if (!trie) return;
    lm_vec_deinit(&trie->nodes);
    lm_free(trie);
}

static uint32_t child_of(const lm_token_trie *trie, uint32_t node, uint8_t byte) {
    if (node == 0) return trie->roots[byte];
    const trie_node *parent = &trie->nodes.ptr[node];
    uint32_t low = parent->first, n = parent->n;
    while (n > 0) {
        uint32_t half = n / 2;
        uint8_t label = trie->nodes.ptr[low + half].label;
        if (label == byte) return low + half;
        if (label < byte) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return 0;
}

uint32_t lm_token_trie_step(const lm_token_trie *trie, uint32_t node, uint8_t byte,
                            int32_t *out_value) {
    uint32_t child = child_of(trie, node, byte);
    *out_value = child ? trie->nodes.ptr[child].value : -1;
    return child;
}

int32_t lm_token_trie_longest(const lm_token_trie *trie, uint32_t node, lm_str text,
                              size_t *out_len) {
    int32_t best = -1;
    for (size_t i = 0; i < text.len; i++) {
        int32_t value;
        node = lm_token_trie_step(trie, node, (uint8_t)text.ptr[i], &value);
        if (node == 0) break;
        if (value < 0) continue;
        best = value;
        *out_len = i + 1;
    }
    return best;
}

bool lm_token_trie_find(const lm_token_trie *trie, lm_str prefix, uint32_t *out_node) {
    uint32_t node = 0;
    int32_t value;
    *out_node = 0;
    for (size_t i = 0; i < prefix.len; i++) {
        node = lm_token_trie_step(trie, node, (uint8_t)prefix.ptr[i], &value);
        if (node == 0) return false;
    }
    *out_node = node;
    return true;
}
