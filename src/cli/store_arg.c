#include "cli/store_arg.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

/* The value of the first variable that is set, with `tail` behind it; NULL when none is. */
static char *from_environment(const char *variable, const char *tail) {
    const char *value = getenv(variable);
    return value && *value ? lm_asprintf("%s%s", value, tail) : NULL;
}

char *lm_cli_hf_home(void) {
    char *home = from_environment("HF_HOME", "");
    if (!home) home = from_environment("XDG_CACHE_HOME", "/huggingface");
    return home ? home : from_environment("HOME", "/.cache/huggingface");
}

static char *hf_cache_dir(void) {
    char *dir = from_environment("HF_HUB_CACHE", "");
    if (!dir) dir = from_environment("HUGGINGFACE_HUB_CACHE", "");
    if (dir) return dir;
    char *home = lm_cli_hf_home();
    dir = home ? lm_path_join(home, "hub") : NULL;
    lm_free(home);
    return dir;
}

loam_status lm_cli_store_init(lm_store *store, loam_error *err) {
    char *root = from_environment("LOAM_MODELS", "");
    if (!root) root = from_environment("XDG_DATA_HOME", "/loam/models");
    if (!root) root = from_environment("HOME", "/.local/share/loam/models");
    if (!root)
        return lm_error_set(err, LOAM_INVALID,
                            "no folder for models: neither LOAM_MODELS nor HOME is set");
    *store = (lm_store){.root = root, .hf_cache = hf_cache_dir()};
    return LOAM_OK;
}

void lm_cli_store_deinit(lm_store *store) {
    lm_free((char *)store->root);
    lm_free((char *)store->hf_cache);
    *store = (lm_store){0};
}

static loam_status find_pulled(const lm_hub_name *name, char **out_path, loam_error *err) {
    lm_store store;
    lm_store_model model;
    LM_TRY(lm_cli_store_init(&store, err));
    loam_status status = lm_store_find(&store, name, &model, err);
    if (status == LOAM_OK) {
        (void)lm_store_hold(&model); /* until the program ends */
        *out_path = model.path;
        model.path = NULL;
        lm_store_model_deinit(&model);
    }
    lm_cli_store_deinit(&store);
    return status;
}

/* A path may lead to a model of the store just as well: until the program ends. */
static void hold_path(const char *path) {
    lm_store store;
    if (lm_cli_store_init(&store, NULL) != LOAM_OK) return;
    (void)lm_store_hold_path(&store, path);
    lm_cli_store_deinit(&store);
}

loam_status lm_cli_model_path(const char *argument, char **out_path, loam_error *err) {
    lm_hub_name name;
    bool is_name = !lm_file_exists(argument) && lm_hub_name_parse(argument, &name, NULL) == LOAM_OK;
    if (is_name) return find_pulled(&name, out_path, err);
    hold_path(argument);
    *out_path = lm_strdup(argument);
    return *out_path ? LOAM_OK : lm_error_no_memory(err, strlen(argument));
}
