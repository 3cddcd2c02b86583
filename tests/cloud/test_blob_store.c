#include "testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "cloud/blob_store.h"

typedef struct fixture {
    char *dir, *folder;
    lm_blob_store *store;
} fixture;

static void put(const char *dir, const char *name, const char *text) {
    char *path = lm_path_join(dir, name);
    assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
    lm_free(path);
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->dir = test_temp_dir();
    f->folder = lm_path_join(f->dir, "model");
    char *sub = lm_path_join(f->folder, "sub"), *store = lm_path_join(f->dir, "store");
    assert_ok(lm_file_make_dirs(sub, &err));
    put(f->folder, "config.json", "{}");
    put(f->folder, "model.safetensors", "weights");
    put(sub, "same.bin", "weights");
    put(f->folder, ".hidden", "no");
    put(f->folder, "model.safetensors.tmp-123", "half");
    put(f->folder, "model.loam-pack", "made from it");
    assert_ok(lm_blob_store_open(store, &f->store, &err));
    lm_free(sub);
    lm_free(store);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    lm_blob_store_close(f->store);
    assert_ok(lm_file_remove_tree(f->dir, &err));
    lm_free(f->folder);
    lm_free(f->dir);
    free(f);
    return 0;
}

static bool nothing_lives(const char *digest, void *arg) {
    return arg && strcmp(digest, arg) == 0;
}

static lm_blob_gc_result collect(fixture *f, const char *live, int64_t grace_ms) {
    lm_blob_gc gc = {.is_live = nothing_lives, .arg = (void *)live, .grace_ms = grace_ms};
    lm_blob_gc_result result;
    assert_ok(lm_blob_store_gc(f->store, &gc, &result, &err));
    return result;
}

static void test_import_and_view(void **state) {
    fixture *f = *state;
    lm_blob_files files = {0}, again = {0};
    char digest[LM_SHA256_HEX_BYTES], second[LM_SHA256_HEX_BYTES];
    assert_ok(lm_blob_store_import(f->store, f->folder, &files, &err));
    assert_int_equal(files.len, 3);
    assert_string_equal(files.ptr[0].path, "config.json");
    assert_string_equal(files.ptr[2].path, "sub/same.bin");
    assert_string_equal(files.ptr[1].digest, files.ptr[2].digest);
    /* sha256sum of "{}" */
    assert_string_equal(files.ptr[0].digest,
                        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_int_equal(lm_blob_files_size(&files), 16);
    assert_ok(lm_blob_store_import(f->store, f->folder, &again, &err));
    lm_blob_files_digest(&files, digest);
    lm_blob_files_digest(&again, second);
    assert_string_equal(digest, second);
    assert_int_equal(collect(f, NULL, 3600000).n_kept, 2); /* three files, two contents */

    char *view = lm_path_join(f->dir, "view"), *path = lm_path_join(view, "sub/same.bin"), *bytes;
    assert_ok(lm_blob_store_materialize(f->store, files.ptr, files.len, view, &err));
    assert_ok(lm_blob_store_materialize(f->store, files.ptr, files.len, view, &err));
    assert_ok(lm_file_read(path, 100, &bytes, NULL, &err));
    assert_string_equal(bytes, "weights");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0222, 0);
    lm_free(bytes);
    lm_free(path);
    lm_free(view);
    lm_vec_deinit(&files);
    lm_vec_deinit(&again);
}

static void test_single_file(void **state) {
    fixture *f = *state;
    lm_blob_files files = {0};
    char *path = lm_path_join(f->folder, "config.json");
    assert_ok(lm_blob_store_import(f->store, path, &files, &err));
    assert_int_equal(files.len, 1);
    assert_string_equal(files.ptr[0].path, "config.json");
    assert_ok(lm_blob_store_verify(f->store, files.ptr[0].digest, &err));
    char *object = lm_blob_store_path(f->store, files.ptr[0].digest);
    assert_int_equal(chmod(object, 0600), 0);
    FILE *stream = fopen(object, "w");
    fputs("[]", stream);
    fclose(stream);
    assert_status(LOAM_CORRUPT, lm_blob_store_verify(f->store, files.ptr[0].digest, &err));
    assert_status(LOAM_NOT_FOUND, lm_blob_store_import(f->store, "/nonexistent/x", &files, &err));
    lm_free(object);
    lm_free(path);
    lm_vec_deinit(&files);
}

static void test_names_that_leave_the_folder(void **state) {
    fixture *f = *state;
    static const char *const bad[] = {"../x", "/etc/x", "a/../../x", "..", ""};
    for (size_t i = 0; i < LM_COUNT_OF(bad); i++) {
        lm_blob_file file = {0};
        strcpy(file.path, bad[i]);
        assert_status(LOAM_CORRUPT, lm_blob_store_materialize(f->store, &file, 1, f->dir, &err));
    }
}

static void test_gc(void **state) {
    fixture *f = *state;
    lm_blob_files files = {0};
    assert_ok(lm_blob_store_import(f->store, f->folder, &files, &err));
    lm_blob_gc_result result =
        collect(f, NULL, 60000); /* all fresh: kept though nothing refers to them */
    assert_int_equal(result.n_removed, 0);
    result = collect(f, files.ptr[0].digest, 0);
    assert_int_equal(result.n_removed, 1);
    assert_int_equal(result.removed_bytes, 7);
    assert_true(lm_blob_store_has(f->store, files.ptr[0].digest));
    assert_false(lm_blob_store_has(f->store, files.ptr[1].digest));
    lm_vec_deinit(&files);
}

static void *keep_collecting(void *arg) {
    fixture *f = arg;
    for (int i = 0; i < 200; i++) collect(f, NULL, 2000);
    return NULL;
}

/* Whatever the collector does beside it, what an import has just returned is there. Objects are made old first, so that
 * the collector wants each of them. */
static void test_gc_beside_imports(void **state) {
    fixture *f = *state;
    pthread_t thread;
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    pthread_create(&thread, NULL, keep_collecting, f);
    for (int i = 0; i < 100; i++) {
        lm_blob_files files = {0};
        loam_error err = {0};
        loam_status status = lm_blob_store_import(f->store, f->folder, &files, &err);
        if (status == LOAM_NOT_FOUND)
            continue; /* taken before its time was refreshed: the import says so */
        assert_int_equal(status, LOAM_OK);
        for (size_t j = 0; j < files.len; j++)
            assert_true(lm_blob_store_has(f->store, files.ptr[j].digest));
        char *path = lm_blob_store_path(f->store, files.ptr[0].digest);
        utimensat(AT_FDCWD, path, old, 0);
        lm_free(path);
        lm_vec_deinit(&files);
    }
    pthread_join(thread, NULL);
}

/* Writing fails half way (a limit on file sizes stands for a full disk): the import says so and leaves nothing behind. */
static void test_no_room(void **state) {
    fixture *f = *state;
    lm_blob_files files = {0};
    struct rlimit before, tight;
    char *path = lm_path_join(f->folder, "model.safetensors"),
         *tmp = lm_path_join(f->dir, "store/tmp");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 3;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    loam_status status = lm_blob_store_import(f->store, path, &files, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, LOAM_IO);
    assert_int_equal(files.len, 0);
    assert_int_equal(rmdir(tmp), 0); /* empty */
    assert_int_equal(collect(f, NULL, 0).n_removed, 0);
    lm_free(path);
    lm_free(tmp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_import_and_view, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_leave_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gc_beside_imports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
