#include "model/param_source.h"

#include <stdio.h>
#include <string.h>

enum { ANY = -1 };

typedef struct spelling {
    lm_naming naming;
    int dialect;
    lm_param_id id;
    const char *name;
    bool one_row;
} spelling;

static const spelling spellings[] = {
#define LM_SPELLING(naming, dialect, id, name) \
    {LM_NAMING_##naming, LM_DIALECT_##dialect, LM_PARAM_##id, name, false},
#define LM_SPELLING_ROW(naming, dialect, id, name) \
    {LM_NAMING_##naming, LM_DIALECT_##dialect, LM_PARAM_##id, name, true},
#define LM_FUSED(naming, dialect, feature, order, name, ...)
#include "model/spellings.def"
#undef LM_SPELLING
#undef LM_SPELLING_ROW
#undef LM_FUSED
};

/* Parameters of one tensor, one under the other; the list ends at the first 0, which is the embedding and never fused. */
typedef struct fusion {
    lm_naming naming;
    int dialect;
    lm_feature feature; /* of models whose files are written so */
    lm_part_order order;
    const char *name;
    lm_param_id ids[LM_MAX_PARTS + 1];
} fusion;

enum { LM_DIALECT_ANY = ANY };
#define Q LM_PARAM_Q
#define K LM_PARAM_K
#define V LM_PARAM_V
#define Q_BIAS LM_PARAM_Q_BIAS
#define K_BIAS LM_PARAM_K_BIAS
#define V_BIAS LM_PARAM_V_BIAS
#define GATE LM_PARAM_GATE
#define UP LM_PARAM_UP
#define SHARED_GATE LM_PARAM_SHARED_GATE
#define SHARED_UP LM_PARAM_SHARED_UP
#define GATE_EXPS LM_PARAM_GATE_EXPS
#define UP_EXPS LM_PARAM_UP_EXPS
#define GATE_EXPS_BIAS LM_PARAM_GATE_EXPS_BIAS
#define UP_EXPS_BIAS LM_PARAM_UP_EXPS_BIAS
#define Q_NOPE LM_PARAM_Q_NOPE
#define Q_ROPE LM_PARAM_Q_ROPE
#define KV_DOWN LM_PARAM_KV_DOWN
#define K_ROPE LM_PARAM_K_ROPE
#define K_UP LM_PARAM_K_UP
#define V_UP LM_PARAM_V_UP
#define CONV_IN_GATE LM_PARAM_CONV_IN_GATE
#define CONV_OUT_GATE LM_PARAM_CONV_OUT_GATE
#define CONV_IN LM_PARAM_CONV_IN
#define Q_GATE LM_PARAM_Q_GATE
#define CONV_Q LM_PARAM_CONV_Q
#define CONV_K LM_PARAM_CONV_K
#define CONV_V LM_PARAM_CONV_V
#define CONV_Q_BIAS LM_PARAM_CONV_Q_BIAS
#define CONV_K_BIAS LM_PARAM_CONV_K_BIAS
#define CONV_V_BIAS LM_PARAM_CONV_V_BIAS
#define STATE_Q LM_PARAM_STATE_Q
#define STATE_K LM_PARAM_STATE_K
#define STATE_V LM_PARAM_STATE_V
#define STATE_GATE LM_PARAM_STATE_GATE
#define STATE_BETA LM_PARAM_STATE_BETA
#define STATE_STEP LM_PARAM_STATE_STEP
static const fusion fusions[] = {
#define LM_SPELLING(naming, dialect, id, name)
#define LM_SPELLING_ROW(naming, dialect, id, name)
#define LM_FUSED(naming, dialect, feature, order, name, ...)                                \
    {LM_NAMING_##naming, LM_DIALECT_##dialect, LM_FEATURE_##feature, LM_PART_##order, name, \
     {__VA_ARGS__}},
#include "model/spellings.def"
#undef LM_SPELLING
#undef LM_SPELLING_ROW
#undef LM_FUSED
};

lm_naming lm_naming_of(const lm_model_file *file) {
    return lm_model_file_format(file) == LM_FORMAT_GGUF ? LM_NAMING_GGUF : LM_NAMING_HF;
}

void lm_param_name_expert(const char *name, int64_t expert, char out[LM_PARAM_NAME_BYTES]) {
    const char *mark = strstr(name, "%e");
    if (mark)
        snprintf(out, LM_PARAM_NAME_BYTES, "%.*s%lld%s", (int)(mark - name), name,
                 (long long)expert, mark + 2);
    else
        snprintf(out, LM_PARAM_NAME_BYTES, "%s", name);
}

/* What a whole model's folder has before the names of its text part: before all of a name, or instead of its first word. */
static const struct prefix {
    const char *text;
    bool instead;
} prefixes[] = {
    {"", true},
    {"roberta.", true},
    {"language_model.", false},
    {"model.text_model.", true},
    {"model.language_model.", true},
    {"model.language_model.", false},
    {"language.", false},
    {"llm.", false},
    {"thinker.", false},
};

/* The tensor of this name, or of the name as other folders have it. */
static const lm_stored_tensor *find_named(const lm_model_file *file, const lm_arch *arch,
                                          const char *pattern, int64_t layer, int64_t expert) {
    char of_layer[LM_PARAM_NAME_BYTES], name[LM_PARAM_NAME_BYTES], longer[LM_PARAM_NAME_BYTES + 32];
    lm_param_name_fill(pattern, layer, of_layer);
    lm_param_name_expert(of_layer, expert, name);
    const lm_stored_tensor *found = lm_model_file_find(file, name);
    const char *rest = strchr(name, '.');
    bool renamed = rest && lm_naming_of(file) == LM_NAMING_HF;
    if (!found && renamed && arch->hf_prefix) {
        snprintf(longer, sizeof longer, "%s%s", arch->hf_prefix, rest + 1);
        found = lm_model_file_find(file, longer);
    }
    for (size_t i = 0; !found && renamed && i < LM_COUNT_OF(prefixes); i++) {
        snprintf(longer, sizeof longer, "%s%s", prefixes[i].text,
                 prefixes[i].instead ? rest + 1 : name);
        found = lm_model_file_find(file, longer);
    }
    return found;
}

/* Dialects that are another one but for some names, which are listed before its own. */
static bool understands(lm_dialect dialect, int other) {
    static const struct {
        lm_dialect dialect, base;
    } bases[] = {{LM_DIALECT_ROBERTA, LM_DIALECT_BERT},
                 {LM_DIALECT_ROBERTA_NORM, LM_DIALECT_ROBERTA},
                 {LM_DIALECT_ROBERTA_XL, LM_DIALECT_ROBERTA},
                 {LM_DIALECT_REMBERT, LM_DIALECT_BERT},
                 {LM_DIALECT_MEGATRON_BERT, LM_DIALECT_BERT},
                 {LM_DIALECT_GTE, LM_DIALECT_BERT},
                 {LM_DIALECT_ALBERT, LM_DIALECT_BERT},
                 {LM_DIALECT_MODERN_DECODER, LM_DIALECT_MODERN_BERT},
                 {LM_DIALECT_XGLM, LM_DIALECT_OPT},
                 {LM_DIALECT_CODEGEN, LM_DIALECT_GPTJ},
                 {LM_DIALECT_NEOX_JAPANESE, LM_DIALECT_NEOX},
                 {LM_DIALECT_GPT1, LM_DIALECT_GPT2},
                 {LM_DIALECT_KOLIBRI1, LM_DIALECT_GLM4},
                 {LM_DIALECT_LAGUNA, LM_DIALECT_QWEN2_MOE},
                 {LM_DIALECT_LFM3, LM_DIALECT_LFM2},
                 {LM_DIALECT_NOMIC_MOE, LM_DIALECT_NOMIC_BERT},
                 {LM_DIALECT_JINA_V3, LM_DIALECT_NOMIC_BERT},
                 {LM_DIALECT_FLINT, LM_DIALECT_QWEN2_MOE},
                 {LM_DIALECT_MINIMAX, LM_DIALECT_MIXTRAL},
                 {LM_DIALECT_ARCTIC, LM_DIALECT_MIXTRAL},
                 {LM_DIALECT_MINIMAX_M3, LM_DIALECT_MIXTRAL},
                 {LM_DIALECT_PHI4MM, LM_DIALECT_PHI3},
                 {LM_DIALECT_AXK2, LM_DIALECT_DEEPSEEK},

                 {LM_DIALECT_KIMI_K3, LM_DIALECT_KIMI},
                 {LM_DIALECT_CODESHELL, LM_DIALECT_GPT2},
                 {LM_DIALECT_PLM, LM_DIALECT_MINICPM3},
                 {LM_DIALECT_JAIS, LM_DIALECT_GPT2}};
    if ((int)dialect == other) return true;
    for (size_t i = 0; i < LM_COUNT_OF(bases); i++)
        if (bases[i].dialect == dialect) return understands(bases[i].base, other);
    return false;
}

static bool speaks(const lm_model_file *file, const lm_arch_config *config, lm_naming naming,
                   int dialect) {
    return naming == lm_naming_of(file) &&
           (dialect == ANY || understands(config->arch->dialect, dialect));
}

/* Its rows in a tensor that holds several: of kernels channels. Biases of experts that lie by turns are counted by element. */
static int64_t rows_of(const lm_arch_config *config, lm_part_order order, lm_param_id id,
                       int64_t layer) {
    int64_t shape[2];
    lm_param_shape(config, id, layer, shape);
    if (lm_param_is_kernel(id)) return shape[1];
    if (id == LM_PARAM_K_UP && order == LM_PART_HEADS) return config->hparams.n_heads * shape[1];
    return order == LM_PART_TURNS && lm_param_is_bias(id) ? shape[0] * shape[1] : shape[0];
}

static int64_t groups_of(const lm_arch_config *config, lm_part_order order, lm_param_id id,
                         int64_t layer) {
    switch (order) {
    case LM_PART_GROUPS: return lm_kv_heads_at(&config->hparams, layer);
    case LM_PART_HEADS: return lm_heads_at(&config->hparams, layer);
    case LM_PART_KEY_HEADS: return config->hparams.state_key_heads;
    case LM_PART_QUARTERS: return 4;
    case LM_PART_EXPERTS: return config->hparams.n_experts;
    case LM_PART_TURNS: return rows_of(config, order, id, layer);
    default: return 1;
    }
}

/* Fills out for part `part` of a fusion whose tensor is there. */
static void fill_part(const lm_arch_config *config, const fusion *f, int part, int64_t layer,
                      lm_param_source *out) {
    out->order = f->order;
    out->part = part;
    for (int i = 0; f->ids[i]; i++) out->total_rows += rows_of(config, f->order, f->ids[i], layer);
    out->n_groups = groups_of(config, f->order, f->ids[part], layer);
    out->run_step = out->total_rows / out->n_groups;
    out->run_rows = rows_of(config, f->order, f->ids[part], layer) / out->n_groups;
    for (int i = 0; i < part; i++)
        out->first_row += rows_of(config, f->order, f->ids[i], layer) / out->n_groups;
}

/* Whether a tensor has matrices of experts as [n_in, rows of one], by the family; but shapes that can only be the other are it:
 * since its fifth version transformers writes so of Qwen 3-VL. */
static bool turns_experts(const lm_model_file *file, const lm_arch_config *config, lm_param_id id,
                          int64_t layer, const lm_stored_tensor *tensor, int64_t total_rows) {
    if (lm_naming_of(file) != LM_NAMING_HF || tensor->coded || config->hparams.n_experts < 1 ||
        !lm_arch_turns_experts(config->arch, id))
        return false;
    int64_t flat[2], rows = total_rows / config->hparams.n_experts;
    lm_param_shape(config, id, layer, flat);
    bool other = tensor->n_dims == 3 && tensor->shape[1] == rows && tensor->shape[2] == flat[1];
    return !other || rows == flat[1];
}

static bool find_part(const lm_model_file *file, const lm_arch_config *config, const fusion *f,
                      lm_param_id id, int64_t layer, lm_param_source *out) {
    if (!speaks(file, config, f->naming, f->dialect)) return false;
    for (int part = 0; f->ids[part]; part++) {
        if (f->ids[part] != id) continue;
        lm_param_source source = {.tensor = find_named(file, config->arch, f->name, layer, 0)};
        if (!source.tensor) return false;
        fill_part(config, f, part, layer, &source);
        bool turned = config->arch->hf_transposed && f->naming == LM_NAMING_HF;
        int dim = turned && source.tensor->n_dims == 2 ? 1 : 0;
        int64_t rows = source.tensor->shape[dim];
        if (f->order == LM_PART_EXPERTS || f->order == LM_PART_TURNS) {
            source.turned =
                source.tensor->n_dims == 3 &&
                turns_experts(file, config, id, layer, source.tensor, source.total_rows);
            rows *= source.tensor->shape[source.turned ? 2 : 1];
        }
        if (rows != source.total_rows) return false;
        *out = source;
        return true;
    }
    return false;
}

static const lm_stored_tensor *find_whole(const lm_model_file *file, const lm_arch_config *config,
                                          lm_param_id id, int64_t layer, int64_t expert) {
    for (size_t i = 0; i < LM_COUNT_OF(spellings); i++) {
        const spelling *s = &spellings[i];
        if (s->id != id || !speaks(file, config, s->naming, s->dialect)) continue;
        const lm_stored_tensor *tensor = find_named(file, config->arch, s->name, layer, expert);
        if (tensor) return tensor;
    }
    return find_named(file, config->arch, lm_param_pattern(id, lm_naming_of(file)), layer, expert);
}

bool lm_param_source_find(const lm_model_file *file, const lm_arch_config *config, lm_param_id id,
                          int64_t layer, lm_param_source *out) {
    layer = lm_stored_layer(&config->hparams, layer);
    for (size_t i = 0; i < LM_COUNT_OF(fusions); i++)
        if (find_part(file, config, &fusions[i], id, layer, out)) return true;
    *out = (lm_param_source){.tensor = find_whole(file, config, id, layer, 0)};
    if (out->tensor && lm_param_is_apart(id) && out->tensor->n_dims == 2 &&
        !config->arch->hf_flat_experts)
        out->order = LM_PART_APART;
    int64_t flat[2];
    lm_param_shape(config, id, layer, flat);
    if (out->tensor && lm_param_is_experts(id))
        out->turned = turns_experts(file, config, id, layer, out->tensor, flat[0]);
    return out->tensor != NULL;
}

const lm_stored_tensor *lm_param_source_expert(const lm_model_file *file,
                                               const lm_arch_config *config, lm_param_id id,
                                               int64_t layer, int64_t expert) {
    return find_whole(file, config, id, lm_stored_layer(&config->hparams, layer), expert);
}

/* --- Writing. */

static bool is_theirs(const spelling *s, const lm_arch *arch, lm_param_id id, lm_naming naming) {
    return s->id == id && s->naming == naming && understands(arch->dialect, s->dialect);
}

/* Whether the norm in front of the MLP, which is attention's as well, has this name. */
static bool is_shared_name(const lm_arch *arch, lm_param_id id, lm_naming naming,
                           const char *name) {
    lm_param_id other = id == LM_PARAM_ATTN_NORM ? LM_PARAM_MLP_NORM : LM_PARAM_MLP_NORM_BIAS;
    for (size_t i = 0; i < LM_COUNT_OF(spellings); i++)
        if (is_theirs(&spellings[i], arch, other, naming) && strcmp(spellings[i].name, name) == 0)
            return true;
    return false;
}

/* The first name that files of the dialect have for it. */
static const char *spell(const lm_arch_config *config, lm_param_id id, lm_naming naming,
                         bool *out_one_row) {
    bool shared =
        config->hparams.shared_norm && (id == LM_PARAM_ATTN_NORM || id == LM_PARAM_ATTN_NORM_BIAS);
    *out_one_row = false;
    for (size_t i = 0; i < LM_COUNT_OF(spellings); i++) {
        const spelling *s = &spellings[i];
        if (!is_theirs(s, config->arch, id, naming)) continue;
        if (shared && !is_shared_name(config->arch, id, naming, s->name)) continue;
        *out_one_row = s->one_row;
        return s->name;
    }
    return lm_param_pattern(id, naming);
}

static int part_of(const fusion *f, lm_param_id id) {
    for (int part = 0; f->ids[part]; part++)
        if (f->ids[part] == id) return part;
    return -1;
}

/* The tensor of several parameters that such files have this one in; NULL: it has one of its own. */
static const fusion *fusion_of(const lm_arch_config *config, lm_param_id id, lm_naming naming) {
    for (size_t i = 0; i < LM_COUNT_OF(fusions); i++) {
        const fusion *f = &fusions[i];
        bool theirs = f->naming == naming && understands(config->arch->dialect, f->dialect) &&
                      (f->feature == LM_FEATURE_ALWAYS || lm_arch_has(config, f->feature));
        if (theirs && part_of(f, id) >= 0) return f;
    }
    return NULL;
}

/* A folder of an encoder without a head behind it lacks the first part of every name, which says whose it is in larger models. */
static void write_prefix(const lm_arch_config *config, lm_naming naming, const char *name,
                         char out[LM_PARAM_NAME_BYTES]) {
    const char *dot = strchr(name, '.'), *rest = dot ? dot + 1 : name,
               *prefix = config->arch->hf_prefix;
    bool folder = naming == LM_NAMING_HF,
         bare = (config->arch->features & LM_FEATURE_NO_HEAD) &&
                !lm_arch_has(config, LM_FEATURE_CLASSIFIER),
         of_body = strncmp(name, "classifier.", 11) != 0;
    if (folder && bare)
        snprintf(out, LM_PARAM_NAME_BYTES, "%s", rest);
    else if (folder && prefix && of_body)
        snprintf(out, LM_PARAM_NAME_BYTES, "%s%s", prefix, rest);
    else
        snprintf(out, LM_PARAM_NAME_BYTES, "%s", name);
}

bool lm_param_tensor_of(const lm_arch_config *config, lm_param_id id, int64_t layer,
                        lm_naming naming, lm_param_tensor *out) {
    const fusion *f = fusion_of(config, id, naming);
    if (f && f->ids[0] != id) return false;
    *out = (lm_param_tensor){0};
    char pattern[LM_PARAM_NAME_BYTES];
    write_prefix(config, naming, f ? f->name : spell(config, id, naming, &out->one_row), pattern);
    lm_param_name_fill(pattern, layer, out->name);
    if (!f) {
        int64_t rows = rows_of(config, LM_PART_WHOLE, id, layer);
        out->n_parts = 1;
        out->ids[0] = id;
        out->parts[0] = (lm_param_source){
            .n_groups = 1, .run_rows = rows, .run_step = rows, .total_rows = rows};
    }
    for (int part = 0; f && f->ids[part]; part++) {
        out->n_parts = part + 1;
        out->ids[part] = f->ids[part];
        fill_part(config, f, part, layer, &out->parts[part]);
    }
    return true;
}
