#include "hub/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/manifest.h"

enum { MAX_DEPTH = 4, MAX_NAMES = 20000, REF_MAX_BYTES = 200 };

typedef LM_VEC(char *) name_list;

static void free_names(char **names, size_t n) {
    for (size_t i = 0; i < n; i++) lm_free(names[i]);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* --- Files of a folder. */

static LM_MUST_USE loam_status add_names(const char *root, const char *below, int depth,
                                         name_list *out, loam_error *err);

static LM_MUST_USE loam_status add_name(const char *root, const char *below, const char *name,
                                        int depth, name_list *out, loam_error *err) {
    struct stat info;
    char *path = *below ? lm_path_join(below, name) : lm_strdup(name);
    char *full = path ? lm_path_join(root, path) : NULL;
    loam_status status = full ? LOAM_OK : lm_error_no_memory(err, strlen(name));
    bool there = status == LOAM_OK && stat(full, &info) == 0; /* follows the cache's links */
    if (there && S_ISDIR(info.st_mode)) {
        if (depth < MAX_DEPTH) status = add_names(root, path, depth + 1, out, err);
    } else if (there && S_ISREG(info.st_mode) && out->len < MAX_NAMES) {
        if (!lm_vec_push(out, path)) status = lm_error_no_memory(err, 1);
        if (status == LOAM_OK) path = NULL;
    }
    lm_free(path);
    lm_free(full);
    return status;
}

static LM_MUST_USE loam_status add_names(const char *root, const char *below, int depth,
                                         name_list *out, loam_error *err) {
    char *full = *below ? lm_path_join(root, below) : lm_strdup(root);
    if (!full) return lm_error_no_memory(err, strlen(root));
    DIR *dir = opendir(full);
    lm_free(full);
    if (!dir) return errno == ENOENT ? LOAM_OK : lm_error_errno(err, "%s/%s", root, below);
    loam_status status = LOAM_OK;
    for (struct dirent *entry; status == LOAM_OK && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') status = add_name(root, below, entry->d_name, depth, out, err);
    closedir(dir);
    return status;
}

static LM_MUST_USE loam_status list_names(lm_store_model *model, loam_error *err) {
    name_list names = {0};
    loam_status status = add_names(model->dir, "", 0, &names, err);
    if (names.len) qsort(names.ptr, names.len, sizeof *names.ptr, compare_names);
    model->names.ptr = names.ptr;
    model->names.len = names.len;
    model->names.capacity = names.capacity;
    return status;
}

/* --- Where a model is. */

char *lm_store_dir(const lm_store *store, const char *repo) {
    return lm_path_join(store->root, repo);
}

/* The cache's snapshot that refs/main names, else any (huggingface_hub, "Understand caching"): on the heap, NULL when there
 * is none. */
static char *snapshot_of(const char *cached) {
    char *ref_path = lm_path_join(cached, "refs/main"), *ref = NULL, *dir = NULL;
    size_t len = 0;
    if (ref_path && lm_file_exists(ref_path) &&
        lm_file_read(ref_path, REF_MAX_BYTES, &ref, &len, NULL) == LOAM_OK) {
        while (len && (ref[len - 1] == '\n' || ref[len - 1] == ' ')) ref[--len] = '\0';
        if (len && lm_hub_path_is_safe(ref)) dir = lm_asprintf("%s/snapshots/%s", cached, ref);
    }
    lm_free(ref);
    lm_free(ref_path);
    if (dir && lm_file_is_dir(dir)) return dir;
    lm_free(dir);
    dir = NULL;
    char *snapshots = lm_path_join(cached, "snapshots");
    DIR *all = snapshots ? opendir(snapshots) : NULL;
    for (struct dirent *entry; all && !dir && (entry = readdir(all));)
        if (entry->d_name[0] != '.') dir = lm_path_join(snapshots, entry->d_name);
    if (all) closedir(all);
    lm_free(snapshots);
    return dir;
}

/* "org/name" is in "models--org--name". */
static char *cache_dir_of(const lm_store *store, const char *repo) {
    if (!store->hf_cache) return NULL;
    const char *slash = strchr(repo, '/');
    char *cached =
        lm_asprintf("%s/models--%.*s--%s", store->hf_cache, (int)(slash - repo), repo, slash + 1);
    char *dir = cached && lm_file_is_dir(cached) ? snapshot_of(cached) : NULL;
    lm_free(cached);
    return dir;
}

/* --- Finding. */

static LM_MUST_USE loam_status check_complete(const lm_store_model *model, const char *repo,
                                              loam_error *err) {
    lm_manifest manifest;
    if (!model->is_ours) return LOAM_OK;
    LM_TRY(lm_manifest_read(model->dir, &manifest, err));
    loam_status status = LOAM_OK;
    size_t n_pending = 0;
    const char *path;
    json_t *entry;
    for (size_t i = 0; i < model->choice.files.len && !n_pending; i++)
        n_pending = lm_manifest_is_pending(&manifest, model->names.ptr[model->choice.files.ptr[i]]);
    json_object_foreach(json_object_get(manifest.document, "pending"), path, entry) {
        n_pending += model->choice.is_folder && lm_hub_quant_of(path).len == 0;
    }
    if (n_pending) {
        lm_error_set(err, LOAM_CONFLICT, "%s was pulled only in part", repo);
        status = lm_error_hint(err, LOAM_CONFLICT,
                               "run 'loam pull' for it again; it goes on where it was");
    }
    lm_manifest_close(&manifest);
    return status;
}

static LM_MUST_USE loam_status fill_model(lm_store_model *model, const lm_hub_name *name,
                                          loam_error *err) {
    LM_TRY(list_names(model, err));
    LM_TRY(lm_hub_pick(name->repo, name->pick, (const char *const *)model->names.ptr,
                       model->names.len, &model->choice, err));
    LM_TRY(check_complete(model, name->repo, err));
    model->path = model->choice.is_folder
                      ? lm_strdup(model->dir)
                      : lm_path_join(model->dir, model->names.ptr[model->choice.files.ptr[0]]);
    return model->path ? LOAM_OK : lm_error_no_memory(err, 1);
}

static LM_MUST_USE loam_status not_pulled(const lm_hub_name *name, loam_error *err) {
    lm_error_set(err, LOAM_NOT_FOUND, "%s is not here", name->repo);
    return lm_error_hint(err, LOAM_NOT_FOUND,
                         "no file has that name; 'loam pull %s%s%s' fetches it", name->repo,
                         *name->pick ? ":" : "", name->pick);
}

/* In one of the two places; takes dir over. */
static LM_MUST_USE loam_status find_in(char *dir, bool is_ours, const lm_hub_name *name,
                                       lm_store_model *out, loam_error *err) {
    lm_store_model model = {.dir = dir, .is_ours = is_ours};
    loam_status status =
        dir && lm_file_is_dir(dir) ? fill_model(&model, name, err) : not_pulled(name, err);
    if (status == LOAM_OK)
        *out = model;
    else
        lm_store_model_deinit(&model);
    return status;
}

loam_status lm_store_find(const lm_store *store, const lm_hub_name *name, lm_store_model *out,
                          loam_error *err) {
    char *dir = lm_store_dir(store, name->repo);
    if (!dir) return lm_error_no_memory(err, 1);
    bool ours = lm_file_is_dir(dir);
    loam_status status = find_in(dir, true, name, out, err);
    if (status != LOAM_NOT_FOUND) return status;
    loam_error cache_error = {0};
    char *cached = cache_dir_of(store, name->repo);
    if (!cached) return status;
    loam_status cache_status = find_in(cached, false, name, out, &cache_error);
    if (cache_status == LOAM_OK || ours) return cache_status == LOAM_OK ? LOAM_OK : status;
    if (err) *err = cache_error;
    return cache_status;
}

void lm_store_model_deinit(lm_store_model *model) {
    free_names(model->names.ptr, model->names.len);
    lm_vec_deinit(&model->names);
    lm_hub_choice_deinit(&model->choice);
    lm_free(model->path);
    lm_free(model->dir);
    *model = (lm_store_model){0};
}

static int hold_dir(const char *dir) {
    char *path = lm_path_join(dir, ".loam/use");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    lm_free(path);
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

int lm_store_hold(const lm_store_model *model) {
    return model->is_ours ? hold_dir(model->dir) : -1;
}

/* The end of the first two parts of "org/name/rest"; NULL where it has fewer. */
static char *model_end(char *path) {
    char *name = strchr(path, '/');
    if (!name || !name[1]) return NULL;
    return name + 1 + strcspn(name + 1, "/");
}

int lm_store_hold_path(const lm_store *store, const char *path) {
    char *root = realpath(store->root, NULL), *full = realpath(path, NULL), *end = NULL;
    size_t n = root ? strlen(root) : 0;
    if (root && full && strncmp(full, root, n) == 0 && full[n] == '/')
        end = model_end(full + n + 1);
    if (end) *end = '\0';
    int fd = end ? hold_dir(full) : -1;
    free(root); /* libc's own */
    free(full);
    return fd;
}

/* --- Listing. */

typedef struct listing {
    const lm_store *store;
    void (*on_entry)(void *ctx, const lm_store_entry *);
    void *ctx;
    const char *repo;
    const lm_store_model *model;
    const lm_manifest *manifest; /* NULL: not ours */
} listing;

static void list_variant(void *ctx, const lm_hub_choice *choice) {
    const listing *l = ctx;
    lm_store_entry entry = {.repo = l->repo,
                            .quant = choice->is_folder ? "safetensors" : choice->quant,
                            .is_folder = choice->is_folder,
                            .is_ours = l->model->is_ours,
                            .is_complete = !choice->is_partial};
    char *first = lm_path_join(l->model->dir, l->model->names.ptr[choice->files.ptr[0]]);
    entry.path = choice->is_folder ? l->model->dir : first;
    for (size_t i = 0; i < choice->files.len; i++) {
        const char *name = l->model->names.ptr[choice->files.ptr[i]];
        char *path = lm_path_join(l->model->dir, name);
        struct stat info;
        if (path && stat(path, &info) == 0) {
            int64_t ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
            entry.size_bytes += info.st_size;
            if (ms > entry.changed_ms) entry.changed_ms = ms;
        }
        lm_free(path);
    }
    const char *path;
    json_t *pending;
    if (l->manifest && choice->is_folder)
        json_object_foreach(json_object_get(l->manifest->document, "pending"), path, pending)
            entry.is_complete = entry.is_complete && lm_hub_quant_of(path).len > 0;
    if (first) l->on_entry(l->ctx, &entry);
    lm_free(first);
}

/* Takes dir over. */
static LM_MUST_USE loam_status list_model(listing *l, char *dir, bool is_ours, loam_error *err) {
    lm_store_model model = {.dir = dir, .is_ours = is_ours};
    lm_manifest manifest = {.lock_fd = -1};
    if (!dir) return lm_error_no_memory(err, 1);
    loam_status status = list_names(&model, err);
    if (status == LOAM_OK && is_ours) status = lm_manifest_read(dir, &manifest, err);
    l->model = &model;
    l->manifest = is_ours ? &manifest : NULL;
    if (status == LOAM_OK)
        status = lm_hub_each_variant((const char *const *)model.names.ptr, model.names.len,
                                     list_variant, l, err);
    lm_manifest_close(&manifest);
    lm_store_model_deinit(&model);
    return status;
}

/* Names of the folders in dir, sorted; none when there is no dir. */
static LM_MUST_USE loam_status list_folders(const char *path, name_list *out, loam_error *err) {
    DIR *dir = opendir(path);
    loam_status status = LOAM_OK;
    if (!dir) return errno == ENOENT ? LOAM_OK : lm_error_errno(err, "%s", path);
    for (struct dirent *entry; status == LOAM_OK && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        char *full = lm_path_join(path, entry->d_name), *name = NULL;
        if (full && lm_file_is_dir(full)) {
            name = lm_strdup(entry->d_name);
            if (!name || !lm_vec_push(out, name)) status = lm_error_no_memory(err, 1);
        }
        lm_free(full);
    }
    closedir(dir);
    if (out->len) qsort(out->ptr, out->len, sizeof *out->ptr, compare_names);
    return status;
}

static LM_MUST_USE loam_status list_ours(listing *l, loam_error *err) {
    name_list orgs = {0};
    loam_status status = list_folders(l->store->root, &orgs, err);
    for (size_t i = 0; status == LOAM_OK && i < orgs.len; i++) {
        name_list names = {0};
        char *org = lm_path_join(l->store->root, orgs.ptr[i]);
        status = org ? list_folders(org, &names, err) : lm_error_no_memory(err, 1);
        for (size_t j = 0; status == LOAM_OK && j < names.len; j++) {
            char *repo = lm_path_join(orgs.ptr[i], names.ptr[j]);
            l->repo = repo;
            status = repo ? list_model(l, lm_store_dir(l->store, repo), true, err)
                          : lm_error_no_memory(err, 1);
            lm_free(repo);
        }
        lm_free(org);
        free_names(names.ptr, names.len);
        lm_vec_deinit(&names);
    }
    free_names(orgs.ptr, orgs.len);
    lm_vec_deinit(&orgs);
    return status;
}

static LM_MUST_USE loam_status list_cached(listing *l, loam_error *err) {
    static const char prefix[] = "models--";
    name_list folders = {0};
    if (!l->store->hf_cache) return LOAM_OK;
    loam_status status = list_folders(l->store->hf_cache, &folders, err);
    for (size_t i = 0; status == LOAM_OK && i < folders.len; i++) {
        const char *folder = folders.ptr[i];
        const char *middle = strncmp(folder, prefix, sizeof prefix - 1) == 0
                                 ? strstr(folder + sizeof prefix - 1, "--")
                                 : NULL;
        if (!middle) continue;
        const char *org = folder + sizeof prefix - 1;
        char *repo = lm_asprintf("%.*s/%s", (int)(middle - org), org, middle + 2);
        char *dir = repo ? cache_dir_of(l->store, repo) : NULL;
        l->repo = repo;
        if (dir) status = list_model(l, dir, false, err);
        lm_free(repo);
    }
    free_names(folders.ptr, folders.len);
    lm_vec_deinit(&folders);
    return status;
}

loam_status lm_store_list(const lm_store *store,
                          void (*on_entry)(void *ctx, const lm_store_entry *), void *ctx,
                          loam_error *err) {
    listing l = {.store = store, .on_entry = on_entry, .ctx = ctx};
    LM_TRY(list_ours(&l, err));
    return list_cached(&l, err);
}

/* --- Removing. */

/* A lock that nobody else may have now: the descriptor, or -1 with the reason in err. */
static LM_MUST_USE loam_status lock_alone(const char *dir, const char *name, const char *who,
                                          int *out_fd, loam_error *err) {
    char *path = lm_path_join(dir, name);
    if (!path) return lm_error_no_memory(err, 1);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    loam_status status = LOAM_OK;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
        status = lm_error_set(err, LOAM_CONFLICT, "%s: %s", dir, who);
    }
    lm_free(path);
    *out_fd = fd;
    return status;
}

/* Fails while somebody fetches a part. */
static LM_MUST_USE loam_status check_no_pull(const char *dir, loam_error *err) {
    char *parts = lm_path_join(dir, ".loam/parts");
    DIR *all = parts ? opendir(parts) : NULL;
    loam_status status = LOAM_OK;
    for (struct dirent *entry; all && status == LOAM_OK && (entry = readdir(all));) {
        int fd = -1;
        if (entry->d_name[0] == '.') continue;
        status = lock_alone(parts, entry->d_name, "is being pulled", &fd, err);
        if (fd >= 0) close(fd);
    }
    if (all) closedir(all);
    lm_free(parts);
    return status;
}

static LM_MUST_USE loam_status remove_chosen(const lm_store_model *model, int64_t *out_bytes,
                                             loam_error *err) {
    lm_manifest manifest;
    LM_TRY(lm_manifest_open(model->dir, &manifest, err));
    loam_status status = LOAM_OK;
    for (size_t i = 0; status == LOAM_OK && i < model->choice.files.len; i++) {
        const char *name = model->names.ptr[model->choice.files.ptr[i]];
        char *path = lm_path_join(model->dir, name);
        size_t size = 0;
        if (!path) status = lm_error_no_memory(err, 1);
        if (status == LOAM_OK && lm_file_size(path, &size, NULL) == LOAM_OK)
            *out_bytes += (int64_t)size;
        if (status == LOAM_OK && unlink(path) != 0 && errno != ENOENT)
            status = lm_error_errno(err, "%s", path);
        if (status == LOAM_OK) lm_manifest_forget(&manifest, name);
        lm_free(path);
    }
    if (status == LOAM_OK) status = lm_manifest_save(&manifest, err);
    lm_manifest_close(&manifest);
    return status;
}

/* The folder with all that is in it, and its parent if that is empty then. */
static LM_MUST_USE loam_status remove_folder(const lm_store_model *model, int64_t *out_bytes,
                                             loam_error *err) {
    for (size_t i = 0; i < model->names.len; i++) {
        char *path = lm_path_join(model->dir, model->names.ptr[i]);
        size_t size = 0;
        if (path && lm_file_size(path, &size, NULL) == LOAM_OK) *out_bytes += (int64_t)size;
        lm_free(path);
    }
    LM_TRY(lm_file_remove_tree(model->dir, err));
    char *slash = strrchr(model->dir, '/');
    *slash = '\0';
    rmdir(model->dir);
    *slash = '/';
    return LOAM_OK;
}

/* The whole folder: what is in it need not make a model (an interrupted pull). */
static LM_MUST_USE loam_status find_folder(const lm_store *store, const lm_hub_name *name,
                                           lm_store_model *out, loam_error *err) {
    if (*name->pick) return lm_store_find(store, name, out, err);
    lm_store_model model = {.dir = lm_store_dir(store, name->repo), .is_ours = true};
    if (!model.dir) return lm_error_no_memory(err, 1);
    if (!lm_file_is_dir(model.dir)) {
        lm_store_model_deinit(&model);
        return lm_store_find(store, name, out, err);
    }
    loam_status status = list_names(&model, err);
    if (status == LOAM_OK)
        *out = model;
    else
        lm_store_model_deinit(&model);
    return status;
}

loam_status lm_store_remove(const lm_store *store, const lm_hub_name *name, int64_t *out_bytes,
                            loam_error *err) {
    lm_store_model model;
    int use_fd = -1;
    int64_t n_bytes = 0;
    LM_TRY(find_folder(store, name, &model, err));
    loam_status status = LOAM_OK;
    if (!model.is_ours) {
        lm_error_set(err, LOAM_DENIED, "%s is in the Hugging Face cache, which is not loam's",
                     name->repo);
        status = lm_error_hint(err, LOAM_DENIED, "remove it there: %s", model.dir);
    }
    if (status == LOAM_OK) status = lock_alone(model.dir, ".loam/use", "is in use", &use_fd, err);
    if (status == LOAM_OK) status = check_no_pull(model.dir, err);
    if (status == LOAM_OK)
        status = *name->pick ? remove_chosen(&model, &n_bytes, err)
                             : remove_folder(&model, &n_bytes, err);
    if (use_fd >= 0) close(use_fd);
    lm_store_model_deinit(&model);
    if (status == LOAM_OK) *out_bytes = n_bytes;
    return status;
}
