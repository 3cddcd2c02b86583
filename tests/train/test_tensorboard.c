/* The file's frame and checksums. That TensorBoard itself reads it is checked by tools/check_run.py. */
#include "testing.h"

#include <dirent.h>

#include "base/file.h"
#include "train/tensorboard.h"

static char *only_file(const char *dir) {
    DIR *stream = opendir(dir);
    char *path = NULL;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.') continue;
        assert_null(path);
        assert_int_equal(strncmp(entry->d_name, "events.out.tfevents.", 20), 0);
        path = lm_path_join(dir, entry->d_name);
    }
    closedir(stream);
    return path;
}

static void test_crc(void **state) {
    assert_int_equal(lm_crc32c("123456789", 9), 0xe3069283u); /* RFC 3720's check value */
    assert_int_equal(lm_crc32c("", 0), 0);
}

static void test_records(void **state) {
    char *dir = test_temp_dir();
    lm_tensorboard *board = NULL;
    assert_ok(lm_tensorboard_open(dir, &board, &err));
    lm_tensorboard_scalar(board, 300, "loss", 1.5f);
    lm_tensorboard_text(board, 300, "sample", "Once upon a time");
    assert_ok(lm_tensorboard_flush(board, &err));
    lm_tensorboard_close(board);
    char *path = only_file(dir), *bytes;
    size_t size, n_records = 0;
    assert_ok(lm_file_read(path, 1 << 20, &bytes, &size, &err));
    static const char value[] =
        "\x2a\x0d\x0a\x0b\x15\0\0\xc0\x3f\x0a\x04loss"; /* summary {value {simple 1.5, tag}} */
    for (size_t at = 0; at < size; n_records++) {
        uint64_t len;
        memcpy(&len, bytes + at, 8);
        assert_true(len < 200 && at + len + 16 <= size);
        if (n_records == 1)
            assert_memory_equal(bytes + at + 12 + len - (sizeof value - 1), value,
                                sizeof value - 1);
        uint32_t stored, crc = lm_crc32c(bytes + at + 12, len);
        memcpy(&stored, bytes + at + 12 + len, 4);
        assert_int_equal(stored, (crc >> 15 | crc << 17) + 0xa282ead8u);
        at += len + 16;
    }
    assert_int_equal(n_records, 3);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(bytes);
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc), cmocka_unit_test(test_records)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
