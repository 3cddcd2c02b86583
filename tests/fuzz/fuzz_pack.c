/* Any bytes as a packed file: refused, or what is planned, as far as its checksums tell. The first byte says whether the
 * checksums are mended before, so that what lies behind them is reached. */
#include <stdint.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/mem.h"
#include "model/pack_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static lm_pack_plan *plan(void) {
    static lm_weight a = {.name = "a", .dtype = LM_F32, .n_dims = 2, .shape = {20, 4}},
                     b = {.name = "b", .dtype = LM_BF16, .n_dims = 2, .shape = {3, 8}};
    static lm_weight *weights[] = {&a, &b};
    static lm_pack_plan made = {.source = {1, 2, 3}, .weights = weights, .n = 2};
    if (!made.device)
        LM_ASSERT(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &made.device, NULL) ==
                  LOAM_OK);
    return &made;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size == 0) return 0;
    lm_pack_table *table;
    if (lm_pack_table_new(plan(), &table, NULL) != LOAM_OK) return 0;
    uint8_t *file = lm_alloc_aligned(LM_PACK_ALIGNMENT, size);
    memcpy(file, bytes + 1, size - 1);
    if (bytes[0] & 1 && size - 1 >= lm_pack_table_bytes(2)) {
        ((lm_pack_table *)file)->header.n_entries = 2;
        ((lm_pack_table *)file)->header.checksum = lm_pack_table_checksum((lm_pack_table *)file);
    }
    if (lm_pack_table_check(table, file, size - 1, NULL) == LOAM_OK)
        LM_ASSERT(size - 1 == table->header.file_bytes);
    lm_free(file);
    lm_free(table);
    return 0;
}
