#include "train/bpe_train.h"

#include "base/map.h"
#include "base/mem.h"

/* A word is a run in one pool of symbols; merging shortens it in place. */
typedef struct bpe_word {
    size_t first;
    int32_t len;
    int64_t count;
} bpe_word;

/* Two neighbours, how often they are that, and the words in which they were met (some perhaps no longer). */
typedef struct bpe_pair {
    lm_bpe_merge symbols;
    int64_t count;
    lm_vec_i32 words;
} bpe_pair;

/* An entry of the heap: what a pair's count was when it was put in. Counts only fall afterwards, and an entry that turns
 * out too high goes back with the true count. */
typedef struct bpe_candidate {
    int64_t count;
    lm_bpe_merge symbols;
    int32_t pair;
} bpe_candidate;

struct lm_bpe_words {
    lm_map *by_text;
    LM_VEC(bpe_word) words;
    lm_vec_i32 symbols;
    LM_VEC(bpe_pair) pairs;
    lm_map *pair_index;
    LM_VEC(bpe_candidate) heap;
};

lm_bpe_words *lm_bpe_words_new(void) {
    lm_bpe_words *words = lm_calloc(1, sizeof *words);
    if (!words) return NULL;
    words->by_text = lm_map_new();
    words->pair_index = lm_map_new();
    if (words->by_text && words->pair_index) return words;
    lm_bpe_words_free(words);
    return NULL;
}

void lm_bpe_words_free(lm_bpe_words *words) {
    if (!words) return;
    for (size_t i = 0; i < words->pairs.len; i++) lm_vec_deinit(&words->pairs.ptr[i].words);
    lm_vec_deinit(&words->pairs);
    lm_vec_deinit(&words->words);
    lm_vec_deinit(&words->symbols);
    lm_vec_deinit(&words->heap);
    lm_map_free(words->by_text);
    lm_map_free(words->pair_index);
    lm_free(words);
}

size_t lm_bpe_words_len(const lm_bpe_words *words) {
    return words->words.len;
}

bool lm_bpe_words_add(lm_bpe_words *words, lm_str word) {
    uint64_t index;
    if (lm_map_get(words->by_text, word, &index)) {
        words->words.ptr[index].count++;
        return true;
    }
    if (word.len > INT32_MAX || words->words.len >= INT32_MAX) return false;
    bpe_word fresh = {words->symbols.len, (int32_t)word.len, 1};
    if (!lm_vec_reserve(&words->symbols, word.len)) return false;
    for (size_t i = 0; i < word.len; i++)
        words->symbols.ptr[words->symbols.len++] = (uint8_t)word.ptr[i];
    return lm_map_set(words->by_text, word, words->words.len) && lm_vec_push(&words->words, fresh);
}

/* --- Heap of candidates, the best on top */

static bool is_better(const bpe_candidate *a, const bpe_candidate *b) {
    if (a->count != b->count) return a->count > b->count;
    if (a->symbols.left != b->symbols.left) return a->symbols.left < b->symbols.left;
    return a->symbols.right < b->symbols.right;
}

static bool heap_push(lm_bpe_words *words, bpe_candidate candidate) {
    if (!lm_vec_push(&words->heap, candidate)) return false;
    bpe_candidate *heap = words->heap.ptr;
    size_t at = words->heap.len - 1;
    for (; at > 0 && is_better(&candidate, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = candidate;
    return true;
}

static bpe_candidate heap_pop(lm_bpe_words *words) {
    bpe_candidate *heap = words->heap.ptr, top = heap[0], last = heap[--words->heap.len];
    size_t n = words->heap.len, at = 0;
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && is_better(&heap[child + 1], &heap[child])) child++;
        if (!is_better(&heap[child], &last)) break;
        heap[at] = heap[child];
        at = child;
    }
    if (n > 0) heap[at] = last;
    return top;
}

static bool push_pair(lm_bpe_words *words, int32_t pair) {
    const bpe_pair *p = &words->pairs.ptr[pair];
    return heap_push(words, (bpe_candidate){p->count, p->symbols, pair});
}

/* --- Counts */

/* Adds `change` to the pair's count; one that is new is made, and remembers the word when the count rises. */
static bool count_pair(lm_bpe_words *words, lm_bpe_merge symbols, int64_t change, int32_t word) {
    uint64_t index;
    lm_str key = {(const char *)&symbols, sizeof symbols};
    if (!lm_map_get(words->pair_index, key, &index)) {
        index = words->pairs.len;
        if (!lm_map_set(words->pair_index, key, index)) return false;
        if (!lm_vec_push(&words->pairs, ((bpe_pair){.symbols = symbols}))) return false;
    }
    bpe_pair *pair = &words->pairs.ptr[index];
    pair->count += change;
    if (change < 0 || (pair->words.len > 0 && pair->words.ptr[pair->words.len - 1] == word))
        return true;
    return lm_vec_push(&pair->words, word);
}

static bool count_all(lm_bpe_words *words) {
    for (size_t w = 0; w < words->words.len; w++) {
        const bpe_word *word = &words->words.ptr[w];
        const int32_t *symbols = words->symbols.ptr + word->first;
        for (int32_t i = 0; i + 1 < word->len; i++) {
            if (!count_pair(words, (lm_bpe_merge){symbols[i], symbols[i + 1]}, word->count,
                            (int32_t)w))
                return false;
        }
    }
    for (size_t p = 0; p < words->pairs.len; p++) {
        if (!push_pair(words, (int32_t)p)) return false;
    }
    return true;
}

/* Replaces the pair in one word and moves the counts of its neighbours. */
static bool merge_in_word(lm_bpe_words *words, int32_t index, lm_bpe_merge pair, int32_t symbol) {
    bpe_word *word = &words->words.ptr[index];
    int32_t *symbols = words->symbols.ptr + word->first, len = 0;
    bool ok = true;
    for (int32_t i = 0; i < word->len; i++) {
        if (i + 1 == word->len || symbols[i] != pair.left || symbols[i + 1] != pair.right) {
            symbols[len++] = symbols[i];
            continue;
        }
        if (len > 0) {
            int32_t before = symbols[len - 1];
            ok = ok && count_pair(words, (lm_bpe_merge){before, pair.left}, -word->count, index);
            ok = ok && count_pair(words, (lm_bpe_merge){before, symbol}, word->count, index);
        }
        if (i + 2 < word->len) {
            int32_t after = symbols[i + 2];
            ok = ok && count_pair(words, (lm_bpe_merge){pair.right, after}, -word->count, index);
            ok = ok && count_pair(words, (lm_bpe_merge){symbol, after}, word->count, index);
        }
        symbols[len++] = symbol;
        i++;
    }
    word->len = len;
    return ok;
}

/* Replaces the pair wherever it is; the pairs that this makes become candidates. */
static bool merge_everywhere(lm_bpe_words *words, int32_t pair_index, int32_t symbol) {
    size_t first_new = words->pairs.len;
    lm_bpe_merge symbols = words->pairs.ptr[pair_index].symbols;
    lm_vec_i32 where = words->pairs.ptr[pair_index].words;
    words->pairs.ptr[pair_index].words = (lm_vec_i32){0};
    bool ok = true;
    for (size_t i = 0; ok && i < where.len; i++)
        ok = merge_in_word(words, where.ptr[i], symbols, symbol);
    lm_vec_deinit(&where);
    words->pairs.ptr[pair_index].count = 0;
    for (size_t p = first_new; ok && p < words->pairs.len; p++) ok = push_pair(words, (int32_t)p);
    return ok;
}

/* Takes the best pair off the heap; false when none occurs twice. */
static bool next_pair(lm_bpe_words *words, int32_t *out, bool *ok) {
    while (*ok && words->heap.len > 0) {
        bpe_candidate top = heap_pop(words);
        int64_t count = words->pairs.ptr[top.pair].count;
        if (count < 2) continue;
        if (count == top.count) {
            *out = top.pair;
            return true;
        }
        *ok = push_pair(words, top.pair);
    }
    return false;
}

loam_status lm_bpe_learn(lm_bpe_words *words, int32_t n_merges, lm_bpe_merges *out,
                         loam_error *err) {
    bool ok = count_all(words);
    int32_t pair;
    for (int32_t i = 0; i < n_merges && next_pair(words, &pair, &ok); i++) {
        ok = lm_vec_push(out, words->pairs.ptr[pair].symbols) &&
             merge_everywhere(words, pair, LM_BPE_N_BYTES + i);
        if (!ok) break;
    }
    return ok ? LOAM_OK : lm_error_no_memory(err, 0);
}
