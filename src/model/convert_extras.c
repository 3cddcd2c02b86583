#include "model/convert_extras.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/hparams_write.h"
#include "model/tokenizer.h"

static void push(lm_convert_extras *x, const lm_convert_extra *e) {
    LM_ASSERT(x->n < LM_CONVERT_MAX_EXTRAS);
    x->list[x->n++] = *e;
}

/* A vector of tables that scale frequencies. */
static void push_factors(lm_convert_extras *x, const lm_hparams *hp, const char *name,
                         const float *values) {
    lm_convert_extra e = {.n_dims = 1, .shape = {hp->rope_dim / 2}, .values = values};
    snprintf(e.name, sizeof e.name, "%s", name);
    push(x, &e);
}

static void push_dense(lm_convert_extras *x, const lm_dense_layer *layer, int index) {
    lm_convert_extra e = {.n_dims = 2, .shape = {layer->n_out, layer->n_in}, .values = layer->w};
    snprintf(e.name, sizeof e.name, "dense_%d.weight", index + 2);
    push(x, &e);
}

/* A classifier of two, where a folder has a decoder. */
static LM_MUST_USE loam_status push_answers(lm_model *model, const lm_arch_config *config,
                                            lm_convert_extras *x, loam_error *err) {
    static const char *const words[] = {"yes", "no"};
    const lm_tokenizer *tokenizer = lm_model_tokenizer(model);
    bool untied = lm_arch_has(config, LM_FEATURE_UNTIED_HEAD);
    lm_param_id id = untied ? LM_PARAM_OUTPUT_HEAD : LM_PARAM_TOKEN_EMBED;
    int64_t dim = config->hparams.dim;
    if (!lm_model_pooling(model)->by_answer) return LOAM_OK;
    LM_TRY(lm_model_make_param(model, id, 0, err));
    const lm_weight *head = lm_model_param(model, id, 0);
    size_t row_bytes = lm_dtype_bytes(head->dtype, dim);
    x->answers = lm_calloc(2 * (size_t)dim, sizeof *x->answers);
    if (!x->answers) return lm_error_no_memory(err, 2 * (size_t)dim * sizeof *x->answers);
    for (int i = 0; i < 2; i++) {
        int32_t token = tokenizer ? lm_tokenizer_find(tokenizer, lm_str_of(words[i])) : -1;
        if (token < 0 || token >= head->shape[0])
            return lm_error_set(err, LOAM_INVALID, "the vocabulary has no token '%s'", words[i]);
        lm_dtype_get(head->dtype)
            ->unpack((const char *)head->data + (size_t)token * row_bytes, x->answers + i * dim,
                     dim);
    }
    lm_convert_extra e = {"cls.output.weight", .n_dims = 2, .shape = {2, dim},
                          .values = x->answers};
    push(x, &e);
    return LOAM_OK;
}

loam_status lm_convert_extras_find(lm_model *model, const lm_arch_config *config,
                                   lm_convert_extras *inout, loam_error *err) {
    const lm_hparams *hp = &config->hparams;
    const lm_dense *dense = lm_model_pooling(model)->dense;
    if (hp->rope_scaling.kind == LM_ROPE_SCALING_LONGROPE) {
        push_factors(inout, hp, "rope_factors_long.weight", hp->rope_scaling.long_factors);
        push_factors(inout, hp, "rope_factors_short.weight", hp->rope_scaling.short_factors);
    } else if (lm_hparams_freq_factors(hp, inout->freq_factors)) {
        push_factors(inout, hp, "rope_freqs.weight", inout->freq_factors);
        int64_t n = hp->rope_dim / 2, longest = lm_local_rope_dim(hp) / 2;
        for (; config->arch->gguf_local_rope && n < longest && n < LM_MAX_ROPE_PAIRS; n++)
            inout->freq_factors[n] = 1;
        inout->list[inout->n - 1].shape[0] = n;
    }
    for (int i = 0; i < lm_dense_count(dense); i++) push_dense(inout, lm_dense_at(dense, i), i);
    return push_answers(model, config, inout, err);
}

void lm_convert_extras_deinit(lm_convert_extras *extras) {
    lm_free(extras->answers);
}

size_t lm_convert_extra_bytes(const lm_convert_extra *e) {
    return (size_t)(e->n_dims == 2 ? e->shape[0] * e->shape[1] : e->shape[0]) * sizeof(float);
}
