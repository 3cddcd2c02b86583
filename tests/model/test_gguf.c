#include "hostile.h"

#include "base/file.h"
#include "base/str.h"
#include "model/gguf_writer.h"

/* ------------------------------------------------------------------------------------------------- files by hand */

static void put_u32(lm_buf *out, uint32_t value) {
    lm_buf_append(out, &value, sizeof value);
}

static void put_u64(lm_buf *out, uint64_t value) {
    lm_buf_append(out, &value, sizeof value);
}

static void put_str(lm_buf *out, const char *text) {
    put_u64(out, strlen(text));
    lm_buf_puts(out, text);
}

static void put_header(lm_buf *out, uint32_t version, uint64_t n_tensors, uint64_t n_values) {
    lm_buf_init(out, 1 << 20);
    lm_buf_puts(out, "GGUF");
    put_u32(out, version);
    put_u64(out, n_tensors);
    put_u64(out, n_values);
}

static void put_tensor(lm_buf *out, const char *name, uint32_t type, uint64_t rows, uint64_t cols,
                       uint64_t offset) {
    put_str(out, name);
    put_u32(out, 2);
    put_u64(out, cols);
    put_u64(out, rows);
    put_u32(out, type);
    put_u64(out, offset);
}

static void pad(lm_buf *out, size_t alignment) {
    while (out->len % alignment) lm_buf_putc(out, 0);
}

static loam_status open_one(const void *bytes, size_t size, loam_error *err) {
    lm_gguf *gguf = NULL;
    loam_status status = lm_gguf_open_bytes("x.gguf", bytes, size, &gguf, err);
    lm_gguf_close(gguf);
    return status;
}

/* Refused with this status, and a message that has `what` in it. Frees the bytes. */
static void check_refused(lm_buf *bytes, loam_status want, const char *what) {
    loam_error err = {0};
    loam_status status = open_exactly(open_one, bytes, bytes->len, &err);
    if (status != want || !strstr(err.message, what) || strncmp(err.message, "x.gguf: ", 8) != 0)
        fail_msg("got '%s' (%s), wanted '%s' with '%s'", loam_status_name(status), err.message,
                 loam_status_name(want), what);
    lm_buf_deinit(bytes);
}

static lm_buf valid_file(void) {
    lm_buf b;
    put_header(&b, 3, 2, 3);
    put_str(&b, "general.architecture"), put_u32(&b, LM_GGUF_STRING), put_str(&b, "llama");
    put_str(&b, "n"), put_u32(&b, LM_GGUF_I32), put_u32(&b, (uint32_t)-7);
    put_str(&b, "list"), put_u32(&b, LM_GGUF_ARRAY), put_u32(&b, LM_GGUF_STRING), put_u64(&b, 2);
    put_str(&b, "one"), put_str(&b, "");
    put_tensor(&b, "a", 0, 2, 3, 0);
    put_tensor(&b, "b", 8, 1, 32, 32);
    pad(&b, 32);
    for (int i = 0; i < 32 + 34; i++) lm_buf_putc(&b, (char)i);
    return b;
}

/* ------------------------------------------------------------------------------------------------- tests */

static void test_reads_what_is_there(void **state) {
    lm_buf b = valid_file();
    lm_gguf *gguf;
    int64_t n;
    lm_str text;
    lm_gguf_array list;
    size_t cursor = 0;
    assert_ok(lm_gguf_open_bytes("x", b.ptr, b.len, &gguf, &err));
    assert_ok(lm_gguf_i64(gguf, "n", &n, &err));
    assert_int_equal(n, -7);
    assert_ok(lm_gguf_i64_or(gguf, "absent", 5, &n, &err));
    assert_int_equal(n, 5);
    assert_status(LOAM_INVALID, lm_gguf_i64(gguf, "absent", &n, &err));
    assert_status(LOAM_INVALID, lm_gguf_str(gguf, "n", &text, &err));
    assert_ok(lm_gguf_array_or_empty(gguf, "list", LM_GGUF_STRING, &list, &err));
    assert_int_equal(list.n, 2);
    assert_true(lm_gguf_array_next_str(&list, &cursor, &text));
    assert_true(lm_str_is(text, "one"));
    assert_true(lm_gguf_array_next_str(&list, &cursor, &text));
    assert_int_equal(text.len, 0);
    assert_false(lm_gguf_array_next_str(&list, &cursor, &text));
    assert_status(LOAM_INVALID, lm_gguf_array_or_empty(gguf, "list", LM_GGUF_F32, &list, &err));
    const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), "a");
    assert_int_equal(tensor->shape[0], 2);
    assert_int_equal(tensor->shape[1], 3);
    assert_int_equal(tensor->size_bytes, 24);
    assert_int_equal(((const uint8_t *)tensor->data)[1], 1);
    assert_string_equal(lm_stored_tensors_find(lm_gguf_tensors(gguf), "b")->type->name, "Q8_0");
    lm_gguf_close(gguf);
    lm_buf_deinit(&b);
}

static void test_truncated_at_every_byte(void **state) {
    lm_buf b = valid_file();
    check_every_cut(open_one, &b, LOAM_CORRUPT, LOAM_CORRUPT);
    lm_buf_deinit(&b);
}

static void test_any_bit_flipped(void **state) {
    lm_buf b = valid_file();
    check_every_flip(open_one, &b);
    lm_buf_deinit(&b);
}

static void test_missing_memory(void **state) {
    lm_buf b = valid_file();
    check_every_missing_allocation(open_one, &b);
    lm_buf_deinit(&b);
}

static void test_versions(void **state) {
    lm_buf b;
    put_header(&b, 1, 0, 0);
    check_refused(&b, LOAM_UNSUPPORTED, "version 1");
    put_header(&b, 0x03000000, 0, 0);
    check_refused(&b, LOAM_UNSUPPORTED, "big-endian");
    put_header(&b, 2, 0, 0);
    assert_ok(open_exactly(open_one, &b, b.len, &err));
    memcpy(b.ptr, "GGML", 4);
    check_refused(&b, LOAM_CORRUPT, "not a GGUF file");
}

static void test_hostile_counts(void **state) {
    lm_buf b;
    put_header(&b, 3, UINT64_MAX, 0);
    check_refused(&b, LOAM_CORRUPT, "list of tensors");
    put_header(&b, 3, 0, UINT64_MAX / 2);
    check_refused(&b, LOAM_CORRUPT, "list of metadata");
    put_header(&b, 3, 0, 1);
    put_u64(&b, UINT64_MAX), put_u32(&b, 0), lm_buf_puts(&b, "xxxxxx");
    check_refused(&b, LOAM_CORRUPT, "a key");
    put_header(&b, 3, 0, 1);
    put_str(&b, "k"), put_u32(&b, LM_GGUF_ARRAY), put_u32(&b, LM_GGUF_U64),
        put_u64(&b, UINT64_MAX / 8 + 2);
    check_refused(&b, LOAM_CORRUPT, "an array");
    put_header(&b, 3, 0, 1);
    put_str(&b, "k"), put_u32(&b, 99), put_u64(&b, 0);
    check_refused(&b, LOAM_CORRUPT, "unknown value type 99");
    put_header(&b, 3, 0, 2);
    for (int i = 0; i < 2; i++) put_str(&b, "same"), put_u32(&b, LM_GGUF_U32), put_u32(&b, 1);
    check_refused(&b, LOAM_CORRUPT, "'same' is there twice");
}

static void test_nested_arrays_are_bounded(void **state) {
    lm_buf b;
    put_header(&b, 3, 0, 1);
    put_str(&b, "k"), put_u32(&b, LM_GGUF_ARRAY);
    for (int i = 0; i < 10000; i++) put_u32(&b, LM_GGUF_ARRAY), put_u64(&b, 1);
    check_refused(&b, LOAM_CORRUPT, "nested deeper");
}

static void check_tensor_refused(uint32_t type, uint64_t rows, uint64_t cols, uint64_t offset,
                                 loam_status want, const char *what) {
    lm_buf b;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "w", type, rows, cols, offset);
    pad(&b, 32);
    for (int i = 0; i < 128; i++) lm_buf_putc(&b, 0);
    check_refused(&b, want, what);
}

static void test_hostile_tensors(void **state) {
    check_tensor_refused(0, 4, 9, 0, LOAM_CORRUPT, "tensor 'w' of 144 bytes");
    check_tensor_refused(0, 4, 4, 96, LOAM_CORRUPT, "starts at byte 192, the file has 224");
    check_tensor_refused(0, 4, 4, UINT64_MAX - 31, LOAM_CORRUPT, "tensor 'w'");
    check_tensor_refused(0, 4, 4, 4, LOAM_CORRUPT, "no multiple of the alignment");
    check_tensor_refused(0, (uint64_t)1 << 62, 4, 0, LOAM_CORRUPT, "too large");
    check_tensor_refused(0, UINT64_MAX, 1, 0, LOAM_CORRUPT, "a dimension of");
    check_tensor_refused(28, (uint64_t)1 << 61, 1, 0, LOAM_CORRUPT, "too large");
    check_tensor_refused(8, 1, 31, 0, LOAM_CORRUPT, "no multiple of Q8_0's block of 32");
    check_tensor_refused(4, 1, 32, 0, LOAM_UNSUPPORTED, "unknown element type 4");
}

static void test_overlap(void **state) {
    lm_buf b;
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "w", 0, 4, 4, 0);
    put_tensor(&b, "v", 0, 4, 4, 32);
    pad(&b, 32);
    for (int i = 0; i < 128; i++) lm_buf_putc(&b, 0);
    check_refused(&b, LOAM_CORRUPT, "tensors 'w' and 'v' overlap by 32 bytes");
}

static void test_writer_and_reader_agree(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x.gguf");
    lm_gguf_writer *writer = lm_gguf_writer_new();
    const float a[6] = {1, 2, 3, 4, 5, 6};
    const uint16_t b[3] = {7, 8, 9};
    lm_gguf_writer_add_str(writer, "general.architecture", LM_STR("llama"));
    lm_gguf_writer_add_bool(writer, "flag", true);
    lm_gguf_writer_open_array(writer, "ids", LM_GGUF_I32, 2);
    lm_gguf_writer_push_i32(writer, -1);
    lm_gguf_writer_push_i32(writer, 5);
    assert_ok(lm_gguf_writer_add_tensor(writer, "a", LM_F32, 2, (int64_t[]){2, 3}, &err));
    assert_ok(lm_gguf_writer_add_tensor(writer, "b", LM_BF16, 1, (int64_t[]){3}, &err));
    assert_status(LOAM_INVALID,
                  lm_gguf_writer_add_tensor(writer, "a", LM_F32, 1, (int64_t[]){1}, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_write(writer, a, 10, &err)); /* pieces need not end where tensors do */
    assert_ok(lm_gguf_writer_write(writer, (const char *)a + 10, 14, &err));
    assert_ok(lm_gguf_writer_write(writer, b, sizeof b, &err));
    assert_status(LOAM_INVALID, lm_gguf_writer_write(writer, b, 1, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);

    lm_gguf *gguf;
    bool flag = false;
    lm_gguf_array ids;
    assert_ok(lm_gguf_open(path, &gguf, &err));
    assert_ok(lm_gguf_bool_or(gguf, "flag", false, &flag, &err));
    assert_true(flag);
    assert_ok(lm_gguf_array_or_empty(gguf, "ids", LM_GGUF_I32, &ids, &err));
    assert_int_equal(lm_gguf_array_i32(&ids, 0), -1);
    assert_int_equal(lm_gguf_array_i32(&ids, 1), 5);
    const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), "a");
    assert_int_equal(tensor->shape[0], 2);
    assert_memory_equal(tensor->data, a, sizeof a);
    assert_memory_equal(lm_stored_tensors_find(lm_gguf_tensors(gguf), "b")->data, b, sizeof b);
    lm_gguf_close(gguf);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

static void test_unfinished_file_is_dropped(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x.gguf");
    lm_gguf_writer *writer = lm_gguf_writer_new();
    assert_ok(lm_gguf_writer_add_tensor(writer, "a", LM_F32, 1, (int64_t[]){3}, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_write(writer, "1234", 4, &err));
    assert_status(LOAM_INVALID, lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    assert_false(lm_file_exists(path));
    assert_int_equal(rmdir(dir), 0); /* nothing temporary stays either */
    lm_free(path);
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_is_there),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_any_bit_flipped),
        cmocka_unit_test(test_missing_memory),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_hostile_counts),
        cmocka_unit_test(test_nested_arrays_are_bounded),
        cmocka_unit_test(test_hostile_tensors),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_writer_and_reader_agree),
        cmocka_unit_test(test_unfinished_file_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
