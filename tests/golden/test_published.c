/* config.json's as families publish them, against what transformers makes of them: published.py, which says what is compared. */
#include "testing.h"

#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "model/model_weights.h"
#include "model/rope_table.h"

enum { MAX_BYTES = 1 << 20, N_ANGLES = 5 };

/* A published model: what loam read of its config.json, and what is expected. */
typedef struct published {
    const char *name;
    const json_t *expected;
    lm_arch_config config;
} published;

static int n_wrong;

static void expect(const published *p, const char *what, int64_t layer, double expected,
                   double found) {
    if (fabs(expected - found) <= 1e-5 * fabs(expected)) return;
    print_error("%s: %s of layer %lld is %.9g, expected %.9g\n", p->name, what, (long long)layer,
                found, expected);
    n_wrong++;
}

/* Of an object, where it says anything. */
static void expect_said(const published *p, const json_t *object, const char *key, double found) {
    const json_t *value = json_object_get(object, key);
    assert_non_null(value);
    if (json_is_boolean(value))
        expect(p, key, 0, json_is_true(value), found);
    else if (!json_is_null(value))
        expect(p, key, 0, json_number_value(value), found);
}

/* --- Numbers of the whole model. */

/* published.py's is_counted. */
static bool is_counted(lm_param_id id, const int64_t shape[2], int n_dims) {
    if (id == LM_PARAM_OUTPUT_HEAD || lm_param_is_bias(id)) return false;
    if (id == LM_PARAM_POOL_BIAS || id == LM_PARAM_INDEX_POOL_BIAS || id == LM_PARAM_TOKEN_EXPERTS)
        return false;
    return n_dims == 2 && shape[0] > 1 && shape[1] > 1;
}

static double matrices(const lm_arch_config *config) {
    int64_t total = 0, shape[2];
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        int64_t n_layers = lm_param_has_layer(id) ? lm_stored_layers(&config->hparams) : 1;
        for (int64_t i = 0; i < n_layers; i++)
            if (lm_param_at(config, id, i) &&
                is_counted(id, shape, lm_param_shape(config, id, i, shape)))
                total += shape[0] * shape[1];
    }
    return (double)total;
}

static void check_act(const published *p) {
    static const struct {
        const char *name;
        lm_function function;
    } acts[] = {
        {"silu", LM_FN_SILU}, {"gelu", LM_FN_GELU},          {"gelu_tanh", LM_FN_GELU_TANH},
        {"relu", LM_FN_RELU}, {"relu2", LM_FN_RELU_SQUARED}, {"xielu", LM_N_FUNCTIONS},
    };
    const char *name = json_string_value(json_object_get(p->expected, "act"));
    lm_function found;
    assert_true(lm_act_find(p->config.hparams.hidden_act, &found));
    for (size_t i = 0; name && i < LM_COUNT_OF(acts); i++)
        if (strcmp(acts[i].name, name) == 0) expect(p, "activation", 0, acts[i].function, found);
}

static double factor(double f) {
    return f > 0 ? f : 1;
}

static void check_whole(const published *p) {
    const lm_hparams *h = &p->config.hparams;
    const json_t *factors = json_object_get(p->expected, "factors");
    const double found[] = {factor(h->embedding_scale), factor(h->residual_scale),
                            factor(h->logit_scale), h->logit_soft_cap};
    expect_said(p, p->expected, "n_layers", (double)h->n_layers);
    int64_t before =
        p->config.arch->position_offset ? h->position_offset : 0; /* counted, not used */
    expect_said(p, p->expected, "context", (double)(h->context_len + before));
    expect_said(p, p->expected, "eps", h->rms_norm_eps);
    if (!h->is_part) expect_said(p, p->expected, "tied", h->tied_embeddings);
    expect_said(p, p->expected, "matrices", matrices(&p->config));
    for (size_t i = 0; i < LM_COUNT_OF(found); i++)
        expect(p, "factor", (int64_t)i, json_number_value(json_array_get(factors, i)), found[i]);
    check_act(p);
}

static void check_router(const published *p) {
    const lm_hparams *h = &p->config.hparams;
    const json_t *router = json_object_get(p->expected, "router"),
                 *total = json_object_get(router, "total");
    const char *function = json_string_value(json_object_get(router, "function"));
    if (!router || json_is_null(router)) return;
    expect_said(p, router, "experts", (double)lm_expert_choices(h));
    expect_said(p, router, "used", (double)h->n_experts_used);
    if (!function) return;
    expect(p, "sigmoid of a router", 0, strcmp(function, "sigmoid") == 0, h->expert_sigmoid);
    expect(p, "softplus of a router", 0, strcmp(function, "sqrtsoftplus") == 0, h->expert_softplus);
    expect_said(p, router, "scale", factor(h->expert_weight_scale));
    expect(p, "sum of a router", 0, !json_is_null(total), h->expert_normalize);
}

/* --- Layers. */

static void check_rope(const published *p, const json_t *rope, int64_t layer) {
    const lm_hparams *h = &p->config.hparams;
    bool local = lm_layer_in(&h->windowed, layer) && h->local_rope_theta > 0;
    float freqs[LM_MAX_ROPE_PAIRS], scale = 1;
    int64_t pairs = (local ? lm_local_rope_dim(h) : h->rope_dim) / 2;
    const json_t *angles = json_object_get(rope, "angles");
    expect(p, "pairs", layer, json_number_value(json_object_get(rope, "pairs")), (double)pairs);
    if (local)
        lm_rope_local_table(h, freqs);
    else
        lm_rope_table(h, h->context_len, freqs, &scale);
    expect(p, "scale of a rope", layer, json_number_value(json_object_get(rope, "scale")), scale);
    for (int64_t i = 0; i < N_ANGLES; i++)
        expect(p, "angle", layer, json_number_value(json_array_get(angles, (size_t)i)),
               (double)freqs[i * (pairs - 1) / (N_ANGLES - 1)]);
}

/* How a layer attends: in latent attention as its heads would by themselves. */
static void check_kind(const published *p, const json_t *kind, int64_t layer) {
    const lm_hparams *h = &p->config.hparams;
    lm_attrs a = lm_arch_attention(&p->config, layer);
    bool latent = h->kv_latent_dim > 0;
    double window = json_number_value(json_object_get(kind, "window"));
    if (window >= (double)h->context_len) window = 0; /* nothing falls out of it */
    expect_said(p, kind, "heads", (double)a.n_heads);
    expect_said(p, kind, "kv_heads", (double)(latent ? a.n_heads : a.n_kv_heads));
    expect_said(p, kind, "key_dim", (double)(latent ? h->nope_dim + h->rope_dim : a.head_dim));
    expect_said(p, kind, "value_dim", (double)(latent ? h->value_dim : lm_value_dim_at(h, layer)));
    expect_said(p, kind, "scale", (double)a.scale);
    expect_said(p, kind, "cap", (double)a.soft_cap);
    expect(p, "sinks", layer, json_is_true(json_object_get(kind, "sinks")),
           lm_param_at(&p->config, LM_PARAM_SINKS, layer));
    expect(p, "window", layer, window, (double)a.window);
    const json_t *rope = json_object_get(kind, "rope");
    expect(p, "rope", layer, !json_is_null(rope), !lm_layer_in(&h->no_rope, layer));
    if (!json_is_null(rope))
        check_rope(
            p,
            json_array_get(json_object_get(p->expected, "ropes"), (size_t)json_integer_value(rope)),
            layer);
}

static void check_layers(const published *p) {
    const char *order = json_string_value(json_object_get(p->expected, "order"));
    const json_t *kinds = json_object_get(p->expected, "kinds");
    for (int64_t i = 0; order && order[i]; i++) {
        bool attends = lm_layer_attends(&p->config.hparams, i);
        expect(p, "attention", i, order[i] != '-', attends);
        if (order[i] != '-' && attends)
            check_kind(p, json_array_get(kinds, (size_t)(order[i] - 'A')), i);
    }
}

/* --- One after the other. */

/* Of a folder that has nothing but its config. */
static bool read_config(const char *dir, const char *text, lm_arch_config *out) {
    static const char no_tensors[] = "\2\0\0\0\0\0\0\0{}";
    char *config = lm_path_join(dir, "config.json"),
         *weights = lm_path_join(dir, "model.safetensors");
    lm_model_file *file = NULL;
    loam_error why;
    assert_ok(lm_file_write_atomic(config, text, strlen(text), &err));
    assert_ok(lm_file_write_atomic(weights, no_tensors, sizeof no_tensors - 1, &err));
    bool ok = lm_model_file_open(dir, &file, &why) == LOAM_OK;
    const lm_arch *arch = ok ? lm_arch_find(lm_model_file_hparams(file)->architecture) : NULL;
    if (!ok) print_error("%s (%s)\n", why.message, why.hint);
    if (arch) lm_model_weights_describe(file, arch, out);
    lm_model_file_close(file);
    lm_free(config);
    lm_free(weights);
    return arch != NULL;
}

/* "a.b" is b of the object a. */
static void drop_key(json_t *object, char *key) {
    for (char *dot = strchr(key, '.'); dot; key = dot + 1, dot = strchr(key, '.')) {
        *dot = '\0';
        object = json_object_get(object, key);
    }
    assert_int_equal(json_object_del(object, key), 0);
}

/* A line's, or one of a line before it less some keys: published.py. */
static json_t *config_of(const json_t *configs, char *text) {
    static const char less[] = " without ";
    json_t *config;
    if (*text == '{') {
        lm_json_from_python(text, strlen(text));
        assert_ok(lm_json_parse(lm_str_of(text), "configs.txt", &config, &err));
        return config;
    }
    char *keys = strstr(text, less), *rest = NULL;
    assert_non_null(keys);
    *keys = '\0';
    config = json_deep_copy(json_object_get(configs, text));
    assert_non_null(config);
    for (char *key = strtok_r(keys + strlen(less), " ", &rest); key;
         key = strtok_r(NULL, " ", &rest))
        drop_key(config, key);
    return config;
}

static void check(const char *dir, const char *name, const json_t *config, const json_t *expected) {
    published p = {name, expected, {0}};
    assert_non_null(expected);
    char *text = json_dumps(config, 0);
    bool read = read_config(dir, text, &p.config);
    free(text);
    if (!read) {
        print_error("%s: not read\n", name);
        n_wrong++;
        return;
    }
    check_whole(&p);
    check_router(&p);
    check_layers(&p);
}

static void test_published(void **state) {
    char *dir = test_temp_dir(), *configs, *text;
    size_t size, n = 0;
    json_t *expected, *all = json_object();
    assert_ok(lm_file_read(LM_PUBLISHED_DIR "/configs.txt", MAX_BYTES, &configs, &size, &err));
    assert_ok(lm_file_read(LM_PUBLISHED_DIR "/expected.json", MAX_BYTES, &text, &size, &err));
    assert_ok(lm_json_parse(lm_str_of(text), "expected.json", &expected, &err));
    char *rest = NULL;
    for (char *line = strtok_r(configs, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *config = strchr(line, ' ');
        assert_non_null(config);
        *config = '\0';
        if (strcmp(line, "#") == 0) continue;
        json_object_set_new(all, line, config_of(all, config + 1));
        check(dir, line, json_object_get(all, line), json_object_get(expected, line));
        n++;
    }
    assert_int_equal(n, json_object_size(expected));
    assert_true(n > 0);
    assert_int_equal(n_wrong, 0);
    json_decref(expected);
    json_decref(all);
    lm_free(text);
    lm_free(configs);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published)};
    return cmocka_run_group_tests_name("published", tests, NULL, NULL);
}
