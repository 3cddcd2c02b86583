#include "model/imatrix_gather.h"

#include "compute/plan.h"
#include "model/session.h"

enum { STEP_ROWS = 128 };

/* The parameter that this weight is, by its name in the graph. */
static bool find_param(const lm_model *model, const char *weight, char out[LM_PARAM_NAME_BYTES]) {
    int64_t n_layers = lm_stored_layers(&lm_model_config(model)->hparams);
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        int64_t n = lm_param_has_layer((lm_param_id)id) ? n_layers : 1;
        for (int64_t layer = 0; layer < n; layer++) {
            const lm_weight *param = lm_model_param(model, (lm_param_id)id, layer);
            if (!param || strcmp(param->name, weight) != 0) continue;
            lm_param_name((lm_param_id)id, layer, LM_NAMING_GGUF, out);
            return true;
        }
    }
    return false;
}

static loam_status add_product(lm_imatrix *imatrix, const lm_node *node, const char *name,
                               int64_t n_rows, loam_error *err) {
    const lm_tensor *x = node->in[0], *w = node->in[1], *ids = node->in[2];
    if (node->op == LM_OP_LINEAR)
        return lm_imatrix_add(imatrix, name, x->host, n_rows, x->shape[1], err);
    lm_imatrix_chosen rows = {.x = x->host,
                              .x_is_shared = x->shape[1] == w->shape[2],
                              .n_rows = n_rows,
                              .n_cols = w->shape[2],
                              .ids = ids->host,
                              .n_used = ids->shape[1],
                              .n_mats = w->shape[0]};
    return lm_imatrix_add_chosen(imatrix, name, &rows, err);
}

/* What entered the products of the last step. */
static loam_status add_step(lm_imatrix *imatrix, lm_session *session, int64_t n_rows,
                            loam_error *err) {
    const lm_graph *graph = lm_plan_graph(lm_session_plan(session));
    for (int i = 0; i < lm_graph_n_nodes(graph); i++) {
        const lm_node *node = lm_graph_node(graph, i);
        char name[LM_PARAM_NAME_BYTES];
        if (!lm_session_keeps(node) ||
            !find_param(lm_session_model(session), node->in[1]->name, name))
            continue;
        LM_TRY(add_product(imatrix, node, name, n_rows, err));
    }
    return LOAM_OK;
}

static loam_status add_chunk(lm_imatrix *imatrix, lm_session *session, int32_t seq,
                             const lm_text_chunks *chunks, int64_t chunk, loam_error *err) {
    lm_session_seq_truncate(session, seq, 0);
    for (int64_t at = 0; at < chunks->n_ctx; at += STEP_ROWS) {
        lm_step_row rows[STEP_ROWS];
        int64_t n_rows = chunks->n_ctx - at < STEP_ROWS ? chunks->n_ctx - at : STEP_ROWS;
        for (int64_t i = 0; i < n_rows; i++)
            rows[i] =
                (lm_step_row){.token = lm_text_chunk_token(chunks, chunk, at + i), .seq = seq};
        LM_TRY(lm_session_step(session, rows, n_rows, err));
        LM_TRY(add_step(imatrix, session, n_rows, err));
    }
    return LOAM_OK;
}

static loam_status add_chunks(lm_imatrix *imatrix, lm_session *session,
                              const lm_text_chunks *chunks, lm_imatrix_progress_fn *fn, void *ctx,
                              loam_error *err) {
    int32_t seq;
    LM_TRY(lm_session_seq_new(session, &seq, err));
    for (int64_t chunk = 0; chunk < chunks->n_chunks; chunk++) {
        LM_TRY(add_chunk(imatrix, session, seq, chunks, chunk, err));
        if (fn) fn(ctx, chunk + 1);
    }
    return LOAM_OK;
}

loam_status lm_imatrix_gather(lm_imatrix *imatrix, const lm_model *model,
                              const lm_text_chunks *chunks, lm_imatrix_progress_fn *fn, void *ctx,
                              loam_error *err) {
    lm_session *session;
    lm_session_options limits = {
        .max_rows = STEP_ROWS, .max_context = chunks->n_ctx, .keep_factors = true};
    LM_TRY(lm_session_new(model, &limits, &session, err));
    loam_status status = add_chunks(imatrix, session, chunks, fn, ctx, err);
    lm_session_free(session);
    return status;
}
