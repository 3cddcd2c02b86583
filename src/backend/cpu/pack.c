#include "backend/cpu/pack.h"

#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/quant_gemm.h"

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

/* The same with two k side by side. */
static void pack_pairs(const uint16_t *rows, int64_t n_rows, int64_t k, uint16_t *panel) {
    for (int64_t k0 = 0; k0 < k; k0 += LM_PANEL) {
        int64_t end = k0 + LM_PANEL < k ? k0 + LM_PANEL : k;
        for (int64_t i = 0; i < n_rows; i++)
            for (int64_t j = k0; j < end; j++)
                panel[(j / 2 * LM_PANEL + i) * 2 + j % 2] = rows[i * k + j];
    }
    for (int64_t i = 0; k % 2 != 0 && i < n_rows; i++) panel[(k / 2 * LM_PANEL + i) * 2 + 1] = 0;
}

/* Rows, and bytes, of a panel of the weight's type. */
static int64_t panel_rows(const lm_weight *w) {
    return lm_dtype_is_quantized(w->dtype) ? LM_QUANT_COLUMNS : LM_PANEL;
}

static size_t panel_bytes(const lm_weight *w) {
    return lm_dtype_is_quantized(w->dtype)
               ? lm_quant_panel_bytes(lm_dtype_get(w->dtype), w->shape[1])
               : lm_panel_bytes(w->dtype, w->shape[1]);
}

static int64_t n_panels(const lm_weight *w) {
    return (w->shape[0] + panel_rows(w) - 1) / panel_rows(w);
}

static void pack_panel(const lm_weight *w, const void *rows, int64_t n_rows, void *panel) {
    int64_t k = w->shape[1];
    if (n_rows < panel_rows(w)) memset(panel, 0, panel_bytes(w));
    if (lm_dtype_is_quantized(w->dtype))
        lm_quant_pack_panel(lm_dtype_get(w->dtype), rows, n_rows, k, panel);
    else if (w->dtype == LM_F32)
        pack_u32(rows, n_rows, k, panel);
    else if (w->dtype == LM_BF16)
        pack_pairs(rows, n_rows, k, panel);
    else
        pack_u16(rows, n_rows, k, panel);
}

static void pack_share(void *arg, int thread, int n_threads) {
    const pack_job *job = arg;
    const lm_weight *w = job->weight;
    size_t row_bytes = lm_dtype_bytes(w->dtype, w->shape[1]);
    lm_range panels = lm_range_split(n_panels(w), 1, thread, n_threads);
    for (int64_t p = panels.begin; p < panels.end; p++) {
        int64_t n0 = p * panel_rows(w), n_rows = w->shape[0] - n0;
        pack_panel(w, (const char *)w->data + (size_t)n0 * row_bytes,
                   n_rows < panel_rows(w) ? n_rows : panel_rows(w),
                   job->out + (size_t)p * panel_bytes(w));
    }
}

static bool can_pack(const lm_device *device, const lm_weight *weight) {
    bool known = lm_dtype_is_quantized(weight->dtype)
                     ? lm_cpu_has_quant_kernels(device)
                     : lm_cpu_of(device)->isa > LM_CPU_SCALAR && weight->dtype != LM_I32;
    return known && (weight->n_dims == 2 || weight->n_dims == 3) &&
           weight->layout == LM_LAYOUT_ROWS;
}

/* Matrix i of several [n, n_out, n_in], or the only one. */
static lm_weight matrix_at(const lm_weight *weight, int64_t i) {
    lm_weight one = *weight;
    if (weight->n_dims < 3) return one;
    one.n_dims = 2;
    one.shape[0] = weight->shape[1];
    one.shape[1] = weight->shape[2];
    if (weight->data) /* which is not made yet where only sizes are asked for */
        one.data = (const char *)weight->data +
                   (size_t)i * lm_dtype_bytes(weight->dtype, one.shape[0] * one.shape[1]);
    return one;
}

static int64_t n_matrices(const lm_weight *weight) {
    return weight->n_dims < 3 ? 1 : weight->shape[0];
}

size_t lm_cpu_packed_bytes(const lm_device *device, const lm_weight *weight) {
    lm_weight one = matrix_at(weight, 0);
    return can_pack(device, weight)
               ? (size_t)(n_matrices(weight) * n_panels(&one)) * panel_bytes(&one)
               : 0;
}

size_t lm_cpu_matrix_bytes(const lm_device *device, const lm_tensor *w, int64_t n) {
    if (w->layout == LM_LAYOUT_ROWS) return lm_dtype_bytes(w->dtype, n * w->shape[2]);
    lm_weight rows = {.dtype = w->dtype, .n_dims = 2, .shape = {n, w->shape[2]}};
    return lm_cpu_packed_bytes(device, &rows);
}

void lm_cpu_pack(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out) {
    char *to = dst;
    for (int64_t i = 0; i < n_matrices(weight); i++) {
        lm_weight one = matrix_at(weight, i);
        device->backend->parallel(device, pack_share, &(pack_job){&one, to});
        to += (size_t)n_panels(&one) * panel_bytes(&one);
    }
    *out = *weight;
    out->layout = LM_LAYOUT_PANELS;
    out->data = dst;
}

/* The number grows with every change of a panel's bytes. */
const char *lm_cpu_pack_order(const lm_device *device) {
    return "cpu-panels-4";
}
