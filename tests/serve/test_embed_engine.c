/* The engine of embeddings without a server around it: whose turn it is, full queues, cancelled jobs. */
#include "golden/golden.h"

#include "serve/embed_engine.h"

enum { WIDTH = 32, N_MANY = 2000, N_TOKENS = 100 };

typedef struct fixture {
    golden_model g;
    lm_loop *loop;
    lm_embedder *embedder;
    lm_embed_engine *engine;
    int32_t tokens[N_TOKENS];
    lm_embed_input inputs[N_MANY];
} fixture;

/* What came back, in order. */
static struct {
    int n, stop_after;
    const char *order[4];
    float first[4];
    lm_loop *loop;
} g_done;

static void on_done(float *vectors, const loam_error *error, void *arg) {
    assert_null(error);
    g_done.order[g_done.n] = arg;
    g_done.first[g_done.n++] = vectors[0];
    if (g_done.n == g_done.stop_after) lm_loop_stop(g_done.loop);
}

static fixture *open_fixture(int64_t max_waiting) {
    fixture *f = lm_calloc(1, sizeof *f);
    char *path = lm_asprintf("%s/bge", LM_ENCODERS_DIR);
    f->g = golden_open(path, 1);
    lm_free(path);
    assert_ok(lm_loop_new(&f->loop, &err));
    assert_ok(
        lm_embedder_new(f->g.model, &(lm_session_options){.max_seqs = 8}, &f->embedder, &err));
    assert_ok(lm_embed_engine_new(
        f->embedder, &(lm_embed_engine_options){.loop = f->loop, .max_waiting = max_waiting},
        &f->engine, &err));
    for (int i = 0; i < N_TOKENS; i++) f->tokens[i] = (5 * i + 3) % 48;
    for (int i = 0; i < N_MANY; i++) f->inputs[i] = (lm_embed_input){f->tokens, N_TOKENS, N_TOKENS};
    g_done.n = 0;
    g_done.loop = f->loop;
    return f;
}

static void close_fixture(fixture *f) {
    lm_embed_engine_free(f->engine);
    lm_embedder_free(f->embedder);
    lm_loop_free(f->loop);
    golden_close(&f->g);
    lm_free(f);
}

static loam_status submit(fixture *f, size_t n, const char *name, lm_embed_job **out,
                          loam_error *err) {
    lm_embed_job_options options = {.inputs = f->inputs,
                                    .n_inputs = n,
                                    .request_id = name,
                                    .tag = "",
                                    .on_done = on_done,
                                    .arg = (void *)name};
    return lm_embed_engine_submit(f->engine, &options, out, err);
}

/* A job of one text that comes behind one of very many is answered first, and with the same numbers. */
static void test_short_jobs_do_not_wait_for_long_ones(void **state) {
    fixture *f = open_fixture(4);
    lm_embed_job *job;
    g_done.stop_after = 2;
    assert_ok(submit(f, N_MANY, "many", &job, &err));
    assert_ok(submit(f, 1, "one", &job, &err));
    assert_int_equal(lm_embed_engine_n_jobs(f->engine), 2);
    assert_ok(lm_loop_run(f->loop, &err));
    assert_string_equal(g_done.order[0], "one");
    assert_string_equal(g_done.order[1], "many");
    assert_true(g_done.first[0] == g_done.first[1]);
    lm_engine_stats stats = lm_embed_engine_stats(f->engine);
    assert_int_equal(stats.n_rows, (N_MANY + 1) * N_TOKENS);
    assert_int_equal(stats.n_active + stats.n_waiting, 0);
    assert_true(stats.flops > 0 && stats.step_ns > 0);
    close_fixture(f);
}

static void test_full_queues_and_cancelled_jobs(void **state) {
    fixture *f = open_fixture(2);
    lm_embed_job *many, *one, *none;
    loam_error failure = {0};
    g_done.stop_after = 1;
    assert_ok(submit(f, N_MANY, "many", &many, &err));
    assert_ok(submit(f, 1, "one", &one, &err));
    assert_int_equal(submit(f, 1, "refused", &none, &failure), LOAM_LIMIT);
    assert_non_null(strstr(failure.message, "queue is full"));
    lm_embed_job_cancel(many);
    assert_ok(lm_loop_run(f->loop, &err));
    assert_string_equal(g_done.order[0], "one");
    close_fixture(f); /* whatever is still under way goes with it */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_short_jobs_do_not_wait_for_long_ones),
                                       cmocka_unit_test(test_full_queues_and_cancelled_jobs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
