/* EXPERTS over packed quantized weights. Rows of x that all their experts read are rounded once by each thread that multiplies
 * them, and products are stored where they belong. */
#include <string.h>

#include "backend/cpu/experts.h"
#include "compute/ops/experts.h"

/* A thread's part of the workspace. */
typedef struct room {
    void *order;      /* lm_cpu_share_experts' own */
    uint8_t *rounded; /* [R]: whether a row of x is */
    void *piece;      /* lm_quant_piece_fn's own */
} room;

/* Lays a thread's room out from `base` on; returns its bytes. */
static size_t lay_out(const lm_node *node, size_t piece_bytes, char *base, room *out) {
    lm_cpu_parts parts = {base, 0};
    out->order = lm_cpu_next_part(&parts, lm_cpu_experts_order_bytes(node));
    out->rounded = lm_cpu_next_part(&parts, (size_t)node->in[0]->shape[0]);
    out->piece = lm_cpu_next_part(&parts, piece_bytes);
    return parts.bytes;
}

size_t lm_cpu_quant_experts_bytes(const lm_device *device, const lm_node *node,
                                  size_t piece_bytes) {
    room unused;
    return (size_t)device->n_threads * lay_out(node, piece_bytes, NULL, &unused);
}

/* What a thread needs for its pieces. */
typedef struct worker {
    const lm_node *node;
    lm_quant_piece_fn *multiply;
    size_t expert_bytes;
    bool shared; /* x is the same for all choices of a row */
    room room;
} worker;

static void run_piece(void *worker_, const lm_expert_piece *piece) {
    const worker *w = worker_;
    lm_expert_product p;
    lm_expert_product_init(&p, w->node, piece->expert, w->expert_bytes, piece->n_slots, NULL, NULL);
    w->multiply(
        &(lm_quant_piece){
            .x = w->node->in[0],
            .w = &p.w,
            .bias = p.node.in[2],
            .y = w->node->out[0]->data,
            .slots = piece->slots,
            .n_slots = piece->n_slots,
            .slots_a_row = w->shared ? w->node->in[2]->shape[1] : 1,
            .panels = {piece->columns.begin / LM_QUANT_COLUMNS,
                       (piece->columns.end + LM_QUANT_COLUMNS - 1) / LM_QUANT_COLUMNS},
            .rounded = w->shared ? w->room.rounded : NULL,
        },
        w->room.piece);
}

void lm_cpu_quant_experts(const lm_kernel_args *args, lm_quant_piece_fn *multiply,
                          size_t piece_bytes) {
    const lm_node *node = args->node;
    const lm_tensor *weight = node->in[1];
    worker w = {.node = node,
                .multiply = multiply,
                .expert_bytes = lm_cpu_matrix_bytes(args->device, weight, weight->shape[1]),
                .shared = node->in[0]->shape[1] == weight->shape[2]};
    room unused;
    lay_out(node, piece_bytes,
            (char *)args->workspace +
                (size_t)args->thread * lay_out(node, piece_bytes, NULL, &unused),
            &w.room);
    memset(w.room.rounded, 0, (size_t)lm_rows_now(args, node->in[0]));
    lm_cpu_share_experts(args, w.room.order, run_piece, &w);
}
