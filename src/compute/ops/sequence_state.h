/* What ops that keep a state for each sequence share: CAUSAL_CONV, RECUR, SCAN.
 *
 * A state is a slot of a STATE tensor. Rows of one sequence come in order, others' between them or not; each row goes on from
 * what the row before it left in the slot, be it of this step or of one before. So a row's result depends on its
 * sequence alone, and not on how that was cut into steps. */
#ifndef LM_COMPUTE_OPS_SEQUENCE_STATE_H
#define LM_COMPUTE_OPS_SEQUENCE_STATE_H

#include "compute/ops/rules.h"

/* Inputs of these ops, and the output that is the state. */
enum {
    LM_IN_STATE = 3, /* STATE [S, ...] f32, in place: a slot for each sequence */
    LM_IN_ROW_POS,   /* [R] i32: a row at 0 begins anew, whatever its slot holds */
    LM_IN_ROW_STATE, /* [R] i32: a row's slot */
    LM_OUT_STATE = 1,
};

/* Of rows that x has, n_dims with the slot. */
static inline bool lm_sequence_state_ok(const lm_node *node, const lm_tensor *x, int n_dims) {
    const lm_tensor *state = node->in[LM_IN_STATE], *pos = node->in[LM_IN_ROW_POS],
                    *slot = node->in[LM_IN_ROW_STATE];
    return state && pos && slot && state->role == LM_ROLE_STATE && lm_is(state, LM_F32, n_dims) &&
           lm_is(pos, LM_I32, 1) && lm_is(slot, LM_I32, 1) && lm_same_rows(x, pos) &&
           lm_same_rows(x, slot);
}

/* Where row r's state is. */
static inline float *lm_row_state(const lm_node *node, int64_t r) {
    const lm_tensor *state = node->out[LM_OUT_STATE];
    int32_t slot = lm_i32(node->in[LM_IN_ROW_STATE])[r];
    LM_ASSERT(slot >= 0 && slot < state->shape[0]);
    return lm_f32(state) + slot * lm_tensor_row_elems(state);
}

static inline bool lm_row_is_first(const lm_node *node, int64_t r) {
    return lm_i32(node->in[LM_IN_ROW_POS])[r] == 0;
}

/* RECUR: where a head's key and query begin, and what its state decays by at a row. */
static inline int64_t lm_recur_key(const lm_node *node, int64_t r, int64_t head) {
    const lm_attrs *a = &node->attrs;
    int64_t of = a->tiled ? head % a->n_kv_heads : head / (a->n_heads / a->n_kv_heads);
    return (r * a->n_kv_heads + of) * a->head_dim;
}

/* Whether each element of keys, a row of the state, has a step of its own. */
static inline bool lm_recur_by_key(const lm_node *node) {
    return node->in[6]->shape[1] != node->attrs.n_heads;
}

/* Of element i of keys where each has its own, else i is 0. */
static inline float lm_recur_decay(const lm_node *node, int64_t r, int64_t head, int64_t i) {
    int64_t n_steps = node->in[6]->shape[1], of_head = n_steps / node->attrs.n_heads;
    float step = lm_f32(node->in[6])[r * n_steps + head * of_head + i],
          power = lm_f32(node->in[7])[head] * step, bound = node->attrs.scale;
    return lm_exp(bound > 0.0f ? -bound * lm_sigmoid(-power) : power);
}

/* Bytes of states that a run reads, and as many that it writes: those of its sequences. */
static inline int64_t lm_states_now(const lm_node *node, const int64_t *extents) {
    int64_t n = lm_tensor_row_elems(node->in[LM_IN_STATE]);
    return extents[LM_EXTENT_SEQS] * n * (int64_t)sizeof(float);
}

#endif
