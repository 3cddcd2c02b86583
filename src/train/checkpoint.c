#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

static const char magic[8] = "LOAMCKP1";
static const char name_prefix[] = "step-", name_suffix[] = ".ckpt";

enum { SECTION_ALIGNMENT = 64, STEP_DIGITS = 9, FENCE_MAX_BYTES = 64 };

typedef struct file_header {
    char magic[8];
    uint32_t n_sections, zero;
    uint64_t file_bytes;
} file_header;

typedef struct file_section {
    char name[LM_CHECKPOINT_NAME_BYTES];
    uint64_t offset, size;
} file_section;

typedef LM_VEC(int64_t) step_list;

/* --- Writing */

/* A file being written, with the digest of what went into it. */
typedef struct hashed_file {
    lm_file_writer writer;
    lm_sha256 hash;
} hashed_file;

static loam_status put(hashed_file *file, const void *bytes, size_t size, loam_error *err) {
    lm_sha256_update(&file->hash, bytes, size);
    return size ? lm_file_writer_write(&file->writer, bytes, size, err) : LOAM_OK;
}

static uint64_t align_up(uint64_t n) {
    return (n + SECTION_ALIGNMENT - 1) / SECTION_ALIGNMENT * SECTION_ALIGNMENT;
}

static loam_status put_content(hashed_file *file, const lm_checkpoint_section *sections, int n,
                               loam_error *err) {
    static const char zeros[SECTION_ALIGNMENT];
    file_section table[LM_CHECKPOINT_MAX_SECTIONS] = {0};
    uint64_t first = sizeof(file_header) + (uint64_t)n * sizeof *table, at = first;
    for (int i = 0; i < n; i++) {
        snprintf(table[i].name, sizeof table[i].name, "%s", sections[i].name);
        table[i].offset = align_up(at);
        table[i].size = sections[i].size;
        at = table[i].offset + table[i].size;
    }
    file_header header = {.n_sections = (uint32_t)n, .file_bytes = at + LM_SHA256_BYTES};
    memcpy(header.magic, magic, sizeof magic);
    LM_TRY(put(file, &header, sizeof header, err));
    LM_TRY(put(file, table, (size_t)n * sizeof *table, err));
    at = first;
    for (int i = 0; i < n; i++) {
        LM_TRY(put(file, zeros, (size_t)(table[i].offset - at), err));
        LM_TRY(put(file, sections[i].bytes, sections[i].size, err));
        at = table[i].offset + table[i].size;
    }
    uint8_t digest[LM_SHA256_BYTES];
    lm_sha256_final(&file->hash, digest);
    return lm_file_writer_write(&file->writer, digest, sizeof digest, err);
}

static loam_status check_fence(const lm_fence *fence, loam_error *err) {
    if (!fence || !fence->path) return LOAM_OK;
    char *text, wanted[32];
    size_t size;
    LM_TRY(lm_file_read(fence->path, FENCE_MAX_BYTES, &text, &size, err));
    while (size > 0 && text[size - 1] == '\n') size--;
    snprintf(wanted, sizeof wanted, "%lld", (long long)fence->epoch);
    loam_status status = LOAM_OK;
    if (!lm_str_is((lm_str){text, size}, wanted)) {
        lm_error_set(err, LOAM_CONFLICT, "%s says epoch %.*s, this run has %s", fence->path,
                     (int)size, text, wanted);
        status =
            lm_error_hint(err, LOAM_CONFLICT, "a newer run owns this folder; nothing was written");
    }
    lm_free(text);
    return status;
}

/* The content reaches the disk before the fence is read, so that little can happen between reading it and renaming. */
static loam_status flush(const lm_file_writer *writer, loam_error *err) {
    if (fflush(writer->stream) != 0 || fsync(fileno(writer->stream)) != 0)
        return lm_error_errno(err, "%s", writer->path);
    return LOAM_OK;
}

static char *checkpoint_path(const char *dir, int64_t step) {
    return lm_asprintf("%s/%s%0*lld%s", dir, name_prefix, STEP_DIGITS, (long long)step,
                       name_suffix);
}

loam_status lm_checkpoint_write(const char *dir, int64_t step,
                                const lm_checkpoint_section *sections, int n_sections,
                                const lm_fence *fence, loam_error *err) {
    LM_ASSERT(n_sections <= LM_CHECKPOINT_MAX_SECTIONS);
    hashed_file file = {0};
    lm_sha256_init(&file.hash);
    char *path = checkpoint_path(dir, step);
    loam_status status = path ? lm_file_make_dirs(dir, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK) status = lm_file_writer_open(&file.writer, path, err);
    if (status == LOAM_OK) status = put_content(&file, sections, n_sections, err);
    if (status == LOAM_OK) status = flush(&file.writer, err);
    if (status == LOAM_OK) status = check_fence(fence, err);
    if (status == LOAM_OK) status = lm_file_writer_commit(&file.writer, err);
    lm_file_writer_abort(&file.writer);
    lm_free(path);
    return status;
}

/* --- The folder */

/* Step of a checkpoint's file name; -1 for other files. */
static int64_t step_of_name(const char *name) {
    lm_str text = lm_str_of(name);
    size_t prefix = sizeof name_prefix - 1, suffix = sizeof name_suffix - 1;
    int64_t step;
    if (!lm_str_starts(text, LM_STR(name_prefix)) || !lm_str_ends(text, LM_STR(name_suffix)) ||
        text.len <= prefix + suffix)
        return -1;
    if (!lm_str_to_i64((lm_str){name + prefix, text.len - prefix - suffix}, &step)) return -1;
    return step;
}

static int newest_first(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Whether a file is the temporary of a checkpoint whose writer is gone. */
static bool is_leftover(const char *name) {
    return strncmp(name, name_prefix, sizeof name_prefix - 1) == 0 && step_of_name(name) < 0;
}

/* Steps of all checkpoints, newest first; removes leftovers if asked to. */
static loam_status list_steps(const char *dir, bool remove_leftovers, step_list *out,
                              loam_error *err) {
    DIR *stream = opendir(dir);
    if (!stream) return lm_error_errno(err, "%s", dir);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(stream));) {
        int64_t step = step_of_name(entry->d_name);
        if (step >= 0)
            ok = lm_vec_push(out, step);
        else if (remove_leftovers && is_leftover(entry->d_name))
            unlinkat(dirfd(stream), entry->d_name, 0);
    }
    closedir(stream);
    if (!ok) return lm_error_no_memory(err, 0);
    if (out->len) qsort(out->ptr, out->len, sizeof *out->ptr, newest_first);
    return LOAM_OK;
}

loam_status lm_checkpoint_prune(const char *dir, int64_t keep, loam_error *err) {
    step_list steps = {0};
    loam_status status = list_steps(dir, true, &steps, err);
    for (size_t i = (size_t)keep; status == LOAM_OK && i < steps.len; i++) {
        char *path = checkpoint_path(dir, steps.ptr[i]);
        if (!path)
            status = lm_error_no_memory(err, 0);
        else if (unlink(path) != 0 && errno != ENOENT)
            status = lm_error_errno(err, "%s", path);
        lm_free(path);
    }
    lm_vec_deinit(&steps);
    return status;
}

/* --- Reading */

static loam_status corrupt(const char *path, loam_error *err, const char *why) {
    lm_error_set(err, LOAM_CORRUPT, "%s: %s", path, why);
    return lm_error_hint(
        err, LOAM_CORRUPT,
        "the file was damaged after it was written; an older checkpoint may be whole");
}

static loam_status read_table(const char *path, lm_checkpoint *checkpoint, loam_error *err) {
    const lm_file_map *map = &checkpoint->map;
    const file_header *header = (const file_header *)map->ptr;
    if (map->size_bytes < sizeof *header + LM_SHA256_BYTES ||
        memcmp(header->magic, magic, sizeof magic) != 0)
        return corrupt(path, err, "not a checkpoint");
    if (header->file_bytes != map->size_bytes)
        return corrupt(path, err, "its size is not what its header says");
    size_t n = header->n_sections, end = map->size_bytes - LM_SHA256_BYTES;
    const file_section *table = (const file_section *)(header + 1);
    if (n > LM_CHECKPOINT_MAX_SECTIONS || sizeof *header + n * sizeof *table > end)
        return corrupt(path, err, "too many sections");
    for (size_t i = 0; i < n; i++) {
        bool inside = table[i].offset <= end && table[i].size <= end - table[i].offset;
        if (!inside || table[i].name[LM_CHECKPOINT_NAME_BYTES - 1] != '\0')
            return corrupt(path, err, "a section lies outside the file");
        checkpoint->sections[i] =
            (lm_checkpoint_section){table[i].name, map->ptr + table[i].offset, table[i].size};
    }
    checkpoint->n_sections = (int)n;
    return LOAM_OK;
}

static loam_status verify(const char *path, const lm_file_map *map, loam_error *err) {
    lm_sha256 hash;
    uint8_t digest[LM_SHA256_BYTES];
    size_t end = map->size_bytes - LM_SHA256_BYTES;
    lm_sha256_init(&hash);
    lm_sha256_update(&hash, map->ptr, end);
    lm_sha256_final(&hash, digest);
    return memcmp(digest, map->ptr + end, sizeof digest) == 0
               ? LOAM_OK
               : corrupt(path, err, "its checksum is wrong");
}

loam_status lm_checkpoint_open(const char *path, lm_checkpoint *out, loam_error *err) {
    lm_checkpoint checkpoint = {0};
    const char *name = strrchr(path, '/');
    checkpoint.step = step_of_name(name ? name + 1 : path);
    LM_TRY(lm_file_map_open(path, &checkpoint.map, err));
    loam_status status = read_table(path, &checkpoint, err);
    if (status == LOAM_OK) status = verify(path, &checkpoint.map, err);
    if (status != LOAM_OK) {
        lm_file_map_close(&checkpoint.map);
        return status;
    }
    *out = checkpoint;
    return LOAM_OK;
}

loam_status lm_checkpoint_open_newest(const char *dir, lm_checkpoint_skipped_fn *skipped, void *ctx,
                                      lm_checkpoint *out, loam_error *err) {
    step_list steps = {0};
    loam_status status = list_steps(dir, false, &steps, err);
    bool found = false;
    for (size_t i = 0; status == LOAM_OK && !found && i < steps.len; i++) {
        char *path = checkpoint_path(dir, steps.ptr[i]);
        if (!path) {
            status = lm_error_no_memory(err, 0);
            break;
        }
        loam_error why = {0};
        found = lm_checkpoint_open(path, out, &why) == LOAM_OK;
        if (!found && skipped) skipped(ctx, &why);
        lm_free(path);
    }
    lm_vec_deinit(&steps);
    if (status == LOAM_OK && !found)
        status = lm_error_set(err, LOAM_NOT_FOUND, "%s has no checkpoint that is whole", dir);
    return status;
}

void lm_checkpoint_close(lm_checkpoint *checkpoint) {
    lm_file_map_close(&checkpoint->map);
    *checkpoint = (lm_checkpoint){0};
}

loam_status lm_checkpoint_find(const lm_checkpoint *checkpoint, const char *name, lm_str *out,
                               loam_error *err) {
    for (int i = 0; i < checkpoint->n_sections; i++) {
        const lm_checkpoint_section *section = &checkpoint->sections[i];
        if (strcmp(section->name, name) != 0) continue;
        *out = (lm_str){section->bytes, section->size};
        return LOAM_OK;
    }
    return lm_error_set(err, LOAM_CORRUPT, "the checkpoint of step %lld has no section '%s'",
                        (long long)checkpoint->step, name);
}

loam_status lm_checkpoint_array(const lm_checkpoint *checkpoint, const char *name, size_t size,
                                const void **out_bytes, loam_error *err) {
    lm_str section = {0};
    LM_TRY(lm_checkpoint_find(checkpoint, name, &section, err));
    if (section.len != size)
        return lm_error_set(err, LOAM_CORRUPT,
                            "section '%s' of the checkpoint has %zu bytes, the model needs %zu",
                            name, section.len, size);
    *out_bytes = section.ptr;
    return LOAM_OK;
}
