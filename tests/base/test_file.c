#include "testing.h"

#include "base/file.h"

static void test_atomic_write_and_read(void **state) {
    char *dir = test_temp_dir();
    char *path = lm_path_join(dir, "a/b/c.txt"), *parent = lm_path_join(dir, "a/b");
    char *bytes;
    size_t size;
    assert_ok(lm_file_make_dirs(parent, &err));
    assert_ok(lm_file_write_atomic(path, "one", 3, &err));
    assert_ok(lm_file_write_atomic(path, "two!", 4, &err));
    assert_ok(lm_file_read(path, 100, &bytes, &size, &err));
    assert_int_equal(size, 4);
    assert_string_equal(bytes, "two!");
    lm_free(bytes);
    assert_status(LOAM_LIMIT, lm_file_read(path, 3, &bytes, &size, &err));
    assert_ok(lm_file_remove_tree(dir, &err));
    assert_false(lm_file_exists(dir));
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(parent);
    lm_free(path);
    lm_free(dir);
}

static void test_abort_keeps_the_old(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x");
    lm_file_writer writer;
    char *bytes;
    assert_ok(lm_file_write_atomic(path, "old", 3, &err));
    assert_ok(lm_file_writer_open(&writer, path, &err));
    assert_ok(lm_file_writer_write(&writer, "new", 3, &err));
    lm_file_writer_abort(&writer);
    assert_ok(lm_file_read(path, 100, &bytes, NULL, &err));
    assert_string_equal(bytes, "old");
    lm_free(bytes);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

static void test_full_disk(void **state) {
    /* /dev/full answers every write with ENOSPC */
    FILE *full = fopen("/dev/full", "wb");
    assert_non_null(full);
    lm_file_writer writer = {
        .stream = full, .path = lm_strdup("/nowhere/x"), .temp_path = lm_strdup("/nowhere/x.tmp")};
    loam_error err = {0};
    char big[70000] = {0};
    loam_status status = lm_file_writer_write(&writer, big, sizeof big, &err);
    assert_int_equal(status, LOAM_IO);
    assert_string_equal(err.hint, "free some disk space and try again");
    lm_file_writer_abort(&writer);
}

static void test_map(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x");
    lm_file_map map;
    assert_status(LOAM_NOT_FOUND, lm_file_map_open(path, &map, &err));
    assert_status(LOAM_INVALID, lm_file_map_open(dir, &map, &err));
    assert_ok(lm_file_write_atomic(path, "", 0, &err));
    assert_ok(lm_file_map_open(path, &map, &err));
    assert_int_equal(map.size_bytes, 0);
    lm_file_map_close(&map);
    assert_ok(lm_file_write_atomic(path, "hello", 5, &err));
    assert_ok(lm_file_map_open(path, &map, &err));
    assert_memory_equal(map.ptr, "hello", 5);
    lm_file_map_close(&map);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atomic_write_and_read),
        cmocka_unit_test(test_abort_keeps_the_old),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
