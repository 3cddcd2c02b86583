/* Any bytes as a recipe: refused or read, and what was read prints to a text that reads back. */
#include <stdint.h>

#include "train/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    lm_recipe recipe, again;
    loam_error err;
    lm_recipe_init(&recipe);
    lm_recipe_init(&again);
    if (lm_recipe_read(&recipe, (lm_str){(const char *)bytes, size}, "fuzz", &err) == LOAM_OK) {
        lm_buf text;
        lm_buf_init(&text, 1 << 20);
        lm_recipe_print(&recipe, &text);
        LM_ASSERT(lm_recipe_read(&again, lm_buf_view(&text), "again", &err) == LOAM_OK);
        LM_ASSERT(lm_recipe_same_training(&recipe, &again, &err) == LOAM_OK);
        lm_buf_deinit(&text);
    }
    lm_recipe_deinit(&recipe);
    lm_recipe_deinit(&again);
    return 0;
}
