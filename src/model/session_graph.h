/* The graph of a session's step: a model's forward pass over rows of many sequences with the paged cache, planned
 * once.
 *
 * The session fills the inputs (their places are the plan's) and runs. Borrows model and cache. One thread at a
 * time.
 */
#ifndef LM_MODEL_SESSION_GRAPH_H
#define LM_MODEL_SESSION_GRAPH_H

#include "compute/plan.h"
#include "model/session.h"

typedef struct lm_session_graph {
    lm_graph *graph;
    lm_plan *plan;
    /* inputs, all i32 */
    lm_tensor *tokens;    /* [rows] */
    lm_tensor *positions; /* [rows] within its sequence, behind a model's position_offset */
    lm_tensor *
        seen; /* [rows] the last position that a row sees; of decoders, the positions themselves unless their vectors are counted otherwise */
    lm_tensor *at; /* [rows] where a row is, of an encoder whose rows see some positions only or see them otherwise; else NULL */
    lm_tensor *bias; /* [heads, distances] what is added to scores, a constant; NULL: nothing is */
    lm_tensor *types;    /* [rows] segments; NULL: the model has none */
    lm_tensor *slots;    /* [rows] where its key and value go */
    lm_tensor *states;   /* [rows] the slot of its sequence's state; NULL: the model keeps none */
    lm_tensor *row_seq;  /* [rows] its line in block_table */
    lm_tensor *table;    /* [seqs, table blocks] the sequences of this step */
    lm_tensor *out_rows; /* [outs] rows whose logits are wanted */
    lm_tensor *logits;   /* [outs, width of the head] f32, output */
} lm_session_graph;

loam_status lm_session_graph_init(lm_session_graph *sg, const lm_model *model, lm_kv_cache *cache,
                                  lm_state_cache *states, const lm_session_options *limits,
                                  loam_error *err) LM_MUST_USE;
void lm_session_graph_deinit(lm_session_graph *sg); /* zeroed and half-built ones too */

#endif
