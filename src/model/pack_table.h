/* Header and table of a packed file (model/pack_file.h) as a plan wants them: all bytes but the checksums are known before
 * a file is opened or written. One thread.
 */
#ifndef LM_MODEL_PACK_TABLE_H
#define LM_MODEL_PACK_TABLE_H

#include "model/pack_file.h"

typedef struct lm_pack_header {
    char magic[8];
    uint32_t version, n_entries;
    uint64_t file_bytes;
    lm_pack_source source;
    char order[40];    /* lm_backend.pack_order, zeros behind it */
    uint64_t checksum; /* of header and table while this is 0 */
} lm_pack_header;

typedef struct lm_pack_entry {
    char name[LM_PACK_NAME_BYTES];
    char dtype[16];
    int64_t shape[2];
    uint64_t probe;
    uint64_t offset, size_bytes; /* in the file */
    uint64_t checksum;           /* sum of the checksums of its chunks */
} lm_pack_entry;

/* In memory as in the file. */
typedef struct lm_pack_table {
    lm_pack_header header;
    lm_pack_entry entries[];
} lm_pack_table;

size_t lm_pack_table_bytes(size_t n_entries);

/* As planned, checksums 0. Free with lm_free. LOAM_NO_MEMORY. */
loam_status lm_pack_table_new(const lm_pack_plan *plan, lm_pack_table **out,
                              loam_error *err) LM_MUST_USE;

uint64_t lm_pack_table_checksum(const lm_pack_table *table); /* for the header */

/* Whether the bytes begin with a table that differs from the expected in nothing but checksums, the table's own being
 * right; then takes the data's checksums over into `expected`. LOAM_INVALID, LOAM_CORRUPT as lm_pack_file_open. */
loam_status lm_pack_table_check(lm_pack_table *expected, const void *bytes, size_t size_bytes,
                                loam_error *err) LM_MUST_USE;

/* Data are checksummed in chunks, so that threads share the work: the checksum of chunk `index` of an entry. */
enum { LM_PACK_CHUNK_BYTES = 1 << 20 };
static inline uint64_t lm_pack_n_chunks(const lm_pack_entry *entry) {
    return (entry->size_bytes + LM_PACK_CHUNK_BYTES - 1) / LM_PACK_CHUNK_BYTES;
}
uint64_t lm_pack_chunk_checksum(const lm_pack_entry *entry, const void *data, uint64_t index);

#endif
