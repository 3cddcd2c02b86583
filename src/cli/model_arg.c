#include "cli/model_arg.h"

#include <stdlib.h>

#include "base/mem.h"

/* Where the user's caches are; NULL: nowhere. Free with lm_free. */
static char *cache_dir(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache) return lm_asprintf("%s/loam/packs", cache);
    return home && *home ? lm_asprintf("%s/.cache/loam/packs", home) : NULL;
}

loam_status lm_cli_model_open(const char *path, lm_device *device, const lm_cli_pack *pack,
                              lm_model **out, loam_error *err) {
    lm_model_options options = {0};
    char *cache = pack->keep && !pack->dir ? cache_dir() : NULL;
    if (pack->keep)
        options.pack_places =
            (lm_pack_places){.beside = !pack->dir, .dir = pack->dir ? pack->dir : cache};
    loam_status status = lm_model_open(path, device, &options, out, err);
    lm_free(cache);
    return status;
}
