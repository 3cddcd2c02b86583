#include "backend/cpu/machine.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "backend/cpu/machine_loops.h"
#include "base/clock.h"
#include "base/cpu.h"

enum {
    SAMPLE_NS = 1000 * 1000,
    MEASURE_NS = 80 * 1000 * 1000,
    MIN_SAMPLES = 8,
    WINDOW_BYTES = 8 << 20, /* what a thread reads in one go of a larger buffer */
    PROBE_BYTES = 1 << 30,  /* of memory: past all caches */
};

/* ---- The loops: plain C here, an instruction set's own in machine_<isa>.c ---- */

static void f32_loop_plain(int64_t n_rounds) {
    float x[LM_PEAK_CHAINS] = {0};
    for (int64_t i = 0; i < n_rounds; i++)
        for (int c = 0; c < LM_PEAK_CHAINS; c++) x[c] = x[c] * 0.5f + 0.25f;
    for (int c = 0; c < LM_PEAK_CHAINS; c++) __asm__ volatile("" : : "m"(x[c]));
}

static float read_loop_plain(const float *data, int64_t n) {
    float sum[4] = {0};
    for (int64_t i = 0; i < n; i += 4)
        for (int c = 0; c < 4; c++) sum[c] += data[i + c];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static bool always(const lm_cpu_device *device) {
    return true;
}

typedef struct peak_loop {
    lm_cpu_peak peak;
    lm_cpu_isa isa;
    bool (*applies)(const lm_cpu_device *device);
    lm_cpu_peak_loop *run;
    double ops_a_step;
} peak_loop;

#if defined(__x86_64__)
static bool has_bf16(const lm_cpu_device *device) {
    return device->bf16;
}
static bool has_vnni(const lm_cpu_device *device) {
    return device->vnni;
}
static bool has_fp16(const lm_cpu_device *device) {
    return lm_cpu_get()->avx512_fp16;
}
#endif

static const peak_loop peak_loops[] = {
    {{LM_CPU_ARITH_F32, "scalar", "plain C"}, LM_CPU_SCALAR, always, f32_loop_plain, 2},
#if defined(__x86_64__)
    {{LM_CPU_ARITH_F32, "avx2", "vfmadd ymm"}, LM_CPU_AVX2, always, lm_cpu_f32_loop_avx2, 16},
    {{LM_CPU_ARITH_INT8, "avx2", "vpmaddubsw ymm"}, LM_CPU_AVX2, always, lm_cpu_int8_loop_avx2, 64},
    {{LM_CPU_ARITH_F32, "avx512", "vfmadd zmm"}, LM_CPU_AVX512, always, lm_cpu_f32_loop_avx512, 32},
    {{LM_CPU_ARITH_BF16, "avx512", "vdpbf16ps zmm"},
     LM_CPU_AVX512,
     has_bf16,
     lm_cpu_bf16_loop_avx512,
     64},
    {{LM_CPU_ARITH_F16, "avx512", "vfmaddph zmm"},
     LM_CPU_AVX512,
     has_fp16,
     lm_cpu_f16_loop_avx512,
     64},
    {{LM_CPU_ARITH_INT8, "avx512", "vpdpbusd ymm"},
     LM_CPU_AVX512,
     has_vnni,
     lm_cpu_int8_ymm_loop_avx512,
     64},
    {{LM_CPU_ARITH_INT8, "avx512", "vpdpbusd zmm"},
     LM_CPU_AVX512,
     has_vnni,
     lm_cpu_int8_loop_avx512,
     128},
#elif defined(__aarch64__)
    {{LM_CPU_ARITH_F32, "neon", "fmla"}, LM_CPU_NEON, always, lm_cpu_f32_loop_neon, 8},
    {{LM_CPU_ARITH_INT8, "neon", "smull"}, LM_CPU_NEON, always, lm_cpu_int8_loop_neon, 32},
    {{LM_CPU_ARITH_INT8, "neon-dotprod", "sdot"},
     LM_CPU_NEON_DOTPROD,
     always,
     lm_cpu_int8_loop_neon_dotprod,
     32},
    {{LM_CPU_ARITH_INT8, "neon-i8mm", "smmla"},
     LM_CPU_NEON_I8MM,
     always,
     lm_cpu_int8_loop_neon_i8mm,
     64},
#endif
};

static lm_cpu_read_loop *read_loop_of(const lm_device *device) {
#if defined(__x86_64__)
    lm_cpu_isa isa = lm_cpu_of(device)->isa;
    if (isa >= LM_CPU_AVX512) return lm_cpu_read_loop_avx512;
    if (isa == LM_CPU_AVX2) return lm_cpu_read_loop_avx2;
#elif defined(__aarch64__)
    if (lm_cpu_of(device)->isa >= LM_CPU_NEON) return lm_cpu_read_loop_neon;
#endif
    return read_loop_plain;
}

/* ---- Measuring ---- */

typedef struct measurement {
    lm_cpu_peak_loop *peak; /* NULL: traffic is measured */
    lm_cpu_read_loop *read; /* NULL: copying is measured */
    float *data;
    int64_t part, window; /* elements of a thread, and of one repeat, which moves on by a window */
    int64_t n_rounds;     /* of the peak loop in one repeat */
    int64_t n_done, n_repeats;
    float results[LM_POOL_MAX_THREADS]; /* so that no loop is left out */
} measurement;

static float move_window(const measurement *m, float *data) {
    if (m->read) return m->read(data, m->window);
    memcpy(data, data + m->window / 2, (size_t)m->window / 2 * sizeof *data);
    return data[0];
}

static void run_repeats(void *arg, int thread, int n_threads) {
    measurement *m = arg;
    float sum = 0.0f;
    for (int64_t i = m->n_done; i < m->n_done + m->n_repeats; i++) {
        if (m->peak)
            m->peak(m->n_rounds);
        else
            sum += move_window(m, m->data + thread * m->part + i * m->window % m->part);
    }
    m->results[thread] = sum;
}

static int64_t time_repeats(lm_device *device, measurement *m) {
    int64_t begin_ns = lm_clock_mono_ns();
    device->backend->parallel(device, run_repeats, m);
    m->n_done += m->n_repeats;
    return lm_clock_mono_ns() - begin_ns;
}

/* Seconds that one repeat takes. */
static double seconds_a_repeat(lm_device *device, measurement *m) {
    m->n_repeats = 1;
    while (time_repeats(device, m) < SAMPLE_NS) m->n_repeats *= 2;
    double best = INFINITY;
    int64_t end_ns = lm_clock_mono_ns() + MEASURE_NS;
    for (int i = 0; i < MIN_SAMPLES || lm_clock_mono_ns() < end_ns; i++)
        best = fmin(best, (double)time_repeats(device, m) * 1e-9 / (double)m->n_repeats);
    return best;
}

/* ---- Arithmetic ---- */

const char *lm_cpu_arith_name(lm_cpu_arith arith) {
    static const char *const names[] = {"f32", "bf16", "f16", "int8"};
    return names[arith];
}

int lm_cpu_n_peaks(void) {
    return (int)LM_COUNT_OF(peak_loops);
}

bool lm_cpu_peak_get(const lm_device *device, int i, lm_cpu_peak *out) {
    const peak_loop *loop = &peak_loops[i];
    if (loop->isa > lm_cpu_of(device)->isa || !loop->applies(lm_cpu_of(device))) return false;
    *out = loop->peak;
    return true;
}

double lm_cpu_peak_ops(lm_device *device, int i) {
    measurement m = {.peak = peak_loops[i].run, .n_rounds = 1000};
    double ops = peak_loops[i].ops_a_step * LM_PEAK_CHAINS * (double)m.n_rounds;
    return (double)device->n_threads * ops / seconds_a_repeat(device, &m);
}

double lm_cpu_best_ops(lm_device *device, lm_cpu_arith arith) {
    double best = 0;
    for (int i = 0; i < lm_cpu_n_peaks(); i++) {
        lm_cpu_peak peak;
        if (!lm_cpu_peak_get(device, i, &peak)) continue;
        if (peak.arith == arith || peak.arith == LM_CPU_ARITH_F32)
            best = fmax(best, lm_cpu_peak_ops(device, i));
    }
    return best;
}

/* ---- Traffic ---- */

static size_t cache_bytes(int name) {
    long bytes = sysconf(name);
    return bytes > 0 ? (size_t)bytes : 0;
}

static size_t min_bytes(size_t a, size_t b) {
    return a < b ? a : b;
}

void lm_cpu_levels(int n_threads, lm_cpu_level out[LM_CPU_N_LEVELS]) {
    size_t l1 = cache_bytes(_SC_LEVEL1_DCACHE_SIZE), l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE),
           l3 = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
    out[0] = (lm_cpu_level){"L1", l1, l1 / 2};
    out[1] = (lm_cpu_level){"L2", l2, l2 / 2};
    out[2] = (lm_cpu_level){"L3", l3, min_bytes(4 * l2, l3 / 2 / (size_t)n_threads)};
    out[3] = (lm_cpu_level){"memory", 0, PROBE_BYTES / (size_t)n_threads};
}

loam_status lm_cpu_bandwidth(lm_device *device, lm_cpu_traffic traffic, size_t size_bytes,
                             double *out, loam_error *err) {
    int64_t grain = LM_READ_GRAIN, n_threads = device->n_threads;
    int64_t part = (int64_t)(size_bytes / sizeof(float)) / n_threads;
    int64_t window = part < WINDOW_BYTES / 4 ? part / grain * grain : WINDOW_BYTES / 4;
    if (window == 0) window = grain;
    part = part < window ? window : part / window * window;
    size_t bytes = (size_t)(part * n_threads) * sizeof(float);
    void *data;
    LM_TRY(device->backend->alloc(device, bytes, &data, err));
    memset(data, 1, bytes); /* untouched memory would be one page of zeros, and read from a cache */
    measurement m = {.read = traffic == LM_CPU_READ ? read_loop_of(device) : NULL,
                     .data = data,
                     .part = part,
                     .window = window};
    *out = (double)(window * n_threads) * sizeof(float) / seconds_a_repeat(device, &m);
    device->backend->free(device, data);
    return LOAM_OK;
}
