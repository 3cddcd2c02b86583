/* Models in several GGUF files. */
#include "base/file.h"
#include "model/gguf_writer.h"
#include "testing.h"

static const int64_t shape[] = {4};

/* Part `no` of `count` as `name`, with one tensor t<no> of four elements of that number. */
static void write_part(const char *dir, const char *name, int no, int count, int n_tensors,
                       const char *tensor) {
    char *path = lm_path_join(dir, name);
    float values[] = {(float)no, (float)no, (float)no, (float)no};
    lm_gguf_writer *writer = lm_gguf_writer_new();
    if (no == 0) lm_gguf_writer_add_str(writer, "general.architecture", LM_STR("llama"));
    lm_gguf_writer_add_u32(writer, "split.no", (uint32_t)no);
    lm_gguf_writer_add_u32(writer, "split.count", (uint32_t)count);
    lm_gguf_writer_add_u32(writer, "split.tensors.count", (uint32_t)n_tensors);
    assert_ok(lm_gguf_writer_add_tensor(writer, tensor, LM_F32, 1, shape, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_write(writer, values, sizeof values, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    lm_free(path);
}

static int set_up(void **state) {
    char *dir = test_temp_dir();
    write_part(dir, "m-00001-of-00003.gguf", 0, 3, 3, "t0");
    write_part(dir, "m-00002-of-00003.gguf", 1, 3, 3, "t1");
    write_part(dir, "m-00003-of-00003.gguf", 2, 3, 3, "t2");
    *state = dir;
    return 0;
}

static int tear_down(void **state) {
    assert_int_equal(lm_file_remove_tree(*state, NULL), LOAM_OK);
    lm_free(*state);
    return 0;
}

static void check_open(const char *dir, const char *name, loam_status want, const char *words) {
    char *path = lm_path_join(dir, name);
    lm_gguf *gguf = NULL;
    loam_error err = {0};
    assert_int_equal(lm_gguf_open(path, &gguf, &err), want);
    if (want != LOAM_OK && !strstr(err.message, words)) fail_msg("%s", err.message);
    if (want == LOAM_OK) lm_gguf_close(gguf);
    lm_free(path);
}

static void test_all_parts(void **state) {
    char *path = lm_path_join(*state, "m-00001-of-00003.gguf");
    lm_gguf *gguf;
    assert_ok(lm_gguf_open(path, &gguf, &err));
    assert_int_equal(lm_gguf_tensors(gguf)->items.len, 3);
    for (int i = 0; i < 3; i++) {
        char name[] = {'t', (char)('0' + i), '\0'};
        const lm_stored_tensor *tensor = lm_stored_tensors_find(lm_gguf_tensors(gguf), name);
        assert_non_null(tensor);
        assert_true(((const float *)tensor->data)[3] == (float)i);
    }
    lm_gguf_forget(gguf);
    assert_true(((const float *)lm_stored_tensors_find(lm_gguf_tensors(gguf), "t2")->data)[0] == 2);
    lm_gguf_close(gguf);
    lm_free(path);
}

static void test_bad_parts(void **state) {
    char *dir = *state;
    check_open(dir, "m-00002-of-00003.gguf", LOAM_INVALID, "part 2 of 3");
    write_part(dir, "other.gguf", 0, 3, 3, "t0");
    check_open(dir, "other.gguf", LOAM_INVALID, "is not named");
    write_part(dir, "m-00003-of-00003.gguf", 1, 3, 3, "t2");
    check_open(dir, "m-00001-of-00003.gguf", LOAM_CORRUPT, "by its name part 3 of 3");
    write_part(dir, "m-00003-of-00003.gguf", 2, 3, 3, "t1");
    check_open(dir, "m-00001-of-00003.gguf", LOAM_CORRUPT, "tensor 't1' is there twice");
    write_part(dir, "m-00003-of-00003.gguf", 2, 3, 3, "t2");
    write_part(dir, "m-00001-of-00003.gguf", 0, 3, 4, "t0");
    check_open(dir, "m-00001-of-00003.gguf", LOAM_CORRUPT, "hold 3 tensors, not 4");
    write_part(dir, "m-00001-of-00004.gguf", 0, 4, 4, "t0");
    check_open(dir, "m-00001-of-00004.gguf", LOAM_NOT_FOUND, "m-00002-of-00004.gguf");
    write_part(dir, "m-00001-of-00003.gguf", 7, 3, 3, "t0");
    check_open(dir, "m-00001-of-00003.gguf", LOAM_CORRUPT, "part 7 of 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_parts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
