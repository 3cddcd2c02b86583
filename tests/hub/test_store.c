#include "hub/store.h"

#include <sys/file.h>

#include "base/file.h"
#include "testing.h"

typedef struct places {
    char *dir, *root, *cache;
    lm_store store;
} places;

static int set_up(void **state) {
    places *p = lm_calloc(1, sizeof *p);
    p->dir = test_temp_dir();
    p->root = lm_path_join(p->dir, "models");
    p->cache = lm_path_join(p->dir, "hub");
    p->store = (lm_store){.root = p->root, .hf_cache = p->cache};
    *state = p;
    return 0;
}

static int tear_down(void **state) {
    places *p = *state;
    assert_int_equal(lm_file_remove_tree(p->dir, NULL), LOAM_OK);
    lm_free(p->dir);
    lm_free(p->root);
    lm_free(p->cache);
    lm_free(p);
    return 0;
}

static void put(const char *root, const char *path, const char *text) {
    char *full = lm_path_join(root, path), *dir = lm_strdup(full);
    *strrchr(dir, '/') = '\0';
    assert_ok(lm_file_make_dirs(dir, &err));
    assert_ok(lm_file_write_atomic(full, text, strlen(text), &err));
    lm_free(full);
    lm_free(dir);
}

static lm_hub_name named(const char *text) {
    lm_hub_name name;
    assert_ok(lm_hub_name_parse(text, &name, &err));
    return name;
}

static void check_found(const places *p, const char *text, const char *root, const char *path) {
    lm_store_model model;
    lm_hub_name name = named(text);
    assert_ok(lm_store_find(&p->store, &name, &model, &err));
    char *want = lm_path_join(root, path);
    assert_string_equal(model.path, want);
    lm_free(want);
    lm_store_model_deinit(&model);
}

static void check_not(const places *p, loam_status want, const char *text) {
    lm_store_model model;
    lm_hub_name name = named(text);
    assert_status(want, lm_store_find(&p->store, &name, &model, &err));
}

static void test_find(void **state) {
    const places *p = *state;
    check_not(p, LOAM_NOT_FOUND, "a/b");
    put(p->root, "a/b/m-Q4_0.gguf", "x");
    put(p->root, "a/b/sub/m-Q8_0-00001-of-00002.gguf", "x");
    put(p->root, "a/b/sub/m-Q8_0-00002-of-00002.gguf", "x");
    check_found(p, "a/b", p->root, "a/b/m-Q4_0.gguf");
    check_found(p, "a/b:q8_0", p->root, "a/b/sub/m-Q8_0-00001-of-00002.gguf");
    check_not(p, LOAM_NOT_FOUND, "a/b:Q6_K");
    put(p->root, "a/c/config.json", "{}");
    put(p->root, "a/c/model.safetensors", "x");
    check_found(p, "a/c", p->root, "a/c");
}

static void test_cache(void **state) {
    const places *p = *state;
    put(p->cache, "models--a--b/refs/main", "abc\n");
    put(p->cache, "models--a--b/snapshots/abc/m-Q8_0.gguf", "x");
    put(p->cache, "models--a--b/snapshots/old/m-Q4_0.gguf", "x");
    check_found(p, "a/b", p->cache, "models--a--b/snapshots/abc/m-Q8_0.gguf");
    put(p->root, "a/b/m-Q4_0.gguf", "x");
    check_found(p, "a/b", p->root, "a/b/m-Q4_0.gguf");
    check_found(p, "a/b:Q8_0", p->cache, "models--a--b/snapshots/abc/m-Q8_0.gguf");
    put(p->cache, "models--a--c/refs/main", "../../..");
    check_not(p, LOAM_NOT_FOUND, "a/c");
}

static void test_partial(void **state) {
    const places *p = *state;
    put(p->root, "a/b/config.json", "{}");
    put(p->root, "a/b/model.safetensors", "x");
    put(p->root, "a/b/.loam/manifest.json", "{\"files\":{},\"pending\":{\"tokenizer.json\":{}}}");
    check_not(p, LOAM_CONFLICT, "a/b");
    put(p->root, "a/b/.loam/manifest.json", "{\"files\":{},\"pending\":{\"m-Q4_0.gguf\":{}}}");
    check_found(p, "a/b", p->root, "a/b");
    put(p->root, "a/b/.loam/manifest.json", "[]");
    check_not(p, LOAM_CORRUPT, "a/b");
}

static void test_remove(void **state) {
    const places *p = *state;
    int64_t n_bytes = 0;
    lm_store_model model;
    lm_hub_name name = named("a/b"), quant = named("a/b:Q8_0");
    assert_status(LOAM_NOT_FOUND, lm_store_remove(&p->store, &name, &n_bytes, &err));
    put(p->root, "a/b/m-Q4_0.gguf", "xyz");
    put(p->root, "a/b/m-Q8_0.gguf", "xy");
    put(p->root, "a/b/.loam/use", "");
    assert_ok(lm_store_find(&p->store, &name, &model, &err));
    int held = lm_store_hold(&model);
    assert_true(held >= 0);
    assert_status(LOAM_CONFLICT, lm_store_remove(&p->store, &name, &n_bytes, &err));
    close(held);
    lm_store_model_deinit(&model);
    char *file = lm_path_join(p->root, "a/../a/b/m-Q4_0.gguf");
    held = lm_store_hold_path(&p->store, file);
    assert_true(held >= 0);
    assert_status(LOAM_CONFLICT, lm_store_remove(&p->store, &name, &n_bytes, &err));
    close(held);
    lm_free(file);
    assert_int_equal(lm_store_hold_path(&p->store, p->root), -1);
    assert_int_equal(lm_store_hold_path(&p->store, "/"), -1);
    assert_ok(lm_store_remove(&p->store, &quant, &n_bytes, &err));
    assert_int_equal(n_bytes, 2);
    check_found(p, "a/b", p->root, "a/b/m-Q4_0.gguf");
    assert_ok(lm_store_remove(&p->store, &name, &n_bytes, &err));
    assert_int_equal(n_bytes, 3);
    check_not(p, LOAM_NOT_FOUND, "a/b");
}

static void join_entry(void *ctx, const lm_store_entry *entry) {
    lm_buf_printf(ctx, "%s:%s%s%s ", entry->repo, entry->quant, entry->is_ours ? "" : " cached",
                  entry->is_complete ? "" : " partial");
}

static void test_list(void **state) {
    const places *p = *state;
    lm_buf out;
    lm_buf_init(&out, 1000);
    assert_ok(lm_store_list(&p->store, join_entry, &out, &err));
    assert_int_equal(out.len, 0);
    put(p->root, "b/z/m-Q4_0.gguf", "x");
    put(p->root, "a/z/m-Q8_0-00001-of-00002.gguf", "x");
    put(p->root, "a/y/config.json", "{}");
    put(p->root, "a/y/model.safetensors", "x");
    put(p->cache, "models--c--d/snapshots/1/m.gguf", "x");
    put(p->cache, "datasets--c--d/snapshots/1/m.gguf", "x");
    assert_ok(lm_store_list(&p->store, join_entry, &out, &err));
    assert_string_equal(lm_buf_cstr(&out),
                        "a/y:safetensors a/z:Q8_0 partial b/z:Q4_0 c/d: cached ");
    lm_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_partial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
