#include "hub/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { MANIFEST_MAX_BYTES = 32 << 20 };

static LM_MUST_USE loam_status read_document(const char *path, json_t **out, loam_error *err) {
    char *text = NULL;
    size_t size = 0;
    if (!lm_file_exists(path)) {
        *out = json_pack("{s:i, s:{}, s:{}}", "version", 1, "files", "pending");
        return *out ? LOAM_OK : lm_error_no_memory(err, 1);
    }
    LM_TRY(lm_file_read(path, MANIFEST_MAX_BYTES, &text, &size, err));
    json_t *document = NULL;
    loam_status status = lm_json_parse((lm_str){text, size}, path, &document, err);
    lm_free(text);
    if (status != LOAM_OK) return status;
    if (!json_is_object(json_object_get(document, "files")) ||
        !json_is_object(json_object_get(document, "pending"))) {
        json_decref(document);
        lm_error_set(err, LOAM_CORRUPT, "%s: 'files' and 'pending' must be objects", path);
        return lm_error_hint(err, LOAM_CORRUPT, "remove that file and pull the model again");
    }
    *out = document;
    return LOAM_OK;
}

loam_status lm_manifest_read(const char *dir, lm_manifest *out, loam_error *err) {
    lm_manifest manifest = {.dir = lm_strdup(dir), .lock_fd = -1};
    char *path = lm_path_join(dir, ".loam/manifest.json");
    loam_status status = manifest.dir && path ? read_document(path, &manifest.document, err)
                                              : lm_error_no_memory(err, strlen(dir));
    lm_free(path);
    if (status == LOAM_OK)
        *out = manifest;
    else
        lm_manifest_close(&manifest);
    return status;
}

loam_status lm_manifest_open(const char *dir, lm_manifest *out, loam_error *err) {
    char *path = lm_path_join(dir, ".loam/lock");
    if (!path) return lm_error_no_memory(err, strlen(dir));
    loam_status status = LOAM_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) status = lm_error_errno(err, "%s", path);
    while (status == LOAM_OK && flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) status = lm_error_errno(err, "%s: cannot lock", path);
    lm_free(path);
    if (status == LOAM_OK) status = lm_manifest_read(dir, out, err);
    if (status == LOAM_OK)
        out->lock_fd = fd;
    else if (fd >= 0)
        close(fd);
    return status;
}

loam_status lm_manifest_save(const lm_manifest *manifest, loam_error *err) {
    LM_ASSERT(manifest->lock_fd >= 0);
    char *text = json_dumps(manifest->document, JSON_INDENT(1) | JSON_SORT_KEYS);
    char *path = lm_path_join(manifest->dir, ".loam/manifest.json");
    loam_status status = text && path ? lm_file_write_atomic(path, text, strlen(text), err)
                                      : lm_error_no_memory(err, 1);
    lm_free(path);
    free(text); /* jansson's own */
    return status;
}

void lm_manifest_close(lm_manifest *manifest) {
    json_decref(manifest->document);
    lm_free(manifest->dir);
    if (manifest->lock_fd >= 0) close(manifest->lock_fd);
    *manifest = (lm_manifest){.lock_fd = -1};
}

static json_t *entry_of(const lm_manifest *manifest, const char *list, const char *path) {
    return json_object_get(json_object_get(manifest->document, list), path);
}

static bool stat_file(const lm_manifest *manifest, const char *path, struct stat *out) {
    char *full = lm_path_join(manifest->dir, path);
    bool there = full && stat(full, out) == 0 && S_ISREG(out->st_mode);
    lm_free(full);
    return there;
}

static json_int_t mtime_ns(const struct stat *info) {
    return (json_int_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

static bool same_digest(const json_t *entry, const char *key, const char *want) {
    const char *is = json_string_value(json_object_get(entry, key));
    return is && strcmp(is, want) == 0;
}

bool lm_manifest_has(const lm_manifest *manifest, const lm_hub_file *file) {
    const json_t *entry = entry_of(manifest, "files", file->path);
    struct stat info;
    if (!entry || !stat_file(manifest, file->path, &info)) return false;
    if (info.st_size != file->size_bytes ||
        json_integer_value(json_object_get(entry, "size")) != file->size_bytes ||
        json_integer_value(json_object_get(entry, "mtime_ns")) != mtime_ns(&info))
        return false;
    if (file->sha256[0]) return same_digest(entry, "sha256", file->sha256);
    return !file->oid[0] || same_digest(entry, "oid", file->oid);
}

bool lm_manifest_is_pending(const lm_manifest *manifest, const char *path) {
    return entry_of(manifest, "pending", path) != NULL;
}

void lm_manifest_set_pending(lm_manifest *manifest, const lm_hub_file *file) {
    json_object_set_new(json_object_get(manifest->document, "pending"), file->path,
                        json_pack("{s:I}", "size", (json_int_t)file->size_bytes));
}

loam_status lm_manifest_set_done(lm_manifest *manifest, const lm_hub_file *file, const char *sha256,
                                 const char *oid, loam_error *err) {
    struct stat info;
    if (!stat_file(manifest, file->path, &info))
        return lm_error_set(err, LOAM_IO, "%s/%s is gone again", manifest->dir, file->path);
    json_t *entry = json_pack("{s:I, s:s, s:s, s:I}", "size", (json_int_t)file->size_bytes,
                              "sha256", sha256, "oid", oid, "mtime_ns", mtime_ns(&info));
    json_object_del(json_object_get(manifest->document, "pending"), file->path);
    if (json_object_set_new(json_object_get(manifest->document, "files"), file->path, entry) != 0)
        return lm_error_no_memory(err, 1);
    return LOAM_OK;
}

void lm_manifest_forget(lm_manifest *manifest, const char *path) {
    json_object_del(json_object_get(manifest->document, "files"), path);
    json_object_del(json_object_get(manifest->document, "pending"), path);
}
