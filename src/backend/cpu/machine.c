#include "backend/cpu/machine.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

enum {
    MEASURE_NS =
        30 * 1000 *
        1000, /* one measurement; the best of MEASUREMENTS counts, as neighbours only ever slow us */
    MEASUREMENTS = 5,
    LANES = 16,
    READ_GRAIN = 4 * LANES,
};

/* ---- The loops: plain C here, an instruction set's own in machine_<isa>.c ---- */

enum { PLAIN_CHAINS = 8 };

static float fma_loop_plain(int64_t n_rounds) {
    float x[PLAIN_CHAINS] = {0};
    for (int64_t i = 0; i < n_rounds; i++)
        for (int c = 0; c < PLAIN_CHAINS; c++) x[c] = x[c] * 0.5f + 0.25f;
    return x[0] + x[1] + x[2] + x[3] + x[4] + x[5] + x[6] + x[7];
}

static float read_loop_plain(const float *data, int64_t n) {
    float sum[4] = {0};
    for (int64_t i = 0; i < n; i += 4)
        for (int c = 0; c < 4; c++) sum[c] += data[i + c];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

typedef struct loops {
    float (*fma)(int64_t n_rounds);
    float (*read)(const float *data, int64_t n);
    double flops_a_round;
} loops;

#if defined(__x86_64__)
float lm_cpu_fma_loop_avx2(int64_t n_rounds);
float lm_cpu_fma_loop_avx512(int64_t n_rounds);
float lm_cpu_read_loop_avx2(const float *data, int64_t n);
float lm_cpu_read_loop_avx512(const float *data, int64_t n);
#endif

static loops loops_of(const lm_device *device) {
#if defined(__x86_64__)
    lm_cpu_isa isa = lm_cpu_of(device)->isa;
    if (isa == LM_CPU_AVX512)
        return (loops){lm_cpu_fma_loop_avx512, lm_cpu_read_loop_avx512, 8 * 2 * LANES};
    if (isa == LM_CPU_AVX2)
        return (loops){lm_cpu_fma_loop_avx2, lm_cpu_read_loop_avx2, 6 * 2 * LANES};
#endif
    return (loops){fma_loop_plain, read_loop_plain, 2 * PLAIN_CHAINS};
}

/* ---- Measuring ---- */

typedef struct measurement {
    loops loops;
    const float *data; /* NULL: computing is measured */
    int64_t n;         /* elements a thread reads in a round, or rounds of the fma loop */
    int64_t n_repeats;
    float results[LM_POOL_MAX_THREADS]; /* so that no loop is left out */
} measurement;

static void run_loops(void *arg, int thread, int n_threads) {
    measurement *m = arg;
    float sum = 0.0f;
    for (int64_t i = 0; i < m->n_repeats; i++)
        sum += m->data ? m->loops.read(m->data + m->n * thread, m->n) : m->loops.fma(m->n);
    m->results[thread] = sum;
}

/* Seconds that one repeat takes. */
static double seconds_a_repeat(lm_device *device, measurement *m) {
    double best = INFINITY;
    m->n_repeats = 1;
    for (int i = 0; i < MEASUREMENTS;) {
        int64_t begin_ns = lm_clock_mono_ns();
        device->backend->parallel(device, run_loops, m);
        int64_t ns = lm_clock_mono_ns() - begin_ns;
        double seconds = (double)ns * 1e-9 / (double)m->n_repeats;
        if (ns < MEASURE_NS / 2 && i == 0) {
            m->n_repeats *= 2;
            continue;
        }
        best = seconds < best ? seconds : best;
        i++;
    }
    return best;
}

double lm_cpu_peak_flops(lm_device *device) {
    measurement m = {.loops = loops_of(device), .n = 10000};
    return (double)device->n_threads * m.loops.flops_a_round * (double)m.n /
           seconds_a_repeat(device, &m);
}

loam_status lm_cpu_read_bandwidth(lm_device *device, size_t size_bytes, double *out,
                                  loam_error *err) {
    int64_t n = (int64_t)(size_bytes / sizeof(float)) / device->n_threads / READ_GRAIN * READ_GRAIN;
    if (n == 0) n = READ_GRAIN;
    size_t bytes = (size_t)n * (size_t)device->n_threads * sizeof(float);
    void *data;
    LM_TRY(device->backend->alloc(device, bytes, &data, err));
    memset(data, 1, bytes); /* untouched memory would be one page of zeros, and read from a cache */
    measurement m = {.loops = loops_of(device), .data = data, .n = n};
    *out = (double)bytes / seconds_a_repeat(device, &m);
    device->backend->free(device, data);
    return LOAM_OK;
}
