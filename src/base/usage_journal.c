/* File layout: one header page, then slots of SLOT_BYTES. A slot is two halves; an update writes the half that is not
 * current and stamps it with the next sequence number, so one of them is always whole:
 *
 *     page 0    magic, version
 *     slot i    half 0: record, sequence    half 1: record, sequence
 *
 * A half counts when its sequence is not 0 and the record's checksum (keyed by the sequence) holds; of two, the higher
 * sequence is current. Space is reserved in chunks by posix_fallocate, so that a write into the mapping can never meet a
 * full disk, and every chunk keeps its own mapping, so that slots never move.
 */
#include "base/usage_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/mem.h"
#include "base/vec.h"

enum {
    HEADER_BYTES = 4096,
    HALF_BYTES = 256,
    SLOT_BYTES = 2 * HALF_BYTES,
    CHUNK_SLOTS = 1024,
    CHUNK_BYTES = CHUNK_SLOTS * SLOT_BYTES,
    FORMAT_VERSION = 1,
};

typedef struct journal_header {
    char magic[8]; /* "loamuse" */
    uint64_t version;
} journal_header;

typedef struct journal_half {
    lm_usage_record record;
    uint64_t sequence; /* 0: never written */
} journal_half;

typedef struct journal_slot {
    union {
        journal_half half;
        char bytes[HALF_BYTES];
    } halves[2];
} journal_slot;

_Static_assert(sizeof(journal_half) <= HALF_BYTES, "a record outgrew its half");
_Static_assert(sizeof(journal_slot) == SLOT_BYTES, "slots must tile a page");

struct lm_usage_journal {
    int fd;
    int64_t n_slots; /* in use */
    LM_VEC(journal_slot *) chunks;
    char *path;
};

static const char JOURNAL_MAGIC[8] = "loamuse";

static uint64_t record_checksum(const lm_usage_record *record, uint64_t sequence) {
    unsigned char key[crypto_shorthash_KEYBYTES] = {0};
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t sum;
    memcpy(key, &sequence, sizeof sequence);
    crypto_shorthash(hash, (const unsigned char *)record, offsetof(lm_usage_record, checksum), key);
    memcpy(&sum, hash, sizeof sum);
    return sum;
}

static bool half_is_whole(const journal_half *half) {
    return half->sequence != 0 &&
           half->record.checksum == record_checksum(&half->record, half->sequence);
}

/* The current half of a slot, or NULL when neither is whole. */
static const journal_half *slot_current(const journal_slot *slot) {
    const journal_half *a = &slot->halves[0].half, *b = &slot->halves[1].half;
    bool a_whole = half_is_whole(a), b_whole = half_is_whole(b);
    if (a_whole && b_whole) return a->sequence > b->sequence ? a : b;
    return a_whole ? a : b_whole ? b : NULL;
}

static bool slot_is_empty(const journal_slot *slot) {
    return slot->halves[0].half.sequence == 0 && slot->halves[1].half.sequence == 0;
}

static void slot_write(journal_slot *slot, const lm_usage_record *record) {
    const journal_half *current = slot_current(slot);
    uint64_t sequence = current ? current->sequence + 1 : 1;
    journal_half *next = &slot->halves[sequence % 2].half;
    next->record = *record;
    next->record.request_id[LM_USAGE_ID_BYTES - 1] = '\0';
    next->record.tag[LM_USAGE_TAG_BYTES - 1] = '\0';
    next->record.checksum = record_checksum(&next->record, sequence);
    __atomic_store_n(&next->sequence, sequence, __ATOMIC_RELEASE);
}

static journal_slot *slot_at(const lm_usage_journal *journal, int64_t index) {
    return &journal->chunks.ptr[index / CHUNK_SLOTS][index % CHUNK_SLOTS];
}

/* Reserves and maps one chunk more. */
static loam_status map_next_chunk(lm_usage_journal *journal, loam_error *err) {
    off_t offset = HEADER_BYTES + (off_t)journal->chunks.len * CHUNK_BYTES;
    int code = posix_fallocate(journal->fd, offset, CHUNK_BYTES);
    if (code != 0) {
        errno = code;
        return lm_error_errno(err, "%s: cannot reserve space for usage records", journal->path);
    }
    if (!lm_vec_reserve(&journal->chunks, 1)) return lm_error_no_memory(err, sizeof(void *));
    void *chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, offset);
    if (chunk == MAP_FAILED) return lm_error_errno(err, "%s: cannot map", journal->path);
    journal->chunks.ptr[journal->chunks.len++] = chunk;
    return LOAM_OK;
}

static loam_status check_header(const journal_header *header, const char *path, loam_error *err) {
    if (memcmp(header->magic, JOURNAL_MAGIC, sizeof JOURNAL_MAGIC) != 0)
        return lm_error_set(err, LOAM_CORRUPT, "%s: not a usage journal", path);
    if (header->version != FORMAT_VERSION)
        return lm_error_set(err, LOAM_UNSUPPORTED,
                            "%s: usage journal of version %llu, this program reads %d", path,
                            (unsigned long long)header->version, FORMAT_VERSION);
    return LOAM_OK;
}

/* Writes the header of a new file, checks that of an old one. A file cut inside its header holds no record yet. */
static loam_status open_header(int fd, const char *path, loam_error *err) {
    journal_header header;
    ssize_t n = pread(fd, &header, sizeof header, 0);
    if (n < 0) return lm_error_errno(err, "%s", path);
    if (n == sizeof header) return check_header(&header, path, err);
    header = (journal_header){.version = FORMAT_VERSION};
    memcpy(header.magic, JOURNAL_MAGIC, sizeof header.magic);
    if (pwrite(fd, &header, sizeof header, 0) != sizeof header)
        return lm_error_errno(err, "%s", path);
    return LOAM_OK;
}

static loam_status map_existing(lm_usage_journal *journal, loam_error *err) {
    struct stat info;
    if (fstat(journal->fd, &info) != 0) return lm_error_errno(err, "%s", journal->path);
    int64_t size = info.st_size > HEADER_BYTES ? info.st_size - HEADER_BYTES : 0;
    int64_t n_chunks = (size + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (int64_t i = 0; i < n_chunks || i == 0; i++) LM_TRY(map_next_chunk(journal, err));
    int64_t n = (int64_t)journal->chunks.len * CHUNK_SLOTS;
    while (n > 0 && slot_is_empty(slot_at(journal, n - 1))) n--;
    journal->n_slots = n;
    return LOAM_OK;
}

loam_status lm_usage_journal_open(const char *path, lm_usage_journal **out, loam_error *err) {
    loam_status status;
    if (sodium_init() < 0) return lm_error_set(err, LOAM_INTERNAL, "cannot initialize libsodium");
    lm_usage_journal *journal = lm_calloc(1, sizeof *journal);
    if (!journal) return lm_error_no_memory(err, sizeof *journal);
    journal->fd = -1;
    journal->path = lm_strdup(path);
    if (!journal->path) {
        status = lm_error_no_memory(err, strlen(path) + 1);
        goto fail;
    }
    journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal->fd < 0) {
        status = lm_error_errno(err, "%s", path);
        goto fail;
    }
    if (flock(journal->fd, LOCK_EX | LOCK_NB) != 0) {
        status =
            errno == EWOULDBLOCK
                ? lm_error_set(err, LOAM_CONFLICT, "%s: another process writes this journal", path)
                : lm_error_errno(err, "%s: lock", path);
        goto fail;
    }
    if ((status = open_header(journal->fd, path, err)) != LOAM_OK) goto fail;
    if ((status = map_existing(journal, err)) != LOAM_OK) goto fail;
    *out = journal;
    return LOAM_OK;
fail:
    lm_usage_journal_close(journal);
    return status;
}

void lm_usage_journal_close(lm_usage_journal *journal) {
    if (!journal) return;
    for (size_t i = 0; i < journal->chunks.len; i++) munmap(journal->chunks.ptr[i], CHUNK_BYTES);
    lm_vec_deinit(&journal->chunks);
    if (journal->fd >= 0) close(journal->fd);
    lm_free(journal->path);
    lm_free(journal);
}

loam_status lm_usage_journal_append(lm_usage_journal *journal, const lm_usage_record *record,
                                    int64_t *out_slot, loam_error *err) {
    if (journal->n_slots == (int64_t)journal->chunks.len * CHUNK_SLOTS)
        LM_TRY(map_next_chunk(journal, err));
    *out_slot = journal->n_slots++;
    slot_write(slot_at(journal, *out_slot), record);
    return LOAM_OK;
}

void lm_usage_journal_update(lm_usage_journal *journal, int64_t slot,
                             const lm_usage_record *record) {
    LM_ASSERT(slot >= 0 && slot < journal->n_slots);
    slot_write(slot_at(journal, slot), record);
}

/* pread until size bytes or the end of the file; -1 on failure. */
static ssize_t read_whole(int fd, void *bytes, size_t size, off_t offset) {
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)bytes + done, size - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Copies records from slots on. A slot that is not whole is a record being written right now when it is the last one:
 * the cursor stays before it. With others behind it, it is what a power cut left: skipped. */
static loam_status read_slots(int fd, const char *path, int64_t *cursor, lm_usage_record *out,
                              int64_t max, int64_t *out_n, loam_error *err) {
    enum { BATCH = 64 };
    journal_slot slots[BATCH + 1]; /* one more, to see whether a slot is the last */
    int64_t at = *cursor, n = 0;
    for (bool more = true; more && n < max;) {
        ssize_t size = read_whole(fd, slots, sizeof slots, HEADER_BYTES + at * SLOT_BYTES);
        if (size < 0) return lm_error_errno(err, "%s", path);
        int64_t n_read = size / SLOT_BYTES, n_take = n_read < BATCH ? n_read : BATCH;
        int64_t i = 0;
        for (; i < n_take && n < max; i++) {
            const journal_half *current = slot_current(&slots[i]);
            bool last = i + 1 >= n_read || slot_is_empty(&slots[i + 1]);
            if (!current && last) break;
            if (current) out[n++] = current->record;
        }
        at += i;
        more = i == BATCH;
    }
    *cursor = at;
    *out_n = n;
    return LOAM_OK;
}

loam_status lm_usage_journal_read(const char *path, int64_t *cursor, lm_usage_record *out,
                                  int64_t max, int64_t *out_n, loam_error *err) {
    LM_ASSERT(*cursor >= 0 && max >= 0);
    if (sodium_init() < 0) return lm_error_set(err, LOAM_INTERNAL, "cannot initialize libsodium");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return lm_error_errno(err, "%s", path);
    journal_header header;
    loam_status status = LOAM_OK;
    ssize_t n = read_whole(fd, &header, sizeof header, 0);
    if (n < 0) {
        status = lm_error_errno(err, "%s", path);
    } else if (n < (ssize_t)sizeof header) {
        *out_n = 0;
    } else {
        status = check_header(&header, path, err);
        if (status == LOAM_OK) status = read_slots(fd, path, cursor, out, max, out_n, err);
    }
    close(fd);
    return status;
}

void lm_usage_journal_discard(const char *path, int64_t slot) {
    enum { PAGE_BYTES = 4096 };
    off_t end = HEADER_BYTES + slot * SLOT_BYTES;
    end -= end % PAGE_BYTES;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    if (end > HEADER_BYTES)
        (void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HEADER_BYTES,
                         end - HEADER_BYTES);
    close(fd);
}
