/* EXPERTS on the CPU: rows are put together by expert, so that each matrix is read once however many rows chose it, and
 * multiplied by the kernel that LINEAR would take for it. */
#include "compute/ops/experts.h"

#include <string.h>

#include "backend/cpu/cpu.h"

/* The workspace, all of it sized for as many products as a step can have. */
typedef struct room {
    int32_t *first;     /* [E + 1] where an expert's products begin among the sorted */
    int32_t *slots;     /* [products] the k-th choice of row r is slot r * k_used + k */
    lm_ticket *tickets; /* [E][LM_N_TICKETS] */
    char *x;            /* [products, K] */
    float *y;           /* [products, N] */
    void *linear;       /* LINEAR's own */
} room;

static size_t align(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* Lays the room out from `base` on; returns its bytes without LINEAR's. */
static size_t lay_out(const lm_node *node, char *base, room *out) {
    const lm_tensor *w = node->in[1], *ids = node->in[2];
    size_t n = (size_t)(ids->shape[0] * ids->shape[1]), n_experts = (size_t)w->shape[0], at = 0;
    out->first = (int32_t *)(base + at);
    at += align((n_experts + 1) * sizeof *out->first);
    out->slots = (int32_t *)(base + at);
    at += align(n * sizeof *out->slots);
    out->tickets = (lm_ticket *)(base + at);
    at += align(n_experts * LM_N_TICKETS * sizeof *out->tickets);
    out->x = base + at;
    at += align(n * lm_dtype_bytes(node->in[0]->dtype, w->shape[2]));
    out->y = (float *)(base + at);
    at += align(n * (size_t)w->shape[1] * sizeof *out->y);
    out->linear = base + at;
    return at;
}

static size_t expert_bytes(const lm_device *device, const lm_tensor *w) {
    if (w->layout == LM_LAYOUT_ROWS) return lm_dtype_bytes(w->dtype, w->shape[1] * w->shape[2]);
    lm_weight one = {.dtype = w->dtype, .n_dims = 2, .shape = {w->shape[1], w->shape[2]}};
    return lm_cpu_packed_bytes(device, &one);
}

/* LINEAR of all products at once, for sizes. */
static void largest_product(const lm_node *node, lm_expert_product *out) {
    lm_expert_product_init(out, node, 0, 0, node->in[2]->shape[0] * node->in[2]->shape[1], NULL,
                           NULL);
}

static size_t workspace_bytes(const lm_device *device, const lm_node *node) {
    room unused;
    lm_expert_product p;
    largest_product(node, &p);
    const lm_kernel *kernel = device->backend->select(device, &p.node);
    size_t linear = kernel->workspace_bytes ? kernel->workspace_bytes(device, &p.node) : 0;
    return lay_out(node, NULL, &unused) + linear;
}

/* Sorts the products by expert, in the order of rows. */
static void sort(const lm_node *node, int64_t n, const room *r) {
    const int32_t *ids = lm_i32(node->in[2]);
    int64_t n_experts = node->in[1]->shape[0];
    memset(r->first, 0, (size_t)(n_experts + 1) * sizeof *r->first);
    memset(r->tickets, 0, (size_t)n_experts * LM_N_TICKETS * sizeof *r->tickets);
    for (int64_t s = 0; s < n; s++) {
        LM_ASSERT(ids[s] >= 0 && ids[s] < n_experts);
        r->first[ids[s] + 1]++;
    }
    for (int64_t e = 0; e < n_experts; e++) r->first[e + 1] += r->first[e];
    for (int64_t s = 0; s < n; s++) r->slots[r->first[ids[s]]++] = (int32_t)s;
    for (int64_t e = n_experts; e > 0; e--) r->first[e] = r->first[e - 1];
    r->first[0] = 0;
}

/* This thread's share of the rows to where their expert finds them. */
static void gather(const lm_kernel_args *args, int64_t n, const room *r) {
    const lm_tensor *x = args->node->in[0], *w = args->node->in[1], *ids = args->node->in[2];
    bool shared = x->shape[1] == w->shape[2];
    size_t row_bytes = lm_dtype_bytes(x->dtype, w->shape[2]);
    lm_range share = lm_share(args, n);
    for (int64_t i = share.begin; i < share.end; i++) {
        int64_t row = shared ? r->slots[i] / ids->shape[1] : r->slots[i];
        memcpy(r->x + (size_t)i * row_bytes, (const char *)x->data + (size_t)row * row_bytes,
               row_bytes);
    }
}

static void scatter(const lm_kernel_args *args, int64_t n, const room *r) {
    int64_t n_out = args->node->in[1]->shape[1];
    float *y = lm_f32(args->node->out[0]);
    lm_range share = lm_share(args, n);
    for (int64_t i = share.begin; i < share.end; i++)
        memcpy(y + r->slots[i] * n_out, r->y + i * n_out, (size_t)n_out * sizeof *y);
}

static void multiply(const lm_kernel_args *args, const room *r) {
    const lm_device *device = args->device;
    const lm_node *node = args->node;
    const lm_tensor *w = node->in[1];
    size_t step = expert_bytes(device, w),
           row_bytes = lm_dtype_bytes(node->in[0]->dtype, w->shape[2]);
    lm_expert_product p;
    largest_product(node, &p);
    const lm_kernel *kernel = device->backend->select(device, &p.node);
    for (int64_t e = 0; e < w->shape[0]; e++) {
        int64_t begin = r->first[e], count = r->first[e + 1] - begin;
        if (count == 0) continue;
        lm_expert_product_init(&p, node, e, step, count, r->x + (size_t)begin * row_bytes,
                               r->y + begin * w->shape[1]);
        lm_kernel_args one = *args;
        one.node = &p.node;
        one.workspace = r->linear;
        one.tickets = r->tickets + e * LM_N_TICKETS;
        kernel->run(&one);
        args->barrier(args->device); /* LINEAR's workspace is used again */
    }
}

static void experts(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    int64_t n = lm_rows_now(args, node->in[2]) * node->in[2]->shape[1];
    room r;
    lay_out(node, args->workspace, &r);
    if (args->thread == 0) sort(node, n, &r);
    args->barrier(args->device);
    gather(args, n, &r);
    args->barrier(args->device);
    multiply(args, &r);
    scatter(args, n, &r);
}

extern const lm_kernel lm_kernel_experts;
const lm_kernel lm_kernel_experts = {"experts/grouped", NULL, workspace_bytes, experts};
