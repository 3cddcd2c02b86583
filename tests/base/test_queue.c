#include "testing.h"

#include <pthread.h>

#include "base/queue.h"

static void test_order_and_limit(void **state) {
    lm_queue *queue;
    void *item;
    int values[3];
    assert_ok(lm_queue_new(2, &queue, &err));
    assert_false(lm_queue_try_pop(queue, &item));
    assert_true(lm_queue_try_push(queue, &values[0]));
    assert_true(lm_queue_try_push(queue, &values[1]));
    assert_false(lm_queue_try_push(queue, &values[2]));
    assert_true(lm_queue_try_pop(queue, &item));
    assert_ptr_equal(item, &values[0]);
    lm_queue_close(queue);
    assert_false(lm_queue_try_push(queue, &values[2]));
    assert_true(lm_queue_pop(queue, &item));
    assert_ptr_equal(item, &values[1]);
    assert_false(lm_queue_pop(queue, &item));
    lm_queue_free(queue);
}

static void *produce(void *arg) {
    lm_queue *queue = arg;
    for (uintptr_t i = 1; i <= 10000; i++) {
        while (!lm_queue_try_push(queue, (void *)i)) sched_yield();
    }
    return NULL;
}

static void test_threads(void **state) {
    lm_queue *queue;
    pthread_t producers[3];
    void *item;
    uintptr_t sum = 0;
    assert_ok(lm_queue_new(16, &queue, &err));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, produce, queue), 0);
    for (int i = 0; i < 30000; i++) {
        assert_true(lm_queue_pop(queue, &item));
        sum += (uintptr_t)item;
    }
    for (int i = 0; i < 3; i++) pthread_join(producers[i], NULL);
    assert_int_equal(sum, 3 * (10000 * 10001 / 2));
    lm_queue_free(queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_and_limit),
                                       cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
