/* loam bench and loam profile as scripts read them: one JSON object a row, CSV with as many cells as heads, and the comparison with a file. */
#include "command_line.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

/* The next line of *text as a JSON object; NULL at the end. */
static json_t *next_row(const char **text) {
    size_t len = strcspn(*text, "\n");
    if (len == 0) return NULL;
    json_t *row = NULL;
    assert_ok(lm_json_parse((lm_str){*text, len}, "row", &row, &err));
    *text += len + ((*text)[len] == '\n');
    return row;
}

static double number(const json_t *row, const char *key) {
    const json_t *value = json_object_get(row, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Every row has a positive `rate`; returns their number. */
static int check_rows(const char *text, const char *rate, bool with_limit) {
    int n = 0;
    for (json_t *row; (row = next_row(&text)); n++) {
        assert_true(number(row, rate) > 0);
        if (with_limit) assert_true(number(row, "limit_pct") > 0);
        json_decref(row);
    }
    return n;
}

static void test_machine(void **state) {
    cli_result r = cli_loam("bench machine --threads 1 --isa scalar --json");
    assert_int_equal(r.code, 0);
    assert_true(check_rows(r.text, "value", false) >= 2);
    assert_non_null(strstr(r.text, "\"where\":\"scalar plain C\""));
    assert_non_null(strstr(r.text, "\"where\":\"memory\""));
    assert_null(strstr(r.text, "avx2"));
}

static void test_gemm(void **state) {
    cli_result r = cli_loam("bench gemm -m 3 -n 64 -k 256 --ops forward,train,dx,dw --types f32,bf16,q8_0 "
                     "--threads 1 --json");
    assert_int_equal(r.code, 0);
    assert_int_equal(check_rows(r.text, "gflop_per_s", true), 3 + 3 * 2);
    assert_int_equal(cli_loam("bench gemm --types f33").code, 1);
    assert_int_equal(cli_loam("bench gemm --shapes nothing").code, 1);
    assert_int_equal(cli_loam("bench gemm -m 0").code, 1);
}

static void test_model(void **state) {
    cli_result r = cli_loam("bench model " LM_GOLDEN_DIR
                     "/plain.gguf -p 16 -n 4 -d 0,8 -b 3 --batch-prompt 8 --batch-answers 2 -t 1 "
                     "-r 2 --json");
    assert_int_equal(r.code, 0);
    assert_int_equal(check_rows(r.text, "tok_per_s", true), 5);
    const char *const names[] = {"pp16", "tg4", "pp16 @d8", "tg4 @d8", "tg2 x3"};
    const char *at = r.text;
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        json_t *row = next_row(&at);
        assert_string_equal(json_string_value(json_object_get(row, "test")), names[i]);
        json_decref(row);
    }
    assert_int_equal(cli_loam("bench model /nonexistent").code, 1);
    assert_int_equal(cli_loam("bench model x --kv-dtype nothing").code, 1);
}

static void test_csv(void **state) {
    cli_result r = cli_loam("bench ops 'add 768' --threads 1 --csv");
    assert_int_equal(r.code, 0);
    int commas[2] = {0}, line = 0;
    for (const char *at = r.text; *at; at++) {
        assert_in_range(line, 0, 1);
        commas[line] += *at == ',';
        line += *at == '\n';
    }
    assert_int_equal(line, 2);
    assert_int_equal(commas[0], commas[1]);
    assert_int_equal(strncmp(r.text, "op,threads,kernel,us,", 21), 0);
}

/* A file that says every row took this long, then the same bench held against it. */
static cli_result against(const char *dir, double us, const char *rest) {
    char *path = lm_asprintf("%s/then.json", dir);
    char *row = lm_asprintf("{\"op\":\"add 768x128\",\"threads\":1,\"us\":%g}\n", us);
    assert_ok(lm_file_write_atomic(path, row, strlen(row), &err));
    char *args = lm_asprintf("ops 'add 768' -t 1 --json --baseline %s %s", path, rest);
    cli_result r = cli_loam("bench %s", args);
    lm_free(args);
    lm_free(row);
    lm_free(path);
    return r;
}

static void test_baseline(void **state) {
    char *dir = test_temp_dir();
    cli_result slower = against(dir, 1e-3, "--max-slowdown 2"),
           faster = against(dir, 1e9, "--max-slowdown 2");
    assert_int_equal(slower.code, 1);
    assert_int_equal(faster.code, 0);
    const char *at = faster.text;
    json_t *row = next_row(&at);
    assert_true(number(row, "baseline") == 1e9);
    assert_close(number(row, "ratio"), 1e9 / number(row, "us"), 0, 1e-4);
    json_decref(row);

    char *args = lm_asprintf("ops 'add 768' -t 1 --save %s/now.json", dir);
    assert_int_equal(cli_loam("bench %s", args).code, 0);
    lm_free(args);
    args = lm_asprintf("ops 'add 768' -t 1 --json --baseline %s/now.json", dir);
    cli_result r = cli_loam("bench %s", args);
    at = r.text;
    row = next_row(&at);
    assert_true(number(row, "ratio") > 0);
    json_decref(row);
    lm_free(args);
    assert_int_equal(cli_loam("bench ops 'add 768' --baseline /nonexistent").code, 1);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

/* Complete events of one track in a trace; each must begin where or after the one before ended. */
static int n_events(const json_t *trace, int track) {
    int n = 0;
    double end = 0;
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(trace, "traceEvents"), i, event) {
        if (strcmp(json_string_value(json_object_get(event, "ph")), "X") != 0) continue;
        if (json_integer_value(json_object_get(event, "tid")) != track) continue;
        assert_true(number(event, "ts") >= end - 0.01);
        end = number(event, "ts") + number(event, "dur");
        n++;
    }
    return n;
}

static void test_profile(void **state) {
    char *dir = test_temp_dir();
    char *args =
        lm_asprintf("profile " LM_GOLDEN_DIR
                    "/plain.gguf -p 8 -n 3 --seqs 2 -t 1 --json --nodes --trace %s/trace.json",
                    dir);
    cli_result r = cli_loam("%s", args);
    assert_int_equal(r.code, 0);
    int n_nodes = 0;
    bool head = false;
    const char *at = r.text;
    for (json_t *row; (row = next_row(&at)); json_decref(row)) {
        n_nodes += strcmp(json_string_value(json_object_get(row, "phase")), "decode") == 0;
        head = head ||
               strcmp(json_string_value(json_object_get(row, "name")), "token_embd.weight") == 0;
    }
    assert_true(n_nodes > 10 && head);

    char *path = lm_path_join(dir, "trace.json"), *text;
    size_t size;
    json_t *trace;
    assert_ok(lm_file_read(path, 1 << 24, &text, &size, &err));
    assert_ok(lm_json_parse((lm_str){text, size}, "trace", &trace, &err));
    int n_steps = 2 + 3; /* a prompt of each sequence, then their answers together */
    assert_int_equal(n_events(trace, 1), n_steps);
    assert_int_equal(n_events(trace, 2), n_steps * n_nodes);
    json_decref(trace);
    lm_free(text);
    lm_free(path);
    lm_free(args);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

static void test_serve(void **state) {
    const char *data = test_data_dir();
    if (!data) {
        print_message("LOAM_TEST_DATA is not set: no stories260K\n");
        skip();
    }
    char *args = lm_asprintf("serve %s/models/stories260K -c 1,2 -n 3 --prompt-tokens 8 "
                             "--max-prompt-tokens 12 --answer-tokens 4 -t 1 --json",
                             data);
    cli_result r = cli_loam("bench %s", args);
    assert_int_equal(r.code, 0);
    assert_int_equal(check_rows(r.text, "tok_per_s", false), 2);
    assert_non_null(strstr(r.text, "\"requests\":3,\"failed\":0.0,"));
    assert_int_equal(cli_loam("bench serve /nonexistent").code, 1);
    assert_int_equal(cli_loam("bench serve http://127.0.0.1:1").code, 1);
    lm_free(args);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine),  cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_model),    cmocka_unit_test(test_csv),
        cmocka_unit_test(test_baseline), cmocka_unit_test(test_profile),
        cmocka_unit_test(test_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
