/* Content-addressed store: the bytes of models and datasets, each file once, named by its SHA-256.
 *
 *     dir/objects/ab/cdef...   immutable files, mode 0444, name = digest
 *     dir/tmp/                 what is being imported; the collector sweeps old remains
 *     dir/lock                 flock: shared by importers placing an object, exclusive by the collector removing some
 *
 * An object appears by rename after fsync, so it is there entirely or not at all. What refers to objects (versions) lives
 * in the database; the collector asks for it. Collection is safe beside imports of any process: an import refreshes the
 * time stamp of every object it uses, under the lock, before its caller commits the reference; the collector takes only
 * objects that nothing refers to and that were not refreshed within `grace_ms`, and looks again under the lock.
 *
 * Any thread; calls may run side by side.
 */
#ifndef LM_CLOUD_BLOB_STORE_H
#define LM_CLOUD_BLOB_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/vec.h"

enum {
    LM_BLOB_PATH_BYTES = 256, /* of a file inside its folder, terminator included */
    LM_BLOB_MAX_FILES = 10000,
    LM_BLOB_MAX_DEPTH = 8, /* folders inside folders */
};

typedef struct lm_blob_store lm_blob_store;

/* One file of an imported folder. */
typedef struct lm_blob_file {
    char path[LM_BLOB_PATH_BYTES]; /* relative, '/' between parts, never "..", never absolute */
    char digest[LM_SHA256_HEX_BYTES];
    int64_t size_bytes;
} lm_blob_file;

typedef LM_VEC(lm_blob_file) lm_blob_files;

/* Creates the folders when absent. */
loam_status lm_blob_store_open(const char *dir, lm_blob_store **out, loam_error *err) LM_MUST_USE;
void lm_blob_store_close(lm_blob_store *store);

/* Imports a file (one entry with its base name) or a folder (its regular files, links to files followed, names that
 * begin with a dot, remains of unfinished writes and packed weights left out), sorted by path. Commit the reference within the
 * collector's grace time. On failure (full disk included) nothing half-made stays and `out` is unchanged; objects
 * already placed are left to the collector. Free with lm_vec_deinit. */
loam_status lm_blob_store_import(lm_blob_store *store, const char *path, lm_blob_files *out,
                                 loam_error *err) LM_MUST_USE;

/* Digest of a folder: SHA-256 over "digest  path\n" of its files in order. */
void lm_blob_files_digest(const lm_blob_files *files, char out[LM_SHA256_HEX_BYTES]);
int64_t lm_blob_files_size(const lm_blob_files *files);

/* Path of an object (lm_free), whether it exists or not; NULL when out of memory. */
LM_MUST_USE char *lm_blob_store_path(const lm_blob_store *store, const char *digest);
bool lm_blob_store_has(const lm_blob_store *store, const char *digest);

/* Reads the object again: LOAM_CORRUPT when its bytes no longer have this digest. */
loam_status lm_blob_store_verify(lm_blob_store *store, const char *digest,
                                 loam_error *err) LM_MUST_USE;

/* Makes `dir` a folder with these files: hard links, or copies when `dir` is on another file system. The files are
 * read-only and stay when the collector takes the object. Files already there with the right size are kept. */
loam_status lm_blob_store_materialize(lm_blob_store *store, const lm_blob_file *files,
                                      size_t n_files, const char *dir, loam_error *err) LM_MUST_USE;

typedef struct lm_blob_gc {
    bool (*is_live)(const char *digest,
                    void *arg); /* does any version refer to it? from a snapshot taken before */
    void *arg;
    int64_t grace_ms; /* objects refreshed since are kept; longer than any import takes */
} lm_blob_gc;

typedef struct lm_blob_gc_result {
    int64_t n_kept, n_removed;
    int64_t kept_bytes, removed_bytes;
} lm_blob_gc_result;

loam_status lm_blob_store_gc(lm_blob_store *store, const lm_blob_gc *gc, lm_blob_gc_result *out,
                             loam_error *err) LM_MUST_USE;

#endif
