#include "testing.h"

#include "backend/cpu/cpu.h"
#include "model/kv_cache.h"

enum { BLOCK = LM_KV_BLOCK_TOKENS, N_KV_HEADS = 2, HEAD_DIM = 4, N_LAYERS = 2 };

typedef struct fixture {
    lm_device *device;
    lm_kv_cache *cache;
} fixture;

static fixture make(int64_t n_blocks, int64_t max_seqs, int64_t max_context) {
    fixture f;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &f.device, &err));
    lm_kv_options options = {.n_layers = N_LAYERS,
                             .n_kv_heads = N_KV_HEADS,
                             .head_dim = HEAD_DIM,
                             .n_blocks = n_blocks,
                             .max_seqs = max_seqs,
                             .max_context = max_context,
                             .dtype = LM_F32};
    assert_ok(lm_kv_cache_new(f.device, &options, &f.cache, &err));
    return f;
}

static void drop(fixture *f) {
    lm_kv_cache_free(f->cache);
    lm_device_close(f->device);
}

static int32_t new_seq(fixture *f, int64_t n_tokens) {
    int32_t seq = -1;
    assert_ok(lm_kv_cache_seq_new(f->cache, &seq, &err));
    assert_ok(lm_kv_cache_reserve(f->cache, seq, n_tokens, &err));
    lm_kv_cache_append(f->cache, seq, n_tokens);
    return seq;
}

/* The number that a test keeps in the value of one token of the last layer. */
static float *mark(fixture *f, int32_t seq, int64_t position) {
    int64_t block = lm_kv_cache_table(f->cache, seq)[position / BLOCK];
    return (float *)lm_kv_cache_part(f->cache, N_LAYERS - 1, LM_KV_VALUES) +
           (block * N_KV_HEADS * BLOCK + position % BLOCK) * HEAD_DIM;
}

static void test_blocks_come_with_tokens(void **state) {
    fixture f = make(8, 4, 6 * BLOCK);
    int32_t seq = new_seq(&f, BLOCK);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 7);
    assert_int_equal(lm_kv_cache_needed(f.cache, seq, 1), 1);
    assert_ok(lm_kv_cache_reserve(f.cache, seq, BLOCK + 1, &err));
    assert_int_equal(lm_kv_cache_n_free(f.cache), 5);
    assert_int_equal(lm_kv_cache_needed(f.cache, seq, 2 * BLOCK), 0);
    assert_int_equal(lm_kv_cache_seq_len(f.cache, seq), BLOCK);
    lm_kv_cache_seq_truncate(f.cache, seq, 3);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 7);
    lm_kv_cache_seq_free(f.cache, seq);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 8);
    assert_false(lm_kv_cache_seq_alive(f.cache, seq));
    drop(&f);
}

static void test_limits_take_nothing(void **state) {
    fixture f = make(4, 2, 6 * BLOCK);
    int32_t a = new_seq(&f, 3 * BLOCK - 8), b;
    assert_ok(lm_kv_cache_seq_new(f.cache, &b, &err));
    assert_status(LOAM_LIMIT, lm_kv_cache_reserve(f.cache, b, BLOCK + 1, &err));
    assert_int_equal(lm_kv_cache_n_free(f.cache), 1);
    assert_status(LOAM_LIMIT, lm_kv_cache_reserve(f.cache, a, 3 * BLOCK + 9, &err));
    assert_status(LOAM_LIMIT, lm_kv_cache_check(f.cache, b, BLOCK, 1, &err));
    assert_ok(lm_kv_cache_check(f.cache, b, BLOCK, 0, &err));
    int32_t c;
    assert_status(LOAM_LIMIT, lm_kv_cache_seq_new(f.cache, &c, &err));
    drop(&f);
}

static void test_fork_shares_then_copies(void **state) {
    fixture f = make(8, 4, 6 * BLOCK);
    int32_t a = new_seq(&f, BLOCK + 4), b;
    *mark(&f, a, 3) = 3;
    *mark(&f, a, BLOCK + 1) = 17;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, BLOCK + 2, &b, &err));
    assert_int_equal(lm_kv_cache_n_free(f.cache), 6);
    assert_ptr_equal(mark(&f, a, BLOCK + 1), mark(&f, b, BLOCK + 1));

    assert_int_equal(lm_kv_cache_needed(f.cache, b, 1), 1);
    assert_ok(lm_kv_cache_reserve(f.cache, b, 1, &err));
    lm_kv_cache_append(f.cache, b, 1);
    assert_ptr_equal(mark(&f, a, 3), mark(&f, b, 3));
    assert_ptr_not_equal(mark(&f, a, BLOCK + 1), mark(&f, b, BLOCK + 1));
    assert_true(*mark(&f, b, BLOCK + 1) == 17);
    *mark(&f, b, BLOCK + 2) = -1;
    assert_true(*mark(&f, a, BLOCK + 2) == 0);

    assert_int_equal(lm_kv_cache_needed(f.cache, a, 1),
                     0); /* the other owner left: its block is its own again */
    lm_kv_cache_seq_free(f.cache, a);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 6);
    assert_true(*mark(&f, b, 3) == 3);
    lm_kv_cache_seq_free(f.cache, b);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 8);
    drop(&f);
}

static void test_fork_at_a_block_border_copies_nothing(void **state) {
    fixture f = make(8, 4, 6 * BLOCK);
    int32_t a = new_seq(&f, 2 * BLOCK), b;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, BLOCK, &b, &err));
    assert_int_equal(lm_kv_cache_needed(f.cache, b, BLOCK), 1);
    assert_int_equal(lm_kv_cache_needed(f.cache, a, 1), 1);
    lm_kv_cache_seq_truncate(f.cache, a, 10); /* into the shared block */
    assert_int_equal(lm_kv_cache_needed(f.cache, a, 1), 1);
    drop(&f);
}

/* Keys, values and, of codes, their scales: each has its own place, and a copied block takes all of them along. */
static void test_parts(void **state) {
    fixture f = make(8, 4, 6 * BLOCK);
    assert_null(lm_kv_cache_part(f.cache, 0, LM_KV_KEY_SCALES));
    lm_kv_cache_free(f.cache);
    lm_kv_options options = {.n_layers = N_LAYERS,
                             .n_kv_heads = N_KV_HEADS,
                             .head_dim = HEAD_DIM,
                             .n_blocks = 3,
                             .max_seqs = 2,
                             .max_context = BLOCK,
                             .dtype = LM_I8};
    assert_ok(lm_kv_cache_new(f.device, &options, &f.cache, &err));
    size_t block = N_LAYERS * 2 * N_KV_HEADS * BLOCK * (HEAD_DIM + sizeof(float));
    assert_int_equal(lm_kv_block_bytes(&options), block);
    assert_int_equal(lm_kv_cache_bytes(f.cache), 3 * block);
    int32_t a = new_seq(&f, 2), b;
    int64_t from = lm_kv_cache_table(f.cache, a)[0];
    const size_t sizes[] = {HEAD_DIM, HEAD_DIM, sizeof(float), sizeof(float)};
    for (int part = 0; part < LM_KV_INDEX_KEYS; part++)
        memset((char *)lm_kv_cache_part(f.cache, 1, (lm_kv_part)part) +
                   from * N_KV_HEADS * BLOCK * sizes[part],
               1 + part, N_KV_HEADS * BLOCK * sizes[part]);
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, 1, &b, &err));
    assert_ok(lm_kv_cache_reserve(f.cache, b, 1, &err));
    int64_t to = lm_kv_cache_table(f.cache, b)[0];
    assert_true(to != from);
    for (int part = 0; part < LM_KV_INDEX_KEYS; part++) {
        const char *layer = lm_kv_cache_part(f.cache, 1, (lm_kv_part)part);
        size_t bytes = N_KV_HEADS * BLOCK * sizes[part];
        for (size_t i = 0; i < bytes; i++) assert_int_equal(layer[to * bytes + i], 1 + part);
    }
    options.keys_only = true; /* with the scales of keys */
    assert_int_equal(lm_kv_block_bytes(&options), block / 2);
    options.head_dim = 3; /* integers lie in pairs */
    lm_kv_cache *none = NULL;
    assert_status(LOAM_UNSUPPORTED, lm_kv_cache_new(f.device, &options, &none, &err));
    options.dtype = LM_Q8_0;
    assert_status(LOAM_UNSUPPORTED, lm_kv_cache_new(f.device, &options, &none, &err));
    drop(&f);
}

/* Layers of two kinds: each part has its own size, and a copied block takes those of all layers along. */
static void test_layers_with_other_heads(void **state) {
    fixture f = make(8, 4, 6 * BLOCK);
    lm_kv_cache_free(f.cache);
    lm_kv_options options = {.n_layers = 3,
                             .n_kv_heads = 1,
                             .head_dim = 8,
                             .local_kv_heads = 3,
                             .local_head_dim = 2,
                             .n_blocks = 3,
                             .max_seqs = 2,
                             .max_context = BLOCK,
                             .dtype = LM_I16};
    lm_layer_add(&options.local, 1);
    assert_ok(lm_kv_cache_new(f.device, &options, &f.cache, &err));
    const size_t per_block[] = {BLOCK * 8 * 2, BLOCK * 3 * 2 * 2, BLOCK * 8 * 2};
    size_t scales = (1 + 3 + 1) * 2 * BLOCK * sizeof(float);
    assert_int_equal(lm_kv_block_bytes(&options),
                     2 * (per_block[0] + per_block[1] + per_block[2]) + scales);
    assert_int_equal(lm_kv_cache_bytes(f.cache), 3 * lm_kv_block_bytes(&options));
    int32_t a = new_seq(&f, 2), b;
    int64_t from = lm_kv_cache_table(f.cache, a)[0];
    for (int layer = 0; layer < 3; layer++)
        memset((char *)lm_kv_cache_part(f.cache, layer, LM_KV_VALUES) + from * per_block[layer],
               1 + layer, per_block[layer]);
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, 1, &b, &err));
    assert_ok(lm_kv_cache_reserve(f.cache, b, 1, &err));
    int64_t to = lm_kv_cache_table(f.cache, b)[0];
    assert_true(to != from);
    for (int layer = 0; layer < 3; layer++) {
        const char *values = lm_kv_cache_part(f.cache, layer, LM_KV_VALUES);
        for (size_t i = 0; i < per_block[layer]; i++)
            assert_int_equal(values[to * per_block[layer] + i], 1 + layer);
    }
    drop(&f);
}

static void test_values_of_another_width(void **state) {
    lm_kv_options options = {
        .n_layers = 2, .n_kv_heads = 1, .head_dim = 12, .local_kv_heads = 2, .local_head_dim = 12,
        .value_dim = 8, .dtype = LM_F16};
    lm_layer_add(&options.local, 1);
    assert_int_equal(lm_kv_block_bytes(&options), BLOCK * (1 + 2) * (12 + 8) * 2);
}

/* Of layers that have an indexer its keys are a part, too. */
static void test_keys_of_indexers(void **state) {
    enum { INDEX_DIM = 6 };
    fixture f = make(8, 4, 6 * BLOCK);
    lm_kv_cache_free(f.cache);
    lm_kv_options options = {.n_layers = 2,
                             .n_kv_heads = 1,
                             .head_dim = 8,
                             .keys_only = true,
                             .index_dim = INDEX_DIM,
                             .n_blocks = 3,
                             .max_seqs = 2,
                             .max_context = BLOCK,
                             .dtype = LM_I8};
    lm_layer_add(&options.indexed, 1);
    assert_int_equal(lm_kv_block_index_bytes(&options), BLOCK * INDEX_DIM * 2); /* as f16 */
    assert_int_equal(lm_kv_block_bytes(&options),
                     2 * BLOCK * (8 + sizeof(float)) + BLOCK * INDEX_DIM * 2);
    assert_ok(lm_kv_cache_new(f.device, &options, &f.cache, &err));
    assert_null(lm_kv_cache_part(f.cache, 0, LM_KV_INDEX_KEYS));
    int32_t a = new_seq(&f, 2), b;
    uint16_t *keys = lm_kv_cache_part(f.cache, 1, LM_KV_INDEX_KEYS);
    keys[lm_kv_cache_table(f.cache, a)[0] * INDEX_DIM * BLOCK + 7] = 77;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, 1, &b, &err));
    assert_ok(lm_kv_cache_reserve(f.cache, b, 1, &err));
    assert_int_equal(keys[lm_kv_cache_table(f.cache, b)[0] * INDEX_DIM * BLOCK + 7], 77);
    options.index_dim = 0;
    assert_int_equal(lm_kv_block_bytes(&options), 2 * BLOCK * (8 + sizeof(float)));
    drop(&f);
}

static void test_use_allocates_nothing(void **state) {
    fixture f = make(8, 4, 6 * BLOCK);
    uint64_t before = lm_mem_n_allocs();
    int32_t a = new_seq(&f, BLOCK + 4), b;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, BLOCK + 2, &b, &err));
    assert_ok(lm_kv_cache_reserve(f.cache, b, BLOCK, &err));
    lm_kv_cache_seq_free(f.cache, a);
    assert_int_equal(lm_mem_n_allocs(), before);
    drop(&f);
}

static void test_absurd_sizes(void **state) {
    fixture f = make(1, 1, 16);
    lm_kv_options options = {.n_layers = 4096,
                             .n_kv_heads = (int64_t)1 << 20,
                             .head_dim = 1 << 10,
                             .n_blocks = INT32_MAX / BLOCK,
                             .max_seqs = 1,
                             .max_context = 16,
                             .dtype = LM_F32};
    lm_kv_cache *cache = NULL;
    assert_status(LOAM_LIMIT, lm_kv_cache_new(f.device, &options, &cache, &err));
    options.n_blocks = 0;
    assert_status(LOAM_INVALID, lm_kv_cache_new(f.device, &options, &cache, &err));
    assert_null(cache);
    drop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_come_with_tokens),
        cmocka_unit_test(test_limits_take_nothing),
        cmocka_unit_test(test_fork_shares_then_copies),
        cmocka_unit_test(test_fork_at_a_block_border_copies_nothing),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_layers_with_other_heads),
        cmocka_unit_test(test_values_of_another_width),
        cmocka_unit_test(test_keys_of_indexers),
        cmocka_unit_test(test_use_allocates_nothing),
        cmocka_unit_test(test_absurd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
