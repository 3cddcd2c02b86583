#include "cloud/blob_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

enum { COPY_BYTES = 1 << 20 };

struct lm_blob_store {
    char *objects_dir;
    char *tmp_dir;
    char *lock_path;
};

/* ---- opening ---- */

loam_status lm_blob_store_open(const char *dir, lm_blob_store **out, loam_error *err) {
    lm_blob_store *store = lm_calloc(1, sizeof *store);
    if (!store) return lm_error_no_memory(err, sizeof *store);
    store->objects_dir = lm_path_join(dir, "objects");
    store->tmp_dir = lm_path_join(dir, "tmp");
    store->lock_path = lm_path_join(dir, "lock");
    loam_status status = LOAM_OK;
    if (!store->objects_dir || !store->tmp_dir || !store->lock_path)
        status = lm_error_no_memory(err, strlen(dir));
    if (status == LOAM_OK) status = lm_file_make_dirs(store->objects_dir, err);
    if (status == LOAM_OK) status = lm_file_make_dirs(store->tmp_dir, err);
    if (status != LOAM_OK) {
        lm_blob_store_close(store);
        return status;
    }
    *out = store;
    return LOAM_OK;
}

void lm_blob_store_close(lm_blob_store *store) {
    if (!store) return;
    lm_free(store->objects_dir);
    lm_free(store->tmp_dir);
    lm_free(store->lock_path);
    lm_free(store);
}

char *lm_blob_store_path(const lm_blob_store *store, const char *digest) {
    return lm_asprintf("%s/%.2s/%s", store->objects_dir, digest, digest + 2);
}

bool lm_blob_store_has(const lm_blob_store *store, const char *digest) {
    char *path = lm_blob_store_path(store, digest);
    bool found = path && lm_file_exists(path);
    lm_free(path);
    return found;
}

/* Takes the store's lock; close the descriptor to give it back. Negative with err set on failure. */
static int lock_store(const lm_blob_store *store, int mode, loam_error *err) {
    int fd = open(store->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int failed = fd < 0;
    while (!failed && flock(fd, mode) != 0) failed = errno != EINTR;
    if (!failed) return fd;
    (void)lm_error_errno(err, "%s", store->lock_path);
    if (fd >= 0) close(fd);
    return -1;
}

/* ---- copying and hashing ---- */

static loam_status write_all(int fd, const char *path, const char *bytes, size_t n,
                             loam_error *err) {
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return lm_error_errno(err, "%s: cannot write", path);
        bytes += written;
        n -= (size_t)written;
    }
    return LOAM_OK;
}

/* Reads `from` to its end, hashing (hash may be NULL) and writing (to < 0: not). */
static loam_status stream_file(int from, const char *from_path, int to, const char *to_path,
                               lm_sha256 *hash, int64_t *out_size, loam_error *err) {
    char *piece = lm_alloc(COPY_BYTES);
    if (!piece) return lm_error_no_memory(err, COPY_BYTES);
    loam_status status = LOAM_OK;
    int64_t size = 0;
    while (status == LOAM_OK) {
        ssize_t n = read(from, piece, COPY_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = lm_error_errno(err, "%s: cannot read", from_path);
        if (n <= 0) break;
        if (hash) lm_sha256_update(hash, piece, (size_t)n);
        if (to >= 0) status = write_all(to, to_path, piece, (size_t)n, err);
        size += n;
    }
    lm_free(piece);
    if (status == LOAM_OK && out_size) *out_size = size;
    return status;
}

static void finish_digest(lm_sha256 *hash, char out[LM_SHA256_HEX_BYTES]) {
    uint8_t digest[LM_SHA256_BYTES];
    lm_sha256_final(hash, digest);
    lm_sha256_hex(digest, out);
}

loam_status lm_blob_store_verify(lm_blob_store *store, const char *digest, loam_error *err) {
    char *path = lm_blob_store_path(store, digest);
    if (!path) return lm_error_no_memory(err, strlen(store->objects_dir));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    loam_status status = LOAM_OK;
    lm_sha256 hash;
    char found[LM_SHA256_HEX_BYTES];
    lm_sha256_init(&hash);
    if (fd < 0) {
        status = lm_error_errno(err, "object %s", digest);
    } else {
        status = stream_file(fd, path, -1, NULL, &hash, NULL, err);
        close(fd);
    }
    lm_free(path);
    if (status != LOAM_OK) return status;
    finish_digest(&hash, found);
    if (strcmp(found, digest) == 0) return LOAM_OK;
    (void)lm_error_set(err, LOAM_CORRUPT, "object %s has the bytes of %s", digest, found);
    return lm_error_hint(err, LOAM_CORRUPT,
                         "the disk or somebody changed it; remove it and import the model again");
}

/* ---- importing ---- */

/* Moves a finished temporary to its name, or drops it when the object is there already; either way the object's time
 * stamp is fresh afterwards. */
static loam_status place_object(lm_blob_store *store, const char *temp_path, const char *digest,
                                loam_error *err) {
    char *path = lm_blob_store_path(store, digest);
    char *folder = lm_asprintf("%s/%.2s", store->objects_dir, digest);
    int lock = -1;
    loam_status status = path && folder ? LOAM_OK : lm_error_no_memory(err, strlen(temp_path));
    if (status == LOAM_OK && mkdir(folder, 0700) != 0 && errno != EEXIST)
        status = lm_error_errno(err, "%s", folder);
    if (status == LOAM_OK && (lock = lock_store(store, LOCK_SH, err)) < 0) status = LOAM_IO;
    if (status == LOAM_OK) {
        if (utimes(path, NULL) == 0) {
            unlink(temp_path);
        } else if (rename(temp_path, path) != 0) {
            status = lm_error_errno(err, "%s", path);
        } else {
            status = lm_file_fsync_dir(folder, err);
        }
    }
    if (lock >= 0) close(lock);
    lm_free(path);
    lm_free(folder);
    return status;
}

/* Streams one file into a temporary of the store. */
static loam_status copy_in(int from, const char *from_path, const char *temp_path, int to,
                           lm_blob_file *file, loam_error *err) {
    lm_sha256 hash;
    lm_sha256_init(&hash);
    LM_TRY(stream_file(from, from_path, to, temp_path, &hash, &file->size_bytes, err));
    if (fchmod(to, 0444) != 0 || fsync(to) != 0) return lm_error_errno(err, "%s", temp_path);
    finish_digest(&hash, file->digest);
    return LOAM_OK;
}

static loam_status import_file(lm_blob_store *store, const char *path, lm_blob_file *file,
                               loam_error *err) {
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return lm_error_errno(err, "%s", path);
    char *temp_path = lm_path_join(store->tmp_dir, "import-XXXXXX");
    int to = temp_path ? mkostemp(temp_path, O_CLOEXEC) : -1;
    loam_status status = LOAM_OK;
    if (!temp_path) {
        status = lm_error_no_memory(err, strlen(store->tmp_dir));
    } else if (to < 0) {
        status = lm_error_errno(err, "%s", temp_path);
    } else {
        status = copy_in(from, path, temp_path, to, file, err);
        if (status == LOAM_OK) status = place_object(store, temp_path, file->digest, err);
        if (status != LOAM_OK) unlink(temp_path);
        close(to);
    }
    close(from);
    lm_free(temp_path);
    return status;
}

static loam_status add_file(lm_blob_store *store, const char *path, const char *name,
                            lm_blob_files *files, loam_error *err) {
    lm_blob_file file = {0};
    if (files->len == LM_BLOB_MAX_FILES)
        return lm_error_set(err, LOAM_LIMIT, "%s: more than %d files", path, LM_BLOB_MAX_FILES);
    if (strlen(name) >= sizeof file.path)
        return lm_error_set(err, LOAM_LIMIT, "%s: name too long", path);
    memcpy(file.path, name, strlen(name) + 1);
    LM_TRY(import_file(store, path, &file, err));
    return lm_vec_push(files, file) ? LOAM_OK : lm_error_no_memory(err, sizeof file);
}

static loam_status add_folder(lm_blob_store *store, const char *path, const char *prefix, int depth,
                              lm_blob_files *files, loam_error *err);

static loam_status add_entry(lm_blob_store *store, const char *path, const char *name,
                             const struct dirent *entry, int depth, lm_blob_files *files,
                             loam_error *err) {
    struct stat info;
    if (stat(path, &info) != 0) return lm_error_errno(err, "%s", path);
    if (S_ISREG(info.st_mode)) return add_file(store, path, name, files, err);
    /* a link to a folder could lead in a circle */
    if (S_ISDIR(info.st_mode) && entry->d_type != DT_LNK)
        return add_folder(store, path, name, depth + 1, files, err);
    return LOAM_OK;
}

/* What a writer that was killed left of a file it had not finished: "name.tmp-<process>" (see base/file.h). */
static bool is_remains(const char *name) {
    const char *mark = strstr(name, ".tmp-");
    return mark && mark[5] && strspn(mark + 5, "0123456789") == strlen(mark + 5);
}

/* Packed weights that serving leaves beside a model, made anew from it anywhere. */
static bool is_derived(const char *name) {
    return lm_str_ends(lm_str_of(name), LM_STR(".loam-pack"));
}

static loam_status add_folder(lm_blob_store *store, const char *path, const char *prefix, int depth,
                              lm_blob_files *files, loam_error *err) {
    if (depth > LM_BLOB_MAX_DEPTH)
        return lm_error_set(err, LOAM_LIMIT, "%s: folders nest too deep", path);
    DIR *dir = opendir(path);
    if (!dir) return lm_error_errno(err, "%s", path);
    loam_status status = LOAM_OK;
    struct dirent *entry;
    while (status == LOAM_OK && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || is_remains(entry->d_name) || is_derived(entry->d_name))
            continue;
        char *child = lm_path_join(path, entry->d_name);
        char *name = *prefix ? lm_path_join(prefix, entry->d_name) : lm_strdup(entry->d_name);
        status = child && name ? add_entry(store, child, name, entry, depth, files, err)
                               : lm_error_no_memory(err, 1);
        lm_free(child);
        lm_free(name);
    }
    closedir(dir);
    return status;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const lm_blob_file *)a)->path, ((const lm_blob_file *)b)->path);
}

/* Refreshes every object once more, under the lock, so that the grace time counts from the end of a long import. */
static loam_status refresh(lm_blob_store *store, const lm_blob_files *files, loam_error *err) {
    int lock = lock_store(store, LOCK_SH, err);
    if (lock < 0) return LOAM_IO;
    loam_status status = LOAM_OK;
    for (size_t i = 0; i < files->len && status == LOAM_OK; i++) {
        char *path = lm_blob_store_path(store, files->ptr[i].digest);
        if (!path)
            status = lm_error_no_memory(err, 1);
        else if (utimes(path, NULL) != 0)
            status = lm_error_errno(err, "%s: was collected meanwhile", path);
        lm_free(path);
    }
    close(lock);
    return status;
}

loam_status lm_blob_store_import(lm_blob_store *store, const char *path, lm_blob_files *out,
                                 loam_error *err) {
    lm_blob_files files = {0};
    loam_status status;
    if (lm_file_is_dir(path)) {
        status = add_folder(store, path, "", 0, &files, err);
        if (status == LOAM_OK && files.len == 0)
            status = lm_error_set(err, LOAM_INVALID, "%s: no files in it", path);
    } else {
        const char *slash = strrchr(path, '/');
        status = add_file(store, path, slash ? slash + 1 : path, &files, err);
    }
    if (status == LOAM_OK) status = refresh(store, &files, err);
    if (status != LOAM_OK) {
        lm_vec_deinit(&files);
        return status;
    }
    qsort(files.ptr, files.len, sizeof *files.ptr, compare_paths);
    *out = files;
    return LOAM_OK;
}

void lm_blob_files_digest(const lm_blob_files *files, char out[LM_SHA256_HEX_BYTES]) {
    lm_sha256 hash;
    lm_sha256_init(&hash);
    for (size_t i = 0; i < files->len; i++) {
        const lm_blob_file *file = &files->ptr[i];
        lm_sha256_update(&hash, file->digest, strlen(file->digest));
        lm_sha256_update(&hash, "  ", 2);
        lm_sha256_update(&hash, file->path, strlen(file->path));
        lm_sha256_update(&hash, "\n", 1);
    }
    finish_digest(&hash, out);
}

int64_t lm_blob_files_size(const lm_blob_files *files) {
    int64_t size = 0;
    for (size_t i = 0; i < files->len; i++) size += files->ptr[i].size_bytes;
    return size;
}

/* ---- folder views ---- */

/* A copy for another file system: shares the blocks where that can be done. */
static loam_status copy_out(const char *object, const char *path, loam_error *err) {
    int from = open(object, O_RDONLY | O_CLOEXEC);
    if (from < 0) return lm_error_errno(err, "%s", object);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
    loam_status status = LOAM_OK;
    if (to < 0) {
        status = lm_error_errno(err, "%s", path);
    } else if (ioctl(to, FICLONE, from) != 0) {
        status = stream_file(from, object, to, path, NULL, NULL, err);
    }
    if (to >= 0) close(to);
    if (to >= 0 && status != LOAM_OK) unlink(path);
    close(from);
    return status;
}

static bool has_size(const char *path, int64_t size_bytes) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == size_bytes;
}

static loam_status make_parent(const char *path, loam_error *err) {
    char *parent = lm_strndup(path, (size_t)(strrchr(path, '/') - path));
    if (!parent) return lm_error_no_memory(err, strlen(path));
    loam_status status = lm_file_make_dirs(parent, err);
    lm_free(parent);
    return status;
}

static bool path_is_safe(const char *path) {
    if (path[0] == '/' || path[0] == '\0') return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) return false;
    }
    return true;
}

static loam_status place_view(lm_blob_store *store, const lm_blob_file *file, const char *dir,
                              loam_error *err) {
    if (!path_is_safe(file->path))
        return lm_error_set(err, LOAM_CORRUPT, "file name '%s' leaves its folder", file->path);
    char *object = lm_blob_store_path(store, file->digest), *path = lm_path_join(dir, file->path);
    loam_status status =
        object && path ? make_parent(path, err) : lm_error_no_memory(err, strlen(dir));
    if (status == LOAM_OK && !has_size(path, file->size_bytes)) {
        unlink(path);
        if (link(object, path) != 0) {
            if (errno == EXDEV || errno == EMLINK || errno == EPERM || errno == EOPNOTSUPP) {
                status = copy_out(object, path, err);
            } else {
                status = lm_error_errno(err, "%s: object %s", file->path, file->digest);
            }
        }
    }
    lm_free(object);
    lm_free(path);
    return status;
}

loam_status lm_blob_store_materialize(lm_blob_store *store, const lm_blob_file *files,
                                      size_t n_files, const char *dir, loam_error *err) {
    LM_TRY(lm_file_make_dirs(dir, err));
    for (size_t i = 0; i < n_files; i++) LM_TRY(place_view(store, &files[i], dir, err));
    return LOAM_OK;
}

/* ---- collecting ---- */

static bool is_old(const struct stat *info, int64_t grace_ms) {
    int64_t changed_ms = (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000;
    return changed_ms + grace_ms <= lm_clock_epoch_ms();
}

static loam_status collect_object(lm_blob_store *store, const lm_blob_gc *gc, const char *digest,
                                  lm_blob_gc_result *result, loam_error *err) {
    char *path = lm_blob_store_path(store, digest);
    if (!path) return lm_error_no_memory(err, strlen(store->objects_dir));
    loam_status status = LOAM_OK;
    struct stat info;
    bool removed = false, found = stat(path, &info) == 0;
    if (found && is_old(&info, gc->grace_ms) && !gc->is_live(digest, gc->arg)) {
        int lock = lock_store(store, LOCK_EX, err);
        if (lock < 0) status = LOAM_IO;
        if (lock >= 0 && stat(path, &info) == 0 && is_old(&info, gc->grace_ms))
            removed = unlink(path) == 0;
        if (lock >= 0) close(lock);
    }
    if (removed) {
        result->n_removed++;
        result->removed_bytes += info.st_size;
    } else if (found) {
        result->n_kept++;
        result->kept_bytes += info.st_size;
    }
    lm_free(path);
    return status;
}

/* Temporaries of imports that a crash left behind: as old as an unreferenced object must be. */
static void sweep_tmp(const lm_blob_store *store, int64_t grace_ms) {
    DIR *dir = opendir(store->tmp_dir);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct stat info;
        char *path = lm_path_join(store->tmp_dir, entry->d_name);
        if (path && lstat(path, &info) == 0 && S_ISREG(info.st_mode) && is_old(&info, grace_ms))
            unlink(path);
        lm_free(path);
    }
    if (dir) closedir(dir);
}

static loam_status collect_folder(lm_blob_store *store, const lm_blob_gc *gc, const char *prefix,
                                  lm_blob_gc_result *result, loam_error *err) {
    char *path = lm_path_join(store->objects_dir, prefix);
    if (!path) return lm_error_no_memory(err, strlen(prefix));
    DIR *dir = opendir(path);
    lm_free(path);
    loam_status status = LOAM_OK;
    struct dirent *entry;
    while (dir && status == LOAM_OK && (entry = readdir(dir))) {
        if (strlen(entry->d_name) != LM_SHA256_HEX_BYTES - 3) continue;
        char digest[LM_SHA256_HEX_BYTES];
        snprintf(digest, sizeof digest, "%.2s%.62s", prefix, entry->d_name);
        status = collect_object(store, gc, digest, result, err);
    }
    if (dir) closedir(dir);
    return status;
}

loam_status lm_blob_store_gc(lm_blob_store *store, const lm_blob_gc *gc, lm_blob_gc_result *out,
                             loam_error *err) {
    DIR *dir = opendir(store->objects_dir);
    if (!dir) return lm_error_errno(err, "%s", store->objects_dir);
    lm_blob_gc_result result = {0};
    loam_status status = LOAM_OK;
    struct dirent *entry;
    while (status == LOAM_OK && (entry = readdir(dir))) {
        if (strlen(entry->d_name) == 2 && entry->d_name[0] != '.')
            status = collect_folder(store, gc, entry->d_name, &result, err);
    }
    closedir(dir);
    if (status != LOAM_OK) return status;
    sweep_tmp(store, gc->grace_ms);
    *out = result;
    return LOAM_OK;
}
