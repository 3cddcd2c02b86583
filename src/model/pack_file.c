#include "model/pack_file.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "model/pack_table.h"

typedef struct check_job {
    const lm_pack_table *table;
    const char *file;
    _Atomic uint64_t *sums;   /* [n_entries] */
    _Atomic uint64_t n_taken; /* chunks, counted through all entries */
} check_job;

static void check_chunks(void *arg, int thread, int n_threads) {
    check_job *job = arg;
    uint64_t chunk = atomic_fetch_add(&job->n_taken, 1), before = 0;
    for (uint32_t i = 0; i < job->table->header.n_entries; i++) {
        const lm_pack_entry *entry = &job->table->entries[i];
        uint64_t n_chunks = lm_pack_n_chunks(entry);
        for (; chunk < before + n_chunks; chunk = atomic_fetch_add(&job->n_taken, 1))
            atomic_fetch_add(&job->sums[i], lm_pack_chunk_checksum(entry, job->file + entry->offset,
                                                                   chunk - before));
        before += n_chunks;
    }
}

static loam_status check_data(lm_device *device, const lm_pack_table *table, const void *file,
                              loam_error *err) {
    uint32_t n = table->header.n_entries;
    check_job job = {.table = table, .file = file, .sums = lm_calloc(n, sizeof *job.sums)};
    if (!job.sums) return lm_error_no_memory(err, n * sizeof *job.sums);
    lm_device_parallel(device, check_chunks, &job);
    loam_status status = LOAM_OK;
    for (uint32_t i = 0; i < n && status == LOAM_OK; i++)
        if (job.sums[i] != table->entries[i].checksum)
            status = lm_error_set(err, LOAM_CORRUPT, "its tensor '%s' is damaged",
                                  table->entries[i].name);
    lm_free(job.sums);
    return status;
}

loam_status lm_pack_file_open(const char *path, const lm_pack_plan *plan, lm_file_map *out,
                              loam_error *err) {
    lm_file_map map;
    LM_TRY(lm_file_map_open(path, &map, err));
    lm_pack_table *table = NULL;
    loam_status status = lm_pack_table_new(plan, &table, err);
    if (status == LOAM_OK) {
        status = lm_pack_table_check(table, map.ptr, map.size_bytes, err);
        if (status == LOAM_OK) status = check_data(plan->device, table, map.ptr, err);
        if (status != LOAM_OK) lm_error_prefix(err, status, "%s", path);
    }
    lm_free(table);
    if (status == LOAM_OK)
        *out = map;
    else
        lm_file_map_close(&map);
    return status;
}

void lm_pack_file_use(const lm_file_map *map, const lm_pack_plan *plan) {
    const lm_pack_table *table = (const void *)map->ptr;
    for (size_t i = 0; i < plan->n; i++) {
        plan->weights[i]->layout = LM_LAYOUT_PANELS;
        plan->weights[i]->data = map->ptr + table->entries[i].offset;
    }
}

size_t lm_pack_plan_bytes(const lm_pack_plan *plan) {
    size_t sum = 0;
    for (size_t i = 0; i < plan->n; i++)
        sum += lm_device_packed_bytes(plan->device, plan->weights[i]);
    return sum;
}
