/* What the registry lets in: models that can be opened, datasets that hold something. The fake program is argv[1]. */
#include "ops_fixture.h"

#include "cloud/table/dataset.h"

static const char *g_program;

static void test_model_that_cannot_be_opened(void **state) {
    ops_fixture *f = ops_begin(state, g_program);
    static const char *const bad[] = {"model.safetensors", "x", NULL}, *const good[] = {
                                                                           "config.json", "{}",
                                                                           "model.safetensors", "x",
                                                                           NULL};
    char id[LM_ID_BYTES];
    ops_add_version(f, "bad", bad, id);
    lm_version version = ops_wait_version(f, id, "failed");
    assert_true(version.error[0] == '/'); /* the program's own name is no part of it */
    assert_non_null(strstr(version.error, "/bad: no config.json"));
    assert_non_null(strstr(version.error, "name a folder with one"));
    assert_null(version.files);
    ops_add_version(f, "good", good, id);
    assert_int_equal(ops_wait_version(f, id, "ready").size_bytes, 3);
}

typedef struct import {
    ops_fixture *f;
    lm_dataset row;
} import;

static loam_status insert_dataset(lm_db *db, void *arg, loam_error *err) {
    return lm_table_insert(db, &lm_dataset_table, arg, err);
}

static loam_status find_dataset(lm_db *db, void *arg, loam_error *err) {
    import *i = arg;
    return lm_dataset_get(db, i->f->project_id, i->row.id, &i->f->arena, &i->row, err);
}

/* The dataset's row once it is ready or failed. */
static lm_dataset import_text(ops_fixture *f, const char *name, const char *text) {
    char *path = lm_path_join(f->home, name);
import i = {.f = f, .row = {.name = name, .state = "importing", .source = path } };
    assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
    lm_id_new(&f->ids, "ds", i.row.id);
    memcpy(i.row.project_id, f->project_id, LM_ID_BYTES);
    ops_call(f, insert_dataset, &i.row);
    lm_registry_wake(f->registry);
    lm_free(path);
    do {
        lm_clock_sleep_ms(10);
        ops_call(f, find_dataset, &i);
    } while (strcmp(i.row.state, "importing") == 0);
    return i.row;
}

static void test_dataset_without_bytes(void **state) {
    ops_fixture *f = ops_begin(state, g_program);
    lm_dataset row = import_text(f, "empty.txt", "");
    assert_string_equal(row.state, "failed");
    assert_non_null(strstr(row.error, "empty.txt: nothing is in it"));
    assert_string_equal(import_text(f, "full.txt", "once upon a time").state, "ready");
}

int main(int argc, char **argv) {
    if (argc < 2) return 1;
    g_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_model_that_cannot_be_opened, ops_end),
        cmocka_unit_test_teardown(test_dataset_without_bytes, ops_end),
    };
    return test_on_databases(tests);
}
