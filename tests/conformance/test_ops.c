/* Every op of the table, on every instruction set of this CPU, with every kernel that applies:
 *   - equal to the reference within the case's tolerance (NaN fails), for every number of rows
 *   - the same bits for 1, 2, 3 and 5 threads, for a row alone and in company, and in place
 *   - nothing written past the rows of the run
 * and gradients against finite differences. Instead, `test_ops --time [label]` prints what kernels
 * take, and `test_ops --bits` a checksum of each case's result, which is the same on every
 * architecture.
 */
#include "testing.h"

#include <math.h>

#include "backend/cpu/cpu.h"
#include "compute/ops/rules.h"
#include "gradient.h"
#include "harness.h"

static const int thread_counts[] = {1, 2, 3, 5};
enum { N_ISAS = LM_CPU_N_ISAS, N_COUNTS = LM_COUNT_OF(thread_counts) };

static lm_device *devices[N_ISAS][N_COUNTS]; /* NULL where this CPU lacks the instruction set */

static int open_devices(void **state) {
    for (int i = 0; i < N_ISAS; i++) {
        for (int t = 0; t < N_COUNTS; t++) {
            lm_device_options options = {.n_threads = thread_counts[t],
                                         .isa = lm_cpu_isa_name((lm_cpu_isa)i)};
            assert_ok(lm_backend_cpu.open(&options, &devices[i][t], &err));
            if (lm_cpu_of(devices[i][t])->isa == (lm_cpu_isa)i) continue;
            lm_device_close(devices[i][t]);
            devices[i][t] = NULL;
        }
        if (!devices[i][0])
            print_message("this CPU has no %s: its kernels are not tested\n",
                          lm_cpu_isa_name((lm_cpu_isa)i));
    }
    return 0;
}

static int close_devices(void **state) {
    for (int i = 0; i < N_ISAS; i++)
        for (int t = 0; t < N_COUNTS; t++) lm_device_close(devices[i][t]);
    return 0;
}

/* The kernels of the case's op that apply on a device: as listed, then the reference where it
 * can read the weight. */
static int list_kernels(const bench *b, lm_device *device, const lm_kernel **out, int max) {
    int n_listed, n = 0;
    const lm_cpu_kernel *listed = lm_cpu_kernels(&n_listed);
    for (int i = 0; i < n_listed; i++) {
        const lm_kernel *kernel = listed[i].kernel;
        if (listed[i].op != b->c->op || (kernel->applies && !kernel->applies(device, b->node)))
            continue;
        LM_ASSERT(n < max);
        out[n++] = kernel;
    }
    if (!b->packed.data) out[n++] = &lm_cpu_of(device)->references[b->c->op];
    return n;
}

/* Elements of an output of dtype from row `row` on, n_rows rows, as f32; NULL for none. */
static float *unpack_output(const bench *b, const result *r, int i, int64_t n) {
    float *x = lm_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    if (b->node->out[i]->dtype == LM_I32)
        for (int64_t at = 0; at < n; at++) x[at] = (float)((const int32_t *)r->bytes[i])[at];
    else
        lm_dtype_get(b->node->out[i]->dtype)->unpack(r->bytes[i], x, n);
    return x;
}

static void check_close(const bench *b, const result *got, const result *wanted,
                        const int64_t *extents, const char *what) {
    for (int i = 0; i < got->n; i++) {
        const lm_tensor *out = b->node->out[i];
        int64_t n = lm_tensor_dim0(out, extents) * lm_tensor_row_elems(out);
        float *x = unpack_output(b, got, i, n), *y = unpack_output(b, wanted, i, n);
        for (int64_t at = 0; at < n; at++) {
            double error = fabs((double)x[at] - (double)y[at]);
            if (!(error <= b->c->atol + b->c->rtol * fabs((double)y[at])))
                fail_msg("%s: output %d, element %ld is %.9g, the reference says %.9g", what, i,
                         (long)at, (double)x[at], (double)y[at]);
        }
        lm_free(x);
        lm_free(y);
    }
}

/* The first n_rows rows of `got` against those of `wanted` from `row` on, bit for bit. */
static void check_same_bits(const bench *b, const result *got, const result *wanted, int64_t row,
                            const int64_t *extents, const char *what) {
    for (int i = 0; i < got->n; i++) {
        const lm_tensor *out = b->node->out[i];
        size_t row_bytes = lm_dtype_bytes(out->dtype, lm_tensor_row_elems(out));
        size_t size = row_bytes * (size_t)lm_tensor_dim0(out, extents);
        if (memcmp(got->bytes[i], wanted->bytes[i] + (size_t)row * row_bytes, size) != 0)
            fail_msg("%s: output %d, rows from %ld on: not the same bits", what, i, (long)row);
    }
}

/* A kernel at hand: one description for messages, one result with one thread to compare others
 * with. */
typedef struct subject {
    const bench *b;
    const lm_kernel *kernel;
    int isa;
    int64_t extents[LM_N_EXTENTS];
    result whole;
} subject;

static void check_threads(const subject *s) {
    char what[96];
    for (int t = 1; t < N_COUNTS; t++) {
        result r;
        bench_run(s->b, devices[s->isa][t], s->kernel, &(run_options){s->extents, 0, -1}, &r);
        snprintf(what, sizeof what, "%s with %d threads", s->kernel->name, thread_counts[t]);
        check_same_bits(s->b, &r, &s->whole, 0, s->extents, what);
        result_deinit(&r);
    }
}

static void check_row_counts(const subject *s) {
    char what[96];
    int64_t extents[LM_N_EXTENTS];
    memcpy(extents, s->extents, sizeof extents);
    for (int64_t first = 0; first < s->extents[LM_EXTENT_ROWS]; first++) {
        for (int64_t n = 1; first + n <= s->extents[LM_EXTENT_ROWS];
             n += first == 0 ? 1 : s->extents[LM_EXTENT_ROWS]) {
            extents[LM_EXTENT_ROWS] = n;
            result r;
            bench_run(s->b, devices[s->isa][0], s->kernel, &(run_options){extents, first, -1}, &r);
            snprintf(what, sizeof what, "%s with %ld rows", s->kernel->name, (long)n);
            check_same_bits(s->b, &r, &s->whole, first, extents, what);
            result_deinit(&r);
        }
    }
}

static void check_no_rows(const subject *s) {
    int64_t extents[LM_N_EXTENTS] = {0};
    result r;
    bench_run(s->b, devices[s->isa][1], s->kernel, &(run_options){extents, 0, -1}, &r);
    result_deinit(&r);
}

static void check_in_place(const subject *s) {
    char what[96];
    unsigned in_place = lm_op_get(s->b->c->op)->in_place;
    for (int i = 0; i < s->b->node->n_inputs; i++) {
        const lm_tensor *in = s->b->node->in[i], *out = s->b->node->out[0];
        if (!(in_place >> i & 1u) || lm_tensor_bytes(in) != lm_tensor_bytes(out)) continue;
        result r;
        bench_run(s->b, devices[s->isa][1], s->kernel, &(run_options){s->extents, 0, i}, &r);
        snprintf(what, sizeof what, "%s over its input %d", s->kernel->name, i);
        check_same_bits(s->b, &r, &s->whole, 0, s->extents, what);
        result_deinit(&r);
    }
}

static void check_kernel(const bench *b, const lm_kernel *kernel, int isa, const result *wanted) {
    subject s = {.b = b, .kernel = kernel, .isa = isa};
    bench_extents(b, s.extents);
    bench_run(b, devices[isa][0], kernel, &(run_options){s.extents, 0, -1}, &s.whole);
    check_close(b, &s.whole, wanted, s.extents, kernel->name);
    check_threads(&s);
    check_in_place(&s);
    if (b->c->rows) check_row_counts(&s);
    if (s.extents[LM_EXTENT_ROWS]) check_no_rows(&s);
    result_deinit(&s.whole);
}

/* What a lower instruction set runs was checked there; a packed weight is its device's own, and EXPERTS and HEAD_LINEAR run LINEAR's
 * kernels. */
static bool checked_below(const bench *b, const lm_kernel *kernel, int isa) {
    return isa > 0 && !b->packed.data && b->c->op != LM_OP_EXPERTS &&
           b->c->op != LM_OP_HEAD_LINEAR &&
           (!kernel->applies || kernel->applies(devices[isa - 1][0], b->node));
}

static void check_kernels(const bench *b, int isa, const result *wanted) {
    const lm_kernel *kernels[32];
    int n = list_kernels(b, devices[isa][0], kernels, LM_COUNT_OF(kernels) - 1);
    for (int i = 0; i < n; i++)
        if (!checked_below(b, kernels[i], isa)) check_kernel(b, kernels[i], isa, wanted);
}

static void check_cost(const bench *b) {
    int64_t extents[LM_N_EXTENTS];
    bench_extents(b, extents);
    lm_cost cost = lm_node_cost(b->node, extents);
    assert_true(cost.bytes > 0);
    assert_true(cost.flops >= 0);
}

static void test_kernels(void **state) {
    const op_case *c = *state;
    bench rows;
    bench_init(&rows, c, NULL);
    check_cost(&rows);
    int64_t extents[LM_N_EXTENTS];
    bench_extents(&rows, extents);
    result wanted;
    bench_run(&rows, devices[0][0], &lm_cpu_of(devices[0][0])->references[c->op],
              &(run_options){extents, 0, -1}, &wanted);
    for (int isa = 0; isa < N_ISAS; isa++) {
        if (!devices[isa][0]) continue;
        check_kernels(&rows, isa, &wanted);
        bench packed;
        if (bench_init(&packed, c, devices[isa][0])) check_kernels(&packed, isa, &wanted);
        bench_deinit(&packed, devices[isa][0]);
    }
    result_deinit(&wanted);
    bench_deinit(&rows, NULL);
}

static void test_gradient(void **state) {
    gradient_check(*state, devices[0][1]);
}

static void time_case(const op_case *c) {
    for (int isa = 0; isa < N_ISAS; isa++) {
        for (int pack = 0; devices[isa][0] && pack < 2; pack++) {
            bench b;
            const lm_kernel *kernels[32];
            int n = 0;
            if (bench_init(&b, c, pack ? devices[isa][0] : NULL))
                n = list_kernels(&b, devices[isa][0], kernels, 31);
            int64_t extents[LM_N_EXTENTS];
            bench_extents(&b, extents);
            for (int i = 0; i < n; i++) {
                lm_cost cost = lm_node_cost(b.node, extents);
                double ns = (double)bench_time_ns(&b, devices[isa][0], kernels[i]);
                printf("%-32s %-36s %10.0f ns %8.2f GFLOP/s %8.2f GB/s\n", c->label,
                       kernels[i]->name, ns, (double)cost.flops / ns, (double)cost.bytes / ns);
            }
            bench_deinit(&b, devices[isa][0]);
        }
    }
}

static int time_all(const char *label) {
    int n;
    const op_case *cases = conformance_cases(&n);
    open_devices(NULL);
    for (int i = 0; i < n; i++)
        if (!label || strstr(cases[i].label, label)) time_case(&cases[i]);
    return close_devices(NULL);
}

/* FNV-1a over the outputs of the kernel that the device chooses. */
static uint64_t bits_of(const bench *b, lm_device *device) {
    int64_t extents[LM_N_EXTENTS];
    bench_extents(b, extents);
    result r;
    bench_run(b, device, device->backend->select(device, b->node), &(run_options){extents, 0, -1},
              &r);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < r.n; i++)
        for (size_t at = 0; at < (size_t)lm_bytes_now(b->node->out[i], extents); at++)
            hash = (hash ^ r.bytes[i][at]) * 0x100000001b3u;
    result_deinit(&r);
    return hash;
}

static int print_bits(void) {
    int n;
    const op_case *cases = conformance_cases(&n);
    lm_device *device;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &device, &err));
    for (int i = 0; i < n; i++) {
        for (int pack = 0; pack < 2 && !gradient_wanted(&cases[i]); pack++) {
            bench b;
            if (bench_init(&b, &cases[i], pack ? device : NULL))
                printf("%s%s: %016llx\n", cases[i].label, pack ? " packed" : "",
                       (unsigned long long)bits_of(&b, device));
            bench_deinit(&b, device);
        }
    }
    lm_device_close(device);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bits") == 0) return print_bits();
    if (argc > 1 && strcmp(argv[1], "--time") == 0) return time_all(argc > 2 ? argv[2] : NULL);
    int n;
    const op_case *cases = conformance_cases(&n);
    struct CMUnitTest *tests = lm_calloc((size_t)n, sizeof *tests);
    if (!tests) return 1;
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){.name = cases[i].label,
                                       .test_func = gradient_wanted(&cases[i]) ? test_gradient
                                                                               : test_kernels,
                                       .initial_state = (void *)&cases[i]};
    int failed =
        _cmocka_run_group_tests("conformance", tests, (size_t)n, open_devices, close_devices);
    lm_free(tests);
    return failed;
}
