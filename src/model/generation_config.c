#include "model/generation_config.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { MAX_CONFIG_BYTES = 1 << 20 };

static loam_status read_f32(const json_t *config, const char *path, const char *key, float *inout,
                            loam_error *err) {
    double value;
    LM_TRY(lm_json_f64_or(config, path, key, *inout, &value, err));
    *inout = (float)value;
    return LOAM_OK;
}

static loam_status read_fields(const json_t *config, const char *path, lm_sampler_options *out,
                               loam_error *err) {
    bool do_sample;
    LM_TRY(lm_json_bool_or(config, path, "do_sample", false, &do_sample, err));
    if (!do_sample) return LOAM_OK;
    LM_TRY(read_f32(config, path, "temperature", &out->temperature, err));
    LM_TRY(read_f32(config, path, "top_p", &out->top_p, err));
    LM_TRY(read_f32(config, path, "min_p", &out->min_p, err));
    LM_TRY(read_f32(config, path, "repetition_penalty", &out->repetition_penalty, err));
    return lm_json_i64_or(config, path, "top_k", 0, &out->top_k, err);
}

static loam_status read_file(const char *path, lm_sampler_options *out, loam_error *err) {
    char *text;
    size_t size;
    LM_TRY(lm_file_read(path, MAX_CONFIG_BYTES, &text, &size, err));
    json_t *config = NULL;
    lm_json_from_python(text, size);
    loam_status status = lm_json_parse((lm_str){text, size}, path, &config, err);
    if (status == LOAM_OK) status = read_fields(config, path, out, err);
    json_decref(config);
    lm_free(text);
    return status;
}

loam_status lm_generation_config_read(const char *model_path, lm_sampler_options *out,
                                      loam_error *err) {
    lm_sampler_options sampling = LM_SAMPLER_DEFAULTS;
    if (lm_file_is_dir(model_path)) {
        char *path = lm_path_join(model_path, "generation_config.json");
        if (!path) return lm_error_no_memory(err, 0);
        loam_status status = lm_file_exists(path) ? read_file(path, &sampling, err) : LOAM_OK;
        lm_free(path);
        if (status != LOAM_OK) return status;
    }
    *out = sampling;
    return LOAM_OK;
}
