/* Architectures as data: which parameters a model has, their names and shapes, and the forward pass they make.
 *
 * An architecture is a row of archs.def: its names, the blocks it is made of, and how its files spell things. The blocks
 * (norms before, behind or beside attention and MLP, gated or not, biases) are features: bits on which parameters depend
 * (params.def) and by which the one graph builder (forward.c) goes. Numbers that differ between models are lm_hparams.
 * The same builder serves inference (weights, paged KV cache) and training (trained states, attention over whole
 * sequences): the caller says where parameters come from and how rows attend.
 *
 *     config  --lm_param_in, _shape, _name-->  tensors to find in a file, to create in training, to write on export
 *     config  --lm_arch_forward------------->  graph: tokens, positions -> logits
 *     config  --lm_arch_loss---------------->  graph: tokens, positions, targets -> loss
 *
 * A file may hold a parameter under another name than the table's, or as part of a tensor: spellings.def, param_source.h.
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

#define LM_BIT(n) (1ull << (n))

/* What parameters and the builder depend on; a new one takes the next free number. */
typedef enum lm_feature {
    LM_FEATURE_ALWAYS = 0,
    LM_FEATURE_UNTIED_HEAD = LM_BIT(0), /* an output matrix of its own, not the token embedding */
    LM_FEATURE_QKV_BIAS = LM_BIT(1),
    LM_FEATURE_OUT_BIAS = LM_BIT(2),   /* on attention's output projection */
    LM_FEATURE_MLP_BIAS = LM_BIT(3),   /* on the MLP's matrix up */
    LM_FEATURE_QK_NORM = LM_BIT(4),    /* of q and k before rope: of every head, or see WHOLE */
    LM_FEATURE_ATTN_NORM = LM_BIT(5),  /* before attention */
    LM_FEATURE_MLP_NORM = LM_BIT(6),   /* before the MLP; else it reads what attention does */
    LM_FEATURE_POST_NORM = LM_BIT(7),  /* behind both, before they are added to the stream */
    LM_FEATURE_NORM_BIAS = LM_BIT(8),  /* of the layer norms */
    LM_FEATURE_GATE = LM_BIT(9),       /* the MLP is act(gate) * up, not act(up) */
    LM_FEATURE_GATE_BIAS = LM_BIT(10), /* on the matrix gate */
    LM_FEATURE_POSITION_EMBED = LM_BIT(11), /* a learned vector of each position is added */
    LM_FEATURE_SINKS = LM_BIT(12),          /* a score without a value in every head's softmax */
    LM_FEATURE_QK_NORM_WHOLE = LM_BIT(13),  /* that of q and k, or its weight, spans all heads */
    LM_FEATURE_LAYER_NORM = LM_BIT(14),     /* norms are layer norms, not RMS norms */
    LM_FEATURE_PARALLEL = LM_BIT(15),       /* attention and MLP read and add to one residual */
    LM_FEATURE_MOE = LM_BIT(16),            /* layers of experts: the file's numbers say it */
    LM_FEATURE_ROUTER_BIAS = LM_BIT(17),
    LM_FEATURE_CHOICE_BIAS = LM_BIT(18),  /* on experts' scores where they are chosen */
    LM_FEATURE_EXPERTS_BIAS = LM_BIT(19), /* on experts' matrices */
    LM_FEATURE_SHARED_EXPERT = LM_BIT(20),
    LM_FEATURE_OUTPUT_NORM = LM_BIT(21),   /* behind the last layer */
    LM_FEATURE_RESIDUAL_NORM = LM_BIT(22), /* of the stream itself, behind attention and MLP */
    LM_FEATURE_EMBED_NORM = LM_BIT(23),    /* of what the first layer reads */
    LM_FEATURE_TYPE_EMBED = LM_BIT(24),    /* a vector of a token's segment is added to it */
    LM_FEATURE_CLASSIFIER = LM_BIT(25),    /* a matrix that gives scores of a whole text */
    LM_FEATURE_CLASSIFIER_BIAS = LM_BIT(26),
    LM_FEATURE_POOLER = LM_BIT(27),  /* tanh of a matrix product in front of it */
    LM_FEATURE_NO_HEAD = LM_BIT(28), /* no logits: an encoder, or made for embeddings */
    LM_FEATURE_LATENT = LM_BIT(29),  /* latent attention, */
    LM_FEATURE_INDEX =
        LM_BIT(45), /* to positions that an indexer chooses: the file's numbers say it */
    LM_FEATURE_Q_LATENT = LM_BIT(30),      /* of queries too: the file's numbers say it */
    LM_FEATURE_HEAD_BIAS = LM_BIT(31),     /* on the output matrix */
    LM_FEATURE_SHARED_ROUTER = LM_BIT(32), /* shared experts are weighted, too: by a sigmoid */
    LM_FEATURE_QK_NORM_BIAS = LM_BIT(33),
    LM_FEATURE_PLAIN_NORM = LM_BIT(34), /* norms of the stream and of embeddings learn nothing */
    LM_FEATURE_EMBED_NORM_BIAS = LM_BIT(35),
    LM_FEATURE_DISTANCE_BIAS = LM_BIT(36), /* a learned score for each head and span of distances */
    LM_FEATURE_DOWN_BIAS = LM_BIT(37),     /* on the MLP's matrix down */
    LM_FEATURE_XIELU = LM_BIT(38),         /* the activation has numbers: metadata in GGUF */
    LM_FEATURE_LAYER_SCALE =
        LM_BIT(39), /* the stream is multiplied by a number behind each layer */
    LM_FEATURE_LAYER_INPUT = LM_BIT(40),    /* each layer takes in of a token besides the stream */
    LM_FEATURE_EXPERTS_BESIDE = LM_BIT(41), /* experts and shared ones have norms of their own */
    LM_FEATURE_ALTUP = LM_BIT(42),          /* there are several streams: lm_hparams.n_streams */
    LM_FEATURE_HYPER =
        LM_BIT(52), /* each block reads and adds to several streams by learned weights */
    LM_FEATURE_POOLED = LM_BIT(
        57), /* one key for all heads, which is the value; layers may see pooled ones, too: DeepSeek-V4 */
    LM_FEATURE_LAUREL = LM_BIT(43), /* a narrow product is added to attention */
    LM_FEATURE_EMBED_MAP =
        LM_BIT(46), /* embeddings are of another width: a matrix leads to the stream, one back */
    LM_FEATURE_NORM_GATE = LM_BIT(
        58), /* what is normed is weighted, by a sigmoid of a narrow MLP of itself, before attention and before experts: A.X K2 */
    LM_FEATURE_TASK_EMBED =
        LM_BIT(61), /* the first task's vector is added to tokens, or rather to those of segments */
    LM_FEATURE_SUB_NORM =
        LM_BIT(60), /* of what attention's output matrix and the MLP's matrix down read */
    LM_FEATURE_RENORM =
        LM_BIT(47), /* what attention read is added and normed once more behind RESIDUAL_NORM's */
    LM_FEATURE_MIXTURE_NORM = LM_BIT(44), /* behind experts, chosen and shared: A.X K1 */
    LM_FEATURE_MIXTURE_BIAS = LM_BIT(59), /* on what they say together: Nomic Embed 2 */
    LM_FEATURE_ENTRY_EXPERTS = LM_BIT(
        63), /* experts, and what chooses them, read the stream as the layer found it, by a norm of their own */
    LM_FEATURE_SHORT_CONV = LM_BIT(48), /* recurrent layers are gated convolutions: LFM2 */
    LM_FEATURE_DELTA = LM_BIT(49),      /* they are gated delta rules: Qwen3-Next */
    LM_FEATURE_SSM = LM_BIT(50),        /* they are state spaces: Mamba 2 */
    LM_FEATURE_SCAN = LM_BIT(54),       /* they are selective state spaces: Mamba 1 */
    LM_FEATURE_SCAN_NORM = LM_BIT(55),  /* what those read is normed by weights */
    LM_FEATURE_KEY_STEPS = LM_BIT(
        56), /* elements of keys have steps of their own, and gates are sigmoids, both of few numbers or not: Kimi Linear */
    LM_FEATURE_DECAY = LM_BIT(
        53), /* they are states that decay by a number of each head's, and take up rows as they are: MiniMax-01 */
    LM_FEATURE_ATTN_GATE = LM_BIT(51), /* what heads attend to is weighted by a gate */
    /* Of recurrent layers those that convolve values, and keys and queries too; and all. The file's numbers say which are. */
    LM_FEATURE_HEAD_STATES = LM_FEATURE_DELTA | LM_FEATURE_SSM,
    LM_FEATURE_SPACES = LM_FEATURE_SSM | LM_FEATURE_SCAN,
    LM_FEATURE_STEPS_UP = LM_FEATURE_SCAN |
        LM_FEATURE_KEY_STEPS, /* steps are made from fewer numbers */
    LM_FEATURE_STATES = LM_FEATURE_HEAD_STATES | LM_FEATURE_SCAN,
    LM_FEATURE_ALL_STATES = LM_FEATURE_STATES | LM_FEATURE_DECAY,
    LM_FEATURE_NORMED_STATES = LM_FEATURE_HEAD_STATES | LM_FEATURE_DECAY,
    LM_FEATURE_RECURRENT = LM_FEATURE_SHORT_CONV | LM_FEATURE_ALL_STATES | LM_FEATURE_SCAN_NORM |
        LM_FEATURE_KEY_STEPS,
    /* What a decoder has without it being said. */
    LM_FEATURES_PRE_NORM = LM_FEATURE_ATTN_NORM | LM_FEATURE_MLP_NORM | LM_FEATURE_OUTPUT_NORM,
    LM_FEATURES_LLAMA = LM_FEATURES_PRE_NORM | LM_FEATURE_GATE,
    LM_FEATURES_GPT = LM_FEATURES_PRE_NORM | LM_FEATURE_LAYER_NORM | LM_FEATURE_NORM_BIAS,
    LM_FEATURES_BERT = LM_FEATURE_LAYER_NORM | LM_FEATURE_RESIDUAL_NORM | LM_FEATURE_EMBED_NORM |
        LM_FEATURE_EMBED_NORM_BIAS | LM_FEATURE_NO_HEAD,
} lm_feature;

/* Whose names of tensors a Hugging Face folder has: those of params.def unless spellings.def has another for it. */
typedef enum lm_dialect {
    LM_DIALECT_LLAMA,
    LM_DIALECT_SANDWICH, /* norms before and behind, as Gemma 2 calls them */
    LM_DIALECT_POST,     /* norms behind only: OLMo 2 */
    LM_DIALECT_GLM4,
    LM_DIALECT_GLM,
    LM_DIALECT_PHI3,
    LM_DIALECT_BAICHUAN,
    LM_DIALECT_INTERNLM2,
    LM_DIALECT_GPT2,
    LM_DIALECT_NEOX,
    LM_DIALECT_FALCON,
    LM_DIALECT_STARCODER2,
    LM_DIALECT_MIXTRAL,
    LM_DIALECT_MLP_NORM_POST, /* GGUF has the norm before the MLP as one behind attention */
    LM_DIALECT_GPT_OSS,
    LM_DIALECT_GROK,
    LM_DIALECT_GRANITE_MOE,
    LM_DIALECT_ERNIE_MOE,
    LM_DIALECT_BERT,
    LM_DIALECT_ROBERTA,      /* BERT with another head that scores */
    LM_DIALECT_ROBERTA_NORM, /* RoBERTa with norms before */
    LM_DIALECT_ROBERTA_XL,
    LM_DIALECT_REMBERT,
    LM_DIALECT_MEGATRON_BERT, /* BERT with norms before */
    LM_DIALECT_NOMIC_BERT,
    LM_DIALECT_NOMIC_MOE, /* NOMIC_BERT with experts and biases */
    LM_DIALECT_JINA_V3,   /* NOMIC_BERT with RoBERTa's MLP */
    LM_DIALECT_DEEPSEEK,
    LM_DIALECT_DISTILBERT,
    LM_DIALECT_PHI,
    LM_DIALECT_EXAONE,
    LM_DIALECT_QWEN2_MOE,
    LM_DIALECT_GRANITE_SHARED, /* as GRANITE_MOE, and an MLP that all tokens share */
    LM_DIALECT_HUNYUAN,
    LM_DIALECT_BAILING,
    LM_DIALECT_BLOOM,
    LM_DIALECT_MPT,
    LM_DIALECT_MODERN_BERT,
    LM_DIALECT_MODERN_DECODER,
    LM_DIALECT_MPNET,
    LM_DIALECT_QWEN3_VL_MOE,
    LM_DIALECT_GPTJ,
    LM_DIALECT_EXAONE_MOE,
    LM_DIALECT_MISTRAL4,
    LM_DIALECT_MINICPM3,
    LM_DIALECT_CHATGLM,
    LM_DIALECT_QWEN,
    LM_DIALECT_LLAMA4,
    LM_DIALECT_APERTUS,
    LM_DIALECT_LFM2,
    LM_DIALECT_GPT_NEO,
    LM_DIALECT_OPT,
    LM_DIALECT_CODESHELL,
    LM_DIALECT_REFACT,
    LM_DIALECT_PLM,
    LM_DIALECT_JAIS,
    LM_DIALECT_XGLM,    /* OPT by a norm's other name */
    LM_DIALECT_CODEGEN, /* GPT-J with q, k and v in one */
    LM_DIALECT_NEOX_JAPANESE,
    LM_DIALECT_GPT1,
    LM_DIALECT_CTRL,
    LM_DIALECT_PERSIMMON,
    LM_DIALECT_HYPERCLOVAX,
    LM_DIALECT_AFMOE,
    LM_DIALECT_HY_V3,
    LM_DIALECT_BAILING_1, /* whose GGUF files have q, k and v apart */
    LM_DIALECT_DBRX,
    LM_DIALECT_STABLELM,
    LM_DIALECT_NANOCHAT,
    LM_DIALECT_QWEN3_NEXT,
    LM_DIALECT_QWEN35,
    LM_DIALECT_NEMOTRON_H,
    LM_DIALECT_BAMBA,
    LM_DIALECT_FALCON_H1,
    LM_DIALECT_MAMBA,
    LM_DIALECT_JAMBA,
    LM_DIALECT_GEMMA4,
    LM_DIALECT_OLMO_HYBRID,
    LM_DIALECT_KIMI,
    LM_DIALECT_KIMI_K3,     /* KIMI with gates of one product */
    LM_DIALECT_GRANITE_SWA, /* whose GGUF files have gates and what they weight together */
    LM_DIALECT_FLINT,
    LM_DIALECT_MIMO2,
    LM_DIALECT_KOLIBRI1,
    LM_DIALECT_LAGUNA,
    LM_DIALECT_LFM3,
    LM_DIALECT_OPENELM,
    LM_DIALECT_BAILING_3,
    LM_DIALECT_SMALLTHINKER,
    LM_DIALECT_MUSE,
    LM_DIALECT_STEP,
    LM_DIALECT_MINIMAX, /* Mixtral's, beside recurrent layers */
    LM_DIALECT_HY_V4,
    LM_DIALECT_DEEPSEEK_V4,
    LM_DIALECT_AXK2,       /* DeepSeek's, with gated norms */
    LM_DIALECT_LONGCAT,    /* whose folders have layers in pairs */
    LM_DIALECT_MINIMAX_M3, /* Mixtral's, beside dense layers and shared experts */
    LM_DIALECT_MAPLE,
    LM_DIALECT_GTE, /* BERT with q, k and v in one, and gate and up */
    LM_DIALECT_NEO_BERT,
    LM_DIALECT_OURO,
    LM_DIALECT_T5,
    LM_DIALECT_ARCTIC, /* Mixtral's, beside an MLP */
    LM_DIALECT_ALBERT, /* BERT of one layer */
    LM_DIALECT_SPARK,
    LM_DIALECT_PHI4MM, /* Phi 3's, beside adapters of what is seen and heard */
} lm_dialect;

/* Positions that are added as sines and cosines, not learned: arXiv:1706.03762. */
typedef enum lm_sines {
    LM_SINES_NONE,
    LM_SINES,        /* frequency i of n is 10000^(-i / n) */
    LM_SINES_TO_END, /* 10000^(-i / (n - 1)) */
} lm_sines;

/* A row of archs.def. Zero is what most have. */
typedef struct lm_arch {
    const char *name;      /* general.architecture in GGUF */
    const char *gguf_name; /* what it is there, where another row has read that name; NULL: name */
    const char
        *gguf_moe_name; /* of the row as which members with experts are written; NULL: this one */
    const char *hf_type;   /* model_type in config.json */
    const char *written_as; /* model_type of what the text part is by itself, as which it is written; NULL: the row */
    const char *hf_class;  /* config.json architectures[0] when exported */
    uint64_t features;     /* what its models always have; a file's tensors may add to it */
    uint64_t optional;     /* what only files of this architecture may add */
    lm_dialect dialect;
    const char *
        hf_prefix; /* what folders have in front of names instead of the dialect's first word; NULL: that */
    const char *act;       /* activation where the file does not say; NULL: "silu" */
    bool gguf_interleaved; /* GGUF files have q and k in the order of LM_ROPE_INTERLEAVED */
    bool hf_interleaved;   /* Hugging Face folders do */
    bool fixed_act;        /* the activation is `act` whatever the file says */
    bool yarn_exact;       /* yarn's ramp is not rounded to whole pairs (GGUF does not say) */
    bool index_turns_last; /* the last elements of indexers' heads turn, not the first */
    bool index_eps_alike;  /* norms of their keys have the eps of all */
    bool
        caps_gates; /* bounds of gates are of what SiLU reads, and config.json has one for all layers' experts */
    bool caps_others;      /* and it is that of shared experts, too */
    bool
        latent_gates; /* queries of latent attention, and gates of what heads attend to, are made from the latent vector as normed and as it was */
    bool index_half_split; /* queries and keys of indexers turn as LM_ROPE_HALF_SPLIT, in files of both formats, whatever others do */
    bool no_rope;
    bool no_attention; /* all layers are recurrent, and there are no others */
    bool side_by_side; /* so, but they attend too */
    bool rope_if_said; /* so, but where config.json's position_embedding_type is "rope" */
    bool
        norms_by_kind; /* recurrent layers are normed before their blocks only, the others behind them only */
    bool norms_stream; /* what a block reads is the stream, normed, and what it says is added to that */
    bool bidirectional;    /* an encoder: rows see those behind them too */
    bool
        varied; /* layers may do without attention or without an MLP, and MLPs differ in width: files list all of that */
    bool
        leaves_out_sizes; /* config.json's say neither the MLP's width nor the context by the usual names */
    lm_sines sines;
    bool last_biased;      /* attention's output has a bias in the last layer only */
    bool maps_tokens;      /* embeddings of another width are those of tokens only, not positions */
    bool
        pooler_normed; /* what is in front of the matrix that scores, or that gives logits, is normed */
    const char *pooler_act; /* of what is in front of the matrix that scores; NULL: "tanh" */
    int position_shift; /* the first position's row in the table, of config.json's that count rows from there */
    bool position_offset;  /* folders have the first position's vector behind the padding token's number */
    bool expert_normalize; /* weights of the chosen experts add up to 1 where the file does not say */
    bool expert_sigmoid;   /* scores of experts are sigmoids where the file does not say */
    int n_shared_experts;  /* of a mixture where the file does not say */
    bool
        late_mixture; /* what chosen experts say is added behind the next layer; folders count layers in pairs, with experts beside the first's MLP, which is the shared one */
    bool early_router;     /* experts are chosen by what the layer reads of the stream, unnormed */
    bool chosen_by_logits; /* biases where experts are chosen are added to logits, not to scores */
    double
        expert_limit; /* bounds are of gates before SiLU, in folders this one in all layers; 0: behind it */
    bool weighs_input;     /* the weight of the one expert that is chosen multiplies what it reads */
    double expert_jitter;  /* see ops/route.c; of folders that do not say it, and of GGUF files, which never do; 0: none */
    bool ffn_halved;       /* files say twice the width of the MLP */
    bool lone_blocks;      /* a layer is attention, recurrent or an MLP, and no two of them */
    bool one_expert_is_none; /* files of dense members say that they have one */
    bool tied;             /* the head is the embedding where config.json does not say */
    bool hf_norm_minus_one; /* folders have the weights of norms less one, but that of what states answer */
    bool hf_output_norm_whole; /* but for that behind the last layer, too */
    bool hf_norms_said;     /* see lm_param_is_said */
    bool blocks_chosen;     /* an indexer, which is passed over, chooses blocks of keys: contexts are as long as all can be */
    bool embed_norm_plain;  /* the norm of embeddings learns nothing */
    bool
        gguf_scaled; /* GGUF files have factors of products, embeddings and logits in the matrices */
    bool gguf_positive_rates; /* GGUF files have what states decay by above 0 */
    bool
        whole_state_gates; /* gates of states that are sigmoids are made by one product, steps by two */
    bool gguf_tiled;        /* GGUF files have the heads of states in the order of lm_hparams.state_tiled */
    bool hf_transposed;     /* folders have matrices of layers as [n_in, n_out] */
    bool hf_transposed_experts; /* folders have those of experts so, where they are not coded */
    bool
        hf_flat_experts; /* folders have them one under the other in a matrix, of their last one [n_in, n_out] */
    bool embed_scale_sqrt_dim;  /* embeddings are multiplied by the root of their width */
    bool logit_divisor;     /* the file's logit scale divides */
    bool hf_logit_factor;   /* config.json's logits_scaling multiplies, where others' divides */
    bool read_only;         /* no files are written: those of the other format mean another computation, or are not there */
    /* Layers whose attention is windowed where the file does not list them: 0 none, 1 all, n all but each n-th. */
    int window_period;
    bool window_from_first; /* n counts from the first layer on, which then has none */
    int64_t chunk;          /* windows are runs of positions, of so many where the file does not say; 0: they are not */
    bool first_unnormed;    /* the first layer's attention reads the stream as it is */
    int no_rope_period;     /* each n-th layer does without rope; 0: none */
    bool gguf_ropes_listed; /* GGUF files may list the layers with rope */
    bool unit_heads;        /* turned queries and keys are divided by their root mean square where the file does not say */
    bool local_heads;       /* heads of windowed layers are of numbers of their own */
    int local_kv_factor;    /* windowed layers have so many times the others' key heads where the file does not say */
    bool sinks_in_windows;  /* only they have sinks */
    bool soft_gates;        /* what heads attend to is weighted by softplus, not by a sigmoid */
    bool local_ropes;       /* windowed layers' heads turn in another part than others' */
    bool gguf_local_rope;   /* GGUF files say what turns of windowed layers' heads, of whose others' it is rope_fraction */
    bool heads_listed;      /* layers may differ in heads, which files list */
    bool unit_values;       /* values of each head are divided by their root mean square */
    bool rope_backwards;    /* heads turn the other way */
    bool heads_normed_together; /* layer norms of queries and keys are of all heads as one */
    bool norm_behind_rope;  /* queries and keys are turned before their norms */
    bool rope_in_windows;   /* where some layers have a window, the others do without rope, */
    bool rope_in_dense;     /* but for those without experts */
    bool shared_averaged;   /* what the chosen experts and the shared ones say is averaged where the file does not say */
    bool scaled_outside;    /* the rope scaling is that of layers without a window only */
    bool alibi;             /* ALiBi where the file does not say */
    bool looped;            /* all layers run as many times as files say */
    bool one_layer;         /* files have one layer, which runs so many times */
    bool alibi_scaled;      /* its biases are scaled as scores are */
    int alibi_from_layers;  /* members of so many layers or more have ALiBi, which files do not say; 0: none */
    bool scaled_by_width;   /* scores are divided by the width of heads, not by its root */
    double attention_scale; /* where the file does not say; 0: 1 / sqrt(head_dim) */
    double local_rope_theta; /* of windowed layers where the file does not say; 0: all have the same */
    double norm_eps;         /* of norms where the file does not say; 0: 1e-6, of layer norms 1e-5 */
    bool fixed_norm_eps;     /* which it is whatever the file says */
    double state_norm_eps;   /* of what states answer; 0: as of all norms */
    double latent_norm_eps;  /* of norms of latent vectors; 0: as of all norms */
    double post_norm_eps;    /* of norms behind attention and MLP where the file does not say; likewise */
    double rope_fraction;    /* of a head that rotates where the file does not say; 0: all */
} lm_arch;

/* By either name, GGUF's first; a model_type may end in "_text", of the text part of a model that sees. NULL: unknown. */
const lm_arch *lm_arch_find(const char *name);
size_t lm_arch_count(void);

/* By a folder's model_type, else as lm_arch_find: what GGUF calls chatglm has folders of another type. */
const lm_arch *lm_arch_of_folder(const char *model_type);

/* The architecture of the same model_type that is bidirectional, has ALiBi or is without rope where these say so; NULL: there is none. */
const lm_arch *lm_arch_kin(const lm_arch *arch, bool bidirectional, bool alibi, bool no_rope);

/* The architecture of the same model_type that has one of these features; NULL: there is none. */
const lm_arch *lm_arch_having(const lm_arch *arch, uint64_t features);

/* What config.json's layer_types calls the family's recurrent layers; NULL: it has none. */
const char *lm_arch_recurrent_type(const lm_arch *arch);

/* Whether a layer is windowed where each period-th is not, 1: all are. */
bool lm_arch_windows(const lm_arch *arch, int64_t period, int64_t layer);

/* Whether a layer of such a family does without rope, once there is a window. */
bool lm_arch_drops_rope(const lm_arch *arch, const lm_hparams *hparams, int64_t layer);

/* For readers of files, once they have read windows, ropes and experts: what follows from both by the row. */
void lm_arch_settle_layers(const lm_arch *arch, lm_hparams *hparams);
const lm_arch *lm_arch_at(size_t index);

/* Everything a graph is built from. Plain data. */
typedef struct lm_arch_config {
    const lm_arch *arch;
    lm_hparams hparams;
    uint64_t features; /* lm_feature bits */
} lm_arch_config;

/* Refuses what makes no sense (lm_hparams_check) and what cannot be computed. */
loam_status lm_arch_config_check(const lm_arch_config *config, loam_error *err) LM_MUST_USE;

typedef enum lm_naming { LM_NAMING_GGUF, LM_NAMING_HF } lm_naming;

enum { LM_PARAM_NAME_BYTES = 112 };

bool lm_param_has_layer(lm_param_id id);
bool lm_arch_has(const lm_arch_config *config, lm_feature feature); /* by its row, if any, or by itself */
bool lm_param_in(const lm_arch_config *config, lm_param_id id); /* whether such a model has it */
/* The same for one layer: leading layers of a mixture of experts may be dense. */
bool lm_param_at(const lm_arch_config *config, lm_param_id id, int64_t layer);
/* Whether a layer lacks a norm that the model has in others. */
bool lm_arch_lacks_norm(const lm_arch_config *config, lm_param_id id, int64_t layer);
bool lm_param_is_experts(lm_param_id id);
bool lm_param_is_apart(lm_param_id id); /* matrices of which folders have each in a tensor of its own */
/* By what it scores is read of a stream that begins anew: of folders the product of two tensors, with "_norm" where this one has "_proj". */
bool lm_param_is_recall(lm_param_id id);
bool lm_param_is_cached(lm_param_id id); /* makes keys or values */
bool lm_param_is_table(lm_param_id id);  /* looked up by row, not multiplied with */
bool lm_param_is_by_token(lm_param_id id); /* by token, in a table of them all */
bool lm_arch_turns_experts(const lm_arch *arch,
                           lm_param_id id); /* whether folders have these as [n_in, n_out] */
/* How many matrices it is, one under the other: of experts, [n_experts * n, k], or of heads; 0: it is one, or a vector. */
int64_t lm_param_n_matrices(const lm_arch_config *config, lm_param_id id);
bool lm_arch_layer_has_experts(const lm_arch_config *config, int64_t layer);
lm_feature lm_param_feature(lm_param_id id);                    /* the one it depends on */
bool lm_param_is_bias(lm_param_id id); /* added to something: read as f32, of experts too */
bool lm_param_is_listed(lm_param_id id); /* of GGUF files an element of an array of metadata, not a tensor */
/* That array's key. */
const char *lm_param_list_key(lm_param_id id);
/* Of folders no tensor, but alike in all elements: weights of norms of queries, a number in config.json, and of keys, 1. */
bool lm_param_is_said(const lm_arch *arch, lm_param_id id);
bool lm_param_is_attention(lm_param_id id);

/* Of a layer's MLP, dense or of experts, and the norm before it. */
bool lm_param_is_mlp(lm_param_id id);           /* of layers that attend */
bool lm_param_is_by_state_head(lm_param_id id); /* heads of state, in the order that files have them in */
/* f32 [taps, or what there is of a channel, channels], which files have the other way round. */
bool lm_param_is_kernel(lm_param_id id);
bool lm_param_is_rate(lm_param_id id); /* what states decay by: folders have logarithms */
bool lm_param_less_one(const lm_arch *arch, lm_param_id id); /* by hf_norm_minus_one */
bool lm_param_is_norm(lm_param_id id); /* the weight of a norm: 1 where nothing is learned */
/* What a state decays by in a step, of its logarithm as folders have it, and a logarithm of which that is made. */
float lm_rate_of_log(float log);
float lm_log_of_rate(float rate);
/* [n_out, n_in] or [n_out]; returns the number of dimensions. layer is not read for parameters without one. */
int lm_param_shape(const lm_arch_config *config, lm_param_id id, int64_t layer,
                   int64_t out_shape[2]);
/* layer is not read for parameters without one. */
void lm_param_name(lm_param_id id, int64_t layer, lm_naming naming, char out[LM_PARAM_NAME_BYTES]);
/* The name with "%d" for the layer, and a name made from one. */
const char *lm_param_pattern(lm_param_id id, lm_naming naming);
void lm_param_name_fill(const char *pattern, int64_t layer, char out[LM_PARAM_NAME_BYTES]);
int64_t lm_arch_n_params(
    const lm_arch_config *config); /* elements of all parameters; a tied head counts once */

/* What a product with these weights is multiplied by, or rather what it reads; 0: 1. */
double lm_product_factor(const lm_hparams *hparams, lm_param_id weight);

/* The function of an activation's name in a config ("silu", "gelu_new"); false: unknown. */
bool lm_act_find(const char *name, lm_function *out);

const char *lm_arch_pooler_act(const lm_arch *arch); /* in front of the matrix that scores */

/* How rows of a layer attend: the attributes of attention that are the model's, n_heads to soft_cap. */
lm_attrs lm_arch_attention(const lm_arch_config *config, int64_t layer);

/* How rows of a layer with an indexer choose: the attributes of CHOOSE. */
lm_attrs lm_arch_choice(const lm_arch_config *config);

/* What a forward pass gives of a row. */
typedef enum lm_head {
    LM_HEAD_LOGITS, /* [n_vocab]; not of models with LM_FEATURE_NO_HEAD */
    LM_HEAD_STATE,  /* [dim]: what embeddings are made of */
    LM_HEAD_SCORES, /* [n_labels], of models with LM_FEATURE_CLASSIFIER */
} lm_head;

/* Numbers of a row of such a head. */
int64_t lm_arch_head_width(const lm_arch_config *config, lm_head head);

/* What a recurrent layer keeps of a sequence. */
typedef enum lm_state_part {
    LM_STATE_ROWS, /* [max_seqs, conv_taps - 1, channels] what a convolution read of the rows before: of values, or the only one; */
    LM_STATE_KEYS, /* of keys, */
    LM_STATE_QUERIES,    /* and of queries: only of heads with matrices */
    LM_STATE_POOL,       /* [max_seqs, 2, 3, width] what a pooled key is made of, */
    LM_STATE_INDEX_POOL, /* and an indexer's: of layers that have such */
    LM_STATE_MATRIX, /* [max_seqs, heads, key width, value width], of Mamba 1 [max_seqs, numbers, channels]; not of short convolutions */
    LM_STATE_N_PARTS,
} lm_state_part;

/* What the builder needs from its caller. The functions may fail by lm_graph_fail. */
typedef struct lm_forward_inputs {
    lm_tensor *tokens;    /* [rows] i32 */
    lm_tensor *positions; /* [rows] i32 */
    lm_tensor *inv_freq;  /* [rope_dim / 2] f32, from lm_rope_table; NULL: no layer has rope */
    float rope_scale;     /* from lm_rope_table */
    lm_tensor *local_inv_freq; /* the same for windowed layers; NULL: as for the others */
    lm_tensor *query_factors; /* [positions, 1] f32: what queries of each are multiplied by; NULL: 1 */
    lm_tensor *sines;         /* [positions, dim] f32: what is added to tokens; NULL: nothing */
    bool bf16_products;   /* round what enters a matrix product to bf16: mixed-precision training */
    lm_tensor *types;     /* [rows] i32: segments of tokens; read by models with LM_FEATURE_TYPE_EMBED */
    lm_tensor *out_rows;  /* [outs] i32: rows whose logits are wanted; NULL: all rows */
    lm_head head;
    /* The tensor of a parameter that lm_param_in says exists; layer is 0 for those without. LM_PARAM_OUTPUT_HEAD is
     * asked for in tied models too: the caller gives the embedding, in whatever layout it has for it. */
    lm_tensor *(*param)(void *ctx, lm_graph *graph, lm_param_id id, int64_t layer);
    /* Attention of one layer (lm_arch_attention): q [rows, n_heads * head_dim], k [rows, n_kv_heads * head_dim] and
     * v [rows, n_kv_heads * value_dim], q and k after rope. Returns [rows, n_heads * value_dim]. Of latent attention v is NULL: values are the first
     * kv_latent_dim elements of keys, and so many are a head's in what is returned. k and v NULL: those of the last layer before of
     * its kind, with a window or without. */
    lm_tensor *(*attend)(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                         lm_tensor *v);
    /* Which positions rows of this layer attend to, and of those behind it until one chooses anew (lm_arch_choice): q [rows, index_heads *
     * index_dim], k [rows, index_dim], weights [rows, index_heads], q and k after rope. NULL: all up to their own; no layer then has an
     * indexer. */
    void (*choose)(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *q, lm_tensor *k,
                   lm_tensor *weights);
    /* Pooled keys of a layer, [rows, head_dim], of which those count that end a run (ops/pool.c): rows attend to them, all or those that are
     * chosen, beside the window. NULL where no layer has them. */
    void (*pool)(void *ctx, lm_graph *graph, int64_t layer, lm_tensor *keys);
    /* An op that keeps a state for each sequence (ops/sequence_state.h): this part of the layer's, which is to be added to its inputs with
     * the rows' positions and slots. NULL where no layer is recurrent. */
    lm_tensor *(*keep_state)(void *ctx, lm_graph *graph, int64_t layer, lm_state_part part,
                             lm_op_id op, const lm_op_args *args);
    void *ctx;
} lm_forward_inputs;

/* Appends the forward pass; returns what the head gives [rows or outs, its width] f32, or NULL (lm_graph_status says why). */
lm_tensor *lm_arch_forward(lm_graph *graph, const lm_arch_config *config,
                           const lm_forward_inputs *inputs);

/* The same with the mean cross-entropy [1] of the rows' logits at targets [rows] i32 (negative ones do not count) instead of the
 * logits, which are never all there. The output head must be a state where it is trained. */
lm_tensor *lm_arch_loss(lm_graph *graph, const lm_arch_config *config,
                        const lm_forward_inputs *inputs, lm_tensor *targets);

#endif
