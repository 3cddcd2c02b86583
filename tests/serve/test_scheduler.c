#include "testing.h"

#include "base/rng.h"
#include "serve/scheduler.h"

enum { BLOCK = 16 };

static lm_sched_limits limits_of(int64_t n_free) {
    return (lm_sched_limits){.max_rows = 64,
                             .max_prefill_rows = 32,
                             .max_seqs = 4,
                             .block_tokens = BLOCK,
                             .n_free_blocks = n_free};
}

static lm_sched_seq waiting(int64_t n_tokens) {
    return (lm_sched_seq){.n_tokens = n_tokens};
}

static lm_sched_seq active(int64_t n_tokens, int64_t n_computed) {
    return (lm_sched_seq){.n_tokens = n_tokens,
                          .n_computed = n_computed,
                          .n_blocks = (n_computed + BLOCK - 1) / BLOCK,
                          .active = true};
}

static void test_long_prompt_does_not_stall_streams(void **state) {
    lm_sched_limits limits = limits_of(1000);
    limits.max_rows = 256;
    lm_sched_seq prompt = active(5000, 64), a = active(11, 10), b = active(33, 32);
    lm_sched_seq *seqs[] = {&prompt, &a, &b};
    assert_int_equal(lm_schedule(&limits, seqs, 3), 32 * 3 / 2 + 2);
    assert_int_equal(prompt.n_rows, 32 * 3 / 2);
    assert_int_equal(a.n_rows, 1);
    assert_int_equal(b.n_rows, 1);
}

/* Three waiting for each that streams stretch chunks as far as they go; who finds no slot does not count. */
static void test_many_waiting_stretch_chunks(void **state) {
    lm_sched_limits limits = limits_of(1000);
    limits.max_rows = 256;
    lm_sched_seq stream = active(11, 10), prompts[7];
    lm_sched_seq *seqs[8] = {&stream};
    for (int i = 0; i < 7; i++) seqs[i + 1] = &prompts[i];
    for (int n_waiting = 1; n_waiting <= 7; n_waiting++) {
        for (int i = 0; i < n_waiting; i++) prompts[i] = waiting(5000);
        limits.max_seqs = 8;
        int64_t stretch = n_waiting < 2 ? 2 : LM_SCHED_MAX_STRETCH;
        assert_int_equal(lm_schedule(&limits, seqs, (size_t)n_waiting + 1), 32 * stretch + 1);
        stream = active(11, 10);
        for (int i = 0; i < n_waiting; i++) prompts[i] = waiting(5000);
        limits.max_seqs = 2;
        assert_int_equal(lm_schedule(&limits, seqs, (size_t)n_waiting + 1), 32 * 2 + 1);
    }
}

static void test_alone_a_prompt_gets_all_rows(void **state) {
    lm_sched_limits limits = limits_of(1000);
    lm_sched_seq prompt = waiting(5000);
    lm_sched_seq *seqs[] = {&prompt};
    assert_int_equal(lm_schedule(&limits, seqs, 1), 64);
    assert_true(prompt.admit);
}

static void test_admission_waits_for_slots_and_blocks(void **state) {
    lm_sched_limits limits = limits_of(6);
    lm_sched_seq a = waiting(40), b = waiting(40), c = waiting(2);
    lm_sched_seq *seqs[] = {&a, &b, &c};
    lm_schedule(&limits, seqs, 3);
    assert_true(a.admit);
    assert_true(b.admit);
    assert_false(c.admit);
    limits = limits_of(5);
    a = waiting(40), b = waiting(40), c = waiting(2);
    lm_schedule(&limits, seqs, 3);
    assert_true(a.admit);
    assert_false(b.admit); /* its 3 blocks are not there */
    assert_false(c.admit); /* and nobody overtakes it */
    limits.max_seqs = 1;
    limits.n_free_blocks = 100;
    a = active(10, 9), b = waiting(4), c = waiting(4);
    lm_schedule(&limits, seqs, 3);
    assert_false(b.admit);
}

static void test_blocked_sequence_is_overtaken(void **state) {
    lm_sched_limits limits = limits_of(100);
    lm_sched_seq a = waiting(4), b = waiting(4);
    lm_sched_seq *seqs[] = {&a, &b};
    a.blocked = true;
    assert_int_equal(lm_schedule(&limits, seqs, 2), 4);
    assert_false(a.admit);
    assert_true(b.admit);
}

static void test_youngest_gives_way(void **state) {
    lm_sched_limits limits = limits_of(0);
    lm_sched_seq a = active(17, 16), b = active(10, 9), c = active(20, 19);
    lm_sched_seq *seqs[] = {&a, &b, &c};
    assert_int_equal(lm_schedule(&limits, seqs, 3), 2);
    assert_int_equal(a.n_rows, 1);
    assert_int_equal(b.n_rows, 1);
    assert_true(c.preempt);
    assert_int_equal(c.n_computed, 0);
    a = active(5, 4), b = active(17, 16); /* the youngest itself is short of blocks */
    lm_schedule(&limits, seqs, 2);
    assert_int_equal(a.n_rows, 1);
    assert_true(b.preempt);
}

/* A small world run to its end under random loads: all finish, blocks are never overdrawn, active ones never exceed the
 * slots, decoding ones always move. */
static void test_everything_finishes(void **state) {
    enum { N = 40, N_BLOCKS = 12, MAX_CONTEXT = N_BLOCKS * BLOCK };
    for (uint64_t seed = 1; seed <= 50; seed++) {
        lm_rng rng;
        lm_rng_init(&rng, seed);
        lm_sched_seq world[N];
        int64_t n_final[N];
        for (int i = 0; i < N; i++) {
            world[i] = waiting(1 + (int64_t)lm_rng_below(&rng, MAX_CONTEXT - 2));
            n_final[i] = world[i].n_tokens + 1 +
                         (int64_t)lm_rng_below(&rng, (uint64_t)(MAX_CONTEXT - world[i].n_tokens));
        }
        int n_left = N;
        for (int step = 0; n_left > 0; step++) {
            assert_true(step < 20000);
            lm_sched_seq *seqs[N];
            int index[N], n = 0, n_active = 0;
            int64_t n_used = 0;
            for (int i = 0; i < N; i++) {
                if (n_final[i] == 0) continue;
                index[n] = i;
                seqs[n++] = &world[i];
                n_used += world[i].n_blocks;
            }
            assert_true(n_used <= N_BLOCKS);
            lm_sched_limits limits = limits_of(N_BLOCKS - n_used);
            assert_true(lm_schedule(&limits, seqs, (size_t)n) > 0);
            for (int k = 0; k < n; k++) {
                lm_sched_seq *seq = seqs[k];
                n_active += seq->active;
                if (!seq->active) continue;
                assert_true(seq->n_rows <= seq->n_tokens - seq->n_computed);
                seq->n_computed += seq->n_rows;
                seq->n_blocks = (seq->n_computed + BLOCK - 1) / BLOCK;
                if (seq->n_rows == 0 || seq->n_computed < seq->n_tokens) continue;
                if (++seq->n_tokens < n_final[index[k]]) continue;
                n_final[index[k]] = 0;
                n_left--;
            }
            assert_true(n_active <= limits.max_seqs);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_long_prompt_does_not_stall_streams),
                                       cmocka_unit_test(test_many_waiting_stretch_chunks),
                                       cmocka_unit_test(test_alone_a_prompt_gets_all_rows),
                                       cmocka_unit_test(test_admission_waits_for_slots_and_blocks),
                                       cmocka_unit_test(test_blocked_sequence_is_overtaken),
                                       cmocka_unit_test(test_youngest_gives_way),
                                       cmocka_unit_test(test_everything_finishes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
