/* Bodies of REST requests: the first byte chooses the endpoint, the rest is parsed and held against its schema. */
#include "base/json.h"
#include "cloud/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The n-th row that reads a body, counting around. */
static const lm_schema *choose_schema(size_t n) {
    const lm_schema *last = NULL;
    for (int t = 0; lm_api_tables[t]; t++) {
        for (size_t i = 0; i < lm_api_tables[t]->n_rows; i++) {
            if (!lm_api_tables[t]->rows[i].request) continue;
            last = lm_api_tables[t]->rows[i].request;
            if (n-- == 0) return last;
        }
    }
    return last;
}

/* Whatever passes must still pass, and hold no number that is whole but not an integer. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    json_t *body;
    loam_error err = {0};
    if (size == 0) return 0;
    const lm_schema *schema = choose_schema(bytes[0]);
    lm_str text = {(const char *)bytes + 1, size - 1};
    if (lm_json_parse(text, "body", &body, &err) != LOAM_OK) return 0;
    if (lm_json_whole_numbers(body, &err) != LOAM_OK) __builtin_trap();
    loam_status status = lm_schema_check(schema, body, "body", &err);
    if (status == LOAM_OK && lm_schema_check(schema, body, "body", &err) != LOAM_OK)
        __builtin_trap();
    if (status != LOAM_OK && (status != LOAM_INVALID || !err.message[0])) __builtin_trap();
    json_decref(body);
    return 0;
}
