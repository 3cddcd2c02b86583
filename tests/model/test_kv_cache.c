#include "testing.h"

#include "backend/cpu/cpu.h"
#include "model/kv_cache.h"

enum { ROW_ELEMS = 8, N_LAYERS = 2 };

typedef struct fixture {
    lm_device *device;
    lm_kv_cache *cache;
} fixture;

static fixture make(int64_t n_blocks, int64_t max_seqs, int64_t max_context) {
    fixture f;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &f.device, &err));
    lm_kv_options options = {.n_layers = N_LAYERS,
                             .row_elems = ROW_ELEMS,
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

/* The number that a test keeps in the key of one token of the last layer. */
static float *mark(fixture *f, int32_t seq, int64_t position) {
    int64_t slot =
        lm_kv_cache_table(f->cache, seq)[position / LM_KV_BLOCK_TOKENS] * LM_KV_BLOCK_TOKENS +
        position % LM_KV_BLOCK_TOKENS;
    return (float *)lm_kv_cache_keys(f->cache, N_LAYERS - 1) + slot * ROW_ELEMS;
}

static void test_blocks_come_with_tokens(void **state) {
    fixture f = make(8, 4, 100);
    int32_t seq = new_seq(&f, 16);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 7);
    assert_int_equal(lm_kv_cache_needed(f.cache, seq, 1), 1);
    assert_ok(lm_kv_cache_reserve(f.cache, seq, 17, &err));
    assert_int_equal(lm_kv_cache_n_free(f.cache), 5);
    assert_int_equal(lm_kv_cache_needed(f.cache, seq, 32), 0);
    assert_int_equal(lm_kv_cache_seq_len(f.cache, seq), 16);
    lm_kv_cache_seq_truncate(f.cache, seq, 3);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 7);
    lm_kv_cache_seq_free(f.cache, seq);
    assert_int_equal(lm_kv_cache_n_free(f.cache), 8);
    assert_false(lm_kv_cache_seq_alive(f.cache, seq));
    drop(&f);
}

static void test_limits_take_nothing(void **state) {
    fixture f = make(4, 2, 100);
    int32_t a = new_seq(&f, 40), b;
    assert_ok(lm_kv_cache_seq_new(f.cache, &b, &err));
    assert_status(LOAM_LIMIT, lm_kv_cache_reserve(f.cache, b, 17, &err));
    assert_int_equal(lm_kv_cache_n_free(f.cache), 1);
    assert_status(LOAM_LIMIT, lm_kv_cache_reserve(f.cache, a, 61, &err));
    assert_status(LOAM_LIMIT, lm_kv_cache_check(f.cache, b, 16, 1, &err));
    assert_ok(lm_kv_cache_check(f.cache, b, 16, 0, &err));
    int32_t c;
    assert_status(LOAM_LIMIT, lm_kv_cache_seq_new(f.cache, &c, &err));
    drop(&f);
}

static void test_fork_shares_then_copies(void **state) {
    fixture f = make(8, 4, 100);
    int32_t a = new_seq(&f, 20), b;
    *mark(&f, a, 3) = 3;
    *mark(&f, a, 17) = 17;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, 18, &b, &err));
    assert_int_equal(lm_kv_cache_n_free(f.cache), 6);
    assert_ptr_equal(mark(&f, a, 17), mark(&f, b, 17));

    assert_int_equal(lm_kv_cache_needed(f.cache, b, 1), 1);
    assert_ok(lm_kv_cache_reserve(f.cache, b, 1, &err));
    lm_kv_cache_append(f.cache, b, 1);
    assert_ptr_equal(mark(&f, a, 3), mark(&f, b, 3));
    assert_ptr_not_equal(mark(&f, a, 17), mark(&f, b, 17));
    assert_true(*mark(&f, b, 17) == 17);
    *mark(&f, b, 18) = -1;
    assert_true(*mark(&f, a, 18) == 0);

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
    fixture f = make(8, 4, 100);
    int32_t a = new_seq(&f, 32), b;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, 16, &b, &err));
    assert_int_equal(lm_kv_cache_needed(f.cache, b, 16), 1);
    assert_int_equal(lm_kv_cache_needed(f.cache, a, 1), 1);
    lm_kv_cache_seq_truncate(f.cache, a, 10); /* into the shared block */
    assert_int_equal(lm_kv_cache_needed(f.cache, a, 1), 1);
    drop(&f);
}

static void test_use_allocates_nothing(void **state) {
    fixture f = make(8, 4, 100);
    uint64_t before = lm_mem_n_allocs();
    int32_t a = new_seq(&f, 20), b;
    assert_ok(lm_kv_cache_seq_fork(f.cache, a, 18, &b, &err));
    assert_ok(lm_kv_cache_reserve(f.cache, b, 30, &err));
    lm_kv_cache_seq_free(f.cache, a);
    assert_int_equal(lm_mem_n_allocs(), before);
    drop(&f);
}

static void test_absurd_sizes(void **state) {
    fixture f = make(1, 1, 16);
    lm_kv_options options = {.n_layers = 4096,
                             .row_elems = (int64_t)1 << 30,
                             .n_blocks = INT32_MAX / 16,
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
        cmocka_unit_test(test_use_allocates_nothing),
        cmocka_unit_test(test_absurd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
