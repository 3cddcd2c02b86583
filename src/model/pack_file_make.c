/* Writing a packed file. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/pack_table.h"

enum {
    WRITE_BYTES = 4 << 20, /* a multiple of the huge page; pieces of it make large folios */
    DISK_RESERVE_BYTES = 256 << 20,
    LOCK_WAIT_MS = 60000,
    LOCK_RETRY_MS = 20,
};

/* A file that grows at its end. What is not yet written, less than a piece, stands at the front of the stage. */
typedef struct stream {
    const char *path; /* for messages */
    int fd;
    char *stage;
    size_t stage_bytes, n_staged;
    uint64_t n_written;
} stream;

static loam_status write_all(const stream *s, const char *bytes, size_t size, uint64_t at,
                             loam_error *err) {
    while (size > 0) {
        ssize_t n = pwrite(s->fd, bytes, size < WRITE_BYTES ? size : WRITE_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return lm_error_errno(err, "%s", s->path);
        bytes += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return LOAM_OK;
}

/* Writes what is staged: whole pieces, or all of it. */
static loam_status drain(stream *s, bool all, loam_error *err) {
    size_t size = all ? s->n_staged : s->n_staged / WRITE_BYTES * WRITE_BYTES;
    LM_TRY(write_all(s, s->stage, size, s->n_written, err));
    s->n_written += size;
    s->n_staged -= size;
    memmove(s->stage, s->stage + size, s->n_staged);
    return LOAM_OK;
}

typedef struct sum_job {
    const lm_pack_entry *entry;
    const void *data;
    _Atomic uint64_t sum, n_taken;
} sum_job;

static void sum_chunks(void *arg, int thread, int n_threads) {
    sum_job *job = arg;
    uint64_t chunk, n_chunks = lm_pack_n_chunks(job->entry);
    while ((chunk = atomic_fetch_add(&job->n_taken, 1)) < n_chunks)
        atomic_fetch_add(&job->sum, lm_pack_chunk_checksum(job->entry, job->data, chunk));
}

/* Packs one weight behind what is staged. */
static loam_status add_weight(stream *s, const lm_pack_plan *plan, lm_weight *weight,
                              lm_pack_entry *entry, loam_error *err) {
    lm_device *device = plan->device;
    char *data = s->stage + (entry->offset - s->n_written);
    lm_weight packed;
    if (plan->prepare) LM_TRY(plan->prepare(plan->weights_ctx, weight, err));
    device->backend->pack(device, weight, data, &packed);
    if (plan->done)
        plan->done(plan->weights_ctx, weight);
    else
        lm_file_map_forget(weight->data,
                           lm_dtype_bytes(weight->dtype, weight->shape[0] * weight->shape[1]));
    sum_job job = {.entry = entry, .data = data};
    lm_device_parallel(device, sum_chunks, &job);
    entry->checksum = job.sum;
    size_t end = (size_t)(entry->offset - s->n_written) + (size_t)entry->size_bytes;
    size_t padded = (end + LM_PACK_ALIGNMENT - 1) / LM_PACK_ALIGNMENT * LM_PACK_ALIGNMENT;
    memset(s->stage + end, 0, padded - end);
    s->n_staged = padded;
    return drain(s, false, err);
}

static loam_status open_stage(stream *s, const lm_pack_table *table, loam_error *err) {
    uint64_t largest = table->entries[0].offset;
    for (uint32_t i = 0; i < table->header.n_entries; i++)
        if (table->entries[i].size_bytes > largest) largest = table->entries[i].size_bytes;
    s->stage_bytes = (size_t)largest + WRITE_BYTES + LM_PACK_ALIGNMENT;
    s->stage = lm_alloc_aligned(LM_PACK_ALIGNMENT, s->stage_bytes);
    if (!s->stage) return lm_error_no_memory(err, s->stage_bytes);
    /* The table's checksums come last; until then nothing of the magic is there. */
    s->n_staged = (size_t)table->entries[0].offset;
    memset(s->stage, 0, s->n_staged);
    return drain(s, false, err);
}

static loam_status write_file(stream *s, const lm_pack_plan *plan, lm_pack_table *table,
                              loam_error *err) {
    LM_TRY(open_stage(s, table, err));
    size_t n_bytes = lm_pack_plan_bytes(plan), n_done = 0;
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->on_progress) plan->on_progress(plan->progress_ctx, n_done, n_bytes);
        LM_TRY(add_weight(s, plan, plan->weights[i], &table->entries[i], err));
        n_done += table->entries[i].size_bytes;
    }
    LM_TRY(drain(s, true, err));
    table->header.checksum = lm_pack_table_checksum(table);
    return write_all(s, (const char *)table, lm_pack_table_bytes(plan->n), 0, err);
}

static loam_status check_room(int fd, const char *path, uint64_t need_bytes, loam_error *err) {
    struct statvfs disk;
    if (fstatvfs(fd, &disk) != 0) return lm_error_errno(err, "%s", path);
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= need_bytes + DISK_RESERVE_BYTES) return LOAM_OK;
    return lm_error_set(err, LOAM_LIMIT, "%s: needs %llu MiB, the disk has %llu MiB left", path,
                        (unsigned long long)(need_bytes >> 20),
                        (unsigned long long)(free_bytes >> 20));
}

static bool is_file_at(int fd, const char *path) {
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

/* The file to write, locked: whoever else wants to make it waits. */
static loam_status lock_building(const char *path, int *out_fd, loam_error *err) {
    int64_t end_ns = lm_clock_mono_ns() + (int64_t)LOCK_WAIT_MS * 1000000;
    do {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return lm_error_errno(err, "%s", path);
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && is_file_at(fd, path)) {
            *out_fd = fd;
            return LOAM_OK;
        }
        close(fd);
        if (!locked) lm_clock_sleep_ms(LOCK_RETRY_MS);
    } while (lm_clock_mono_ns() < end_ns);
    return lm_error_set(err, LOAM_UNAVAILABLE, "%s: another process has been writing it for %d s",
                        path, LOCK_WAIT_MS / 1000);
}

/* With the lock held. */
static loam_status make_locked(int fd, const char *path, const char *building,
                               const lm_pack_plan *plan, loam_error *err) {
    lm_file_map made;
    if (lm_pack_file_open(path, plan, &made, NULL) == LOAM_OK) {
        lm_file_map_close(&made);
        unlink(building);
        return LOAM_OK;
    }
    lm_pack_table *table = NULL;
    stream s = {.path = path, .fd = fd};
    loam_status status = lm_pack_table_new(plan, &table, err);
    if (status == LOAM_OK && ftruncate(fd, 0) != 0) status = lm_error_errno(err, "%s", building);
    if (status == LOAM_OK) status = check_room(fd, path, table->header.file_bytes, err);
    if (status == LOAM_OK) status = write_file(&s, plan, table, err);
    if (status == LOAM_OK && rename(building, path) != 0) status = lm_error_errno(err, "%s", path);
    if (status != LOAM_OK) unlink(building);
    lm_free(s.stage);
    lm_free(table);
    return status;
}

loam_status lm_pack_file_make(const char *path, const lm_pack_plan *plan, loam_error *err) {
    char *building = lm_asprintf("%s.building", path);
    if (!building) return lm_error_no_memory(err, strlen(path));
    int fd = -1;
    loam_status status = lock_building(building, &fd, err);
    if (status == LOAM_OK) {
        status = make_locked(fd, path, building, plan, err);
        close(fd);
    }
    lm_free(building);
    return status;
}
