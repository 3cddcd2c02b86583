/* model.safetensors.index.json beside one shard "a.safetensors" that holds tensor "t": whatever the index says, a folder that opens
 * has each tensor that it lists, and every error says something. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "model/hf_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char shard[] =
    "\x36\0\0\0\0\0\0\0"
    "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}\0\0\0\0";

static char dir[] = "/tmp/loam-fuzz-index-XXXXXX";

static void put(const char *name, const void *bytes, size_t size) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size) abort();
    fclose(file);
}

static void remove_dir(void) {
    if (lm_file_remove_tree(dir, NULL) != LOAM_OK) fprintf(stderr, "%s stays\n", dir);
}

static void make_dir(void) {
    if (!mkdtemp(dir)) abort();
    put("config.json", "{}", 2);
    put("a.safetensors", shard, sizeof shard - 1);
    atexit(remove_dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static bool made;
    lm_hf_folder *folder;
    loam_error err = {0};
    if (!made) make_dir();
    made = true;
    put("model.safetensors.index.json", bytes, size);
    if (lm_hf_folder_open(dir, &folder, &err) == LOAM_OK) {
        const lm_stored_tensors *tensors = lm_hf_folder_tensors(folder);
        if (tensors->items.len > 1 ||
            (tensors->items.len == 1 && !lm_stored_tensors_find(tensors, "t")))
            abort();
        lm_hf_folder_close(folder);
    } else if (!err.message[0]) {
        abort();
    }
    return 0;
}
