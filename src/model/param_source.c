#include "model/param_source.h"

#include <stdio.h>
#include <string.h>

enum { ANY = -1, MAX_PARTS = 3 };

typedef struct spelling {
    lm_naming naming;
    int dialect;
    lm_param_id id;
    const char *name;
} spelling;

static const spelling spellings[] = {
#define LM_SPELLING(naming, dialect, id, name) \
    {LM_NAMING_##naming, LM_DIALECT_##dialect, LM_PARAM_##id, name},
#define LM_FUSED(naming, dialect, order, name, ...)
#include "model/spellings.def"
#undef LM_SPELLING
#undef LM_FUSED
};

/* Parameters of one tensor, one under the other; the list ends at the first 0, which is the embedding and never fused. */
typedef struct fusion {
    lm_naming naming;
    int dialect;
    lm_part_order order;
    const char *name;
    lm_param_id ids[MAX_PARTS + 1];
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
static const fusion fusions[] = {
#define LM_SPELLING(naming, dialect, id, name)
#define LM_FUSED(naming, dialect, order, name, ...) \
    {LM_NAMING_##naming, LM_DIALECT_##dialect, LM_PART_##order, name, {__VA_ARGS__}},
#include "model/spellings.def"
#undef LM_SPELLING
#undef LM_FUSED
};

lm_naming lm_naming_of(const lm_model_file *file) {
    return lm_model_file_format(file) == LM_FORMAT_GGUF ? LM_NAMING_GGUF : LM_NAMING_HF;
}

/* The name with "%e" for the expert. */
static void fill_expert(const char *pattern, int64_t expert, char out[LM_PARAM_NAME_BYTES]) {
    const char *mark = strstr(pattern, "%e");
    if (mark)
        snprintf(out, LM_PARAM_NAME_BYTES, "%.*s%lld%s", (int)(mark - pattern), pattern,
                 (long long)expert, mark + 2);
    else
        snprintf(out, LM_PARAM_NAME_BYTES, "%s", pattern);
}

/* The tensor of this name, or of the name as other folders have it. */
static const lm_stored_tensor *find_named(const lm_model_file *file, const char *pattern,
                                          int64_t layer, int64_t expert) {
    char of_layer[LM_PARAM_NAME_BYTES], name[LM_PARAM_NAME_BYTES],
        longer[LM_PARAM_NAME_BYTES + 24];
    lm_param_name_fill(pattern, layer, of_layer);
    fill_expert(of_layer, expert, name);
    const lm_stored_tensor *found = lm_model_file_find(file, name);
    const char *rest = strchr(name, '.');
    if (found || !rest || lm_naming_of(file) == LM_NAMING_GGUF) return found;
    if ((found = lm_model_file_find(file, rest + 1))) return found;
    snprintf(longer, sizeof longer, "roberta.%s", rest + 1);
    if ((found = lm_model_file_find(file, longer))) return found;
    snprintf(longer, sizeof longer, "language_model.%s", name);
    if ((found = lm_model_file_find(file, longer))) return found;
    snprintf(longer, sizeof longer, "model.language_model.%s", rest + 1);
    return lm_model_file_find(file, longer);
}

void lm_param_spell(const lm_arch *arch, lm_param_id id, int64_t layer, lm_naming naming,
                    char out[LM_PARAM_NAME_BYTES]) {
    const char *pattern = lm_param_pattern(id, naming);
    for (size_t i = LM_COUNT_OF(spellings); i-- > 0;) {
        const spelling *s = &spellings[i];
        bool theirs = s->dialect == ANY || s->dialect == (int)arch->dialect;
        if (s->id == id && s->naming == naming && theirs) pattern = s->name;
    }
    lm_param_name_fill(pattern, layer, out);
}

static bool speaks(const lm_model_file *file, const lm_arch_config *config, lm_naming naming,
                   int dialect) {
    return naming == lm_naming_of(file) &&
           (dialect == ANY || dialect == (int)config->arch->dialect);
}

/* Its rows in a tensor that holds several. Biases of experts that lie by turns are counted by element. */
static int64_t rows_of(const lm_arch_config *config, lm_part_order order, lm_param_id id) {
    int64_t shape[2];
    lm_param_shape(config, id, shape);
    if (id == LM_PARAM_K_UP) return config->hparams.n_heads * shape[1];
    return order == LM_PART_TURNS && lm_param_is_bias(id) ? shape[0] * shape[1] : shape[0];
}

static int64_t groups_of(const lm_arch_config *config, lm_part_order order, lm_param_id id) {
    switch (order) {
    case LM_PART_GROUPS: return config->hparams.n_kv_heads;
    case LM_PART_HEADS: return config->hparams.n_heads;
    case LM_PART_EXPERTS: return config->hparams.n_experts;
    case LM_PART_TURNS: return rows_of(config, order, id);
    default: return 1;
    }
}

/* Fills out for part `part` of a fusion whose tensor is there. */
static void fill_part(const lm_arch_config *config, const fusion *f, int part,
                      lm_param_source *out) {
    out->order = f->order;
    out->part = part;
    for (int i = 0; f->ids[i]; i++) out->total_rows += rows_of(config, f->order, f->ids[i]);
    out->n_groups = groups_of(config, f->order, f->ids[part]);
    out->run_step = out->total_rows / out->n_groups;
    out->run_rows = rows_of(config, f->order, f->ids[part]) / out->n_groups;
    for (int i = 0; i < part; i++)
        out->first_row += rows_of(config, f->order, f->ids[i]) / out->n_groups;
}

static bool find_part(const lm_model_file *file, const lm_arch_config *config, const fusion *f,
                      lm_param_id id, int64_t layer, lm_param_source *out) {
    if (!speaks(file, config, f->naming, f->dialect)) return false;
    for (int part = 0; f->ids[part]; part++) {
        if (f->ids[part] != id) continue;
        lm_param_source source = {.tensor = find_named(file, f->name, layer, 0)};
        if (!source.tensor) return false;
        fill_part(config, f, part, &source);
        bool turned = config->arch->hf_transposed && f->naming == LM_NAMING_HF;
        int dim = turned && source.tensor->n_dims == 2 ? 1 : 0;
        int64_t rows = source.tensor->shape[dim];
        if (f->order == LM_PART_EXPERTS || f->order == LM_PART_TURNS)
            rows *= source.tensor->shape[1];
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
        const lm_stored_tensor *tensor = find_named(file, s->name, layer, expert);
        if (tensor) return tensor;
    }
    return find_named(file, lm_param_pattern(id, lm_naming_of(file)), layer, expert);
}

bool lm_param_source_find(const lm_model_file *file, const lm_arch_config *config, lm_param_id id,
                          int64_t layer, lm_param_source *out) {
    for (size_t i = 0; i < LM_COUNT_OF(fusions); i++)
        if (find_part(file, config, &fusions[i], id, layer, out)) return true;
    *out = (lm_param_source){.tensor = find_whole(file, config, id, layer, 0)};
    if (out->tensor && lm_param_is_experts(id) && out->tensor->n_dims == 2)
        out->order = LM_PART_APART;
    return out->tensor != NULL;
}

const lm_stored_tensor *lm_param_source_expert(const lm_model_file *file,
                                               const lm_arch_config *config, lm_param_id id,
                                               int64_t layer, int64_t expert) {
    return find_whole(file, config, id, layer, expert);
}
