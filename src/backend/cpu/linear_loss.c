/* LINEAR_CROSS_ENTROPY for each instruction set: products of gemm.h, some rows after the others, so that logits stay near. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/linear.h"
#include "backend/cpu/loss_rows.h"
#include "compute/ops/mean_loss.h"

/* Rows at a time: enough that bringing w into order and going over its gradient cost little beside the products. Even, so
 * that pairs of rows stay together; the gradient of w goes on with every chunk where the one before ended. */
enum { CHUNK_ROWS = 512 };

/* Rows of logits are apart by no multiple of a page, which would put a column of them into few sets of a cache. */
static int64_t logits_stride(const lm_node *node) {
    enum { LINE = 16, PAGE = 1024 };
    int64_t stride = (node->in[1]->shape[0] + LINE - 1) / LINE * LINE;
    return stride % PAGE == 0 ? stride + LINE : stride;
}

static int64_t most_rows(const lm_node *node) {
    int64_t n = node->in[0]->shape[0];
    return n < CHUNK_ROWS ? n : CHUNK_ROWS;
}

static bool in_pairs(const lm_node *node) {
    return node->in[1]->dtype == LM_BF16;
}

/* The workspace: logits of a chunk, the targets' logits of all rows, and then the products' scratch. */
static size_t logits_bytes(const lm_node *node) {
    return (size_t)(most_rows(node) * logits_stride(node)) * sizeof(float);
}

static size_t targets_bytes(const lm_node *node) {
    return (size_t)(node->in[0]->shape[0] + 15) / 16 * 64;
}

static size_t workspace_bytes(const lm_device *device, const lm_node *node) {
    return logits_bytes(node) + targets_bytes(node) +
           (size_t)device->n_threads * sizeof(float) *
               (size_t)lm_gemm_scratch_elems(LM_GEMM_K_ROWS, 0);
}

typedef struct loss_run {
    const lm_kernel_args *args;
    lm_gemm_fn *gemm;
    lm_loss_rows_fn *loss_rows;
    lm_loss_rows loss; /* of the whole batch, but for `logits`, which are a chunk's */
    void *scratch;
} loss_run;

static void multiply(const loss_run *run, const lm_gemm *gemm) {
    run->gemm(gemm, run->args->thread, run->args->n_threads, run->scratch);
}

static void barrier(const loss_run *run) {
    run->args->barrier(run->args->device);
}

static void run_loss_rows(const loss_run *run, lm_range rows) {
    lm_loss_rows chunk = run->loss;
    chunk.targets += rows.begin;
    chunk.lse += rows.begin;
    chunk.at_target += rows.begin;
    run->loss_rows(&chunk, lm_share(run->args, rows.end - rows.begin));
}

/* Loss and gradients of some rows. */
static void run_chunk(const loss_run *run, lm_range rows) {
    const lm_node *node = run->args->node;
    const lm_tensor *w = node->in[1];
    int64_t n_rows = rows.end - rows.begin, n_in = w->shape[1], n_classes = w->shape[0],
            per_f32 = run->loss.d_dtype == LM_BF16 ? 2 : 1;
    lm_matrix x = {lm_at(node->in[0], rows.begin * n_in), node->in[0]->dtype, n_in},
              d_logits = {run->loss.logits, run->loss.d_dtype, run->loss.stride * per_f32};
    lm_gemm logits = lm_linear_y(n_rows, x, w, run->loss.logits, run->loss.stride);
    multiply(run, &logits);
    barrier(run);
    run_loss_rows(run, rows);
    if (!run->loss.with_gradients) return;
    barrier(run);
    lm_gemm dx = lm_linear_dx(n_rows, d_logits, w, NULL, lm_f32(node->out[2]) + rows.begin * n_in);
    multiply(run, &dx);
    if (node->n_outputs < 4) return;
    lm_gemm dw = lm_linear_dw(n_rows, d_logits, n_classes, x, n_in, lm_f32(node->out[3]), true);
    multiply(run, &dw);
}

static float mean_loss(const lm_loss_rows *loss, int64_t n_rows) {
    lm_mean_loss mean = {0};
    for (int64_t r = 0; r < n_rows; r++)
        if (loss->targets[r] >= 0) lm_mean_loss_add(&mean, loss->lse[r], loss->at_target[r]);
    return lm_mean_loss_end(&mean);
}

static void run_loss(const lm_kernel_args *args, lm_gemm_fn *gemm, lm_loss_rows_fn *loss_rows) {
    const lm_node *node = args->node;
    const int32_t *targets = lm_i32(node->in[2]);
    int64_t n_rows = lm_rows_now(args, node->in[0]);
    char *workspace = args->workspace;
    loss_run run = {
        .args = args,
        .gemm = gemm,
        .loss_rows = loss_rows,
        .loss = {.logits = args->workspace,
                 .stride = logits_stride(node),
                 .n_classes = node->in[1]->shape[0],
                 .targets = targets,
                 .lse = lm_f32(node->out[1]),
                 .at_target = (float *)(workspace + logits_bytes(node)),
                 .with_gradients = node->n_outputs > 2,
                 .d_dtype = in_pairs(node) ? LM_BF16 : LM_F32,
                 .scale = lm_mean_loss_scale(targets, n_rows, 1.0f)},
        .scratch = workspace + logits_bytes(node) + targets_bytes(node),
    };
    for (int64_t r = 0; r < n_rows; r += CHUNK_ROWS) {
        run_chunk(&run, (lm_range){r, r + CHUNK_ROWS < n_rows ? r + CHUNK_ROWS : n_rows});
        barrier(&run); /* the next chunk's logits take the place of this one's */
    }
    if (args->thread == 0) *lm_f32(node->out[0]) = mean_loss(&run.loss, n_rows);
}

static bool any(const lm_node *node) {
    return true;
}

static bool all_in_pairs(const lm_node *node) {
    return in_pairs(node) && node->in[0]->dtype == LM_BF16;
}

/* The kernel of one instruction set, for nodes of which `takes` is true. rows: the set whose code goes over rows. */
#define LOSS_KERNEL(set, name, SET, rows, takes)                              \
    static bool applies_##set(const lm_device *device, const lm_node *node) { \
        return lm_cpu_of(device)->isa >= LM_CPU_##SET && takes(node);         \
    }                                                                         \
    static void loss_##set(const lm_kernel_args *args) {                      \
        run_loss(args, lm_gemm_##set, lm_loss_rows_##rows);                   \
    }                                                                         \
    const lm_kernel lm_kernel_linear_cross_entropy_##set = {                  \
        "linear_cross_entropy/" name, applies_##set, workspace_bytes, loss_##set};

#if defined(__x86_64__)
LOSS_KERNEL(avx2, "avx2", AVX2, avx2, any)
LOSS_KERNEL(avx512, "avx512", AVX512, avx512, any)
LOSS_KERNEL(avx512_bf16, "avx512-bf16", AVX512_BF16, avx512, all_in_pairs)
#elif defined(__aarch64__)
LOSS_KERNEL(neon, "neon", NEON, neon, any)
#endif
