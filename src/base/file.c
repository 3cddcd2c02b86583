#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"

enum { HUGE_PAGE_BYTES = 2 << 20 };

/* Large maps begin at a multiple of the huge page, so that those of them that the page cache holds as such stay whole;
 * the hint makes the system read them so. */
static void *map_file(int fd, size_t size_bytes) {
    if (size_bytes < HUGE_PAGE_BYTES) return mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    size_t span = size_bytes + HUGE_PAGE_BYTES;
    char *range = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) return MAP_FAILED;
    size_t before = -(uintptr_t)range % HUGE_PAGE_BYTES;
    void *ptr = mmap(range + before, size_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE),
           end = before + (size_bytes + page - 1) / page * page;
    if (ptr == MAP_FAILED) {
        munmap(range, span);
        return MAP_FAILED;
    }
    if (before > 0) munmap(range, before);
    if (end < span) munmap(range + end, span - end);
    madvise(ptr, size_bytes, MADV_HUGEPAGE);
    return ptr;
}

loam_status lm_file_map_open(const char *path, lm_file_map *out, loam_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return lm_error_errno(err, "%s", path);
    struct stat info;
    loam_status status = LOAM_OK;
    void *ptr = NULL;
    if (fstat(fd, &info) != 0) {
        status = lm_error_errno(err, "%s", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = lm_error_set(err, LOAM_INVALID, "%s: not a regular file", path);
    } else if (info.st_size > 0) {
        ptr = map_file(fd, (size_t)info.st_size);
        if (ptr == MAP_FAILED) status = lm_error_errno(err, "%s: cannot map", path);
    }
    close(fd);
    if (status == LOAM_OK) *out = (lm_file_map){ptr, (size_t)info.st_size};
    return status;
}

void lm_file_map_close(lm_file_map *map) {
    if (map->ptr) munmap((void *)map->ptr, map->size_bytes);
    *map = (lm_file_map){0};
}

loam_status lm_file_map_anonymous(size_t size_bytes, lm_file_map *out, loam_error *err) {
    void *ptr = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ptr == MAP_FAILED) return lm_error_no_memory(err, size_bytes);
    *out = (lm_file_map){ptr, size_bytes};
    return LOAM_OK;
}

/* Advice for those pages that lie in the part as a whole. */
static void advise(const void *ptr, size_t size_bytes, int advice) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)ptr + page - 1) / page * page,
              end = ((uintptr_t)ptr + size_bytes) / page * page;
    if (begin < end) madvise((void *)begin, end - begin, advice);
}

void lm_file_map_forget(const void *ptr, size_t size_bytes) {
    advise(ptr, size_bytes, MADV_DONTNEED);
}

/* Kernels map huge pages of a file's cache whatever MADV_NOHUGEPAGE says, but none that does not lie within one area of
 * equal flags: stripes that are left out of core dumps by turns are areas that are too short for one. */
void lm_file_map_expect_scattered(const void *ptr, size_t size_bytes) {
    enum { STRIPE_BYTES = HUGE_PAGE_BYTES / 2 };
    for (size_t at = 0; at < size_bytes; at += 2 * STRIPE_BYTES) {
        size_t left = size_bytes - at;
        advise((const char *)ptr + at, left < STRIPE_BYTES ? left : STRIPE_BYTES, MADV_DONTDUMP);
    }
}

loam_status lm_file_read(const char *path, size_t max_bytes, char **out_bytes, size_t *out_size,
                         loam_error *err) {
    FILE *stream = fopen(path, "rbe");
    if (!stream) return lm_error_errno(err, "%s", path);
    lm_buf buf;
    lm_buf_init(&buf, max_bytes);
    char piece[16384];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stream)) > 0 && buf.status == LOAM_OK)
        lm_buf_append(&buf, piece, n);
    loam_status status = LOAM_OK;
    if (ferror(stream)) {
        status = lm_error_errno(err, "%s", path);
    } else if (buf.status == LOAM_LIMIT) {
        status = lm_error_set(err, LOAM_LIMIT, "%s: larger than the %zu bytes allowed here", path,
                              max_bytes);
    } else {
        status = lm_buf_status(&buf, err);
    }
    fclose(stream);
    size_t size = buf.len;
    char *bytes = status == LOAM_OK ? lm_buf_take(&buf) : NULL;
    lm_buf_deinit(&buf);
    if (status != LOAM_OK) return status;
    if (!bytes) return lm_error_no_memory(err, 1);
    *out_bytes = bytes;
    if (out_size) *out_size = size;
    return LOAM_OK;
}

loam_status lm_file_fsync_dir(const char *dir, loam_error *err) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return lm_error_errno(err, "%s", dir);
    int failed = fsync(fd);
    loam_status status = failed ? lm_error_errno(err, "%s: fsync", dir) : LOAM_OK;
    close(fd);
    return status;
}

/* The folder a path is in, on the heap; NULL when out of memory. */
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? lm_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : lm_strdup(".");
}

static loam_status fsync_parent(const char *path, loam_error *err) {
    char *dir = parent_of(path);
    if (!dir) return lm_error_no_memory(err, 1);
    loam_status status = lm_file_fsync_dir(dir, err);
    lm_free(dir);
    return status;
}

loam_status lm_file_writer_open(lm_file_writer *writer, const char *path, loam_error *err) {
    *writer = (lm_file_writer){.path = lm_strdup(path),
                               .temp_path = lm_asprintf("%s.tmp-%ld", path, (long)getpid())};
    if (!writer->path || !writer->temp_path) {
        lm_file_writer_abort(writer);
        return lm_error_no_memory(err, strlen(path));
    }
    writer->stream = fopen(writer->temp_path, "wbe");
    if (!writer->stream) {
        loam_status status = lm_error_errno(err, "%s", path);
        lm_file_writer_abort(writer);
        return status;
    }
    return LOAM_OK;
}

loam_status lm_file_writer_write(lm_file_writer *writer, const void *bytes, size_t size,
                                 loam_error *err) {
    if (size && fwrite(bytes, 1, size, writer->stream) != size)
        return lm_error_errno(err, "%s", writer->path);
    return LOAM_OK;
}

loam_status lm_file_writer_commit(lm_file_writer *writer, loam_error *err) {
    loam_status status = LOAM_OK;
    if (fflush(writer->stream) != 0 || fsync(fileno(writer->stream)) != 0)
        status = lm_error_errno(err, "%s", writer->path);
    if (fclose(writer->stream) != 0 && status == LOAM_OK)
        status = lm_error_errno(err, "%s", writer->path);
    writer->stream = NULL;
    if (status == LOAM_OK && rename(writer->temp_path, writer->path) != 0)
        status = lm_error_errno(err, "%s", writer->path);
    if (status != LOAM_OK) {
        lm_file_writer_abort(writer);
        return status;
    }
    status = fsync_parent(writer->path, err);
    lm_free(writer->temp_path);
    writer->temp_path = NULL; /* nothing left for abort to remove */
    lm_file_writer_abort(writer);
    return status;
}

void lm_file_writer_abort(lm_file_writer *writer) {
    if (writer->stream) fclose(writer->stream);
    if (writer->temp_path) unlink(writer->temp_path);
    lm_free(writer->path);
    lm_free(writer->temp_path);
    *writer = (lm_file_writer){0};
}

loam_status lm_file_write_atomic(const char *path, const void *bytes, size_t size,
                                 loam_error *err) {
    lm_file_writer writer;
    LM_TRY(lm_file_writer_open(&writer, path, err));
    loam_status status = lm_file_writer_write(&writer, bytes, size, err);
    if (status == LOAM_OK) return lm_file_writer_commit(&writer, err);
    lm_file_writer_abort(&writer);
    return status;
}

loam_status lm_file_make_dirs(const char *dir, loam_error *err) {
    char *path = lm_strdup(dir);
    if (!path) return lm_error_no_memory(err, strlen(dir));
    loam_status status = LOAM_OK;
    for (char *p = path + 1; status == LOAM_OK; p++) {
        char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) status = lm_error_errno(err, "%s", path);
        *p = c;
        if (c == '\0') break;
    }
    if (status == LOAM_OK && !lm_file_is_dir(dir)) {
        errno = ENOTDIR;
        status = lm_error_errno(err, "%s", dir);
    }
    lm_free(path);
    return status;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

loam_status lm_file_remove_tree(const char *path, loam_error *err) {
    enum { OPEN_DIRS = 16 };
    if (nftw(path, remove_entry, OPEN_DIRS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return lm_error_errno(err, "%s: cannot remove", path);
    return LOAM_OK;
}

bool lm_file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool lm_file_is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

loam_status lm_file_size(const char *path, size_t *out_bytes, loam_error *err) {
    struct stat info;
    if (stat(path, &info) != 0) return lm_error_errno(err, "%s", path);
    *out_bytes = (size_t)info.st_size;
    return LOAM_OK;
}

loam_status lm_file_check_room(const char *path, size_t size_bytes, loam_error *err) {
    struct statvfs disk;
    char *dir = parent_of(path);
    if (!dir) return lm_error_no_memory(err, strlen(path));
    int failed = statvfs(dir, &disk);
    loam_status status = failed ? lm_error_errno(err, "%s", dir) : LOAM_OK;
    lm_free(dir);
    if (status != LOAM_OK) return status;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= size_bytes) return LOAM_OK;
    lm_error_set(err, LOAM_LIMIT, "%s takes %.1f GB, the disk has room for %.1f", path,
                 (double)size_bytes / 1e9, (double)free_bytes / 1e9);
    return lm_error_hint(err, LOAM_LIMIT, "make room, or write to another disk");
}

char *lm_path_join(const char *dir, const char *name) {
    size_t len = strlen(dir);
    return lm_asprintf("%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name);
}
