#include "testing.h"

#include <signal.h>
#include <sys/resource.h>

#include "train/checkpoint.h"

static char *dir;

static int set_up(void **state) {
    dir = test_temp_dir();
    return 0;
}

static int tear_down(void **state) {
    loam_error err;
    loam_status status = lm_file_remove_tree(dir, &err);
    lm_free(dir);
    return status != LOAM_OK;
}

enum { BIG_BYTES = 100000 };

/* A checkpoint with two sections that tell the step. */
static loam_status write_step(int64_t step, const lm_fence *fence, loam_error *err) {
    static char big[BIG_BYTES];
    memset(big, (int)step, sizeof big);
    lm_checkpoint_section sections[] = {{"step", &step, sizeof step}, {"big", big, sizeof big}};
    return lm_checkpoint_write(dir, step, sections, 2, fence, err);
}

static void check_whole(const lm_checkpoint *checkpoint, int64_t step) {
    const void *stored, *big;
    assert_int_equal(checkpoint->step, step);
    assert_ok(lm_checkpoint_array(checkpoint, "step", sizeof step, &stored, &err));
    assert_int_equal(*(const int64_t *)stored, step);
    assert_ok(lm_checkpoint_array(checkpoint, "big", BIG_BYTES, &big, &err));
    for (size_t i = 0; i < BIG_BYTES; i++) assert_int_equal(((const char *)big)[i], (char)step);
}

static char *path_of(int64_t step) {
    return lm_asprintf("%s/step-%09lld.ckpt", dir, (long long)step);
}

static void change_byte(int64_t step, long at) {
    char *path = path_of(step);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ 0x10, file);
    fclose(file);
    lm_free(path);
}

static void count_skipped(void *ctx, const loam_error *why) {
    assert_int_equal(why->status, LOAM_CORRUPT);
    ++*(int *)ctx;
}

static void test_round_trip_and_wrong_asks(void **state) {
    lm_checkpoint checkpoint;
    assert_ok(write_step(7, NULL, &err));
    assert_ok(lm_checkpoint_open_newest(dir, NULL, NULL, &checkpoint, &err));
    check_whole(&checkpoint, 7);
    const void *bytes;
    assert_status(LOAM_CORRUPT, lm_checkpoint_array(&checkpoint, "big", 3, &bytes, &err));
    assert_status(LOAM_CORRUPT, lm_checkpoint_array(&checkpoint, "none", 3, &bytes, &err));
    lm_checkpoint_close(&checkpoint);
}

static void test_damaged_newest_falls_back(void **state) {
    lm_checkpoint checkpoint;
    static const long places[] = {0, 9, 20, 40, 50, 5000, 100200};
    assert_ok(write_step(1, NULL, &err));
    for (size_t i = 0; i < LM_COUNT_OF(places); i++) {
        int n_skipped = 0;
        assert_ok(write_step(2, NULL, &err));
        change_byte(2, places[i]);
        assert_ok(lm_checkpoint_open_newest(dir, count_skipped, &n_skipped, &checkpoint, &err));
        assert_int_equal(n_skipped, 1);
        check_whole(&checkpoint, 1);
        lm_checkpoint_close(&checkpoint);
    }
    change_byte(1, 5000);
    assert_status(LOAM_NOT_FOUND, lm_checkpoint_open_newest(dir, NULL, NULL, &checkpoint, &err));
}

static void test_every_truncation_is_refused(void **state) {
    assert_ok(write_step(3, NULL, &err));
    char *path = path_of(3);
    size_t size;
    assert_ok(lm_file_size(path, &size, &err));
    for (size_t cut = 0; cut < size; cut = cut < 200 ? cut + 1 : cut + 9973) {
        lm_checkpoint checkpoint;
        assert_ok(write_step(3, NULL, &err));
        assert_int_equal(truncate(path, (off_t)cut), 0);
        assert_status(LOAM_CORRUPT, lm_checkpoint_open(path, &checkpoint, &err));
    }
    lm_free(path);
}

static void test_fence(void **state) {
    char *path = lm_path_join(dir, "epoch");
    lm_fence fence = {path, 4};
    lm_checkpoint checkpoint;
    assert_ok(lm_file_write_atomic(path, "4\n", 2, &err));
    assert_ok(write_step(1, &fence, &err));
    assert_ok(lm_file_write_atomic(path, "5", 1, &err));
    assert_status(LOAM_CONFLICT, write_step(2, &fence, &err));
    assert_ok(lm_checkpoint_open_newest(dir, NULL, NULL, &checkpoint, &err));
    check_whole(&checkpoint, 1);
    lm_checkpoint_close(&checkpoint);
    assert_int_equal(unlink(path), 0);
    assert_status(LOAM_NOT_FOUND, write_step(2, &fence, &err));
    lm_free(path);
}

/* A limit on file size fails writes just as a full disk does. */
static void test_failed_write_leaves_what_was(void **state) {
    lm_checkpoint checkpoint;
    struct rlimit before, tight = {50000, 0};
    assert_ok(write_step(1, NULL, &err));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &tight);
    loam_error why = {0};
    loam_status status = write_step(2, NULL, &why);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, LOAM_IO);
    assert_non_null(strstr(why.message, "step-000000002.ckpt"));
    assert_ok(lm_checkpoint_open_newest(dir, NULL, NULL, &checkpoint, &err));
    check_whole(&checkpoint, 1);
    lm_checkpoint_close(&checkpoint);
}

static void test_prune_keeps_the_newest(void **state) {
    char *leftover = lm_path_join(dir, "step-000000009.ckpt.tmp-123"),
         *stranger = lm_path_join(dir, "notes.txt");
    for (int64_t step = 8; step <= 12; step++) assert_ok(write_step(step, NULL, &err));
    assert_ok(lm_file_write_atomic(leftover, "x", 1, &err));
    assert_ok(lm_file_write_atomic(stranger, "x", 1, &err));
    assert_ok(lm_checkpoint_prune(dir, 2, &err));
    for (int64_t step = 8; step <= 12; step++) {
        char *path = path_of(step);
        assert_int_equal(lm_file_exists(path), step >= 11);
        lm_free(path);
    }
    assert_false(lm_file_exists(leftover));
    assert_true(lm_file_exists(stranger));
    lm_free(leftover);
    lm_free(stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip_and_wrong_asks),    TEST(test_damaged_newest_falls_back),
        TEST(test_every_truncation_is_refused),  TEST(test_fence),
        TEST(test_failed_write_leaves_what_was), TEST(test_prune_keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
