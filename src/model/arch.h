/* Architectures as data: which parameters a model has, their names and shapes, and the forward pass they make.
 *
 * A family (today the Llama family: pre-norm decoder blocks of attention and gated MLP) is one parameter table
 * (params.def) and one graph builder. A member of the family is one row of archs.def. Options that differ between
 * members and between models (biases, tied head) are features: bits on which parameters depend. The
 * same builder serves inference (weights, paged KV cache) and training (trained states, attention over whole
 * sequences): the caller says where parameters come from and how rows attend.
 *
 *     config  --lm_param_in, _shape, _name-->  tensors to find in a file, to create in training, to write on export
 *     config  --lm_arch_forward------------->  graph: tokens, positions -> logits
 *     config  --lm_arch_loss---------------->  graph: tokens, positions, targets -> loss
 */
#ifndef LM_MODEL_ARCH_H
#define LM_MODEL_ARCH_H

#include "base/str.h"
#include "compute/graph.h"
#include "model/hparams.h"

/* One parameter of a model; those with a layer exist once a layer. */
typedef enum lm_param_id {
#define LM_PARAM(id, gguf, hf, n_out, n_in, feature) LM_PARAM_##id,
#include "model/params.def"
#undef LM_PARAM
    LM_PARAM_COUNT,
} lm_param_id;

typedef enum lm_feature {
    LM_FEATURE_ALWAYS = 0,
    LM_FEATURE_UNTIED_HEAD =
        1 << 0, /* an output matrix of its own; without: the token embedding serves */
    LM_FEATURE_QKV_BIAS = 1 << 1,
    LM_FEATURE_OUT_BIAS = 1 << 2, /* on attention's output projection */
    LM_FEATURE_MLP_BIAS = 1 << 3,
    LM_FEATURE_QK_NORM = 1 << 4, /* RMS norm of every head of q and k before rope */
} lm_feature;

/* A member of the family. */
typedef struct lm_arch {
    const char *name;     /* general.architecture in GGUF, model_type in config.json; "llama" */
    const char *hf_class; /* config.json architectures[0] when exported */
    unsigned features;    /* what its members always have */
} lm_arch;

const lm_arch *lm_arch_find(const char *name); /* NULL: unknown */
size_t lm_arch_count(void);
const lm_arch *lm_arch_at(size_t index);

/* Everything a graph is built from. Plain data. */
typedef struct lm_arch_config {
    const lm_arch *arch;
    lm_hparams hparams;
    unsigned features; /* lm_feature bits */
} lm_arch_config;

/* Refuses what makes no sense (lm_hparams_check) and what cannot be computed. */
loam_status lm_arch_config_check(const lm_arch_config *config, loam_error *err) LM_MUST_USE;

typedef enum lm_naming { LM_NAMING_GGUF, LM_NAMING_HF } lm_naming;

enum { LM_PARAM_NAME_BYTES = 96 };

bool lm_param_has_layer(lm_param_id id);
bool lm_param_in(const lm_arch_config *config, lm_param_id id); /* whether such a model has it */
lm_feature lm_param_feature(lm_param_id id);                    /* the one it depends on */
/* [n_out, n_in] or [n_out]; returns the number of dimensions. */
int lm_param_shape(const lm_arch_config *config, lm_param_id id, int64_t out_shape[2]);
/* layer is not read for parameters without one. */
void lm_param_name(lm_param_id id, int64_t layer, lm_naming naming, char out[LM_PARAM_NAME_BYTES]);
int64_t lm_arch_n_params(
    const lm_arch_config *config); /* elements of all parameters; a tied head counts once */

/* What the builder needs from its caller. The functions may fail by lm_graph_fail. */
typedef struct lm_forward_inputs {
    lm_tensor *tokens;    /* [rows] i32 */
    lm_tensor *positions; /* [rows] i32 */
    lm_tensor *inv_freq;  /* [rope_dim / 2] f32, from lm_rope_table */
    float rope_scale;     /* from lm_rope_table */
    bool bf16_products;   /* round what enters a matrix product to bf16: mixed-precision training */
    lm_tensor *out_rows;  /* [outs] i32: rows whose logits are wanted; NULL: all rows */
    /* The tensor of a parameter that lm_param_in says exists; layer is 0 for those without. LM_PARAM_OUTPUT_HEAD is
     * asked for in tied models too: the caller gives the embedding, in whatever layout it has for it. */
    lm_tensor *(*param)(void *ctx, lm_graph *graph, lm_param_id id, int64_t layer);
    /* Attention of one layer: q [rows, n_heads * head_dim], k and v [rows, n_kv_heads * head_dim], q and k after
     * rope. Returns [rows, n_heads * head_dim]. */
    lm_tensor *(*attend)(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                         lm_tensor *v);
    void *ctx;
} lm_forward_inputs;

/* Appends the forward pass; returns the logits [rows or outs, n_vocab] f32, or NULL (lm_graph_status says why). */
lm_tensor *lm_arch_forward(lm_graph *graph, const lm_arch_config *config,
                           const lm_forward_inputs *inputs);

/* The same with the mean cross-entropy [1] of the rows' logits at targets [rows] i32 (negative ones do not count) instead of the
 * logits, which are never all there. The output head must be a state where it is trained. */
lm_tensor *lm_arch_loss(lm_graph *graph, const lm_arch_config *config,
                        const lm_forward_inputs *inputs, lm_tensor *targets);

#endif
