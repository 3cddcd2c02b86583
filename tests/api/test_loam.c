/* libloam as its users see it: the shared library alone, without loam's own test helpers. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loam/loam.h"

/* Uses the error of the caller. */
#define assert_fine(call)                                              \
    do {                                                               \
        if ((call) != LOAM_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)

static void test_only_the_api_is_exported(void **state) {
    assert_non_null(dlsym(RTLD_DEFAULT, "loam_model_open"));
    assert_non_null(dlsym(RTLD_DEFAULT, "loam_status_name"));
    assert_null(dlsym(RTLD_DEFAULT, "lm_model_open"));
    assert_null(dlsym(RTLD_DEFAULT, "lm_alloc"));
    assert_string_equal(loam_version(), LOAM_VERSION);
}

static void test_errors(void **state) {
    loam_model *model = NULL;
    loam_error err = {0};
    assert_int_equal(loam_model_open("/nonexistent/model.gguf", NULL, &model, &err),
                     LOAM_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/model.gguf"));
    assert_null(model);
    loam_model_close(NULL);
    loam_session_free(NULL);
}

/* A model without a tokenizer: token ids work, text is refused. */
static void test_tokens(void **state) {
    loam_model *model;
    loam_session *session;
    loam_error err = {0};
    assert_fine(loam_model_open(LM_GOLDEN_DIR "/plain.gguf",
                                &(loam_model_options){.n_threads = 2, .check_weights = 1}, &model,
                                &err));
    loam_model_info info = loam_model_describe(model);
    assert_string_equal(info.name, "plain");
    assert_string_equal(info.architecture, "llama");
    assert_int_equal(info.n_vocab, 32);
    assert_int_equal(info.context, 64);
    assert_fine(loam_session_new(
        model, &(loam_session_options){.context = 20, .kv_type = LOAM_KV_F32}, &session, &err));

    const int32_t tokens[] = {3, 10, 17, 24};
    const float *logits;
    float first[32];
    assert_fine(loam_session_append(session, tokens, 4, &logits, &err));
    memcpy(first, logits, sizeof first);
    assert_int_equal(loam_session_length(session), 4);
    loam_session_truncate(session, 1);
    assert_fine(loam_session_append(session, tokens + 1, 3, &logits, &err));
    assert_memory_equal(first, logits, sizeof first);

    assert_int_equal(loam_session_append(session, (int32_t[17]){0}, 17, NULL, &err), LOAM_LIMIT);
    assert_int_equal(loam_session_append(session, (int32_t[]){1, 99}, 2, NULL, &err), LOAM_INVALID);
    assert_int_equal(loam_session_append(session, tokens, 0, NULL, &err), LOAM_INVALID);
    assert_int_equal(loam_session_length(session), 4);
    assert_int_equal(loam_generate(session, "hello", NULL, NULL, NULL, NULL, &err), LOAM_INVALID);
    loam_session_free(session);
    loam_model_close(model);
}

typedef struct collected {
    char text[2048];
    size_t len, stop_at;
} collected;

static int collect(void *ctx, const char *text, size_t len) {
    collected *c = ctx;
    assert_true(c->len + len < sizeof c->text);
    memcpy(c->text + c->len, text, len);
    c->len += len;
    return c->len >= c->stop_at;
}

static void test_text(void **state) {
    const char *data = getenv("LOAM_TEST_DATA");
    if (!data) {
        print_message("LOAM_TEST_DATA is not set: no model with a tokenizer\n");
        skip();
    }
    char path[4096];
    loam_model *model;
    loam_session *session;
    loam_error err = {0};
    snprintf(path, sizeof path, "%s/models/stories260K/stories260K-f32.gguf", data);
    assert_fine(loam_model_open(path, NULL, &model, &err));

    const char *text = "Once upon a time, Lily's mom said";
    const int32_t expected[] = {1, 403, 407, 261, 378, 432, 317, 439, 419, 357, 336};
    int32_t tokens[16];
    size_t n, len;
    char back[64];
    assert_fine(loam_tokenize(model, text, strlen(text), LOAM_ADD_BOS, tokens, 4, &n, &err));
    assert_int_equal(n, 11);
    assert_fine(loam_tokenize(model, text, strlen(text), LOAM_ADD_BOS, tokens, 16, &n, &err));
    assert_memory_equal(tokens, expected, sizeof expected);
    assert_fine(loam_detokenize(model, tokens, n, back, sizeof back, &len, &err));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(back, text, len);
    assert_true(loam_is_end(model, 2));
    assert_false(loam_is_end(model, 403));

    collected c = {.stop_at = sizeof c.text};
    loam_generate_result result;
    loam_generate_options options = LOAM_GENERATE_DEFAULTS;
    options.temperature = 0;
    options.max_tokens = 20;
    assert_fine(loam_session_new(model, NULL, &session, &err));
    assert_fine(loam_generate(session, "", &options, collect, &c, &result, &err));
    assert_true(strncmp(c.text, "Once upon a time, there was a little girl named Lily.", 40) == 0);
    assert_int_equal(result.n_generated, 20);
    assert_string_equal(result.finish_reason, "length");
    c = (collected){.stop_at = 10};
    assert_fine(loam_generate(session, "", &options, collect, &c, &result, &err));
    assert_string_equal(result.finish_reason, "cancelled");
    loam_session_free(session);
    loam_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_api_is_exported),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
