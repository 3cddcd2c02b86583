#include "golden/cases.h"

#include <dirent.h>
#include <stdio.h>

#include "testing.h"

#include "base/file.h"

/* f32 against torch's f32: sums in another order. */
static const double tolerance = 1e-4;

enum { MAX_CASES = 256 };

typedef struct fixture {
    const golden_cases *cases;
    char *name;
} fixture;

static fixture fixtures[MAX_CASES];
static struct CMUnitTest tests[MAX_CASES];

/* Negative: there is no such file. */
static void deltas_of(const fixture *f, double *folder, double *gguf) {
    char *dir = lm_path_join(f->cases->dir, f->name),
         *expected = lm_path_join(dir, f->cases->expected), *file = lm_path_join(dir, "model.gguf"),
         *weights = lm_path_join(dir, "model.safetensors");
    *folder = lm_file_exists(weights) ? f->cases->check(dir, expected) : -1;
    *gguf = lm_file_exists(file) ? f->cases->check(file, expected) : -1;
    lm_free(weights);
    lm_free(file);
    lm_free(expected);
    lm_free(dir);
}

static void test_fixture(void **state) {
    const fixture *f = *state;
    double folder, gguf;
    deltas_of(f, &folder, &gguf);
    assert_true(folder >= 0 || gguf >= 0);
    if (!(folder <= tolerance))
        fail_msg("%s: what the folder gives differs by %g", f->name, folder);
    if (!(gguf <= tolerance)) fail_msg("%s: what the GGUF file gives differs by %g", f->name, gguf);
}

static void print_row(const fixture *f) {
    double folder, gguf;
    deltas_of(f, &folder, &gguf);
    printf("| %s |", f->name);
    printf(folder < 0 ? " – |" : " %.1e |", folder);
    printf(gguf < 0 ? " – |\n" : " %.1e |\n", gguf);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const fixture *)a)->name, ((const fixture *)b)->name);
}

static size_t list_fixtures(const golden_cases *cases) {
    DIR *dir = opendir(cases->dir);
    size_t n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        LM_ASSERT(n < MAX_CASES);
        fixtures[n++] = (fixture){cases, lm_strdup(entry->d_name)};
    }
    if (dir) closedir(dir);
    qsort(fixtures, n, sizeof *fixtures, by_name);
    return n;
}

int golden_cases_run(const golden_cases *cases, int argc, char **argv) {
    size_t n = list_fixtures(cases);
    int status = n == 0;
    bool table = argc > 1 && strcmp(argv[1], "--table") == 0;
    for (size_t i = 0; i < n; i++) {
        tests[i] = (struct CMUnitTest){
            .name = fixtures[i].name, .test_func = test_fixture, .initial_state = &fixtures[i]};
        if (table) print_row(&fixtures[i]);
    }
    if (!table && n > 0) status = _cmocka_run_group_tests(cases->suite, tests, n, NULL, NULL);
    for (size_t i = 0; i < n; i++) lm_free(fixtures[i].name);
    return status;
}
