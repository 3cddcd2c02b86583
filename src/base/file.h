/* Files: read-only maps, whole reads with a limit, and writes that are there entirely or not at all.
 *
 * Paths are NUL-terminated bytes. Errors name the path. Any thread.
 */
#ifndef LM_BASE_FILE_H
#define LM_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/str.h"

typedef struct lm_file_map {
    const uint8_t *ptr; /* NULL for an empty file */
    size_t size_bytes;
} lm_file_map;

/* Maps a regular file read-only and private; the map survives the file's removal. */
loam_status lm_file_map_open(const char *path, lm_file_map *out, loam_error *err) LM_MUST_USE;
void lm_file_map_close(lm_file_map *map);

/* Zeroed memory with the same promise: what lm_file_map_forget is told of it stays. */
loam_status lm_file_map_anonymous(size_t size_bytes, lm_file_map *out, loam_error *err) LM_MUST_USE;

/* Gives the memory behind this part of a map back; the next read fetches it from the file again. A hint: never fails. */
void lm_file_map_forget(const void *ptr, size_t size_bytes);

/* This part of a map will be read a little here and there: what lies around is not to be mapped in huge pages along with
 * it. LM_FILE_MAP_AROUND_BYTES is what the system still maps around a page that it has at hand (Linux' fault-around). */
enum { LM_FILE_MAP_AROUND_BYTES = 64 << 10 };
void lm_file_map_expect_scattered(const void *ptr, size_t size_bytes);

/* Whole file, with a terminator past its end that size does not count. LOAM_LIMIT when larger than max_bytes.
 * Free with lm_free. */
loam_status lm_file_read(const char *path, size_t max_bytes, char **out_bytes, size_t *out_size,
                         loam_error *err) LM_MUST_USE;

/* Atomic replacement: temporary beside `path`, fsync, rename, fsync of the folder. The old file stays on failure. */
loam_status lm_file_write_atomic(const char *path, const void *bytes, size_t size,
                                 loam_error *err) LM_MUST_USE;

/* The same for content written piece by piece: open, write, then commit or abort (abort after commit is harmless). */
typedef struct lm_file_writer {
    FILE *stream;
    char *path;
    char *temp_path;
} lm_file_writer;
loam_status lm_file_writer_open(lm_file_writer *writer, const char *path,
                                loam_error *err) LM_MUST_USE;
loam_status lm_file_writer_write(lm_file_writer *writer, const void *bytes, size_t size,
                                 loam_error *err) LM_MUST_USE;
loam_status lm_file_writer_commit(lm_file_writer *writer, loam_error *err) LM_MUST_USE;
void lm_file_writer_abort(lm_file_writer *writer);

loam_status lm_file_fsync_dir(const char *dir, loam_error *err) LM_MUST_USE;
loam_status lm_file_make_dirs(const char *dir,
                              loam_error *err) LM_MUST_USE; /* like mkdir -p, mode 0700 & ~umask */
loam_status lm_file_remove_tree(const char *path, loam_error *err)
    LM_MUST_USE; /* absent is ok; never follows links */

bool lm_file_exists(const char *path);
bool lm_file_is_dir(const char *path);
loam_status lm_file_size(const char *path, size_t *out_bytes, loam_error *err) LM_MUST_USE;

/* Whether the disk that holds the folder of `path` has room for so many bytes more: LOAM_LIMIT names both figures. */
loam_status lm_file_check_room(const char *path, size_t size_bytes, loam_error *err) LM_MUST_USE;

/* dir + "/" + name, on the heap (lm_free); NULL when out of memory. */
LM_MUST_USE char *lm_path_join(const char *dir, const char *name);

#endif
