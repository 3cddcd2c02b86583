/* HEAD_LINEAR on the CPU: a thread takes a head and some rows, and runs the kernel that LINEAR would take for the product,
 * alone: heads are many and their matrices small. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "compute/ops/experts.h"

enum { ROWS_AT_ONCE = 64 };

/* A thread's part of the workspace. */
typedef struct room {
    float *x, *y; /* [ROWS_AT_ONCE, K] and [ROWS_AT_ONCE, N]: a head's rows beside each other */
    void *linear; /* LINEAR's own */
} room;

/* Lays a room out from `base` on; returns its bytes without LINEAR's. */
static size_t lay_out(const lm_node *node, char *base, room *out) {
    const lm_tensor *w = node->in[1];
    lm_cpu_parts parts = {base, 0};
    out->x = lm_cpu_next_part(&parts, (size_t)(ROWS_AT_ONCE * w->shape[2]) * sizeof *out->x);
    out->y = lm_cpu_next_part(&parts, (size_t)(ROWS_AT_ONCE * w->shape[1]) * sizeof *out->y);
    out->linear = lm_cpu_next_part(&parts, 0);
    return parts.bytes;
}

static size_t room_bytes(const lm_device *device, const lm_node *node) {
    room unused;
    lm_expert_product p;
    lm_expert_product_init(&p, node, 0, 0, ROWS_AT_ONCE, NULL, NULL);
    return lay_out(node, NULL, &unused) + lm_cpu_alone_bytes(device, &p.node);
}

static size_t workspace_bytes(const lm_device *device, const lm_node *node) {
    return (size_t)device->n_threads * room_bytes(device, node);
}

/* What a thread works with. */
typedef struct worker {
    const lm_kernel_args *args;
    size_t head_bytes; /* from one head's matrix to the next */
    room room;
} worker;

/* Rows of a head; a single one is where it shall be. */
static void multiply(const worker *w, int64_t head, lm_range rows) {
    const lm_node *node = w->args->node;
    const lm_tensor *m = node->in[1];
    int64_t n_heads = m->shape[0], n_out = m->shape[1], n_in = m->shape[2],
            n = rows.end - rows.begin, first = rows.begin * n_heads + head;
    const float *x = lm_f32(node->in[0]) + first * n_in;
    float *y = lm_f32(node->out[0]) + first * n_out;
    lm_expert_product p;
    lm_expert_product_init(&p, node, head, w->head_bytes, n, n == 1 ? x : w->room.x,
                           n == 1 ? y : w->room.y);
    for (int64_t i = 0; n > 1 && i < n; i++)
        memcpy(w->room.x + i * n_in, x + i * n_heads * n_in, (size_t)n_in * sizeof *x);
    lm_cpu_run_alone(lm_backend_cpu.select(w->args->device, &p.node), w->args, &p.node,
                     w->room.linear);
    for (int64_t i = 0; n > 1 && i < n; i++)
        memcpy(y + i * n_heads * n_out, w->room.y + i * n_out, (size_t)n_out * sizeof *y);
}

static void head_linear(const lm_kernel_args *args) {
    const lm_node *node = args->node;
    const lm_device *device = args->device;
    int64_t n_rows = lm_rows_now(args, node->in[0]), n_heads = node->in[1]->shape[0],
            n_chunks = (n_rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    worker w = {.args = args,
                .head_bytes = lm_cpu_matrix_bytes(device, node->in[1], node->in[1]->shape[1])};
    lay_out(node, (char *)args->workspace + (size_t)args->thread * room_bytes(device, node),
            &w.room);
    for (int64_t piece; (piece = lm_kernel_take(args, 0)) < n_heads * n_chunks;) {
        int64_t begin = piece % n_chunks * ROWS_AT_ONCE, end = begin + ROWS_AT_ONCE;
        multiply(&w, piece / n_chunks, (lm_range){begin, end < n_rows ? end : n_rows});
    }
}

extern const lm_kernel lm_kernel_head_linear;
const lm_kernel lm_kernel_head_linear = {"head_linear/by_head", NULL, workspace_bytes, head_linear};
