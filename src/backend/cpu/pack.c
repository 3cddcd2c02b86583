#include "backend/cpu/pack.h"

#include <string.h>

#include "backend/cpu/cpu.h"

typedef struct pack_job {
    const lm_weight *weight;
    char *out;
} pack_job;

/* `n_rows` rows of K elements into one panel whose missing columns are zero. Sixteen k at a time, so that the panel's
 * lines are written while they are near. */
#define PACK_PLAIN(name, type)                                                                \
    static void name(const type *rows, int64_t n_rows, int64_t k, type *panel) {              \
        for (int64_t k0 = 0; k0 < k; k0 += LM_PANEL) {                                        \
            int64_t end = k0 + LM_PANEL < k ? k0 + LM_PANEL : k;                              \
            for (int64_t i = 0; i < n_rows; i++)                                              \
                for (int64_t j = k0; j < end; j++) panel[j * LM_PANEL + i] = rows[i * k + j]; \
        }                                                                                     \
    }
PACK_PLAIN(pack_u16, uint16_t)
PACK_PLAIN(pack_u32, uint32_t)

/* The formats' own blocks (quant/q8_0.c, quant/q4_0.c) as bytes: an f16 scale, then the quants. */
enum {
    SCALE_BYTES = 2,
    Q8_0_BYTES = SCALE_BYTES + LM_QUANT_BLOCK,
    Q4_0_BYTES = SCALE_BYTES + LM_QUANT_BLOCK / 2
};

static void pack_q8_0(const uint8_t *rows, int64_t n_rows, int64_t k, lm_panel_q8_0 *panel) {
    int64_t n_blocks = k / LM_QUANT_BLOCK;
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t b = 0; b < n_blocks; b++) {
            const uint8_t *block = rows + (i * n_blocks + b) * Q8_0_BYTES;
            memcpy(&panel[b].d[i], block, SCALE_BYTES);
            for (int q = 0; q < LM_QUANT_BLOCK; q++)
                panel[b].q[q][i] = (int8_t)block[SCALE_BYTES + q];
        }
    }
}

/* Quant j of the format's block: the low nibbles are the first half. */
static uint8_t q4_0_at(const uint8_t *block, int j) {
    uint8_t byte = block[SCALE_BYTES + j % (LM_QUANT_BLOCK / 2)];
    return j < LM_QUANT_BLOCK / 2 ? byte & 15 : byte >> 4;
}

static void pack_q4_0(const uint8_t *rows, int64_t n_rows, int64_t k, lm_panel_q4_0 *panel) {
    int64_t n_blocks = k / LM_QUANT_BLOCK;
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t b = 0; b < n_blocks; b++) {
            const uint8_t *block = rows + (i * n_blocks + b) * Q4_0_BYTES;
            memcpy(&panel[b].d[i], block, SCALE_BYTES);
            for (int q = 0; q < LM_QUANT_BLOCK / 2; q++)
                panel[b].q[q][i] =
                    (uint8_t)(q4_0_at(block, 2 * q) | q4_0_at(block, 2 * q + 1) << 4);
        }
    }
}

static void pack_share(void *arg, int thread, int n_threads) {
    const pack_job *job = arg;
    const lm_weight *w = job->weight;
    int64_t n = w->shape[0], k = w->shape[1];
    size_t row_bytes = lm_dtype_bytes(w->dtype, k), panel_bytes = lm_panel_bytes(w->dtype, k);
    lm_range panels = lm_range_split((n + LM_PANEL - 1) / LM_PANEL, 1, thread, n_threads);
    for (int64_t p = panels.begin; p < panels.end; p++) {
        int64_t n0 = p * LM_PANEL, n_rows = n - n0 < LM_PANEL ? n - n0 : LM_PANEL;
        const void *rows = (const char *)w->data + (size_t)n0 * row_bytes;
        void *panel = job->out + (size_t)p * panel_bytes;
        if (n_rows < LM_PANEL) memset(panel, 0, panel_bytes);
        if (w->dtype == LM_Q8_0)
            pack_q8_0(rows, n_rows, k, panel);
        else if (w->dtype == LM_Q4_0)
            pack_q4_0(rows, n_rows, k, panel);
        else if (w->dtype == LM_F32)
            pack_u32(rows, n_rows, k, panel);
        else
            pack_u16(rows, n_rows, k, panel);
    }
}

static bool can_pack(const lm_device *device, const lm_weight *weight) {
    bool known = weight->dtype == LM_F32 || weight->dtype == LM_BF16 || weight->dtype == LM_F16 ||
                 weight->dtype == LM_Q8_0 || weight->dtype == LM_Q4_0;
    return lm_cpu_of(device)->isa > LM_CPU_SCALAR && weight->n_dims == 2 &&
           weight->layout == LM_LAYOUT_ROWS && known;
}

size_t lm_cpu_packed_bytes(const lm_device *device, const lm_weight *weight) {
    if (!can_pack(device, weight)) return 0;
    size_t n_panels = (size_t)((weight->shape[0] + LM_PANEL - 1) / LM_PANEL);
    return n_panels * lm_panel_bytes(weight->dtype, weight->shape[1]);
}

void lm_cpu_pack(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out) {
    device->backend->parallel(device, pack_share, &(pack_job){weight, dst});
    *out = *weight;
    out->layout = LM_LAYOUT_PANELS;
    out->data = dst;
}

/* The number grows with every change of a panel's bytes. */
const char *lm_cpu_pack_order(const lm_device *device) {
    return "cpu-panels-1";
}
