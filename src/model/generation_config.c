#include "model/generation_config.h"

#include "base/file.h"
#include "base/json.h"
#include "model/hf_folder.h"

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

static loam_status read_folder(const char *dir, lm_sampler_options *out, loam_error *err) {
    static const char name[] = "generation_config.json";
    json_t *config;
    LM_TRY(lm_hf_folder_read_json(dir, name, &config, err));
    loam_status status = config ? read_fields(config, name, out, err) : LOAM_OK;
    json_decref(config);
    return status;
}

loam_status lm_generation_config_read(const char *model_path, lm_sampler_options *out,
                                      loam_error *err) {
    lm_sampler_options sampling = LM_SAMPLER_DEFAULTS;
    if (lm_file_is_dir(model_path)) LM_TRY(read_folder(model_path, &sampling, err));
    *out = sampling;
    return LOAM_OK;
}
