#include "model/merge.h"

#include <math.h>

#include "base/mem.h"

enum {
    SHORT_SYMBOLS = 32
}; /* up to here, looking at all pairs for the cheapest is faster than a heap */

/* ------------------------------------------------------------------------------------------------- table */

typedef struct merge_slot {
    int32_t left, right; /* left -1: empty */
    int32_t rank, result;
} merge_slot;

struct lm_merge_table {
    size_t mask; /* number of slots, a power of two, minus one */
    int32_t n_added;
    merge_slot slots[];
};

lm_merge_table *lm_merge_table_new(size_t n_merges) {
    size_t n_slots = 16;
    while (n_slots < n_merges + n_merges / 2) n_slots *= 2;
    lm_merge_table *table = lm_alloc(sizeof *table + n_slots * sizeof(merge_slot));
    if (!table) return NULL;
    table->mask = n_slots - 1;
    table->n_added = 0;
    for (size_t i = 0; i < n_slots; i++) table->slots[i].left = -1;
    return table;
}

void lm_merge_table_free(lm_merge_table *table) {
    lm_free(table);
}

/* Ids are a model's, hardly chosen to collide; and a clash costs time, not truth. */
static size_t slot_of(const lm_merge_table *table, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(key >> 32) & table->mask;
    while (table->slots[i].left >= 0 &&
           (table->slots[i].left != left || table->slots[i].right != right))
        i = (i + 1) & table->mask;
    return i;
}

void lm_merge_table_add_ranked(lm_merge_table *table, int32_t left, int32_t right, int32_t rank,
                               int32_t result) {
    LM_ASSERT(left >= 0 && right >= 0 && (size_t)table->n_added < table->mask);
    merge_slot *slot = &table->slots[slot_of(table, left, right)];
    if (slot->left < 0) *slot = (merge_slot){left, right, rank, result};
    table->n_added++;
}

void lm_merge_table_add(lm_merge_table *table, int32_t left, int32_t right, int32_t result) {
    lm_merge_table_add_ranked(table, left, right, table->n_added, result);
}

bool lm_merge_table_get(const lm_merge_table *table, int32_t left, int32_t right, int32_t *out_rank,
                        int32_t *out_result) {
    if (left < 0 || right < 0) return false;
    const merge_slot *slot = &table->slots[slot_of(table, left, right)];
    if (slot->left < 0) return false;
    *out_rank = slot->rank;
    *out_result = slot->result;
    return true;
}

bool lm_merge_by_table(const void *context, const lm_symbol *left, const lm_symbol *right,
                       double *out_cost, int32_t *out_result) {
    int32_t rank;
    if (!lm_merge_table_get(context, left->id, right->id, &rank, out_result)) return false;
    *out_cost = rank;
    return true;
}

/* ------------------------------------------------------------------------------------------------- heap */

static bool comes_before(const lm_merge_candidate *a, const lm_merge_candidate *b) {
    return a->cost < b->cost || (a->cost == b->cost && a->left < b->left);
}

static bool heap_push(lm_merger *merger, lm_merge_candidate candidate) {
    if (!lm_vec_push(&merger->heap, candidate)) return false;
    lm_merge_candidate *heap = merger->heap.ptr;
    size_t i = merger->heap.len - 1;
    while (i > 0 && comes_before(&candidate, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = candidate;
    return true;
}

static lm_merge_candidate heap_pop(lm_merger *merger) {
    lm_merge_candidate *heap = merger->heap.ptr, top = heap[0];
    size_t n = --merger->heap.len, i = 0;
    lm_merge_candidate last = heap[n];
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && comes_before(&heap[child + 1], &heap[child])) child++;
        if (!comes_before(&heap[child], &last)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

/* ------------------------------------------------------------------------------------------------- merging */

void lm_merger_deinit(lm_merger *merger) {
    lm_vec_deinit(&merger->symbols);
    lm_vec_deinit(&merger->heap);
}

void lm_merger_reset(lm_merger *merger) {
    merger->symbols.len = 0;
    merger->heap.len = 0;
}

bool lm_merger_push(lm_merger *merger, uint32_t start, uint32_t len, int32_t id) {
    int32_t index = (int32_t)merger->symbols.len;
    lm_symbol symbol = {.start = start, .len = len, .id = id, .prev = index - 1, .next = -1};
    if (!lm_vec_push(&merger->symbols, symbol)) return false;
    if (index > 0) merger->symbols.ptr[index - 1].next = index;
    return true;
}

static bool consider(lm_merger *merger, int32_t left, int32_t right, lm_merge_rule rule,
                     const void *context) {
    if (left < 0 || right < 0) return true;
    const lm_symbol *a = &merger->symbols.ptr[left], *b = &merger->symbols.ptr[right];
    lm_merge_candidate candidate = {.left = left, .right = right, .len = a->len + b->len};
    if (!rule(context, a, b, &candidate.cost, &candidate.result)) return true;
    return heap_push(merger, candidate);
}

/* Whether nothing happened to the two symbols since the candidate was found. A merge makes its left symbol longer and
 * its right one empty, so the lengths tell. */
static bool is_current(const lm_merger *merger, const lm_merge_candidate *candidate) {
    const lm_symbol *left = &merger->symbols.ptr[candidate->left],
                    *right = &merger->symbols.ptr[candidate->right];
    return left->len > 0 && right->len > 0 && left->len + right->len == candidate->len;
}

/* Joins a symbol with its next. */
static void join(lm_merger *merger, int32_t index, int32_t result) {
    lm_symbol *left = &merger->symbols.ptr[index], *right = &merger->symbols.ptr[left->next];
    left->len += right->len;
    left->id = result;
    left->next = right->next;
    if (right->next >= 0) merger->symbols.ptr[right->next].prev = index;
    right->len = 0;
}

/* What joining a symbol with its next costs; infinite when they may not. */
static double price(const lm_merger *merger, int32_t index, lm_merge_rule rule, const void *context,
                    int32_t *out_result) {
    const lm_symbol *left = &merger->symbols.ptr[index];
    double cost;
    if (left->next < 0 || !rule(context, left, &merger->symbols.ptr[left->next], &cost, out_result))
        return INFINITY;
    return cost;
}

static void run_short(lm_merger *merger, lm_merge_rule rule, const void *context) {
    const lm_symbol *symbols = merger->symbols.ptr;
    double costs[SHORT_SYMBOLS];
    int32_t results[SHORT_SYMBOLS];
    for (int32_t i = 0; i < (int32_t)merger->symbols.len; i++)
        costs[i] = price(merger, i, rule, context, &results[i]);
    for (;;) {
        int32_t best = 0;
        for (int32_t i = 0; i >= 0; i = symbols[i].next) best = costs[i] < costs[best] ? i : best;
        if (costs[best] == INFINITY) return;
        join(merger, best, results[best]);
        costs[best] = price(merger, best, rule, context, &results[best]);
        int32_t prev = symbols[best].prev;
        if (prev >= 0) costs[prev] = price(merger, prev, rule, context, &results[prev]);
    }
}

static bool run_long(lm_merger *merger, lm_merge_rule rule, const void *context) {
    for (size_t i = 1; i < merger->symbols.len; i++) {
        if (!consider(merger, (int32_t)i - 1, (int32_t)i, rule, context)) return false;
    }
    while (merger->heap.len > 0) {
        lm_merge_candidate best = heap_pop(merger);
        if (!is_current(merger, &best)) continue;
        join(merger, best.left, best.result);
        const lm_symbol *made = &merger->symbols.ptr[best.left];
        if (!consider(merger, made->prev, best.left, rule, context)) return false;
        if (!consider(merger, best.left, merger->symbols.ptr[best.left].next, rule, context))
            return false;
    }
    return true;
}

bool lm_merger_run(lm_merger *merger, lm_merge_rule rule, const void *context) {
    if (merger->symbols.len > SHORT_SYMBOLS) return run_long(merger, rule, context);
    if (merger->symbols.len > 1) run_short(merger, rule, context);
    return true;
}
