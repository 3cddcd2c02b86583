#include "model/pack_table.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

static const char MAGIC[8] = "LOAMPACK";

size_t lm_pack_table_bytes(size_t n_entries) {
    return sizeof(lm_pack_table) + n_entries * sizeof(lm_pack_entry);
}

static uint64_t align_up(uint64_t at) {
    return (at + LM_PACK_ALIGNMENT - 1) / LM_PACK_ALIGNMENT * LM_PACK_ALIGNMENT;
}

/* A hash of what the device makes of a small matrix whose rows fill no whole panel; 0 when it leaves it as it is. */
static loam_status probe_order(lm_device *device, lm_dtype dtype, uint64_t *out, loam_error *err) {
    enum { ROWS = 35, COLUMNS = 1024 };
    lm_weight weight = {.name = "probe", .dtype = dtype, .n_dims = 2, .shape = {ROWS, COLUMNS}};
    size_t size_bytes = lm_dtype_bytes(dtype, (int64_t)ROWS * COLUMNS);
    size_t packed_bytes = lm_device_packed_bytes(device, &weight);
    uint8_t *bytes = lm_alloc(size_bytes);
    void *packed = lm_alloc_aligned(LM_PACK_ALIGNMENT, packed_bytes + 1);
    loam_status status = LOAM_OK;
    if (!bytes || !packed) {
        status = lm_error_no_memory(err, size_bytes + packed_bytes);
    } else if (packed_bytes == 0) {
        *out = 0;
    } else {
        lm_rng rng;
        lm_rng_init(&rng, 1);
        for (size_t i = 0; i < size_bytes; i++) bytes[i] = (uint8_t)lm_rng_u64(&rng);
        weight.data = bytes;
        device->backend->pack(device, &weight, packed, &(lm_weight){0});
        *out = lm_checksum64(packed, packed_bytes, 0);
    }
    lm_free(bytes);
    lm_free(packed);
    return status;
}

static loam_status fill_entries(lm_pack_table *table, const lm_pack_plan *plan, loam_error *err) {
    bool probed[LM_DTYPE_COUNT] = {false};
    uint64_t probes[LM_DTYPE_COUNT], at = align_up(lm_pack_table_bytes(plan->n));
    for (size_t i = 0; i < plan->n; i++) {
        const lm_weight *weight = plan->weights[i];
        lm_pack_entry *entry = &table->entries[i];
        if (!probed[weight->dtype])
            LM_TRY(probe_order(plan->device, weight->dtype, &probes[weight->dtype], err));
        probed[weight->dtype] = true;
        LM_ASSERT(strlen(weight->name) < sizeof entry->name);
        strcpy(entry->name, weight->name);
        strncpy(entry->dtype, lm_dtype_get(weight->dtype)->name, sizeof entry->dtype - 1);
        memcpy(entry->shape, weight->shape, sizeof entry->shape);
        entry->probe = probes[weight->dtype];
        entry->offset = at;
        entry->size_bytes = lm_device_packed_bytes(plan->device, weight);
        at = align_up(at + entry->size_bytes);
    }
    table->header.file_bytes = at;
    return LOAM_OK;
}

loam_status lm_pack_table_new(const lm_pack_plan *plan, lm_pack_table **out, loam_error *err) {
    lm_pack_table *table = lm_calloc(1, lm_pack_table_bytes(plan->n));
    if (!table) return lm_error_no_memory(err, lm_pack_table_bytes(plan->n));
    lm_pack_header *header = &table->header;
    memcpy(header->magic, MAGIC, sizeof MAGIC);
    header->version = LM_PACK_VERSION;
    header->n_entries = (uint32_t)plan->n;
    header->source = plan->source;
    strncpy(header->order, plan->device->backend->pack_order(plan->device),
            sizeof header->order - 1);
    loam_status status = fill_entries(table, plan, err);
    if (status == LOAM_OK)
        *out = table;
    else
        lm_free(table);
    return status;
}

uint64_t lm_pack_table_checksum(const lm_pack_table *table) {
    lm_pack_header header = table->header;
    header.checksum = 0;
    uint64_t sum = lm_checksum64(&header, sizeof header, 0);
    return lm_checksum64(table->entries, header.n_entries * sizeof *table->entries, sum);
}

/* What is wrong with a header, NULL for nothing. */
static const char *find_difference(const lm_pack_header *is, const lm_pack_header *want) {
    if (memcmp(is->magic, want->magic, sizeof is->magic) != 0) return "it is no packed file";
    if (is->version != want->version) return "it is of another version";
    if (memcmp(is->order, want->order, sizeof is->order) != 0)
        return "it is in another device's order";
    if (memcmp(&is->source, &want->source, sizeof is->source) != 0)
        return "the model's file has changed";
    if (is->n_entries != want->n_entries) return "it holds other tensors";
    return NULL;
}

loam_status lm_pack_table_check(lm_pack_table *expected, const void *bytes, size_t size_bytes,
                                loam_error *err) {
    const lm_pack_header *want = &expected->header;
    lm_pack_header is;
    if (size_bytes < sizeof is) return lm_error_set(err, LOAM_CORRUPT, "it is cut short");
    memcpy(&is, bytes, sizeof is);
    const char *difference = find_difference(&is, want);
    if (difference) return lm_error_set(err, LOAM_INVALID, "%s", difference);
    if (size_bytes < lm_pack_table_bytes(want->n_entries))
        return lm_error_set(err, LOAM_CORRUPT, "it is cut short");
    const lm_pack_table *table = bytes;
    if (lm_pack_table_checksum(table) != is.checksum)
        return lm_error_set(err, LOAM_CORRUPT, "its table is damaged");
    for (uint32_t i = 0; i < want->n_entries; i++) {
        lm_pack_entry *entry = &expected->entries[i];
        entry->checksum = table->entries[i].checksum;
        if (memcmp(entry, &table->entries[i], sizeof *entry) != 0)
            return lm_error_set(err, LOAM_INVALID,
                                "its tensor '%s' is another or packed another way", entry->name);
    }
    if (is.file_bytes != want->file_bytes || size_bytes != want->file_bytes)
        return lm_error_set(err, LOAM_CORRUPT, "it has %zu bytes instead of %llu", size_bytes,
                            (unsigned long long)want->file_bytes);
    return LOAM_OK;
}

uint64_t lm_pack_chunk_checksum(const lm_pack_entry *entry, const void *data, uint64_t index) {
    uint64_t begin = index * LM_PACK_CHUNK_BYTES, left = entry->size_bytes - begin;
    size_t size_bytes = left < LM_PACK_CHUNK_BYTES ? (size_t)left : LM_PACK_CHUNK_BYTES;
    return lm_checksum64((const char *)data + begin, size_bytes, index);
}
