/* Quantized folders of any making: refused, or all rows of their matrices can be read in every type they have. The bytes are a line
 * of JSON (quantization_config), lines of a name, a type and sizes for the tensors, an empty line, and what fills the tensors, over
 * and over. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/coded_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MAX_DATA_BYTES = 1 << 16, MAX_ROW_BYTES = 1 << 20, MAX_TENSORS = 32 };

static const lm_stored_type types[] = {
    {"I32", 1, 4, true, LM_I32}, {"F16", 1, 2, true, LM_F16},  {"BF16", 1, 2, true, LM_BF16},
    {"F32", 1, 4, true, LM_F32}, {"I8", 1, 1, false, LM_F32},  {"F8_E4M3", 1, 1, false, LM_F32},
    {"U8", 1, 1, false, LM_F32}, {"I64", 1, 8, false, LM_F32}, {"F8_E8M0", 1, 1, false, LM_F32},
};

/* One line; false at the empty one. */
static bool add_tensor(lm_stored_tensors *set, char *line, void *data) {
    char *rest, *name = strtok_r(line, " ", &rest),
                *type = name ? strtok_r(NULL, " ", &rest) : NULL;
    lm_stored_tensor t = {.data = data};
    if (!type) return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0) t.type = &types[i];
    for (char *dim; t.n_dims < LM_STORED_MAX_DIMS && (dim = strtok_r(NULL, " ", &rest));)
        t.shape[t.n_dims++] = strtoll(dim, NULL, 10);
    return !t.type || lm_stored_size(t.type, t.n_dims, t.shape, &t.size_bytes, NULL) != LOAM_OK ||
           t.size_bytes > MAX_DATA_BYTES ||
           lm_stored_tensors_add(set, lm_str_of(name), &t, NULL) != LOAM_CORRUPT;
}

static void read_rows(const lm_stored_tensor *tensor, lm_dtype dtype) {
    size_t row_bytes = lm_dtype_bytes(dtype, tensor->coded->n_columns);
    if (row_bytes > MAX_ROW_BYTES) return;
    void *row = lm_alloc(row_bytes);
    for (int64_t r = 0; row && r < tensor->coded->n_rows; r++)
        lm_coded_tensor_rows(tensor->coded, dtype, r, 1, row);
    lm_free(row);
}

static void use(const lm_stored_tensors *tensors) {
    for (size_t i = 0; i < tensors->items.len; i++) {
        const lm_stored_tensor *tensor = &tensors->items.ptr[i];
        if (!tensor->coded) continue;
        read_rows(tensor, tensor->type->dtype);
        read_rows(tensor, LM_F32);
    }
}

static void run(const json_t *config, char *lines, void *data) {
    lm_stored_tensors set;
    lm_coded_folder *folder = NULL;
    loam_error err = {0};
    char *rest, *line = strtok_r(lines, "\n", &rest);
    if (lm_stored_tensors_init(&set, NULL) != LOAM_OK) return;
    for (int n = 0; line && n < MAX_TENSORS && add_tensor(&set, line, data); n++)
        line = strtok_r(NULL, "\n", &rest);
    if (lm_coded_folder_open(config, "config.json", &set, &folder, &err) == LOAM_OK) {
        if (folder) use(lm_coded_folder_tensors(folder));
        lm_coded_folder_close(folder);
    } else if (!err.message[0]) {
        abort();
    }
    lm_stored_tensors_deinit(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char *text = lm_strndup((const char *)bytes, size);
    uint8_t *data = lm_calloc(1, MAX_DATA_BYTES);
    char *end = text ? strchr(text, '\n') : NULL, *filling = text ? strstr(text, "\n\n") : NULL;
    json_t *config = NULL;
    if (end && filling && data) {
        size_t n = size - (size_t)(filling + 2 - text);
        for (size_t i = 0; n > 0 && i < MAX_DATA_BYTES; i++) data[i] = bytes[size - n + i % n];
        *end = *filling = '\0';
        if (lm_json_parse(lm_str_of(text), "config", &config, NULL) == LOAM_OK) {
            json_t *whole = json_pack("{s:O}", "quantization_config", config);
            run(whole, end + 1, data);
            json_decref(whole);
        }
        json_decref(config);
    }
    lm_free(text);
    lm_free(data);
    return 0;
}
