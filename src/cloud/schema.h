/* Shapes of JSON objects as small static tables: one description validates requests, is checked against replies in tests,
 * and becomes the schema in openapi.json.
 *
 * Objects are closed: an unknown field is an error that names the nearest known one. Errors name the field by its path
 * ("body.scopes[2]"), the value and what is wanted. Any thread.
 */
#ifndef LM_CLOUD_SCHEMA_H
#define LM_CLOUD_SCHEMA_H

#include <stdbool.h>

#include <jansson.h>

#include "base/str.h"

typedef enum lm_field_type {
    LM_FIELD_STRING,
    LM_FIELD_INTEGER,
    LM_FIELD_NUMBER,
    LM_FIELD_BOOLEAN,
    LM_FIELD_OBJECT, /* of `schema`; without one: any object */
    LM_FIELD_ARRAY,  /* of `items`, with `schema`, `choices` and `id_prefix` saying what each is */
    LM_FIELD_ANY,
} lm_field_type;

enum { LM_FIELD_TEXT_MAX = 1024, LM_FIELD_ITEMS_MAX = 1024 }; /* where max says nothing */

typedef struct lm_schema lm_schema;

typedef struct lm_field {
    const char *name;
    lm_field_type type;
    bool required;
    bool nullable;
    int64_t min,
        max; /* integers: the value; strings: characters; arrays: items. Both 0: 0 to a default */
    const char *const *choices; /* strings: NULL-terminated list of what is allowed */
    const char *id_prefix;      /* strings: an id of this kind */
    const char
        *pattern; /* strings: an expression that POSIX (extended) and JSON Schema read alike */
    lm_field_type items;
    const lm_schema *schema;
    const char *help;
} lm_field;

struct lm_schema {
    const char *name; /* in openapi.json's components; unique */
    const lm_field *fields;
    size_t n_fields;
};

#define LM_SCHEMA(name, fields) \
    { name, fields, LM_COUNT_OF(fields) }

/* Makes integers of all numbers like 5.0, as JSON Schema sees them. In place. */
loam_status lm_json_whole_numbers(json_t *value, loam_error *err) LM_MUST_USE;

/* `path` is how errors call the object ("body"). LOAM_INVALID. */
loam_status lm_schema_check(const lm_schema *schema, const json_t *value, const char *path,
                            loam_error *err) LM_MUST_USE;

/* One value of a query string, given as text, as JSON of the field's type. LOAM_INVALID. */
loam_status lm_schema_parse_text(const lm_field *field, const char *text, json_t **out,
                                 loam_error *err) LM_MUST_USE;

/* JSON Schema (of OpenAPI 3.1) of an object or a field; named schemas inside are referred to. New reference. */
json_t *lm_schema_json(const lm_schema *schema) LM_MUST_USE;
json_t *lm_schema_reference(const lm_schema *schema) LM_MUST_USE; /* {"$ref": ...} */
json_t *lm_field_json(const lm_field *field) LM_MUST_USE;

#endif
