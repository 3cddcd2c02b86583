#include "model/hf_folder.h"

#include "base/json.h"
#include "base/mem.h"

enum {
    HF_MAX_JSON_BYTES = 256
        << 20, /* tokenizer.json of large vocabularies takes tens of megabytes */
    HF_MAX_SHARDS = 4096,
};

struct lm_hf_folder {
    char *config_path;
    json_t *config;
    LM_VEC(lm_safetensors *) shards;
    lm_map *shard_names; /* file names opened so far */
    lm_stored_tensors tensors;
};

loam_status lm_hf_folder_read_json(const char *dir, const char *name, json_t **out,
                                   loam_error *err) {
    char *path = lm_path_join(dir, name);
    if (!path) return lm_error_no_memory(err, strlen(dir));
    loam_status status = LOAM_OK;
    json_t *document = NULL;
    if (lm_file_exists(path)) {
        char *text = NULL;
        size_t size = 0;
        status = lm_file_read(path, HF_MAX_JSON_BYTES, &text, &size, err);
        if (status == LOAM_OK) lm_json_from_python(text, size);
        if (status == LOAM_OK) status = lm_json_parse((lm_str){text, size}, path, &document, err);
        lm_free(text);
    }
    lm_free(path);
    if (status == LOAM_OK) *out = document;
    return status;
}

static LM_MUST_USE loam_status add_shard(lm_hf_folder *folder, const char *dir, lm_str name,
                                         loam_error *err) {
    if (name.len == 0 || name.ptr[0] == '.' || memchr(name.ptr, '/', name.len))
        return lm_error_set(err, LOAM_CORRUPT,
                            "%s: the index names '%.*s', which is no file of the folder", dir,
                            (int)name.len, name.ptr);
    if (folder->shards.len == HF_MAX_SHARDS)
        return lm_error_set(err, LOAM_LIMIT, "%s: more than %d shards", dir, HF_MAX_SHARDS);
    char *path = lm_path_join(
        dir, name.ptr); /* names come from JSON strings and literals, which are terminated */
    if (!path) return lm_error_no_memory(err, name.len);
    lm_safetensors *shard = NULL;
    loam_status status = lm_safetensors_open(path, &shard, err);
    lm_free(path);
    if (status != LOAM_OK) return status;
    if (!lm_vec_push(&folder->shards, shard)) {
        lm_safetensors_close(shard);
        return lm_error_no_memory(err, sizeof shard);
    }
    const lm_stored_tensors *tensors = lm_safetensors_tensors(shard);
    for (size_t i = 0; i < tensors->items.len; i++) {
        const lm_stored_tensor *tensor = &tensors->items.ptr[i];
        status = lm_stored_tensors_add(&folder->tensors, lm_str_of(tensor->name), tensor, err);
        if (status != LOAM_OK)
            return lm_error_prefix(err, status, "%s", lm_safetensors_path(shard));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status add_listed_shards(lm_hf_folder *folder, const char *dir,
                                                 json_t *weight_map, loam_error *err) {
    const char *tensor;
    json_t *file;
    json_object_foreach(weight_map, tensor, file) {
        uint64_t there;
        if (!json_is_string(file))
            return lm_error_set(err, LOAM_CORRUPT, "%s: the index gives no file for tensor '%s'",
                                dir, tensor);
        lm_str name = {json_string_value(file), json_string_length(file)};
        if (lm_map_get(folder->shard_names, name, &there)) continue;
        if (!lm_map_set(folder->shard_names, name, 1)) return lm_error_no_memory(err, name.len);
        loam_status status = add_shard(folder, dir, name, err);
        if (status == LOAM_NOT_FOUND)
            lm_error_hint(err, status,
                          "the index lists it: the folder is incomplete, fetch it again");
        if (status != LOAM_OK) return status;
    }
    json_object_foreach(weight_map, tensor, file) {
        if (lm_stored_tensors_find(&folder->tensors, tensor)) continue;
        return lm_error_set(err, LOAM_CORRUPT,
                            "%s: the index lists tensor '%s' in %s, which does not hold it", dir,
                            tensor, json_string_value(file));
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status open_shards(lm_hf_folder *folder, const char *dir, loam_error *err) {
    json_t *index = NULL;
    LM_TRY(lm_hf_folder_read_json(dir, "model.safetensors.index.json", &index, err));
    if (!index) {
        loam_status status = add_shard(folder, dir, LM_STR("model.safetensors"), err);
        if (status == LOAM_NOT_FOUND)
            lm_error_hint(err, status,
                          "a model folder holds model.safetensors or model.safetensors.index.json");
        return status;
    }
    json_t *weight_map = json_object_get(index, "weight_map");
    loam_status status =
        json_is_object(weight_map)
            ? add_listed_shards(folder, dir, weight_map, err)
            : lm_error_set(err, LOAM_CORRUPT, "%s: the index has no object 'weight_map'", dir);
    json_decref(index);
    return status;
}

static LM_MUST_USE loam_status read_config(lm_hf_folder *folder, const char *dir, loam_error *err) {
    LM_TRY(lm_hf_folder_read_json(dir, "config.json", &folder->config, err));
    if (folder->config) return LOAM_OK;
    lm_error_set(err, LOAM_NOT_FOUND, "%s: no config.json", dir);
    return lm_error_hint(err, LOAM_NOT_FOUND,
                         "name a GGUF file or a folder with config.json and safetensors");
}

loam_status lm_hf_folder_open(const char *dir, lm_hf_folder **out, loam_error *err) {
    lm_hf_folder *folder = lm_calloc(1, sizeof *folder);
    if (!folder) return lm_error_no_memory(err, sizeof *folder);
    folder->config_path = lm_path_join(dir, "config.json");
    folder->shard_names = lm_map_new();
    loam_status status = lm_stored_tensors_init(&folder->tensors, err);
    if (!folder->config_path || !folder->shard_names) status = lm_error_no_memory(err, strlen(dir));
    if (status == LOAM_OK) status = read_config(folder, dir, err);
    if (status == LOAM_OK) status = open_shards(folder, dir, err);
    if (status != LOAM_OK) {
        lm_hf_folder_close(folder);
        return status;
    }
    *out = folder;
    return LOAM_OK;
}

void lm_hf_folder_close(lm_hf_folder *folder) {
    if (!folder) return;
    lm_stored_tensors_deinit(&folder->tensors);
    for (size_t i = 0; i < folder->shards.len; i++) lm_safetensors_close(folder->shards.ptr[i]);
    lm_vec_deinit(&folder->shards);
    lm_map_free(folder->shard_names);
    json_decref(folder->config);
    lm_free(folder->config_path);
    lm_free(folder);
}

void lm_hf_folder_forget(const lm_hf_folder *folder) {
    for (size_t i = 0; i < folder->shards.len; i++) lm_safetensors_forget(folder->shards.ptr[i]);
}

const char *lm_hf_folder_config_path(const lm_hf_folder *folder) {
    return folder->config_path;
}

const json_t *lm_hf_folder_config(const lm_hf_folder *folder) {
    return folder->config;
}

loam_status lm_hf_folder_add_alike(lm_hf_folder *folder, const char *name, int64_t n, float value,
                                   loam_error *err) {
    if (lm_stored_tensors_find(&folder->tensors, name)) return LOAM_OK;
    return lm_stored_tensors_add_alike(&folder->tensors, lm_str_of(name),
                                       lm_safetensors_type_of_dtype(LM_F32), n, value, err);
}

const lm_stored_tensors *lm_hf_folder_tensors(const lm_hf_folder *folder) {
    return &folder->tensors;
}
