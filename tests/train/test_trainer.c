/* Whole runs of a tiny model: that they end, and that being stopped, killed and resumed does not show. */
#include "testing.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/rng.h"
#include "train/corpus.h"
#include "train/trainer.h"

static const char recipe_text[] =
    "data: {separator: \"\\n\\n\"}\n"
    "tokenizer: {vocab_size: 300}\n"
    "model: {n_layers: 1, dim: 16, n_heads: 2, n_kv_heads: 1, context: 32}\n"
    "train: {steps: 40, batch_size: 2, grad_accum_steps: 2, lr: 0.01, min_lr: 0.001, warmup_steps: "
    "4}\n"
    "validation: {every: 10, max_tokens: 500}\n"
    "checkpoint: {every: 5}\n"
    "sample: {max_tokens: 8, every: 20}\n";

/* What a run told. */
typedef struct story {
    int n_of[LM_TRAIN_DONE + 1];
    int64_t first_step, last_step;
    double first_loss, last_loss, val_loss, entropy;
    int64_t flops;
    char sample[200];
    int64_t stop_at; /* ask for a stop at this step; 0: never */
} story;

static char *dir, *corpus;
static volatile sig_atomic_t stop;

static int set_up(void **state) {
    lm_corpus_summary summary;
    dir = test_temp_dir();
    corpus = lm_path_join(dir, "corpus");
    stop = 0;
    lm_corpus_options options = {
        .dir = corpus, .n_stories = 60, .seed = 2, .validation_fraction = 0.1};
    assert_ok(lm_corpus_write(&options, &summary, &err));
    return 0;
}

static int tear_down(void **state) {
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(corpus);
    lm_free(dir);
    return 0;
}

static void listen(void *ctx, const lm_train_event *e) {
    story *s = ctx;
    s->n_of[e->kind]++;
    s->last_step = e->step;
    s->flops = e->flops;
    if (e->kind == LM_TRAIN_START) s->first_step = e->step;
    if (e->kind == LM_TRAIN_STEP && s->first_loss == 0) s->first_loss = e->loss;
    if (e->kind == LM_TRAIN_STEP) s->last_loss = e->loss;
    if (e->kind == LM_TRAIN_EVAL) s->val_loss = e->val_loss, s->entropy = e->entropy;
    if (e->kind == LM_TRAIN_SAMPLE) snprintf(s->sample, sizeof s->sample, "%s", e->text);
    if (e->kind == LM_TRAIN_STEP && s->stop_at && e->step >= s->stop_at) stop = 1;
}

/* Trains in dir/name. `set` changes one key of the recipe; NULL: none. */
static loam_status train(const char *name, bool resume, int n_threads, const char *set, story *s,
                         loam_error *err) {
    lm_recipe recipe;
    lm_device *device = NULL;
    char *out_dir = lm_path_join(dir, name);
    lm_recipe_init(&recipe);
    loam_status status = lm_recipe_read(&recipe, lm_str_of(recipe_text), "test", err);
    if (status == LOAM_OK && set) status = lm_recipe_set(&recipe, set, err);
    recipe.data_path = corpus;
    if (status == LOAM_OK) status = lm_recipe_check(&recipe, err);
    if (status == LOAM_OK)
        status = lm_backend_cpu.open(&(lm_device_options){.n_threads = n_threads}, &device, err);
    lm_train_options options = {.recipe = &recipe,
                                .out_dir = out_dir,
                                .resume = resume,
                                .device = device,
                                .stop = &stop,
                                .on_event = listen,
                                .ctx = s};
    if (status == LOAM_OK) status = lm_train_run(&options, err);
    lm_device_close(device);
    lm_recipe_deinit(&recipe);
    lm_free(out_dir);
    return status;
}

static char *read_weights(const char *name, size_t *size) {
    char *path = lm_asprintf("%s/%s/model/model.safetensors", dir, name), *bytes = NULL;
    assert_ok(lm_file_read(path, 1 << 24, &bytes, size, &err));
    lm_free(path);
    return bytes;
}

static void assert_same_weights(const char *a, const char *b) {
    size_t a_size, b_size;
    char *a_bytes = read_weights(a, &a_size), *b_bytes = read_weights(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_bytes, b_bytes, a_size);
    lm_free(a_bytes);
    lm_free(b_bytes);
}

static void test_runs_to_the_end(void **state) {
    story s = {0};
    assert_ok(train("run", false, 2, NULL, &s, &err));
    assert_int_equal(s.n_of[LM_TRAIN_START], 1);
    assert_int_equal(s.n_of[LM_TRAIN_STEP], 40);
    assert_int_equal(s.n_of[LM_TRAIN_EVAL], 4);
    assert_int_equal(s.n_of[LM_TRAIN_SAMPLE], 2);
    assert_int_equal(s.n_of[LM_TRAIN_CHECKPOINT], 8);
    assert_int_equal(s.n_of[LM_TRAIN_WARNING], 0);
    assert_int_equal(s.n_of[LM_TRAIN_DONE], 1);
    assert_true(s.first_loss > 5.5 && s.last_loss < s.first_loss - 1);
    assert_true(s.entropy > 0.05 && s.entropy < s.val_loss);
    char *gguf = lm_path_join(dir, "run/model.gguf");
    assert_true(lm_file_exists(gguf));
    lm_free(gguf);
    assert_status(LOAM_CONFLICT,
                  train("run", false, 2, NULL, &s, &err)); /* not over its checkpoints */
    assert_ok(train("run", true, 2, NULL, &s, &err));      /* nothing left to do but to export */
    assert_int_equal(s.n_of[LM_TRAIN_STEP], 40);
}

static void test_stopped_and_resumed(void **state) {
    story whole = {0}, parts = {.stop_at = 17};
    assert_ok(train("whole", false, 2, NULL, &whole, &err));
    assert_status(LOAM_CANCELLED, train("parts", false, 1, NULL, &parts, &err));
    assert_int_equal(parts.last_step, 17);
    stop = 0;
    parts.stop_at = 0;
    assert_ok(train("parts", true, 3, NULL, &parts, &err));
    assert_int_equal(parts.first_step, 17);
    assert_int_equal(parts.n_of[LM_TRAIN_STEP], 40);
    assert_true(parts.flops == whole.flops); /* goes on counting */
    assert_true(parts.val_loss == whole.val_loss);
    assert_string_equal(parts.sample, whole.sample);
    assert_same_weights("whole", "parts");
}

/* A child that trains; exits with 0 when it came to the end. */
static pid_t start_child(const char *name, int n_threads, const char *set) {
    pid_t child = fork();
    if (child == 0) {
        story s = {0};
        loam_error err;
        _exit(train(name, true, n_threads, set, &s, &err) == LOAM_OK ? 0 : 1);
    }
    return child;
}

/* Kills children after growing random times until one ends by itself; returns the number of kills. */
static int train_through_kills(const char *name, const char *set, uint64_t seed) {
    lm_rng rng;
    lm_rng_init(&rng, seed);
    for (int n_kills = 0;; n_kills++) {
        int status;
        pid_t child = start_child(name, 1 + n_kills % 3, set);
        assert_true(child > 0);
        lm_clock_sleep_ms((int64_t)lm_rng_below(&rng, (uint64_t)(20 + 4 * n_kills)));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return n_kills;
        }
    }
}

static void test_killed_anywhere_and_resumed(void **state) {
    static const char *const dtypes[] = {"train.dtype=f32", "train.dtype=bf16"};
    int n_kills = 0;
    for (int i = 0; i < 4; i++) {
        story s = {0};
        char whole[16], killed[16];
        snprintf(whole, sizeof whole, "whole%d", i % 2);
        snprintf(killed, sizeof killed, "killed%d", i);
        if (i < 2) assert_ok(train(whole, false, 2, dtypes[i % 2], &s, &err));
        n_kills += train_through_kills(killed, dtypes[i % 2], (uint64_t)i);
        assert_same_weights(whole, killed);
    }
    assert_true(n_kills >= 4);
}

static void test_damaged_newest_checkpoint(void **state) {
    story whole = {0}, cut = {.stop_at = 12};
    assert_ok(train("whole", false, 2, NULL, &whole, &err));
    assert_status(LOAM_CANCELLED, train("cut", false, 2, NULL, &cut, &err));
    stop = 0;
    cut = (story){0};
    char *newest = lm_path_join(dir, "cut/checkpoints/step-000000012.ckpt");
    assert_int_equal(truncate(newest, 5000), 0);
    assert_ok(train("cut", true, 2, NULL, &cut, &err));
    assert_int_equal(cut.first_step, 10);
    assert_int_equal(cut.n_of[LM_TRAIN_WARNING], 1);
    assert_same_weights("whole", "cut");
    lm_free(newest);
}

static void test_what_must_not_change(void **state) {
    story s = {.stop_at = 6};
    assert_status(LOAM_CANCELLED, train("run", false, 2, NULL, &s, &err));
    stop = 0;
    s.stop_at = 0;
    assert_status(LOAM_CONFLICT, train("run", true, 2, "train.lr=0.02", &s, &err));
    assert_status(LOAM_CONFLICT, train("run", true, 2, "tokenizer.vocab_size=310", &s, &err));
    char *text = lm_path_join(corpus, "train.txt");
    FILE *file = fopen(text, "a");
    fputs("\n\nOne more story.", file);
    fclose(file);
    lm_free(text);
    assert_status(LOAM_CONFLICT, train("run", true, 2, NULL, &s, &err));
}

static void test_lost_fence_stops(void **state) {
    char *path = lm_path_join(dir, "epoch"), *out_dir = lm_path_join(dir, "run");
    lm_recipe recipe;
    lm_device *device = NULL;
    story s = {0};
    assert_ok(lm_file_write_atomic(path, "8", 1, &err));
    lm_recipe_init(&recipe);
    assert_ok(lm_recipe_read(&recipe, lm_str_of(recipe_text), "test", &err));
    recipe.data_path = corpus;
    assert_ok(lm_recipe_check(&recipe, &err));
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err));
    lm_train_options options = {.recipe = &recipe,
                                .out_dir = out_dir,
                                .device = device,
                                .stop = &stop,
                                .fence = {path, 7},
                                .on_event = listen,
                                .ctx = &s};
    assert_status(LOAM_CONFLICT, lm_train_run(&options, &err));
    assert_int_equal(s.last_step, 5);
    assert_int_equal(s.n_of[LM_TRAIN_CHECKPOINT], 0);
    lm_device_close(device);
    lm_recipe_deinit(&recipe);
    lm_free(path);
    lm_free(out_dir);
}

/* A limit on file size stands for a full disk: checkpoints fail, the run goes on, and only its end cannot be saved. */
static void test_full_disk(void **state) {
    struct rlimit before, tight;
    story s = {.stop_at = 3}, full = {0};
    assert_status(LOAM_CANCELLED, train("run", false, 2, NULL, &s, &err));
    stop = 0;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 30000;
    setrlimit(RLIMIT_FSIZE, &tight);
    loam_error why = {0};
    loam_status status = train("run", true, 2, NULL, &full, &why);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, LOAM_IO);
    assert_int_equal(full.last_step, 40);
    assert_true(full.n_of[LM_TRAIN_WARNING] >= 7);
    full = (story){0};
    assert_ok(train("run", true, 2, NULL, &full, &err));
    assert_int_equal(full.first_step, 3); /* what was there stayed */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_runs_to_the_end),
        TEST(test_stopped_and_resumed),
        TEST(test_killed_anywhere_and_resumed),
        TEST(test_damaged_newest_checkpoint),
        TEST(test_what_must_not_change),
        TEST(test_lost_fence_stops),
        TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
