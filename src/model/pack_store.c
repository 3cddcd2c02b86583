#include "model/pack_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#define SUFFIX ".loam-pack"
enum { MIN_BYTES = 64 << 20, UNUSED_S = 30 * 24 * 3600 };

/* --- What the packed weights are made of. */

static void add_file(const char *path, lm_pack_source *source) {
    struct stat info;
    if (stat(path, &info) != 0) return;
    int64_t mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    const uint64_t of_file[] = {(uint64_t)info.st_size, (uint64_t)mtime_ns};
    source->size_bytes += (uint64_t)info.st_size;
    if (mtime_ns > source->mtime_ns) source->mtime_ns = mtime_ns;
    source->hash += lm_checksum64(of_file, sizeof of_file, 0); /* a sum: folders have no order */
}

static void add_folder(const char *path, lm_pack_source *source) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        if (!lm_str_ends(lm_str_of(entry->d_name), LM_STR(".safetensors"))) continue;
        char *file = lm_path_join(path, entry->d_name);
        if (file) add_file(file, source);
        lm_free(file);
    }
    if (dir) closedir(dir);
}

/* Name, type, shape, and the first, middle and last bytes: another model of the same sizes differs there. */
static uint64_t hash_tensor(const lm_stored_tensor *tensor, uint64_t hash) {
    enum { SAMPLE_BYTES = 64 };
    hash = lm_checksum64(tensor->name, strlen(tensor->name), hash);
    hash = lm_checksum64(tensor->type->name, strlen(tensor->type->name), hash);
    hash = lm_checksum64(tensor->shape, (size_t)tensor->n_dims * sizeof *tensor->shape, hash);
    size_t n = tensor->size_bytes < SAMPLE_BYTES ? tensor->size_bytes : SAMPLE_BYTES;
    size_t last = tensor->size_bytes - n, places[] = {0, last / 2, last};
    for (size_t i = 0; i < LM_COUNT_OF(places); i++)
        hash = lm_checksum64((const char *)tensor->data + places[i], n, hash);
    lm_file_map_forget(tensor->data, tensor->size_bytes);
    return hash;
}

static lm_pack_source source_of(const lm_model_file *file) {
    lm_pack_source source = {0};
    const lm_gguf *gguf = lm_model_file_gguf(file);
    for (size_t i = 0; gguf && i < lm_gguf_n_files(gguf); i++)
        add_file(lm_gguf_file_at(gguf, i), &source);
    if (!gguf) add_folder(lm_model_file_path(file), &source);
    const lm_stored_tensors *stored = lm_model_file_stored(file);
    for (size_t i = 0; i < stored->items.len; i++)
        source.hash = hash_tensor(&stored->items.ptr[i], source.hash);
    return source;
}

/* --- Places. */

static char *path_beside(const lm_model_file *file) {
    const char *path = lm_model_file_path(file);
    if (lm_model_file_format(file) == LM_FORMAT_HF) return lm_path_join(path, "model" SUFFIX);
    return lm_asprintf("%s" SUFFIX, path);
}

/* Named for what is packed, wherever it lies, and for the order, so that devices do not take turns in making it. */
static char *path_in(const char *dir, const lm_pack_plan *plan) {
    const char *order = plan->device->backend->pack_order(plan->device);
    uint64_t hash = lm_checksum64(&plan->source, sizeof plan->source, 0);
    return lm_asprintf("%s/%016llx-%s" SUFFIX, dir, (unsigned long long)hash, order);
}

/* A folder of packed files is a cache: those that nobody has used for long make room for one that is to come. */
static void sweep(const char *dir_path) {
    DIR *dir = opendir(dir_path);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        struct stat info;
        char *path = lm_path_join(dir_path, entry->d_name);
        if (path && lm_str_ends(lm_str_of(path), LM_STR(SUFFIX)) && lstat(path, &info) == 0 &&
            S_ISREG(info.st_mode) && info.st_mtime < time(NULL) - UNUSED_S)
            unlink(path);
        lm_free(path);
    }
    if (dir) closedir(dir);
}

/* Whether a file of this path can be made. */
static bool can_write(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return access(".", W_OK) == 0;
    char *dir = lm_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    bool can = dir && access(dir, W_OK) == 0;
    lm_free(dir);
    return can;
}

static bool open_at(const char *path, const lm_pack_plan *plan, lm_file_map *out) {
    loam_error err = {0};
    loam_status status = lm_pack_file_open(path, plan, out, &err);
    if (status == LOAM_OK) return true;
    bool writable = can_write(path);
    if (status != LOAM_NOT_FOUND) lm_log_error(LM_LOG_INFO, "pack", &err);
    if (!writable) return false;
    lm_log(LM_LOG_INFO, "pack", "packing weights into %s (%zu MiB)", path,
           lm_pack_plan_bytes(plan) >> 20);
    status = lm_pack_file_make(path, plan, &err);
    if (status == LOAM_OK) status = lm_pack_file_open(path, plan, out, &err);
    if (status != LOAM_OK) lm_log_error(LM_LOG_WARN, "pack", &err);
    return status == LOAM_OK;
}

/* Takes the path over; NULL is no place. */
static bool try_place(char *path, const lm_pack_plan *plan, lm_file_map *out) {
    bool opened = path && open_at(path, plan, out);
    if (opened) utimensat(AT_FDCWD, path, NULL, 0); /* in use; a hint for sweep */
    lm_free(path);
    return opened;
}

bool lm_pack_store_open(const lm_pack_places *places, const lm_model_file *file, lm_pack_plan *plan,
                        lm_file_map *out) {
    size_t min_bytes = places->min_bytes ? places->min_bytes : MIN_BYTES;
    if ((!places->beside && !places->dir) || plan->n == 0) return false;
    if (lm_pack_plan_bytes(plan) < min_bytes) return false;
    plan->source = source_of(file);
    bool opened = places->beside && try_place(path_beside(file), plan, out);
    if (!opened && places->dir && lm_file_make_dirs(places->dir, NULL) == LOAM_OK) {
        sweep(places->dir);
        opened = try_place(path_in(places->dir, plan), plan, out);
    }
    if (opened)
        lm_pack_file_use(out, plan);
    else
        lm_log(LM_LOG_INFO, "pack", "%s: weights are packed in memory, at every start",
               lm_model_file_path(file));
    return opened;
}
