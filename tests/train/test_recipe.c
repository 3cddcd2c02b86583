/* Reading recipes, and that docs/recipes.md tells every key. `test_train_recipe --print-docs` prints what the document's
 * tables must be. */
#include "testing.h"

#include "base/file.h"
#include "train/recipe.h"

static loam_status read_recipe(lm_recipe *recipe, const char *yaml, loam_error *err) {
    lm_recipe_init(recipe);
    return lm_recipe_read(recipe, lm_str_of(yaml), "r.yaml", err);
}

static void check_refused(const char *yaml, const char *message, const char *hint) {
    lm_recipe recipe;
    loam_error err = {0};
    assert_int_equal(read_recipe(&recipe, yaml, &err), LOAM_INVALID);
    assert_string_equal(err.message, message);
    if (hint) assert_non_null(strstr(err.hint, hint));
    lm_recipe_deinit(&recipe);
}

static void test_reads_values_over_defaults(void **state) {
    lm_recipe recipe;
    assert_ok(read_recipe(&recipe,
                          "data: {path: a.txt, separator: \"\\n\\n\"}\n"
                          "model:\n  dim: 64   # narrow\n  tie_embeddings: false\n"
                          "train:\n  lr: 3e-4\n  dtype: bf16\n",
                          &err));
    assert_string_equal(recipe.data_path, "a.txt");
    assert_string_equal(recipe.data_separator, "\n\n");
    assert_int_equal(recipe.model_dim, 64);
    assert_false(recipe.model_tie_embeddings);
    assert_true(recipe.train_lr == 3e-4);
    assert_string_equal(recipe.train_dtype, "bf16");
    assert_int_equal(recipe.model_n_layers, 4);
    assert_ok(lm_recipe_check(&recipe, &err));
    assert_int_equal(recipe.model_n_kv_heads, recipe.model_n_heads);
    assert_int_equal(recipe.model_ffn_dim, 192);
    lm_recipe_deinit(&recipe);
    assert_ok(read_recipe(&recipe, "", &err));
    assert_int_equal(recipe.train_steps, 2000);
    lm_recipe_deinit(&recipe);
}

static void test_mistakes_are_named(void **state) {
    check_refused("model:\n  n_layer: 4\n", "r.yaml:2: unknown key 'n_layer' in model",
                  "'n_layers'");
    check_refused("modell:\n  n_layers: 4\n", "r.yaml:1: unknown section 'modell'", "'model'");
    check_refused("model:\n  dim: 64\n  n_layers: many\n",
                  "r.yaml:3: model.n_layers is 'many', not a whole number", NULL);
    check_refused("train:\n  lr: 11\n", "r.yaml:2: train.lr is 11; 0 to 10 is allowed", NULL);
    check_refused("train:\n  lr: nan\n", "r.yaml:2: train.lr is 'nan', not a number", NULL);
    check_refused("train:\n  dtype: fp8\n", "r.yaml:2: train.dtype is 'fp8'; known are: f32 bf16",
                  NULL);
    check_refused("model: {tie_embeddings: flase}\n",
                  "r.yaml: model.tie_embeddings is 'flase', not true or false", NULL);
    check_refused("model: 3\n", "r.yaml:1: model: Expecting MAPPING, got event: SCALAR", NULL);
    check_refused("model:\n  dim:\n", "r.yaml:2: model.dim is '', not a whole number", NULL);
    check_refused("- 1\n", "r.yaml:0: Expecting MAPPING, got event: SEQUENCE_START", NULL);
}

static void test_aliases_and_size_are_refused(void **state) {
    lm_recipe recipe;
    assert_status(LOAM_INVALID, read_recipe(&recipe, "model: &m {dim: 64}\ntrain: *m\n", &err));
    lm_recipe_deinit(&recipe);
    char *big = lm_calloc(1, LM_RECIPE_MAX_BYTES + 2);
    memset(big, '#', LM_RECIPE_MAX_BYTES + 1);
    assert_status(LOAM_LIMIT, read_recipe(&recipe, big, &err));
    lm_recipe_deinit(&recipe);
    lm_free(big);
}

static void check_combination_refused(const char *assignment, const char *message) {
    lm_recipe recipe;
    loam_error err = {0};
    assert_int_equal(read_recipe(&recipe, "data: {path: x}\n", &err), LOAM_OK);
    assert_int_equal(lm_recipe_set(&recipe, assignment, &err), LOAM_OK);
    assert_int_equal(lm_recipe_check(&recipe, &err), LOAM_INVALID);
    assert_string_equal(err.message, message);
    lm_recipe_deinit(&recipe);
}

static void test_combinations(void **state) {
    check_combination_refused("model.dim=130",
                              "model.dim is 130, not an even multiple of model.n_heads 4");
    check_combination_refused("model.n_kv_heads=3",
                              "model.n_kv_heads 3 does not divide model.n_heads 4");
    check_combination_refused("train.min_lr=1", "train.min_lr 1 is above train.lr 0.001");
    check_combination_refused("train.steps=5", "train.warmup_steps 100 is more than train.steps 5");
    check_combination_refused("data.path=", "the recipe names no data");
    lm_recipe recipe;
    lm_recipe_init(&recipe);
    loam_error err = {0};
    assert_int_equal(lm_recipe_set(&recipe, "model.dims=3", &err), LOAM_INVALID);
    assert_string_equal(err.hint, "did you mean 'model.dim'?");
    lm_recipe_deinit(&recipe);
}

static void test_canonical_text_reads_back(void **state) {
    lm_recipe a, b;
    lm_buf text, again;
    lm_buf_init(&text, LM_RECIPE_MAX_BYTES);
    lm_buf_init(&again, LM_RECIPE_MAX_BYTES);
    assert_ok(read_recipe(
        &a,
        "data: {path: 'it''s \"x\\y\"', separator: \"\\n\\t\"}\ntrain: {lr: 0.1, eps: 1.25e-9}\n",
        &err));
    lm_recipe_print(&a, &text);
    assert_ok(read_recipe(&b, lm_buf_cstr(&text), &err));
    lm_recipe_print(&b, &again);
    assert_string_equal(lm_buf_cstr(&text), lm_buf_cstr(&again));
    assert_string_equal(a.data_path, b.data_path);
    assert_ok(lm_recipe_same_training(&a, &b, &err));
    b.sample_every++;
    assert_ok(lm_recipe_same_training(&a, &b, &err));
    b.train_steps++;
    assert_status(LOAM_CONFLICT, lm_recipe_same_training(&a, &b, &err));
    lm_buf_deinit(&text);
    lm_buf_deinit(&again);
    lm_recipe_deinit(&a);
    lm_recipe_deinit(&b);
}

static void print_limits(const lm_recipe_key *key, lm_buf *out) {
    switch (key->type) {
    case LM_RECIPE_BOOL: lm_buf_puts(out, "`true`, `false`"); break;
    case LM_RECIPE_TEXT: lm_buf_printf(out, "text, %.0f bytes", key->max); break;
    case LM_RECIPE_CHOICE:
        for (const char *at = key->choices; *at; at++)
            lm_buf_printf(out, *at == ' ' ? "`, `" : "%s%c", at == key->choices ? "`" : "", *at);
        lm_buf_putc(out, '`');
        break;
    default:
        lm_buf_printf(out, key->type == LM_RECIPE_INT ? "%.0f to %.0f" : "%.10g to %.10g", key->min,
                      key->max);
    }
}

/* The document's part between its two marks. */
static void print_docs(lm_buf *out) {
    lm_recipe defaults;
    lm_recipe_init(&defaults);
    for (int k = 0; k < lm_recipe_n_keys; k++) {
        const lm_recipe_key *key = &lm_recipe_keys[k];
        if (k == 0 || strcmp(key->section, lm_recipe_keys[k - 1].section) != 0)
            lm_buf_printf(
                out, "\n### %s\n\n| key | default | allowed | what it is |\n|---|---|---|---|\n",
                key->section);
        lm_buf_printf(out, "| `%s` | `", key->key);
        lm_recipe_print_value(&defaults, key, out);
        lm_buf_puts(out, "` | ");
        print_limits(key, out);
        lm_buf_printf(out, " | %s |\n", key->help);
    }
    lm_recipe_deinit(&defaults);
}

static void test_documentation_tells_every_key(void **state) {
    lm_buf expected;
    lm_buf_init(&expected, 1 << 20);
    print_docs(&expected);
    char *text = NULL;
    size_t size;
    assert_ok(lm_file_read(LOAM_DOCS_DIR "/recipes.md", 1 << 20, &text, &size, &err));
    if (!strstr(text, lm_buf_cstr(&expected)))
        fail_msg("docs/recipes.md differs from recipe_keys.def; put what `test_train_recipe "
                 "--print-docs` prints there");
    lm_buf_deinit(&expected);
    lm_free(text);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print-docs") == 0) {
        lm_buf text;
        lm_buf_init(&text, 1 << 20);
        print_docs(&text);
        fputs(lm_buf_cstr(&text), stdout);
        lm_buf_deinit(&text);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_values_over_defaults),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_aliases_and_size_are_refused),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_canonical_text_reads_back),
        cmocka_unit_test(test_documentation_tells_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
