#include "hostile.h"

#include "base/file.h"
#include "base/str.h"
#include "model/hf_folder.h"
#include "model/safetensors_writer.h"

/* A file of this header and n_data bytes of data: 0, 1, 2, ... */
static lm_buf file_of(const char *header, size_t n_data) {
    lm_buf b;
    uint64_t len = strlen(header);
    lm_buf_init(&b, 1 << 20);
    lm_buf_append(&b, &len, sizeof len);
    lm_buf_puts(&b, header);
    for (size_t i = 0; i < n_data; i++) lm_buf_putc(&b, (char)i);
    return b;
}

static loam_status open_one(const void *bytes, size_t size, loam_error *err) {
    lm_safetensors *file = NULL;
    loam_status status = lm_safetensors_open_bytes("x.safetensors", bytes, size, &file, err);
    lm_safetensors_close(file);
    return status;
}

static void check_refused(const char *header, size_t n_data, loam_status want, const char *what) {
    lm_buf b = file_of(header, n_data);
    loam_error err = {0};
    loam_status status = open_exactly(open_one, &b, b.len, &err);
    if (status != want || err.status != want || !strstr(err.message, what))
        fail_msg("%s: got '%s' (%s), wanted '%s' with '%s'", header, loam_status_name(status),
                 err.message, loam_status_name(want), what);
    lm_buf_deinit(&b);
}

#define TWO_TENSORS                                                                         \
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_" \
    "offsets\":[24,28]},"                                                                   \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}"

static void test_reads_what_is_there(void **state) {
    lm_buf b = file_of(TWO_TENSORS, 28);
    lm_safetensors *file;
    assert_ok(lm_safetensors_open_bytes("x", b.ptr, b.len, &file, &err));
    const lm_stored_tensor *a = lm_stored_tensors_find(lm_safetensors_tensors(file), "a");
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal((uintptr_t)a->data % 4, 0); /* whatever the header's length */
    assert_int_equal(((const uint8_t *)a->data)[5], 5);
    assert_int_equal(
        ((const uint8_t *)lm_stored_tensors_find(lm_safetensors_tensors(file), "b")->data)[0], 24);
    assert_null(lm_stored_tensors_find(lm_safetensors_tensors(file), "__metadata__"));
    assert_true(lm_str_is(lm_safetensors_metadata(file, "format"), "pt"));
    assert_int_equal(lm_safetensors_metadata(file, "absent").len, 0);
    lm_safetensors_close(file);
    lm_buf_deinit(&b);
}

static void test_truncated_at_every_byte(void **state) {
    lm_buf b = file_of(TWO_TENSORS, 28);
    check_every_cut(open_one, &b, LOAM_CORRUPT, LOAM_CORRUPT);
    lm_buf_deinit(&b);
}

static void test_any_bit_flipped(void **state) {
    lm_buf b = file_of(TWO_TENSORS, 28);
    check_every_flip(open_one, &b);
    lm_buf_deinit(&b);
}

static void test_missing_memory(void **state) {
    lm_buf b = file_of(TWO_TENSORS, 28);
    check_every_missing_allocation(open_one, &b);
    lm_buf_deinit(&b);
}

static void test_oversized_header(void **state) {
    lm_buf b = file_of("{}", 0);
    const uint64_t sizes[] = {3, LM_SAFETENSORS_MAX_HEADER_BYTES + 1, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < LM_COUNT_OF(sizes); i++) {
        loam_error err = {0};
        memcpy(b.ptr, &sizes[i], sizeof sizes[i]);
        assert_int_equal(open_exactly(open_one, &b, b.len, &err), LOAM_CORRUPT);
        assert_non_null(strstr(err.message, "the header claims"));
    }
    lm_buf_deinit(&b);
}

static void test_hostile_headers(void **state) {
#define ONE(fields) "{\"w\":{" fields "}}"
    check_refused("[]", 0, LOAM_CORRUPT, "no JSON object");
    check_refused("{", 0, LOAM_CORRUPT, "not valid JSON");
    check_refused("{\"w\":1}", 0, LOAM_CORRUPT, "tensor 'w'");
    check_refused("{\"__metadata__\":1}", 0, LOAM_CORRUPT, "__metadata__");
    check_refused(ONE("\"shape\":[1],\"data_offsets\":[0,4]"), 4, LOAM_CORRUPT,
                  "'dtype' is missing");
    check_refused(ONE("\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, LOAM_UNSUPPORTED,
                  "'F4'");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), 4, LOAM_CORRUPT,
                  "too large");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]"), 4, LOAM_CORRUPT,
                  "must hold integers");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]"),
                  4, LOAM_CORRUPT, "[4294967296, 4294967296] is too large");
    check_refused(ONE("\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,4]"),
                  4, LOAM_CORRUPT, "too large");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4,
                  LOAM_UNSUPPORTED, "9 dimensions");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]"), 8, LOAM_CORRUPT,
                  "takes 4 bytes, its range has 8");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4, LOAM_CORRUPT,
                  "no range");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 4, LOAM_CORRUPT,
                  "no range");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 3, LOAM_CORRUPT,
                  "ends at byte 4 of the data, the file has 3");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]"), 4, LOAM_CORRUPT,
                  "two integers");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 5, LOAM_CORRUPT,
                  "1 bytes at the end");
    check_refused(ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), 8, LOAM_CORRUPT,
                  "4 bytes before tensor 'w'");
#undef ONE
    check_refused("{\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                  "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
                  12, LOAM_CORRUPT, "'v' and 'w' overlap by 4 bytes");
}

static void write_one(const char *dir, const char *name, const char *tensor, float value) {
    char *path = lm_path_join(dir, name);
    lm_safetensors_writer *writer = lm_safetensors_writer_new();
    assert_ok(lm_safetensors_writer_add_tensor(writer, tensor, LM_F32, 1, (int64_t[]){1}, &err));
    assert_ok(lm_safetensors_writer_begin(writer, path, &err));
    assert_ok(lm_safetensors_writer_write(writer, &value, sizeof value, &err));
    assert_ok(lm_safetensors_writer_commit(writer, &err));
    lm_safetensors_writer_free(writer);
    lm_free(path);
}

static void write_text(const char *dir, const char *name, const char *text) {
    char *path = lm_path_join(dir, name);
    assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
    lm_free(path);
}

static void check_index_refused(const char *dir, const char *index, const char *what) {
    loam_error err = {0};
    lm_hf_folder *folder = NULL;
    write_text(dir, "model.safetensors.index.json", index);
    assert_int_not_equal(lm_hf_folder_open(dir, &folder, &err), LOAM_OK);
    assert_null(folder);
    assert_non_null(strstr(err.message, what));
}

static void test_shards(void **state) {
    char *dir = test_temp_dir();
    lm_hf_folder *folder;
    write_text(dir, "config.json", "{}");
    write_one(dir, "m-1.safetensors", "a", 1);
    write_one(dir, "m-2.safetensors", "b", 2);
    write_text(dir, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}");
    assert_ok(lm_hf_folder_open(dir, &folder, &err));
    const lm_stored_tensors *tensors = lm_hf_folder_tensors(folder);
    assert_int_equal(tensors->items.len, 2);
    assert_true(*(const float *)lm_stored_tensors_find(tensors, "b")->data == 2);
    lm_hf_folder_close(folder);
    check_index_refused(dir, "{}", "no object 'weight_map'");
    check_index_refused(dir, "{\"weight_map\":{\"a\":7}}", "no file for tensor 'a'");
    check_index_refused(dir, "{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}",
                        "no file of the folder");
    check_index_refused(dir, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no file of the folder");
    check_index_refused(dir, "{\"weight_map\":{\"b\":\"m-1.safetensors\"}}",
                        "tensor 'b' in m-1.safetensors");
    check_index_refused(dir, "{\"weight_map\":{\"a\":\"m-3.safetensors\"}}", "m-3.safetensors");
    write_one(dir, "m-2.safetensors", "a", 2);
    check_index_refused(dir,
                        "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}",
                        "'a' is there twice");
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

static void test_writer_refuses_what_readers_would(void **state) {
    lm_safetensors_writer *writer = lm_safetensors_writer_new();
    assert_ok(lm_safetensors_writer_add_tensor(writer, "h", LM_F16, 1, (int64_t[]){3}, &err));
    assert_status(LOAM_INVALID,
                  lm_safetensors_writer_add_tensor(writer, "f", LM_F32, 1, (int64_t[]){1}, &err));
    assert_status(LOAM_INVALID,
                  lm_safetensors_writer_add_tensor(writer, "h", LM_F16, 1, (int64_t[]){1}, &err));
    assert_status(LOAM_UNSUPPORTED,
                  lm_safetensors_writer_add_tensor(writer, "q", LM_Q8_0, 1, (int64_t[]){32}, &err));
    lm_safetensors_writer_free(writer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_is_there),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_any_bit_flipped),
        cmocka_unit_test(test_missing_memory),
        cmocka_unit_test(test_oversized_header),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_writer_refuses_what_readers_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
