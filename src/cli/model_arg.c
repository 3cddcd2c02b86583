#include "cli/model_arg.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"

/* Where the user's caches are; NULL: nowhere. Free with lm_free. */
static char *cache_dir(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache) return lm_asprintf("%s/loam/packs", cache);
    return home && *home ? lm_asprintf("%s/.cache/loam/packs", home) : NULL;
}

static void show_packing(void *ctx, size_t n_done, size_t n_bytes) {
    lm_progress *progress = ctx;
    progress->total = (int64_t)n_bytes;
    lm_progress_update(progress, (int64_t)n_done, "%.0f of %.0f MB", (double)n_done / 1e6,
                       (double)n_bytes / 1e6);
}

static loam_status parse_coded(const char *text, lm_coded_weights *out, loam_error *err) {
    static const char *const names[] = {
        [LM_CODED_AUTO] = "auto", [LM_CODED_EXACT] = "exact", [LM_CODED_SMALL] = "small"};
    for (size_t i = 0; i < LM_COUNT_OF(names); i++) {
        if (text && strcmp(text, names[i]) != 0) continue;
        *out = (lm_coded_weights)i;
        return LOAM_OK;
    }
    return lm_error_set(err, LOAM_INVALID, "--coded-weights: '%s' is none of auto, exact, small",
                        text);
}

loam_status lm_cli_model_open(const char *path, lm_device *device, const lm_cli_pack *pack,
                              lm_model **out, loam_error *err) {
    lm_model_options options = {0};
    LM_TRY(parse_coded(pack->coded, &options.coded_weights, err));
    char *cache = pack->keep && !pack->dir ? cache_dir() : NULL;
    if (pack->keep)
        options.pack_places =
            (lm_pack_places){.beside = !pack->dir, .dir = pack->dir ? pack->dir : cache};
    lm_progress progress;
    lm_progress_init(&progress, "packing weights", 0, 0);
    options.pack_places.on_progress = show_packing;
    options.pack_places.progress_ctx = &progress;
    loam_status status = lm_model_open(path, device, &options, out, err);
    lm_progress_clear(&progress);
    lm_free(cache);
    return status;
}

loam_status lm_cli_text_tokens(const lm_model *model, const char *path, lm_vec_i32 *out,
                               loam_error *err) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(model);
    if (!tokenizer)
        return lm_error_set(err, LOAM_UNSUPPORTED, "%s has no tokenizer to read a text with",
                            lm_model_name(model));
    char *bytes;
    size_t size;
    LM_TRY(lm_file_read(path, LM_TOKENIZER_MAX_TEXT_BYTES, &bytes, &size, err));
    if (size > 0 && bytes[size - 1] == '\n') size--;
    lm_encode_options options = {.add_bos = lm_tokenizer_adds_bos(tokenizer)};
    loam_status status = lm_tokenizer_encode(tokenizer, (lm_str){bytes, size}, options, out, err);
    lm_free(bytes);
    return status;
}

int32_t lm_cli_chunk_bos(const lm_model *model) {
    const lm_tokenizer *tokenizer = lm_model_tokenizer(model);
    return lm_tokenizer_adds_bos(tokenizer) ? lm_tokenizer_bos(tokenizer) : -1;
}
