#include "testing.h"

#include "base/json.h"
#include "cloud/schema.h"

static const char *const colors[] = {"red", "green", NULL};
static const lm_field part_fields[] = {
    {.name = "n", .type = LM_FIELD_INTEGER, .required = true, .min = -5, .max = 5},
};
static const lm_schema part_schema = LM_SCHEMA("Part", part_fields);
static const lm_field fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 3},
    {.name = "color", .type = LM_FIELD_STRING, .choices = colors},
    {.name = "owner", .type = LM_FIELD_STRING, .nullable = true, .id_prefix = "prj"},
    {.name = "month", .type = LM_FIELD_STRING, .pattern = "^[0-9]{4}$"},
    {.name = "parts",
     .type = LM_FIELD_ARRAY,
     .max = 2,
     .items = LM_FIELD_OBJECT,
     .schema = &part_schema},
    {.name = "ratio", .type = LM_FIELD_NUMBER},
};
static const lm_schema schema = LM_SCHEMA("Thing", fields);

static loam_status check(const char *text, loam_error *err) {
    json_t *value;
    LM_TRY(lm_json_parse(lm_str_of(text), "body", &value, err));
    loam_status status = lm_json_whole_numbers(value, err);
    if (status == LOAM_OK) status = lm_schema_check(&schema, value, "body", err);
    json_decref(value);
    return status;
}

static void test_what_fits(void **state) {
    assert_ok(check("{\"name\":\"abc\"}", &err));
    assert_ok(check("{\"name\":\"\xe7\x9c\x9f\xe7\x9c\x9f\xe7\x9c\x9f\",\"color\":\"red\","
                    "\"owner\":null,\"month\":\"2026\"}",
                    &err));
    assert_ok(check("{\"name\":\"a\",\"parts\":[{\"n\":-5},{\"n\":5.0}],\"ratio\":2}", &err));
}

/* Each error names the field by its path, or hints at the one that was meant. */
static void test_what_does_not(void **state) {
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[]", "must be an object"},
        {"{}", "body.name is missing"},
        {"{\"name\":\"\"}", "body.name has 0 characters"},
        {"{\"name\":\"abcd\"}", "body.name has 4 characters, allowed is 1 to 3"},
        {"{\"name\":null}", "body.name must be a string"},
        {"{\"name\":\"a\",\"colour\":\"red\"}", "did you mean 'color'?"},
        {"{\"name\":\"a\",\"color\":\"blue\"}", "red, green"},
        {"{\"name\":\"a\",\"owner\":\"prj_1\"}", "body.owner"},
        {"{\"name\":\"a\",\"month\":\"26\"}", "body.month"},
        {"{\"name\":\"a\",\"parts\":[{\"n\":1},{\"n\":6}]}",
         "body.parts[1].n has 6, allowed is -5 to 5"},
        {"{\"name\":\"a\",\"parts\":[{\"n\":1},{\"n\":1.5}]}",
         "body.parts[1].n must be an integer"},
        {"{\"name\":\"a\",\"parts\":[{\"n\":1},{\"n\":1},{\"n\":1}]}", "body.parts has 3 items"},
        {"{\"name\":\"a\",\"ratio\":\"1\"}", "body.ratio must be a number"},
    };
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        loam_error err = {0};
        assert_int_equal(check(cases[i].text, &err), LOAM_INVALID);
        if (!strstr(err.message, cases[i].words) && !strstr(err.hint, cases[i].words))
            fail_msg("%s: '%s' (%s)", cases[i].text, err.message, err.hint);
    }
}

static void test_query_texts(void **state) {
    static const lm_field count = {.name = "limit", .type = LM_FIELD_INTEGER, .min = 1, .max = 10};
    static const lm_field flag = {.name = "all", .type = LM_FIELD_BOOLEAN};
    json_t *value;
    assert_ok(lm_schema_parse_text(&count, "7", &value, &err));
    assert_int_equal(json_integer_value(value), 7);
    json_decref(value);
    assert_status(LOAM_INVALID, lm_schema_parse_text(&count, "11", &value, &err));
    assert_status(LOAM_INVALID, lm_schema_parse_text(&count, "7x", &value, &err));
    assert_status(LOAM_INVALID, lm_schema_parse_text(&flag, "yes", &value, &err));
    assert_ok(lm_schema_parse_text(&flag, "false", &value, &err));
    json_decref(value);
}

/* What openapi.json says of it. */
static void test_as_json_schema(void **state) {
    json_t *object = lm_schema_json(&schema), *properties = json_object_get(object, "properties");
    assert_false(json_is_true(json_object_get(object, "additionalProperties")));
    assert_int_equal(json_array_size(json_object_get(object, "required")), 1);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(properties, "name"), "maxLength")), 3);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(properties, "owner"), "anyOf")), 2);
    const json_t *items = json_object_get(json_object_get(properties, "parts"), "items");
    assert_string_equal(json_string_value(json_object_get(items, "$ref")),
                        "#/components/schemas/Part");
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits), cmocka_unit_test(test_what_does_not),
        cmocka_unit_test(test_query_texts), cmocka_unit_test(test_as_json_schema)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
