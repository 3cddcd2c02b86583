#include "model/arch.h"

#include <stdio.h>
#include <string.h>

#include "compute/numerics.h"
#include "model/rope_table.h"

static const lm_arch archs[] = {
#define LM_ARCH(name, hf_class, features) {name, hf_class, features},
#include "model/archs.def"
#undef LM_ARCH
};

/* What a dimension of a parameter is the size of. */
typedef enum param_dim { DIM_NONE, DIM_VOCAB, DIM_DIM, DIM_Q, DIM_KV, DIM_HEAD, DIM_FFN } param_dim;

typedef struct param_row {
    const char *name[2]; /* by lm_naming */
    param_dim n_out, n_in;
    lm_feature feature;
} param_row;

static const param_row params[LM_PARAM_COUNT] = {
#define LM_PARAM(id, gguf, hf, n_out, n_in, feature) \
    [LM_PARAM_##id] = {{gguf, hf}, DIM_##n_out, DIM_##n_in, LM_FEATURE_##feature},
#include "model/params.def"
#undef LM_PARAM
};

const lm_arch *lm_arch_find(const char *name) {
    for (size_t i = 0; i < LM_COUNT_OF(archs); i++) {
        if (strcmp(archs[i].name, name) == 0) return &archs[i];
    }
    return NULL;
}

size_t lm_arch_count(void) {
    return LM_COUNT_OF(archs);
}

const lm_arch *lm_arch_at(size_t index) {
    LM_ASSERT(index < LM_COUNT_OF(archs));
    return &archs[index];
}

loam_status lm_arch_config_check(const lm_arch_config *config, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    LM_TRY(lm_hparams_check(hp, config->arch->name, err));
    if (hp->head_dim > LM_MAX_HEAD_DIM)
        return lm_error_set(err, LOAM_UNSUPPORTED, "heads are %lld wide, at most %d is supported",
                            (long long)hp->head_dim, LM_MAX_HEAD_DIM);
    if (strcmp(hp->hidden_act, "silu") != 0)
        return lm_error_set(err, LOAM_UNSUPPORTED, "activation '%s' is not supported, only silu is",
                            hp->hidden_act);
    if (hp->context_len > INT32_MAX)
        return lm_error_set(err, LOAM_UNSUPPORTED, "a context of %lld tokens is not supported",
                            (long long)hp->context_len);
    return lm_rope_check(hp, err);
}

bool lm_param_has_layer(lm_param_id id) {
    return strstr(params[id].name[LM_NAMING_GGUF], "%d") != NULL;
}

lm_feature lm_param_feature(lm_param_id id) {
    return params[id].feature;
}

bool lm_param_in(const lm_arch_config *config, lm_param_id id) {
    return params[id].feature == LM_FEATURE_ALWAYS || (config->features & params[id].feature);
}

static int64_t dim_size(const lm_hparams *hp, param_dim dim) {
    switch (dim) {
    case DIM_NONE: return 1;
    case DIM_VOCAB: return hp->vocab_size;
    case DIM_DIM: return hp->dim;
    case DIM_Q: return hp->n_heads * hp->head_dim;
    case DIM_KV: return hp->n_kv_heads * hp->head_dim;
    case DIM_HEAD: return hp->head_dim;
    case DIM_FFN: return hp->ffn_dim;
    }
    return 0;
}

int lm_param_shape(const lm_arch_config *config, lm_param_id id, int64_t out_shape[2]) {
    out_shape[0] = dim_size(&config->hparams, params[id].n_out);
    out_shape[1] = dim_size(&config->hparams, params[id].n_in);
    return params[id].n_in == DIM_NONE ? 1 : 2;
}

void lm_param_name(lm_param_id id, int64_t layer, lm_naming naming, char out[LM_PARAM_NAME_BYTES]) {
    const char *pattern = params[id].name[naming];
    const char *mark = strstr(pattern, "%d");
    if (mark) {
        snprintf(out, LM_PARAM_NAME_BYTES, "%.*s%lld%s", (int)(mark - pattern), pattern,
                 (long long)layer, mark + 2);
    } else {
        snprintf(out, LM_PARAM_NAME_BYTES, "%s", pattern);
    }
}

int64_t lm_arch_n_params(const lm_arch_config *config) {
    int64_t total = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        if (!lm_param_in(config, id)) continue;
        int64_t shape[2];
        lm_param_shape(config, id, shape);
        total += shape[0] * shape[1] * (lm_param_has_layer(id) ? config->hparams.n_layers : 1);
    }
    return total;
}
