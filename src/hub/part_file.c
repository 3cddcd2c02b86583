#include "hub/part_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    SMALL_PIECE_BYTES = 1 << 20,
    PIECE_BYTES = 4 << 20,
    SMALL_FILE_BYTES = 64 << 20,
    MAX_PIECES = 1 << 16,
    HEAD_BYTES = 256,
    READ_BYTES = 1 << 20,
    SAVE_EVERY_NS = 1000 * 1000 * 1000,
    WAIT_MS = 100,
};

struct lm_part_file {
    char *part_path, *state_path, *final_path;
    lm_hub_file content; /* path is borrowed from the listing */
    int fd, state_fd;
    int64_t piece_bytes;
    size_t n_pieces;
    uint8_t *done;
    lm_digest *digest;
    size_t n_hashed; /* pieces from the beginning */
    int64_t saved_ns;
    uint8_t *buffer; /* [READ_BYTES] */
};

/* "Q4_K_M/x.gguf" as one name: percent signs and slashes are written as %25 and %2F. */
static char *flat_path(const char *dir, const char *path, const char *suffix) {
    lm_buf name;
    lm_buf_init(&name, 4 * LM_HUB_PATH_MAX_BYTES);
    for (; *path; path++) {
        if (*path == '/' || *path == '%')
            lm_buf_printf(&name, "%%%02X", (unsigned)*path);
        else
            lm_buf_putc(&name, *path);
    }
    char *flat =
        name.status == LOAM_OK ? lm_asprintf("%s/%s%s", dir, lm_buf_cstr(&name), suffix) : NULL;
    lm_buf_deinit(&name);
    return flat;
}

static void put_head(const lm_part_file *part, char out[HEAD_BYTES]) {
    memset(out, 0, HEAD_BYTES);
    snprintf(out, HEAD_BYTES, "loam part 1\nsize %lld\npiece %lld\nsha256 %s\nblob %s\n",
             (long long)part->content.size_bytes, (long long)part->piece_bytes,
             part->content.sha256, part->content.oid);
}

/* --- One writer. */

static bool is_same_file(int fd, const char *path) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static LM_MUST_USE loam_status wait_for_lock(lm_part_file *part, bool (*on_wait)(void *ctx),
                                             void *ctx, loam_error *err) {
    while (flock(part->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return lm_error_errno(err, "%s: cannot lock", part->part_path);
        if (on_wait && !on_wait(ctx))
            return lm_error_set(err, LOAM_CANCELLED, "broken off while another process fetches %s",
                                part->final_path);
        lm_clock_sleep_ms(WAIT_MS);
    }
    return LOAM_OK;
}

/* The lock is on the file that the path names, not on one that has been given its final name meanwhile. *out_gone: it
 * has. */
static LM_MUST_USE loam_status open_locked(lm_part_file *part, bool (*on_wait)(void *ctx),
                                           void *ctx, bool *out_gone, loam_error *err) {
    part->fd = open(part->part_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (part->fd < 0) return lm_error_errno(err, "%s", part->part_path);
    LM_TRY(wait_for_lock(part, on_wait, ctx, err));
    *out_gone = !is_same_file(part->fd, part->part_path);
    return LOAM_OK;
}

/* --- Which pieces are there. */

static LM_MUST_USE loam_status write_state(const lm_part_file *part, loam_error *err) {
    char head[HEAD_BYTES];
    put_head(part, head);
    if (pwrite(part->state_fd, head, HEAD_BYTES, 0) != HEAD_BYTES ||
        pwrite(part->state_fd, part->done, part->n_pieces, HEAD_BYTES) != (ssize_t)part->n_pieces)
        return lm_error_errno(err, "%s", part->state_path);
    return LOAM_OK;
}

/* Nothing is there: an empty file and a state that says so. */
static LM_MUST_USE loam_status begin_anew(lm_part_file *part, loam_error *err) {
    memset(part->done, 0, part->n_pieces);
    part->n_hashed = 0;
    lm_digest_free(part->digest);
    part->digest = NULL;
    LM_TRY(lm_digest_new(part->content.size_bytes, &part->digest, err));
    if (ftruncate(part->state_fd, 0) != 0 || ftruncate(part->fd, 0) != 0 ||
        ftruncate(part->fd, part->content.size_bytes) != 0)
        return lm_error_errno(err, "%s", part->part_path);
    return write_state(part, err);
}

/* False when the state is of another content, or none. */
static bool read_state(lm_part_file *part) {
    char head[HEAD_BYTES], want[HEAD_BYTES];
    struct stat info;
    put_head(part, want);
    if (pread(part->state_fd, head, HEAD_BYTES, 0) != HEAD_BYTES ||
        memcmp(head, want, HEAD_BYTES) != 0)
        return false;
    if (fstat(part->fd, &info) != 0 || info.st_size != part->content.size_bytes) return false;
    return pread(part->state_fd, part->done, part->n_pieces, HEAD_BYTES) == (ssize_t)part->n_pieces;
}

static LM_MUST_USE loam_status resume(lm_part_file *part, loam_error *err) {
    part->state_fd = open(part->state_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (part->state_fd < 0) return lm_error_errno(err, "%s", part->state_path);
    if (!read_state(part)) return begin_anew(part, err);
    for (size_t i = 0; i < part->n_pieces; i++) part->done[i] = part->done[i] == 1;
    return lm_digest_new(part->content.size_bytes, &part->digest, err);
}

static int64_t piece_bytes_for(int64_t size_bytes) {
    int64_t piece = size_bytes > SMALL_FILE_BYTES ? PIECE_BYTES : SMALL_PIECE_BYTES;
    while (size_bytes / piece >= MAX_PIECES) piece *= 2;
    return piece;
}

static LM_MUST_USE loam_status prepare(lm_part_file *part, const char *parts_dir,
                                       const char *final_path, const lm_hub_file *content,
                                       loam_error *err) {
    part->fd = part->state_fd = -1;
    part->content = *content;
    part->piece_bytes = piece_bytes_for(content->size_bytes);
    part->n_pieces = (size_t)((content->size_bytes + part->piece_bytes - 1) / part->piece_bytes);
    part->part_path = flat_path(parts_dir, content->path, ".part");
    part->state_path = flat_path(parts_dir, content->path, ".state");
    part->final_path = lm_strdup(final_path);
    part->done = lm_calloc(part->n_pieces + 1, 1);
    part->buffer = lm_alloc(READ_BYTES);
    bool ok = part->part_path && part->state_path && part->final_path && part->done && part->buffer;
    return ok ? LOAM_OK : lm_error_no_memory(err, part->n_pieces);
}

loam_status lm_part_file_open(const char *parts_dir, const char *final_path,
                              const lm_hub_file *content, bool (*on_wait)(void *ctx), void *ctx,
                              lm_part_file **out, loam_error *err) {
    lm_part_file *part = lm_calloc(1, sizeof *part);
    if (!part) return lm_error_no_memory(err, sizeof *part);
    bool gone = false;
    loam_status status = prepare(part, parts_dir, final_path, content, err);
    if (status == LOAM_OK) status = open_locked(part, on_wait, ctx, &gone, err);
    if (status == LOAM_OK && !gone) status = resume(part, err);
    if (status != LOAM_OK || gone) {
        lm_part_file_close(part);
        part = NULL;
    }
    if (status == LOAM_OK) *out = part;
    return status;
}

void lm_part_file_close(lm_part_file *part) {
    if (!part) return;
    if (part->state_fd >= 0) close(part->state_fd);
    if (part->fd >= 0) close(part->fd); /* gives the lock back */
    lm_digest_free(part->digest);
    lm_free(part->part_path);
    lm_free(part->state_path);
    lm_free(part->final_path);
    lm_free(part->done);
    lm_free(part->buffer);
    lm_free(part);
}

int lm_part_file_fd(const lm_part_file *part) {
    return part->fd;
}

int64_t lm_part_file_piece_bytes(const lm_part_file *part) {
    return part->piece_bytes;
}

uint8_t *lm_part_file_done(lm_part_file *part) {
    return part->done;
}

static int64_t piece_end(const lm_part_file *part, size_t piece) {
    int64_t end = (int64_t)(piece + 1) * part->piece_bytes;
    return end < part->content.size_bytes ? end : part->content.size_bytes;
}

int64_t lm_part_file_bytes(const lm_part_file *part) {
    int64_t n = 0;
    for (size_t i = 0; i < part->n_pieces; i++)
        if (part->done[i]) n += piece_end(part, i) - (int64_t)i * part->piece_bytes;
    return n;
}

bool lm_part_file_is_whole(const lm_part_file *part) {
    return !memchr(part->done, 0, part->n_pieces);
}

int64_t lm_part_file_room(const lm_part_file *part) {
    struct stat info;
    if (fstat(part->fd, &info) != 0) return part->content.size_bytes;
    int64_t has = (int64_t)info.st_blocks * 512;
    return has < part->content.size_bytes ? part->content.size_bytes - has : 0;
}

loam_status lm_part_file_reserve(lm_part_file *part, loam_error *err) {
    if (part->content.size_bytes == 0 || fallocate(part->fd, 0, 0, part->content.size_bytes) == 0 ||
        errno == EOPNOTSUPP || errno == ENOSYS)
        return LOAM_OK; /* where the file system cannot, room is taken as bytes come */
    return lm_error_errno(err, "%s", part->part_path);
}

static LM_MUST_USE loam_status hash_piece(lm_part_file *part, size_t piece, loam_error *err) {
    int64_t at = (int64_t)piece * part->piece_bytes, end = piece_end(part, piece);
    while (at < end) {
        size_t want = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;
        ssize_t got = pread(part->fd, part->buffer, want, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return lm_error_errno(err, "%s", part->part_path);
        lm_digest_update(part->digest, part->buffer, (size_t)got);
        at += got;
    }
    return LOAM_OK;
}

loam_status lm_part_file_advance(lm_part_file *part, loam_error *err) {
    while (part->n_hashed < part->n_pieces && part->done[part->n_hashed]) {
        LM_TRY(hash_piece(part, part->n_hashed, err));
        part->n_hashed++;
    }
    if (lm_clock_mono_ns() - part->saved_ns < SAVE_EVERY_NS) return LOAM_OK;
    return lm_part_file_save(part, err);
}

loam_status lm_part_file_save(lm_part_file *part, loam_error *err) {
    if (fdatasync(part->fd) != 0) return lm_error_errno(err, "%s", part->part_path);
    part->saved_ns = lm_clock_mono_ns();
    return write_state(part, err);
}

/* Digests as the hub lists them, if it does. */
static bool is_as_listed(const lm_part_file *part, const char *sha256, const char *oid) {
    const lm_hub_file *want = &part->content;
    if (want->sha256[0]) return strcmp(want->sha256, sha256) == 0;
    return !want->oid[0] || strcmp(want->oid, oid) == 0;
}

static LM_MUST_USE loam_status refuse_content(lm_part_file *part, const char *sha256,
                                              const char *oid, loam_error *err) {
    const lm_hub_file *want = &part->content;
    LM_TRY(begin_anew(part, err));
    lm_error_set(err, LOAM_CORRUPT, "%s: the digest is %s, the hub lists %s", want->path,
                 want->sha256[0] ? sha256 : oid, want->sha256[0] ? want->sha256 : want->oid);
    return lm_error_hint(err, LOAM_CORRUPT,
                         "bytes were damaged on the way, or the hub's file is not what it lists");
}

loam_status lm_part_file_finish(lm_part_file *part, char out_sha256[LM_DIGEST_SHA256_HEX],
                                char out_oid[LM_DIGEST_OID_HEX], loam_error *err) {
    char sha256[LM_DIGEST_SHA256_HEX], oid[LM_DIGEST_OID_HEX];
    LM_ASSERT(lm_part_file_is_whole(part));
    LM_TRY(lm_part_file_advance(part, err));
    lm_digest_final(part->digest, sha256, oid);
    if (!is_as_listed(part, sha256, oid)) return refuse_content(part, sha256, oid, err);
    if (fsync(part->fd) != 0 || rename(part->part_path, part->final_path) != 0)
        return lm_error_errno(err, "%s", part->final_path);
    unlink(part->state_path);
    memcpy(out_sha256, sha256, sizeof sha256);
    memcpy(out_oid, oid, sizeof oid);
    return LOAM_OK;
}
