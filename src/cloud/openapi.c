/* openapi.json from the endpoint tables: paths, parameters, bodies, replies, and the schemas they refer to. */
#include <ctype.h>
#include <stdio.h>

#include "cloud/api.h"

static const lm_field error_detail_fields[] = {
    {.name = "code", .type = LM_FIELD_STRING, .required = true},
    {.name = "message", .type = LM_FIELD_STRING, .required = true},
    {.name = "hint", .type = LM_FIELD_STRING, .required = true},
};
static const lm_schema error_detail_schema = LM_SCHEMA("ErrorDetail", error_detail_fields);
static const lm_field error_fields[] = {
    {.name = "error", .type = LM_FIELD_OBJECT, .required = true, .schema = &error_detail_schema},
};
static const lm_schema error_schema = LM_SCHEMA("Error", error_fields);

/* Adds a schema and those its fields refer to, each once. */
static void add_schema(json_t *components, const lm_schema *schema) {
    if (!schema || json_object_get(components, schema->name)) return;
    json_object_set_new(components, schema->name, lm_schema_json(schema));
    for (size_t i = 0; i < schema->n_fields; i++) add_schema(components, schema->fields[i].schema);
}

static json_t *reply_schema(const lm_api_endpoint *endpoint) {
    if (!endpoint->reply) return json_pack("{s:s}", "type", "object");
    json_t *item = lm_schema_reference(endpoint->reply);
    if (endpoint->shape != LM_API_LIST) return item;
    return json_pack("{s:s, s:{s:{s:s, s:o}, s:{s:[s, s]}}, s:[s, s], s:b}", "type", "object",
                     "properties", "data", "type", "array", "items", item, "next", "type", "string",
                     "null", "required", "data", "next", "additionalProperties", 0);
}

static json_t *content(json_t *schema) {
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static void add_reply(json_t *replies, int http_status, const char *description, json_t *media) {
    char code[8];
    snprintf(code, sizeof code, "%d", http_status);
    json_t *reply = json_pack("{s:s}", "description", description);
    if (media) json_object_set_new(reply, "content", media);
    json_object_set_new(replies, code, reply);
}

typedef struct failure {
    int http_status;
    const char *description;
} failure;

static const failure failures[] = {
    {400, "The request is wrong; the message names the field"},
    {401, "No valid API key"},
    {403, "The key lacks the scope"},
    {404, "There is no such thing in this project"},
    {409, "The present state does not allow it"},
    {422, "The request's parts do not go together; the message says which"},
    {429, "The key has made too many requests; Retry-After says when to go on"},
    {503, "The store cannot answer now"},
    {507, "The disk is full"},
};

static json_t *replies_json(const lm_api_endpoint *endpoint) {
    json_t *replies = json_object();
    bool is_empty = endpoint->shape == LM_API_EMPTY;
    json_t *media = is_empty ? NULL : content(reply_schema(endpoint));
    if (endpoint->has_texts) {
        json_object_set_new(media, "text/csv", json_pack("{s:{s:s}}", "schema", "type", "string"));
        json_object_set_new(media, "text/html", json_pack("{s:{s:s}}", "schema", "type", "string"));
    }
    int http_status = endpoint->http_status ? endpoint->http_status : is_empty ? 204 : 200;
    add_reply(replies, http_status, "Done", media);
    if (endpoint->scope == LM_SCOPE_NONE) return replies;
    for (size_t i = 0; i < LM_COUNT_OF(failures); i++)
        add_reply(replies, failures[i].http_status, failures[i].description,
                  content(lm_schema_reference(&error_schema)));
    return replies;
}

static void add_query(json_t *parameters, const lm_schema *schema) {
    for (size_t i = 0; schema && i < schema->n_fields; i++) {
        const lm_field *field = &schema->fields[i];
        json_array_append_new(parameters, json_pack("{s:s, s:s, s:b, s:o}", "name", field->name,
                                                    "in", "query", "required", field->required,
                                                    "schema", lm_field_json(field)));
    }
}

static void add_path_parameters(json_t *parameters, const lm_api_endpoint *endpoint) {
    for (const char *brace = strchr(endpoint->path, '{'); brace; brace = strchr(brace + 1, '{')) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
        lm_field field = {.type = LM_FIELD_STRING,
                          .min = 1,
                          .max = 128,
                          .id_prefix = lm_api_param_prefix(endpoint, name)};
        json_array_append_new(parameters,
                              json_pack("{s:s, s:s, s:b, s:o}", "name", name, "in", "path",
                                        "required", 1, "schema", lm_field_json(&field)));
    }
}

static json_t *parameters_json(const lm_api_endpoint *endpoint) {
    json_t *parameters = json_array();
    add_path_parameters(parameters, endpoint);
    add_query(parameters, endpoint->query);
    if (endpoint->shape == LM_API_LIST) add_query(parameters, &lm_api_list_query);
    if (endpoint->scope != LM_SCOPE_NONE) add_query(parameters, &lm_api_project_query);
    return parameters;
}

/* "GET /projects/{id}/members" -> "get_projects_id_members". */
static json_t *operation_id(const lm_api_endpoint *endpoint) {
    char id[128];
    size_t n = 0;
    for (const char *c = endpoint->method; *c && n < sizeof id - 1; c++)
        id[n++] = (char)tolower((unsigned char)*c);
    for (const char *c = endpoint->path; *c && n < sizeof id - 1; c++) {
        if (isalnum((unsigned char)*c)) {
            id[n++] = *c;
        } else if (id[n - 1] != '_') {
            id[n++] = '_';
        }
    }
    while (n && id[n - 1] == '_') n--;
    return json_stringn(id, n);
}

static json_t *operation_json(const lm_api_endpoint *endpoint) {
    size_t tag_len = strcspn(endpoint->path + 1, "/.");
    json_t *operation =
        json_pack("{s:s, s:o, s:[s#], s:o, s:o}", "summary", endpoint->summary, "operationId",
                  operation_id(endpoint), "tags", endpoint->path + 1, tag_len, "parameters",
                  parameters_json(endpoint), "responses", replies_json(endpoint));
    if (endpoint->request)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:o}", "required", 1, "content",
                                      content(lm_schema_reference(endpoint->request))));
    if (endpoint->scope == LM_SCOPE_NONE) json_object_set_new(operation, "security", json_array());
    if (endpoint->scope != LM_SCOPE_NONE && endpoint->scope != LM_SCOPE_ANY)
        json_object_set_new(operation, "x-scope", json_string(lm_scope_name(endpoint->scope)));
    return operation;
}

static void add_endpoint(json_t *paths, json_t *components, const lm_api_endpoint *endpoint) {
    char method[16] = "";
    for (size_t i = 0; endpoint->method[i] && i < sizeof method - 1; i++)
        method[i] = (char)tolower((unsigned char)endpoint->method[i]);
    json_t *item = json_object_get(paths, endpoint->path);
    if (!item) {
        item = json_object();
        json_object_set_new(paths, endpoint->path, item);
    }
    json_object_set_new(item, method, operation_json(endpoint));
    add_schema(components, endpoint->request);
    add_schema(components, endpoint->reply);
}

json_t *lm_openapi_json(void) {
    json_t *paths = json_object(), *components = json_object();
    add_schema(components, &error_schema);
    for (size_t t = 0; lm_api_tables[t]; t++) {
        for (size_t i = 0; i < lm_api_tables[t]->n_rows; i++)
            add_endpoint(paths, components, &lm_api_tables[t]->rows[i]);
    }
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[{s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s, s:s}}}}",
        "openapi", "3.1.0", "info", "title", "loam", "version", LOAM_VERSION, "description",
        "The control plane of a loam cloud. Times are UTC epoch milliseconds, money is in "
        "millionths.",
        "servers", "url", "/api/v1", "security", "key", "paths", paths, "components", "schemas",
        components, "securitySchemes", "key", "type", "http", "scheme", "bearer", "description",
        "An API key: loam-sk-...");
}
