#include "model/text_part.h"

#include "testing.h"

#include "base/json.h"

static loam_error refusal;

/* The text part of this config.json; NULL where it is refused. */
static json_t *part_of(const char *text, bool *is_part) {
    json_t *config, *part = NULL;
    assert_ok(lm_json_parse(lm_str_of(text), "config.json", &config, &err));
    if (lm_text_part(config, "config.json", &part, is_part, &refusal) != LOAM_OK) part = NULL;
    json_decref(config);
    return part;
}

static void check_text(const json_t *part, const char *key, const char *expected) {
    assert_string_equal(json_string_value(json_object_get(part, key)), expected);
}

static void check_number(const json_t *part, const char *key, int64_t expected) {
    assert_int_equal(json_integer_value(json_object_get(part, key)), expected);
}

/* The first LLaVA's says no sizes. */
static void test_defaults(void **state) {
    bool is_part;
    json_t *part = part_of("{\"model_type\":\"llava\",\"text_config\":{\"model_type\":\"llama\","
                           "\"max_position_embeddings\":4096,\"vocab_size\":32064}}",
                           &is_part);
    assert_true(is_part);
    check_number(part, "hidden_size", 4096);
    check_number(part, "intermediate_size", 11008);
    check_number(part, "max_position_embeddings", 4096);
    check_number(part, "vocab_size", 32064);
    json_decref(part);
}

/* A model that speaks has its text part two objects deep; the type is what that is by itself. */
static void test_nested(void **state) {
    bool is_part;
    json_t *part = part_of("{\"model_type\":\"qwen2_5_omni\",\"thinker_config\":{\"text_config\":"
                           "{\"model_type\":\"qwen2_5_omni_text\",\"hidden_size\":64}}}",
                           &is_part);
    assert_true(is_part);
    check_text(part, "model_type", "qwen2");
    check_number(part, "hidden_size", 64);
    json_decref(part);
}

/* Numbers may lie beside those of the part that sees. */
static void test_flat(void **state) {
    bool is_part;
    json_t *part = part_of(
        "{\"model_type\":\"paddleocr_vl\",\"vision_config\":{},\"hidden_size\":64}", &is_part);
    assert_true(is_part);
    check_text(part, "model_type", "llama");
    json_decref(part);
    part = part_of("{\"model_type\":\"llama\",\"hidden_size\":64}", &is_part);
    assert_false(is_part);
    assert_int_equal(json_object_size(part), 2);
    json_decref(part);
}

/* What the whole does not use, and wholes that answer otherwise than their parts. */
static void test_otherwise(void **state) {
    bool is_part;
    json_t *part = part_of("{\"model_type\":\"aya_vision\",\"text_config\":{\"model_type\":"
                           "\"cohere2\",\"logit_scale\":0.25}}",
                           &is_part);
    assert_null(json_object_get(part, "logit_scale"));
    json_decref(part);
    assert_null(part_of("{\"model_type\":\"paligemma\",\"text_config\":{\"model_type\":\"gemma\"}}",
                        &is_part));
    assert_int_equal(refusal.status, LOAM_UNSUPPORTED);
    assert_non_null(strstr(refusal.message, "paligemma"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
