#include "testing.h"

#include "harness.h"

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/rng.h"
#include "compute/device.h"
#include "compute/ops/rules.h"

enum { GUARD_BYTES = 64, CANARY = 0xA5 };

static float next_f32(lm_rng *rng, fill how) {
    switch (how) {
    case FILL_POSITIVE: return 0.1f + lm_rng_f32(rng);
    case FILL_LOG_SUM: return 4.0f + lm_rng_f32(rng);
    default: return lm_rng_normal(rng);
    }
}

static void fill_i32(lm_rng *rng, const case_input *in, int32_t *dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (in->fill == FILL_TARGETS)
            dst[i] = (int32_t)lm_rng_below(rng, (uint64_t)in->limit + 1) - 1;
        else if (in->fill == FILL_RAMP)
            dst[i] = in->limit + (int32_t)i;
        else if (in->fill == FILL_DISTINCT)
            dst[i] = i % 5 == 4 ? -1 : (int32_t)((i * 37 + 11) % in->limit);
        else
            dst[i] = (int32_t)lm_rng_below(rng, (uint64_t)in->limit);
    }
}

static int64_t n_elems(const case_input *in) {
    int64_t n = 1;
    for (int i = 0; i < in->n_dims; i++) n *= in->shape[i];
    return n;
}

/* How large codes are: those of a vector are no longer than LM_CODE_LENGTH. */
static float magnitude_of(lm_dtype dtype) {
    return dtype == LM_I8 ? 30.0f : dtype == LM_I16 ? 1000.0f : 1.0f;
}

static void *fill_input(lm_rng *rng, const case_input *in) {
    int64_t n = n_elems(in);
    void *dst = lm_alloc(lm_dtype_bytes(in->dtype, n));
    assert_non_null(dst);
    if (in->dtype == LM_I32) {
        fill_i32(rng, in, dst, n);
        return dst;
    }
    float *x = lm_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = next_f32(rng, in->fill) * magnitude_of(in->dtype);
    lm_dtype_get(in->dtype)->pack(x, dst, n);
    lm_free(x);
    return dst;
}

static lm_weight weight_of(const bench *b, int i) {
    const case_input *in = &b->c->in[i];
    lm_weight weight = {
        .name = "w", .dtype = in->dtype, .n_dims = in->n_dims, .data = b->pristine[i]};
    memcpy(weight.shape, in->shape, sizeof weight.shape);
    return weight;
}

static lm_tensor *tensor_of(const bench *b, int i) {
    const case_input *in = &b->c->in[i];
    if (in->role == LM_ROLE_WEIGHT) {
        lm_weight weight = weight_of(b, i);
        return lm_graph_weight(b->graph, i == 1 && b->packed.data ? &b->packed : &weight);
    }
    if (in->role == LM_ROLE_STATE)
        return lm_graph_state(b->graph, "s", in->dtype, in->n_dims, in->shape, b->pristine[i],
                              NULL);
    lm_tensor *tensor = lm_graph_input(b->graph, "x", in->dtype, in->extent, in->n_dims, in->shape);
    if (tensor) tensor->data = b->pristine[i];
    return tensor;
}

bool bench_init(bench *b, const op_case *c, lm_device *packer) {
    *b = (bench){.c = c};
    lm_rng rng;
    lm_rng_init(&rng, 7);
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (c->in[i].n_dims) b->pristine[i] = fill_input(&rng, &c->in[i]);
    assert_ok(lm_graph_new(&b->graph, &err));
    bool constant_matrix =
        (c->op == LM_OP_LINEAR || c->op == LM_OP_EXPERTS || c->op == LM_OP_HEAD_LINEAR) &&
        c->in[1].role == LM_ROLE_WEIGHT;
    if (packer) {
        lm_weight weight = weight_of(b, 1);
        if (!constant_matrix || lm_device_pack(packer, &weight, &b->packed, NULL) != LOAM_OK)
            return false;
    }
    lm_op_args args = {.attrs = c->attrs};
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (c->in[i].n_dims) args.in[i] = tensor_of(b, i);
    lm_tensor *out = lm_graph_op(b->graph, c->op, &args);
    assert_ok(lm_graph_status(b->graph, &err));
    b->node = out->producer;
    return true;
}

void bench_deinit(bench *b, lm_device *packer) {
    if (b->packed.data) packer->backend->free(packer, (void *)b->packed.data);
    for (int i = 0; i < LM_MAX_INPUTS; i++) lm_free(b->pristine[i]);
    lm_graph_free(b->graph);
}

void bench_extents(const bench *b, int64_t extents[LM_N_EXTENTS]) {
    memset(extents, 0, LM_N_EXTENTS * sizeof *extents);
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (b->c->in[i].n_dims) extents[b->c->in[i].extent] = b->c->in[i].shape[0];
    bool paged = b->c->op == LM_OP_ATTENTION_PAGED || b->c->op == LM_OP_CHOOSE;
    const int32_t *row_pos = paged ? b->pristine[3] : NULL;
    for (int64_t r = 0; row_pos && r < extents[LM_EXTENT_ROWS]; r++)
        extents[LM_EXTENT_CONTEXT] = extents[LM_EXTENT_CACHED] += row_pos[r] + 1;
}

static uint8_t *guarded(size_t size) {
    uint8_t *bytes = lm_alloc_aligned(64, size + GUARD_BYTES);
    assert_non_null(bytes);
    memset(bytes, CANARY, size + GUARD_BYTES);
    return bytes;
}

/* Points inputs at their data and outputs at fresh buffers; those in place get a copy of their
 * input. */
static void bind(const bench *b, const run_options *options, result *out) {
    const lm_node *node = b->node;
    for (int i = 0; i < node->n_inputs; i++) {
        lm_tensor *in = node->in[i];
        if (!in) continue;
        in->data = i == 1 && b->packed.data ? (void *)b->packed.data : b->pristine[i];
        if (in->extent == LM_EXTENT_ROWS)
            in->data = (char *)in->data +
                       lm_dtype_bytes(in->dtype, options->first_row * lm_tensor_row_elems(in));
    }
    out->n = node->n_outputs;
    for (int i = 0; i < out->n; i++) {
        lm_tensor *tensor = node->out[i], *source = tensor->alias;
        if (i == 0 && options->take_over >= 0) source = node->in[options->take_over];
        out->size[i] = lm_tensor_bytes(tensor);
        out->bytes[i] = guarded(out->size[i]);
        tensor->data = out->bytes[i];
        if (!source) continue;
        memcpy(tensor->data, source->data, (size_t)lm_bytes_now(source, options->extents));
        source->data = tensor->data;
    }
}

static void check_untouched(const bench *b, const run_options *options, const result *out) {
    for (int i = 0; i < out->n; i++) {
        size_t written = (size_t)lm_bytes_now(b->node->out[i], options->extents);
        for (size_t at = written; at < out->size[i] + GUARD_BYTES; at++)
            if (out->bytes[i][at] != CANARY)
                fail_msg("output %d: byte %zu of %zu was written", i, at, written);
    }
}

static void *new_workspace(const bench *b, lm_device *device, const lm_kernel *kernel) {
    size_t size_bytes = kernel->workspace_bytes ? kernel->workspace_bytes(device, b->node) : 0;
    void *workspace = NULL;
    if (size_bytes) assert_ok(device->backend->alloc(device, size_bytes, &workspace, &err));
    return workspace;
}

typedef struct direct_run {
    const bench *b;
    const lm_kernel *kernel;
    const int64_t *extents;
    void *workspace;
    lm_device *device;
    lm_ticket tickets[LM_N_TICKETS];
} direct_run;

static void meet(void *device) {
    lm_pool_barrier(lm_cpu_of(device)->pool);
}

static void run_share(void *arg, int thread, int n_threads) {
    direct_run *run = arg;
    run->kernel->run(&(lm_kernel_args){.node = run->b->node,
                                       .extents = run->extents,
                                       .thread = thread,
                                       .n_threads = n_threads,
                                       .workspace = run->workspace,
                                       .barrier = meet,
                                       .device = run->device,
                                       .tickets = run->tickets});
}

/* Around the device's own run, which gives steps as short as these to one thread. */
static void run_shared(const bench *b, lm_device *device, const lm_kernel *kernel,
                       const int64_t *extents, void *workspace) {
    direct_run run = {b, kernel, extents, workspace, device, {{0}}};
    lm_pool_run(lm_cpu_of(device)->pool, run_share, &run);
}

void bench_run(const bench *b, lm_device *device, const lm_kernel *kernel,
               const run_options *options, result *out) {
    *out = (result){0};
    bind(b, options, out);
    void *workspace = new_workspace(b, device, kernel);
    run_shared(b, device, kernel, options->extents, workspace);
    if (workspace) device->backend->free(device, workspace);
    check_untouched(b, options, out);
}

void result_deinit(result *r) {
    for (int i = 0; i < r->n; i++) lm_free(r->bytes[i]);
    *r = (result){0};
}

int64_t bench_time_ns(const bench *b, lm_device *device, const lm_kernel *kernel) {
    int64_t extents[LM_N_EXTENTS], best_ns = INT64_MAX;
    bench_extents(b, extents);
    result out = {0};
    bind(b, &(run_options){extents, 0, -1}, &out);
    void *workspace = new_workspace(b, device, kernel);
    for (int i = 0; i < 20; i++) {
        int64_t begin_ns = lm_clock_mono_ns();
        run_shared(b, device, kernel, extents, workspace);
        int64_t took_ns = lm_clock_mono_ns() - begin_ns;
        if (took_ns < best_ns) best_ns = took_ns;
    }
    if (workspace) device->backend->free(device, workspace);
    result_deinit(&out);
    return best_ns;
}
