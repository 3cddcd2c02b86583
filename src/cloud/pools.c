#include "cloud/pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/usable.h"
#include "cloud/table/node.h"
#include "cloud/table/pool.h"
#include "cloud/table/site.h"

enum { HOST_NAME_BYTES = 128, DEFAULT_MHZ = 2000, LOCAL_MAX_RUNS = 1 };

/* Clock as the kernel tells it for the first processor. */
static double clock_hz(void) {
    FILE *stream = fopen("/proc/cpuinfo", "re");
    char line[256];
    double mhz = 0;
    while (stream && mhz <= 0 && fgets(line, sizeof line, stream)) {
        if (strncmp(line, "cpu MHz", 7) == 0 && strchr(line, ':'))
            mhz = strtod(strchr(line, ':') + 1, NULL);
    }
    if (stream) fclose(stream);
    return (mhz > 0 ? mhz : DEFAULT_MHZ) * 1e6;
}

int64_t lm_pools_nominal_peak(void) {
    const lm_cpu *cpu = lm_cpu_get();
    /* two fused multiply-adds a cycle, two operations each, on 16, 8 or 4 lanes */
    int lanes = cpu->avx512 ? 16 : cpu->avx2 ? 8 : 4;
    return (int64_t)(clock_hz() * 2 * 2 * lanes * lm_cpu_n_usable());
}

static loam_status make_local(lm_db *db, lm_id_gen *ids, int64_t peak_flops, loam_error *err) {
    char host[HOST_NAME_BYTES] = "localhost";
    int64_t now_ms = lm_clock_epoch_ms();
    lm_site site = {.name = "local", .created_ms = now_ms};
    lm_pool_row pool = {.name = "local",
                        .executor = "local",
                        .peak_flops = peak_flops,
                        .max_runs = LOCAL_MAX_RUNS,
                        .created_ms = now_ms};
    lm_node node = {.name = host,
                    .n_cpus = lm_cpu_n_usable(),
                    .peak_flops = peak_flops,
                    .state = "up",
                    .created_ms = now_ms,
                    .memory_bytes = (int64_t)lm_machine_memory_read().total_bytes};
    if (gethostname(host, sizeof host - 1) != 0) snprintf(host, sizeof host, "localhost");
    lm_id_new(ids, "site", site.id);
    lm_id_new(ids, "pool", pool.id);
    lm_id_new(ids, "node", node.id);
    memcpy(pool.site_id, site.id, LM_ID_BYTES);
    memcpy(node.pool_id, pool.id, LM_ID_BYTES);
    LM_TRY(lm_table_insert(db, &lm_site_table, &site, err));
    LM_TRY(lm_table_insert(db, &lm_pool_row_table, &pool, err));
    return lm_table_insert(db, &lm_node_table, &node, err);
}

loam_status lm_pools_ensure_local(lm_db *db, lm_id_gen *ids, int64_t peak_flops, loam_error *err) {
    lm_arena arena;
    lm_pool_row pool;
    lm_arena_init(&arena, 0, 0);
    loam_status status = lm_pool_local(db, &arena, &pool, err);
    if (status == LOAM_NOT_FOUND) {
        status = make_local(db, ids, peak_flops > 0 ? peak_flops : lm_pools_nominal_peak(), err);
    } else if (status == LOAM_OK && peak_flops > 0 && pool.peak_flops != peak_flops) {
        pool.peak_flops = peak_flops;
        status = lm_table_update(db, &lm_pool_row_table, &pool, err);
    }
    lm_arena_deinit(&arena);
    return status;
}
