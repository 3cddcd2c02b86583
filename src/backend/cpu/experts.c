/* EXPERTS on the CPU: rows are put together by expert, so that a matrix is read once however many rows chose it, and multiplied
 * by the kernel that LINEAR would take for it (quantized weights: quant_experts.c).
 *
 * The step is one parallel region without a barrier. A piece of work is an expert that somebody chose and a slice of its
 * matrix's rows, which the thread that takes it multiplies alone: LINEAR of one thread. Every thread sorts the step's choices
 * for itself, which costs less than waiting for another to do it. An expert that one row chose, as in a step of one token, reads
 * x and writes y where they are.
 */
#include "backend/cpu/experts.h"

#include <string.h>

#include "compute/ops/experts.h"

enum {
    MIN_COLUMNS = 4 * LM_QUANT_COLUMNS, /* of a slice: whole panels of every type */
    MAX_COLUMNS = 2048,
    PIECES = 8, /* a thread, at least, as far as MIN_COLUMNS lets */
    MIN_ROWS = 32,
    MAX_ROWS = 256,      /* of x that are brought together at a time */
    ROWS_BYTES = 4 << 20 /* of them, about */
};

static int64_t div_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* A step's products, put together by expert. */
typedef struct order {
    int32_t *first; /* [E + 1] where an expert's begin */
    int32_t *slots; /* [products] */
} order;

static size_t lay_order_out(const lm_node *node, char *base, order *out) {
    size_t n = (size_t)(node->in[2]->shape[0] * node->in[2]->shape[1]),
           n_experts = (size_t)node->in[1]->shape[0];
    lm_cpu_parts parts = {base, 0};
    out->first = lm_cpu_next_part(&parts, (n_experts + 1) * sizeof *out->first);
    out->slots = lm_cpu_next_part(&parts, n * sizeof *out->slots);
    return parts.bytes;
}

size_t lm_cpu_experts_order_bytes(const lm_node *node) {
    order unused;
    return lay_order_out(node, NULL, &unused);
}

/* Sorts n products by expert, in the order of rows, but those of none; returns how many experts have any. */
static int64_t sort(const lm_node *node, int64_t n, const order *o) {
    const int32_t *ids = lm_i32(node->in[2]);
    int64_t n_experts = node->in[1]->shape[0], n_chosen = 0;
    memset(o->first, 0, (size_t)(n_experts + 1) * sizeof *o->first);
    for (int64_t s = 0; s < n; s++) {
        LM_ASSERT(ids[s] >= 0);
        if (ids[s] < n_experts) o->first[ids[s] + 1]++;
    }
    for (int64_t e = 0; e < n_experts; e++) {
        n_chosen += o->first[e + 1] > 0;
        o->first[e + 1] += o->first[e];
    }
    for (int64_t s = 0; s < n; s++)
        if (ids[s] < n_experts) o->slots[o->first[ids[s]]++] = (int32_t)s;
    for (int64_t e = n_experts; e > 0; e--) o->first[e] = o->first[e - 1];
    o->first[0] = 0;
    return n_chosen;
}

/* Writes what choices of no expert give. */
static void clear(const lm_kernel_args *args, int64_t n) {
    const lm_node *node = args->node;
    size_t row_bytes = (size_t)node->in[1]->shape[1] * sizeof(float);
    lm_range slots = lm_share(args, n);
    for (int64_t s = slots.begin; s < slots.end; s++)
        if (lm_i32(node->in[2])[s] >= node->in[1]->shape[0])
            memset(lm_f32(node->out[0]) + s * node->in[1]->shape[1], 0, row_bytes);
}

/* Slices of each matrix: as few as give every thread its pieces. */
static int64_t slices_of(const lm_node *node, int64_t n_chosen, int n_threads) {
    int64_t n = node->in[1]->shape[1], least = div_up(n, MAX_COLUMNS), most = n / MIN_COLUMNS;
    int64_t wanted = n_threads == 1 ? 1 : div_up((int64_t)n_threads * PIECES, n_chosen);
    if (wanted > most) wanted = most;
    return wanted < least ? least : wanted;
}

void lm_cpu_share_experts(const lm_kernel_args *args, void *memory, lm_expert_piece_fn *run,
                          void *worker) {
    const lm_node *node = args->node;
    int64_t n = lm_rows_now(args, node->in[2]) * node->in[2]->shape[1];
    if (n == 0) return;
    order o;
    lay_order_out(node, memory, &o);
    clear(args, n);
    int64_t n_chosen = sort(node, n, &o);
    if (n_chosen == 0) return;
    int64_t n_slices = slices_of(node, n_chosen, args->n_threads);
    int64_t first_piece = 0, mine = lm_kernel_take(args, 0);
    for (int64_t e = 0; e < node->in[1]->shape[0]; e++) {
        if (o.first[e] == o.first[e + 1]) continue;
        for (; mine < first_piece + n_slices; mine = lm_kernel_take(args, 0))
            run(worker, &(lm_expert_piece){
                            .expert = e,
                            .columns = lm_range_split(node->in[1]->shape[1], LM_QUANT_COLUMNS,
                                                      (int)(mine - first_piece), (int)n_slices),
                            .slots = o.slots + o.first[e],
                            .n_slots = o.first[e + 1] - o.first[e]});
        first_piece += n_slices;
    }
}

/* A thread's part of the workspace. */
typedef struct room {
    void *order;  /* lm_cpu_share_experts' own */
    char *x;      /* [max_rows, K] */
    float *y;     /* [max_rows, columns of a slice] */
    void *linear; /* LINEAR's own */
} room;

/* Rows multiplied at a time, at most. */
static int64_t max_rows(const lm_node *node) {
    const lm_tensor *ids = node->in[2];
    int64_t n = ROWS_BYTES / (int64_t)lm_dtype_bytes(node->in[0]->dtype, node->in[1]->shape[2]),
            most = n < MIN_ROWS   ? MIN_ROWS
                   : n > MAX_ROWS ? MAX_ROWS
                                  : n;
    return most < ids->shape[0] * ids->shape[1] ? most : ids->shape[0] * ids->shape[1];
}

/* Rows of a matrix are columns of its product. */
static int64_t max_columns(const lm_node *node) {
    int64_t n = node->in[1]->shape[1];
    return n < MAX_COLUMNS ? n : MAX_COLUMNS;
}

/* Lays a thread's room out from `base` on; returns its bytes without LINEAR's. */
static size_t lay_out(const lm_node *node, char *base, room *out) {
    const lm_tensor *w = node->in[1];
    size_t n_rows = (size_t)max_rows(node);
    lm_cpu_parts parts = {base, 0};
    out->order = lm_cpu_next_part(&parts, lm_cpu_experts_order_bytes(node));
    out->x = lm_cpu_next_part(&parts, n_rows * lm_dtype_bytes(node->in[0]->dtype, w->shape[2]));
    out->y = lm_cpu_next_part(&parts, n_rows * (size_t)max_columns(node) * sizeof *out->y);
    out->linear = lm_cpu_next_part(&parts, 0);
    return parts.bytes;
}

/* LINEAR of a piece, the largest there can be: for sizes and the kernel. */
static const lm_kernel *kernel_of(const lm_device *device, const lm_node *node,
                                  lm_expert_product *out) {
    lm_expert_product_init(out, node, 0, 0, max_rows(node), NULL, NULL);
    out->w.shape[0] = out->y.shape[1] = max_columns(node);
    return device->backend->select(device, &out->node);
}

/* Of one thread's room, LINEAR's own included. */
static size_t room_bytes(const lm_device *device, const lm_node *node) {
    lm_expert_product p;
    room unused;
    kernel_of(device, node, &p);
    return lay_out(node, NULL, &unused) + lm_cpu_alone_bytes(device, &p.node);
}

static size_t workspace_bytes(const lm_device *device, const lm_node *node) {
    return (size_t)device->n_threads * room_bytes(device, node);
}

/* What a thread needs for its pieces. */
typedef struct worker {
    const lm_kernel_args *args;
    const lm_kernel *kernel;
    room room;
    size_t expert_bytes, row_bytes; /* of w and of x */
    int64_t max_rows;
} worker;

static const char *x_of(const worker *w, int32_t slot) {
    const lm_node *node = w->args->node;
    bool shared = node->in[0]->shape[1] == node->in[1]->shape[2];
    int64_t row = shared ? slot / node->in[2]->shape[1] : slot;
    return (const char *)node->in[0]->data + (size_t)row * w->row_bytes;
}

static float *y_of(const worker *w, int32_t slot, lm_range columns) {
    return lm_f32(w->args->node->out[0]) + slot * w->args->node->in[1]->shape[1] + columns.begin;
}

/* LINEAR of n rows at x with columns `columns` of an expert. */
static void multiply(const worker *w, int64_t expert, lm_range columns, int64_t n, const char *x,
                     float *y) {
    lm_expert_product p;
    lm_expert_product_init(&p, w->args->node, expert, w->expert_bytes, n, x, y);
    p.w.shape[0] = p.y.shape[1] = columns.end - columns.begin;
    p.w.data = (char *)p.w.data +
               lm_cpu_matrix_bytes(w->args->device, w->args->node->in[1], columns.begin);
    if (p.node.in[2]) {
        p.bias.shape[0] = columns.end - columns.begin;
        p.bias.data = (float *)p.bias.data + columns.begin;
    }
    lm_cpu_run_alone(w->kernel, w->args, &p.node, w->room.linear);
}

/* The products of n slots, which are at most max_rows. */
static void multiply_slots(const worker *w, int64_t expert, lm_range columns, const int32_t *slots,
                           int64_t n) {
    const room *r = &w->room;
    int64_t n_columns = columns.end - columns.begin;
    if (n == 1) {
        multiply(w, expert, columns, 1, x_of(w, slots[0]), y_of(w, slots[0], columns));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(r->x + (size_t)i * w->row_bytes, x_of(w, slots[i]), w->row_bytes);
    multiply(w, expert, columns, n, r->x, r->y);
    for (int64_t i = 0; i < n; i++)
        memcpy(y_of(w, slots[i], columns), r->y + i * n_columns, (size_t)n_columns * sizeof *r->y);
}

static void run_piece(void *worker_, const lm_expert_piece *piece) {
    const worker *w = worker_;
    for (int64_t s = 0; s < piece->n_slots; s += w->max_rows)
        multiply_slots(w, piece->expert, piece->columns, piece->slots + s,
                       piece->n_slots - s < w->max_rows ? piece->n_slots - s : w->max_rows);
}

static void experts(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const lm_tensor *weight = node->in[1];
    lm_expert_product p;
    worker w = {.args = args,
                .kernel = kernel_of(args->device, node, &p),
                .expert_bytes = lm_cpu_matrix_bytes(args->device, weight, weight->shape[1]),
                .row_bytes = lm_dtype_bytes(node->in[0]->dtype, weight->shape[2]),
                .max_rows = max_rows(node)};
    lay_out(node, (char *)args->workspace + (size_t)args->thread * room_bytes(args->device, node),
            &w.room);
    lm_cpu_share_experts(args, w.room.order, run_piece, &w);
}

extern const lm_kernel lm_kernel_experts;
const lm_kernel lm_kernel_experts = {"experts/grouped", NULL, workspace_bytes, experts};
