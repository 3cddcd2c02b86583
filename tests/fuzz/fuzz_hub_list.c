/* Lists of files by hubs: the first byte chooses the protocol. Whatever is taken stays within its folder, and choosing among it
 * ends. */
#include "hub/hub_api.h"
#include "hub/hub_pick.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void choose(const lm_hub_listing *listing, const char *pick) {
    size_t n = listing->files.len;
    lm_hub_choice choice;
    const char **names = lm_alloc((n + 1) * sizeof *names);
    for (size_t i = 0; i < n; i++) names[i] = listing->files.ptr[i].path;
    if (lm_hub_pick("org/name", pick, names, n, &choice, NULL) == LOAM_OK) {
        for (size_t i = 0; i < choice.files.len; i++)
            if (choice.files.ptr[i] < 0 || (size_t)choice.files.ptr[i] >= n) __builtin_trap();
        if (choice.files.len == 0) __builtin_trap();
        lm_hub_choice_deinit(&choice);
    }
    lm_free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    lm_hub_listing listing;
    if (size == 0) return 0;
    const lm_hub_kind *kind =
        bytes[0] == 'm' ? lm_hub_kind_find(LM_STR("modelscope")) : lm_hub_kind_default();
    lm_str text = {(const char *)bytes + 1, size - 1};
    if (lm_hub_listing_parse(kind, text, "hub", &listing, NULL) != LOAM_OK) return 0;
    for (size_t i = 0; i < listing.files.len; i++)
        if (!lm_hub_path_is_safe(listing.files.ptr[i].path) || listing.files.ptr[i].size_bytes < 0)
            __builtin_trap();
    choose(&listing, "");
    choose(&listing, "Q4_0");
    choose(&listing, "x.gguf");
    lm_hub_listing_deinit(&listing);
    return 0;
}
