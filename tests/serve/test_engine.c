#include "fake_model.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/file.h"
#include "serve/engine.h"

typedef struct answer {
    char text[4096];
    int64_t n_tokens, n_events, n_samples;
    lm_finish finish;
    int n_finished;
    bool last_seen;
    char error[512];
} answer;

static lm_loop *g_loop;
static lm_engine *g_engine;
static fake_model g_fake;
static int g_pending;

static void start_engine(int64_t max_seqs, int64_t n_blocks, int64_t max_waiting,
                         lm_usage_journal *journal) {
    fake_model_init(&g_fake, max_seqs, n_blocks);
    assert_ok(lm_loop_new(&g_loop, &err));
    lm_engine_options options = {.loop = g_loop, .max_waiting = max_waiting, .journal = journal};
    assert_ok(lm_engine_new(&g_fake.base, &options, &g_engine, &err));
}

static void stop_engine(void) {
    lm_engine_free(g_engine);
    assert_int_equal(atomic_load(&g_fake.n_alive), 0);
    assert_int_equal(g_fake.n_free, g_fake.base.n_blocks);
    lm_loop_free(g_loop);
}

static void on_event(lm_generation *generation, const lm_generation_event *event, void *arg) {
    answer *a = (answer *)arg + event->choice;
    size_t have = strlen(a->text);
    snprintf(a->text + have, sizeof a->text - have, "%.*s", (int)event->text.len, event->text.ptr);
    assert_false(a->finish);
    a->n_events++;
    a->n_tokens += event->n_new_tokens;
    a->n_samples += (int64_t)event->n_samples;
    assert_int_equal(a->n_tokens, event->n_generated);
    a->finish = event->finish;
    if (event->finish == LM_FINISH_FAILED)
        snprintf(a->error, sizeof a->error, "%s", event->error->message);
    if (event->last && --g_pending == 0) lm_loop_stop(g_loop);
}

/* Prompt k of length n; different for every k. */
static lm_generation_prompt prompt_of(int k, int64_t n) {
    static int32_t tokens[FAKE_SEQS * 4][FAKE_CONTEXT];
    for (int64_t i = 0; i < n; i++) tokens[k][i] = 1 + (int32_t)((k * 7 + i * i * 3) % 26);
    return (lm_generation_prompt){tokens[k], n};
}

static lm_generation_options options_of(const lm_generation_prompt *prompt, answer *a,
                                        int64_t max_tokens) {
    return (lm_generation_options){
        .prompts = prompt,
        .n_prompts = 1,
        .n = 1,
        .max_tokens = max_tokens,
        .extra_end = -1,
        .sampling = {.temperature = 0, .top_p = 1, .repetition_penalty = 1},
        .request_id = "r",
        .tag = "t",
        .on_event = on_event,
        .arg = a};
}

static void submit(const lm_generation_options *options) {
    lm_generation *generation;
    g_pending++;
    assert_ok(lm_engine_submit(g_engine, options, &generation, &err));
}

static void run_all(void) {
    assert_ok(lm_loop_run(g_loop, &err));
    assert_int_equal(lm_engine_n_generations(g_engine), 0);
}

/* What the fake model says after prompt k, worked out without the engine. */
static void expected_text(int k, int64_t n_prompt, int64_t max_tokens, char *out) {
    int32_t tokens[FAKE_CONTEXT * 2];
    lm_generation_prompt prompt = prompt_of(k, n_prompt);
    memcpy(tokens, prompt.tokens, (size_t)n_prompt * sizeof *tokens);
    for (int64_t i = 0; i < max_tokens && n_prompt < FAKE_CONTEXT; i++) {
        int32_t next = fake_next(tokens, n_prompt, g_fake.never_end);
        if (next == 0) break;
        tokens[n_prompt++] = next;
        *out++ = (char)('a' + next - 1);
    }
    *out = '\0';
}

static void run_many(int n, int64_t max_seqs, int64_t n_blocks) {
    static answer answers[FAKE_SEQS * 2];
    start_engine(max_seqs, n_blocks, 1000, NULL);
    memset(answers, 0, sizeof answers);
    for (int k = 0; k < n; k++) {
        lm_generation_prompt prompt = prompt_of(k, 1 + k % 30);
        lm_generation_options options = options_of(&prompt, &answers[k], 20 + k % 17);
        submit(&options);
    }
    run_all();
    for (int k = 0; k < n; k++) {
        char expected[FAKE_CONTEXT + 1];
        expected_text(k, 1 + k % 30, 20 + k % 17, expected);
        assert_string_equal(answers[k].text, expected);
        assert_int_equal(answers[k].n_tokens, strlen(expected));
        assert_int_equal(answers[k].finish, strlen(expected) == (size_t)(20 + k % 17)
                                                ? LM_FINISH_LENGTH
                                                : LM_FINISH_STOP);
    }
    assert_int_equal(lm_engine_stats_get(g_engine).n_active, 0);
    assert_int_equal(lm_engine_stats_get(g_engine).n_waiting, 0);
}

static void test_alone_and_in_company(void **state) {
    run_many(1, 1, 100);
    stop_engine();
    run_many(64, 64, 2000);
    assert_true(atomic_load(&g_fake.max_alive) > 32);
    stop_engine();
}

static void test_preempted_sequences_say_the_same(void **state) {
    run_many(100, 16, 40);
    assert_true(lm_engine_stats_get(g_engine).n_preempted > 0);
    stop_engine();
}

static void check_sharing(int64_t max_seqs, bool keeps_states) {
    static answer answers[12];
    memset(answers, 0, sizeof answers);
    start_engine(max_seqs, 1000, 100, NULL);
    g_fake.base.keeps_states = keeps_states;
    lm_generation_prompt prompts[3] = {prompt_of(1, 20), prompt_of(2, 1), prompt_of(3, 2)};
    lm_generation_options options = options_of(prompts, answers, 15);
    options.n_prompts = 3;
    options.n = 4;
    submit(&options);
    run_all();
    for (int i = 0; i < 12; i++) {
        char expected[FAKE_CONTEXT];
        expected_text(1 + i / 4, prompts[i / 4].n_tokens, 15, expected);
        assert_string_equal(answers[i].text, expected);
    }
    if (max_seqs >= 12)
        assert_true(lm_engine_stats_get(g_engine).n_rows < 23 + 12 * 15 + 12);
    stop_engine();
}

static void test_choices_share_their_prompt(void **state) {
    check_sharing(16, false);
    check_sharing(3, false);
}

/* States are copied by those who are there when the prompt is; the others compute it again. */
static void test_choices_copy_states(void **state) {
    check_sharing(16, true);
    check_sharing(3, true);
    check_sharing(1, true);
}

static void test_full_queue(void **state) {
    static answer answers[3];
    memset(answers, 0, sizeof answers);
    start_engine(1, 100, 1, NULL);
    atomic_store(&g_fake.step_delay_ms, 2);
    lm_generation *generation;
    for (int i = 0; i < 2; i++) {
        lm_generation_prompt prompt = prompt_of(i, 3);
        lm_generation_options options = options_of(&prompt, &answers[i], 10);
        options.ignore_end = true;
        submit(&options);
    }
    lm_generation_prompt prompt = prompt_of(2, 3);
    lm_generation_options options = options_of(&prompt, &answers[2], 10);
    assert_status(LOAM_LIMIT, lm_engine_submit(g_engine, &options, &generation, &err));
    run_all();
    assert_int_equal(answers[1].n_tokens, 10);
    submit(&options);
    run_all();
    stop_engine();
}

static lm_generation *g_victim;

static void cancel_on_event(lm_generation *generation, const lm_generation_event *event,
                            void *arg) {
    answer *a = arg;
    if (++a->n_events == 3) lm_generation_cancel(g_victim);
}

static void stop_when_idle(void *arg) {
    if (lm_engine_n_generations(g_engine) == 0) lm_loop_stop(g_loop);
}

static void test_cancel_frees_blocks(void **state) {
    static answer a;
    a = (answer){0};
    lm_timer *timer;
    start_engine(4, 100, 4, NULL);
    g_fake.never_end = true;
    atomic_store(&g_fake.step_delay_ms, 1);
    lm_generation_prompt prompt = prompt_of(1, 40);
    lm_generation_options options = options_of(&prompt, &a, 80);
    options.on_event = cancel_on_event;
    assert_ok(lm_engine_submit(g_engine, &options, &g_victim, &err));
    assert_ok(lm_timer_new(g_loop, 1, 1, stop_when_idle, NULL, &timer, &err));
    assert_ok(lm_loop_run(g_loop, &err));
    lm_timer_free(timer);
    assert_int_equal(a.n_events, 3);
    assert_int_equal(atomic_load(&g_fake.n_alive), 0);
    assert_int_equal(lm_engine_stats_get(g_engine).n_free_blocks, 100);
    assert_true(atomic_load(&g_fake.n_steps) < 20);
    stop_engine();
}

static uint64_t g_n_allocs;

static void count_allocs(lm_generation *generation, const lm_generation_event *event, void *arg) {
    if (event->n_generated == 40) g_n_allocs = lm_mem_n_allocs();
    if (event->n_generated == 90) g_n_allocs = lm_mem_n_allocs() - g_n_allocs;
    on_event(generation, event, arg);
}

static void test_a_warm_engine_allocates_nothing(void **state) {
    static answer a;
    a = (answer){0};
    start_engine(4, 100, 4, NULL);
    g_fake.never_end = true;
    lm_generation_prompt prompt = prompt_of(1, 20);
    lm_generation_options options = options_of(&prompt, &a, 100);
    options.on_event = count_allocs;
    submit(&options);
    run_all();
    assert_int_equal(a.n_tokens, 100);
    assert_int_equal(g_n_allocs, 0);
    stop_engine();
}

static void test_stop_strings_and_logprobs(void **state) {
    static answer a;
    char expected[FAKE_CONTEXT];
    a = (answer){0};
    start_engine(4, 100, 4, NULL);
    g_fake.never_end = true;
    expected_text(5, 3, 30, expected);
    lm_str stop = {expected + 10, 3};
    lm_generation_prompt prompt = prompt_of(5, 3);
    lm_generation_options options = options_of(&prompt, &a, 30);
    options.stops = &stop;
    options.n_stops = 1;
    options.sampling.logprobs = true;
    options.sampling.n_top_logprobs = 2;
    submit(&options);
    run_all();
    size_t at = (size_t)(strstr(expected, (char[]){expected[10], expected[11], expected[12], 0}) -
                         expected);
    expected[at] = '\0';
    assert_string_equal(a.text, expected);
    assert_int_equal(a.finish, LM_FINISH_STOP);
    assert_int_equal(a.n_samples, at); /* none of the stop string's own tokens */
    assert_int_equal(a.n_tokens, at + 3);
    stop_engine();
}

static void test_a_failing_step_fails_its_requests(void **state) {
    static answer answers[2];
    memset(answers, 0, sizeof answers);
    start_engine(4, 100, 4, NULL);
    atomic_store(&g_fake.fail_step, 3);
    lm_generation_prompt prompt = prompt_of(5, 3);
    lm_generation_options options = options_of(&prompt, answers, 30);
    options.n = 2;
    options.ignore_end = true;
    submit(&options);
    run_all();
    assert_int_equal(answers[0].finish, LM_FINISH_FAILED);
    assert_string_equal(answers[0].error, "the fake model broke");
    options = options_of(&prompt, memset(answers, 0, sizeof answers), 5);
    options.ignore_end = true;
    submit(&options);
    run_all();
    assert_int_equal(answers[0].n_tokens, 5);
    stop_engine();
}

static void test_usage_journal(void **state) {
    static answer answers[4];
    memset(answers, 0, sizeof answers);
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "usage");
    lm_usage_journal *journal;
    lm_usage_record records[4];
    int64_t cursor = 0, n;
    assert_ok(lm_usage_journal_open(path, &journal, &err));
    start_engine(8, 1000, 8, journal);
    lm_generation_prompt prompts[2] = {prompt_of(1, 20), prompt_of(2, 30)};
    lm_generation_options options = options_of(prompts, answers, 10);
    options.n_prompts = 2;
    options.n = 2;
    options.ignore_end = true;
    options.request_id = "req_1";
    options.tag = "prj_x";
    submit(&options);
    run_all();
    assert_ok(lm_usage_journal_read(path, &cursor, records, 4, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(records[0].request_id, "req_1");
    assert_string_equal(records[0].tag, "prj_x");
    assert_int_equal(records[0].prompt_tokens, 50);
    assert_int_equal(records[0].completion_tokens, 40);
    assert_int_equal(records[0].finished, 1);
    assert_true(records[0].end_ms >= records[0].start_ms);
    assert_int_equal(records[0].flops, lm_engine_stats_get(g_engine).flops);
    /* cut off in the middle by the end of the engine */
    g_fake.never_end = true;
    atomic_store(&g_fake.step_delay_ms, 1);
    lm_generation *generation;
    options = options_of(prompts, memset(answers, 0, sizeof answers), 100);
    options.request_id = "req_2";
    assert_ok(lm_engine_submit(g_engine, &options, &generation, &err));
    while (atomic_load(&g_fake.n_alive) == 0) lm_clock_sleep_ms(1);
    stop_engine();
    lm_usage_journal_close(journal);
    assert_ok(lm_usage_journal_read(path, &cursor, records, 4, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(records[0].request_id, "req_2");
    assert_int_equal(records[0].finished, 1);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

/* A request whose use cannot be written down is not admitted. */
static void test_full_disk_refuses_requests(void **state) {
    static answer a;
    a = (answer){0};
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "usage");
    lm_usage_journal *journal;
    lm_usage_record record = {.request_id = "old"};
    int64_t slot;
    assert_ok(lm_usage_journal_open(path, &journal, &err));
    for (int i = 0; i < 1024; i++)
        assert_ok(lm_usage_journal_append(journal, &record, &slot, &err));
    start_engine(4, 100, 4, journal);
    struct rlimit old, tight;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){600 << 10, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    lm_generation_prompt prompt = prompt_of(1, 3);
    lm_generation_options options = options_of(&prompt, &a, 10);
    submit(&options);
    run_all();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(a.finish, LM_FINISH_FAILED);
    assert_non_null(strstr(a.error, "usage"));
    assert_int_equal(atomic_load(&g_fake.n_steps), 0);
    stop_engine();
    lm_usage_journal_close(journal);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alone_and_in_company),
                                       cmocka_unit_test(test_preempted_sequences_say_the_same),
                                       cmocka_unit_test(test_choices_share_their_prompt),
                                       cmocka_unit_test(test_choices_copy_states),
                                       cmocka_unit_test(test_full_queue),
                                       cmocka_unit_test(test_cancel_frees_blocks),
                                       cmocka_unit_test(test_a_warm_engine_allocates_nothing),
                                       cmocka_unit_test(test_stop_strings_and_logprobs),
                                       cmocka_unit_test(test_a_failing_step_fails_its_requests),
                                       cmocka_unit_test(test_usage_journal),
                                       cmocka_unit_test(test_full_disk_refuses_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
