#include "cloud/schema.h"

#include <inttypes.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>

#include "cloud/id.h"

enum { PATH_BYTES = 160, NAMES_MAX = 64, TEXT_SHOWN_MAX = 60 };

static const int64_t safe_integer_max =
    (INT64_C(1) << 53) - 1; /* what every JSON reader keeps exact */

typedef struct range {
    int64_t min, max;
} range;

static range range_of(const lm_field *field) {
    if (field->min != 0 || field->max != 0) return (range){field->min, field->max};
    switch (field->type) {
    case LM_FIELD_STRING: return (range){0, LM_FIELD_TEXT_MAX};
    case LM_FIELD_ARRAY: return (range){0, LM_FIELD_ITEMS_MAX};
    default: return (range){0, safe_integer_max};
    }
}

static size_t n_characters(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += (*text & 0xc0) != 0x80;
    return n;
}

static loam_status check_range(const lm_field *field, int64_t value, const char *path,
                               const char *unit, loam_error *err) {
    range r = range_of(field);
    if (value >= r.min && value <= r.max) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID,
                        "%s has %" PRId64 "%s, allowed is %" PRId64 " to %" PRId64, path, value,
                        unit, r.min, r.max);
}

static loam_status check_choice(const lm_field *field, const char *text, const char *path,
                                loam_error *err) {
    size_t n = 0;
    for (; field->choices[n]; n++) {
        if (strcmp(field->choices[n], text) == 0) return LOAM_OK;
    }
    lm_error_set(err, LOAM_INVALID, "%s: '%.*s' is not one of its values", path, TEXT_SHOWN_MAX,
                 text);
    char list[200] = "";
    for (size_t i = 0, used = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 field->choices[i]);
    return lm_error_hint(err, LOAM_INVALID, "use one of: %s", list);
}

static loam_status check_pattern(const lm_field *field, const char *text, const char *path,
                                 loam_error *err) {
    regex_t expression;
    int code = regcomp(&expression, field->pattern, REG_EXTENDED | REG_NOSUB);
    LM_ASSERT(code == 0 || code == REG_ESPACE);
    if (code != 0) return lm_error_no_memory(err, 0);
    bool fits = regexec(&expression, text, 0, NULL, 0) == 0;
    regfree(&expression);
    if (fits) return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "%s: '%.*s' does not fit %s", path, TEXT_SHOWN_MAX, text,
                        field->pattern);
}

static loam_status check_string(const lm_field *field, const char *text, const char *path,
                                loam_error *err) {
    if (field->choices) return check_choice(field, text, path, err);
    if (field->id_prefix && !lm_id_is(field->id_prefix, text))
        return lm_error_set(err, LOAM_INVALID, "%s: '%.*s' is not an id like %s_...", path,
                            TEXT_SHOWN_MAX, text, field->id_prefix);
    if (field->id_prefix) return LOAM_OK;
    if (field->pattern) return check_pattern(field, text, path, err);
    return check_range(field, (int64_t)n_characters(text), path, " characters", err);
}

static const char *const type_words[] = {
    [LM_FIELD_STRING] = "a string",  [LM_FIELD_INTEGER] = "an integer",
    [LM_FIELD_NUMBER] = "a number",  [LM_FIELD_BOOLEAN] = "a boolean",
    [LM_FIELD_OBJECT] = "an object", [LM_FIELD_ARRAY] = "an array",
    [LM_FIELD_ANY] = "anything",
};

static bool has_type(lm_field_type type, const json_t *value) {
    switch (type) {
    case LM_FIELD_STRING: return json_is_string(value);
    case LM_FIELD_INTEGER: return json_is_integer(value);
    case LM_FIELD_NUMBER: return json_is_number(value);
    case LM_FIELD_BOOLEAN: return json_is_boolean(value);
    case LM_FIELD_OBJECT: return json_is_object(value);
    case LM_FIELD_ARRAY: return json_is_array(value);
    default: return true;
    }
}

static loam_status check_value(const lm_field *field, lm_field_type type, const json_t *value,
                               const char *path, loam_error *err);

static loam_status check_array(const lm_field *field, const json_t *array, const char *path,
                               loam_error *err) {
    LM_TRY(check_range(field, (int64_t)json_array_size(array), path, " items", err));
    lm_field item = *field; /* the range is the array's; its items have the defaults */
    item.min = item.max = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        char item_path[PATH_BYTES];
        snprintf(item_path, sizeof item_path, "%s[%zu]", path, i);
        LM_TRY(check_value(&item, field->items, json_array_get(array, i), item_path, err));
    }
    return LOAM_OK;
}

static loam_status check_value(const lm_field *field, lm_field_type type, const json_t *value,
                               const char *path, loam_error *err) {
    if (!has_type(type, value))
        return lm_error_set(err, LOAM_INVALID, "%s must be %s", path, type_words[type]);
    switch (type) {
    case LM_FIELD_STRING: return check_string(field, json_string_value(value), path, err);
    case LM_FIELD_INTEGER: return check_range(field, json_integer_value(value), path, "", err);
    case LM_FIELD_ARRAY: return check_array(field, value, path, err);
    case LM_FIELD_OBJECT:
        return field->schema ? lm_schema_check(field->schema, value, path, err) : LOAM_OK;
    default: return LOAM_OK;
    }
}

static loam_status check_field(const lm_field *field, const json_t *object, const char *path,
                               loam_error *err) {
    const json_t *value = json_object_get(object, field->name);
    char field_path[PATH_BYTES];
    snprintf(field_path, sizeof field_path, "%s.%s", path, field->name);
    if (!value && field->required)
        return lm_error_set(err, LOAM_INVALID, "%s is missing", field_path);
    if (!value || (field->nullable && json_is_null(value))) return LOAM_OK;
    return check_value(field, field->type, value, field_path, err);
}

static const lm_field *find_field(const lm_schema *schema, const char *name) {
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) return &schema->fields[i];
    }
    return NULL;
}

static loam_status unknown_field(const lm_schema *schema, const char *name, const char *path,
                                 loam_error *err) {
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; n < schema->n_fields && n < NAMES_MAX; n++) names[n] = schema->fields[n].name;
    lm_error_set(err, LOAM_INVALID, "%s has no field '%.*s'", path, TEXT_SHOWN_MAX, name);
    const char *nearest = lm_str_nearest(name, names, n);
    return nearest ? lm_error_hint(err, LOAM_INVALID, "did you mean '%s'?", nearest) : LOAM_INVALID;
}

loam_status lm_schema_check(const lm_schema *schema, const json_t *value, const char *path,
                            loam_error *err) {
    if (!json_is_object(value))
        return lm_error_set(err, LOAM_INVALID, "%s must be an object", path);
    const char *name;
    json_t *unused;
    json_object_foreach((json_t *)value, name, unused) {
        if (!find_field(schema, name)) return unknown_field(schema, name, path, err);
    }
    for (size_t i = 0; i < schema->n_fields; i++)
        LM_TRY(check_field(&schema->fields[i], value, path, err));
    return LOAM_OK;
}

/* The integer that a real number is, or NULL. */
static json_t *whole(const json_t *value) {
    double number = json_real_value(value);
    bool is_whole =
        json_is_real(value) && number == trunc(number) && fabs(number) <= (double)safe_integer_max;
    return is_whole ? json_integer((json_int_t)number) : NULL;
}

loam_status lm_json_whole_numbers(json_t *value, loam_error *err) {
    const char *name;
    json_t *item, *integer;
    void *next;
    size_t i;
    json_object_foreach_safe(value, next, name, item) {
        LM_TRY(lm_json_whole_numbers(item, err));
        integer = whole(item);
        if (integer && json_object_set_new(value, name, integer) != 0)
            return lm_error_no_memory(err, 0);
    }
    json_array_foreach(value, i, item) {
        LM_TRY(lm_json_whole_numbers(item, err));
        integer = whole(item);
        if (integer && json_array_set_new(value, i, integer) != 0)
            return lm_error_no_memory(err, 0);
    }
    return LOAM_OK;
}

static json_t *parse_scalar(lm_field_type type, const char *text) {
    int64_t integer;
    double number;
    switch (type) {
    case LM_FIELD_INTEGER:
        return lm_str_to_i64(lm_str_of(text), &integer) ? json_integer(integer) : NULL;
    case LM_FIELD_NUMBER: return lm_str_to_f64(lm_str_of(text), &number) ? json_real(number) : NULL;
    case LM_FIELD_BOOLEAN:
        if (strcmp(text, "true") == 0) return json_true();
        return strcmp(text, "false") == 0 ? json_false() : NULL;
    default: return json_string(text); /* NULL for what is not UTF-8 */
    }
}

loam_status lm_schema_parse_text(const lm_field *field, const char *text, json_t **out,
                                 loam_error *err) {
    json_t *value = parse_scalar(field->type, text);
    if (!value)
        return lm_error_set(err, LOAM_INVALID, "parameter '%s' must be %s", field->name,
                            type_words[field->type]);
    loam_status status = check_value(field, field->type, value, field->name, err);
    if (status != LOAM_OK) {
        json_decref(value);
        return lm_error_prefix(err, status, "parameter");
    }
    *out = value;
    return LOAM_OK;
}

json_t *lm_schema_reference(const lm_schema *schema) {
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", schema->name);
}

static json_t *string_json(const lm_field *field) {
    json_t *object = json_pack("{s:s}", "type", "string");
    if (field->choices) {
        json_t *list = json_array();
        for (size_t i = 0; field->choices[i]; i++)
            json_array_append_new(list, json_string(field->choices[i]));
        json_object_set_new(object, "enum", list);
    } else if (field->id_prefix) {
        json_object_set_new(
            object, "pattern",
            json_sprintf("^%s_[0-9a-hjkmnp-tv-z]{%d}$", field->id_prefix, LM_ID_BODY_LEN));
    } else if (field->pattern) {
        json_object_set_new(object, "pattern", json_string(field->pattern));
    } else {
        range r = range_of(field);
        json_object_set_new(object, "pattern",
                            json_string("^[^\\x00]*$")); /* databases keep no NUL */
        if (r.min > 0) json_object_set_new(object, "minLength", json_integer(r.min));
        json_object_set_new(object, "maxLength", json_integer(r.max));
    }
    return object;
}

static json_t *typed_json(const lm_field *field, lm_field_type type);

static json_t *array_json(const lm_field *field) {
    range r = range_of(field);
    lm_field item = *field;
    item.min = item.max = 0;
    return json_pack("{s:s, s:I, s:I, s:o}", "type", "array", "minItems", (json_int_t)r.min,
                     "maxItems", (json_int_t)r.max, "items", typed_json(&item, field->items));
}

static json_t *typed_json(const lm_field *field, lm_field_type type) {
    range r = range_of(field);
    switch (type) {
    case LM_FIELD_STRING: return string_json(field);
    case LM_FIELD_INTEGER:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)r.min,
                         "maximum", (json_int_t)r.max);
    case LM_FIELD_NUMBER: return json_pack("{s:s}", "type", "number");
    case LM_FIELD_BOOLEAN: return json_pack("{s:s}", "type", "boolean");
    case LM_FIELD_ARRAY: return array_json(field);
    case LM_FIELD_OBJECT:
        return field->schema ? lm_schema_reference(field->schema)
                             : json_pack("{s:s}", "type", "object");
    default: return json_object();
    }
}

json_t *lm_field_json(const lm_field *field) {
    json_t *object = typed_json(field, field->type);
    if (field->nullable) object = json_pack("{s:[o, {s:s}]}", "anyOf", object, "type", "null");
    if (field->help && object) json_object_set_new(object, "description", json_string(field->help));
    return object;
}

json_t *lm_schema_json(const lm_schema *schema) {
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < schema->n_fields; i++) {
        const lm_field *field = &schema->fields[i];
        json_object_set_new(properties, field->name, lm_field_json(field));
        if (field->required) json_array_append_new(required, json_string(field->name));
    }
    return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required",
                     required, "additionalProperties", 0);
}
