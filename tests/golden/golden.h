/* The tiny Llama models of tests/golden/llama.py: where they are, and how to open one. */
#ifndef LM_TESTS_GOLDEN_H
#define LM_TESTS_GOLDEN_H

#include "testing.h"

#include "backend/cpu/cpu.h"
#include "base/file.h"
#include "model/session.h"

enum { GOLDEN_TOKENS = 48, GOLDEN_VOCAB = 32 };

static inline int32_t golden_token(int i) {
    return (7 * i + 3) % GOLDEN_VOCAB;
}

/* Path of a file of the fixture, for lm_free. */
static inline char *golden_path(const char *name, const char *suffix) {
    char *path = lm_asprintf("%s/%s%s", LM_GOLDEN_DIR, name, suffix);
    assert_non_null(path);
    return path;
}

static inline void golden_copy(const char *from, const char *dir, const char *name) {
    char *bytes, *to = lm_path_join(dir, name);
    size_t size;
    assert_ok(lm_file_read(from, 1 << 20, &bytes, &size, &err));
    assert_ok(lm_file_write_atomic(to, bytes, size, &err));
    lm_free(bytes);
    lm_free(to);
}

/* A Hugging Face folder of this case in a fresh temporary folder. */
static inline LM_UNUSED char *golden_folder(const char *name, const char *weights) {
    char *dir = test_temp_dir(), *config = golden_path(name, ".json"),
         *tensors = golden_path(weights, ".safetensors");
    golden_copy(config, dir, "config.json");
    golden_copy(tensors, dir, "model.safetensors");
    lm_free(config);
    lm_free(tensors);
    return dir;
}

typedef struct golden_model {
    lm_device *device;
    lm_model *model;
} golden_model;

static inline LM_UNUSED golden_model golden_open_with(const char *path, int n_threads,
                                                      const lm_model_options *options) {
    golden_model g;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = n_threads}, &g.device, &err));
    assert_ok(lm_model_open(path, g.device, options, &g.model, &err));
    return g;
}

static inline LM_UNUSED golden_model golden_open(const char *path, int n_threads) {
    return golden_open_with(path, n_threads, NULL);
}

/* The GGUF file of this case. */
static inline LM_UNUSED golden_model golden_open_gguf(const char *name, int n_threads) {
    char *path = golden_path(name, ".gguf");
    golden_model g = golden_open(path, n_threads);
    lm_free(path);
    return g;
}

/* The plain model, all of whose layers see a window. */
static inline LM_UNUSED golden_model golden_open_windowed(int window) {
    char *dir = golden_folder("plain", "plain"), *path = lm_path_join(dir, "config.json"), *text;
    size_t size;
    assert_ok(lm_file_read(path, 1 << 16, &text, &size, &err));
    char *config = lm_asprintf("{\"sliding_window\": %d,%s", window, text + 1);
    assert_ok(lm_file_write_atomic(path, config, strlen(config), &err));
    golden_model g = golden_open(dir, 1);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(config);
    lm_free(text);
    lm_free(path);
    lm_free(dir);
    return g;
}

static inline LM_UNUSED void golden_close(golden_model *g) {
    lm_model_free(g->model);
    lm_device_close(g->device);
}

/* Whether `loam convert` refuses what the model is; of Falcon's members with ALiBi there is no GGUF. */
static inline LM_UNUSED bool golden_is_read_only(const char *path) {
    golden_model g = golden_open_with(path, 1, &(lm_model_options){.no_pack = true});
    const lm_arch_config *config = lm_model_config(g.model);
    bool alibi = config->arch->alibi_scaled && config->hparams.alibi_max > 0;
    bool read_only = config->arch->read_only || config->hparams.rounded_reads || alibi;
    golden_close(&g);
    return read_only;
}

static inline LM_UNUSED lm_session *golden_session(const golden_model *g,
                                                   lm_session_options options) {
    lm_session *session;
    assert_ok(lm_session_new(g->model, &options, &session, &err));
    return session;
}

static inline LM_UNUSED int32_t golden_new_seq(lm_session *session) {
    int32_t seq = -1;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    return seq;
}

#endif
