#include "model/quantize_mix.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/compiler.h"
#include "base/str.h"

static const lm_mix mixes[] = {
#define MIX(name, file_type, dtype) {#name, file_type, LM_##dtype},
#define RULE(mix, part, where, dtype)
#include "model/quantize_mixes.def"
#undef MIX
#undef RULE
};

enum mix_index {
#define MIX(name, file_type, dtype) MIX_##name,
#define RULE(mix, part, where, dtype)
#include "model/quantize_mixes.def"
#undef MIX
#undef RULE
};

typedef enum model_part {
    PART_OTHER,
    PART_V,
    PART_QKV,
    PART_OUT,
    PART_DOWN,
    PART_HEAD,
    PART_EMBEDDING,
} model_part;

typedef enum region {
    EVERYWHERE,
    SHARED_HEADS, /* four query heads or more share a key head */
    FIRST_TWO,    /* layers */
    FIRST_FOUR,
    FIRST_SIXTEENTH, /* of the layers */
    FIRST_EIGHTH,
    FIRST_EIGHTH_WITH_IMATRIX,
    FIRST_EIGHTH_WITHOUT_IMATRIX,
    ENDS_AND_THIRDS, /* the first eighth, the last eighth, and every third layer between */
} region;

static const struct {
    int mix;
    model_part part;
    region place;
    lm_dtype dtype;
} rules[] = {
#define MIX(name, file_type, dtype)
#define RULE(mix, part, where, dtype) {MIX_##mix, PART_##part, where, LM_##dtype},
#include "model/quantize_mixes.def"
#undef MIX
#undef RULE
};

size_t lm_mix_count(void) {
    return LM_COUNT_OF(mixes);
}

const lm_mix *lm_mix_at(size_t index) {
    return &mixes[index];
}

const lm_mix *lm_mix_find(const char *name) {
    static const char *const medium[] = {"Q3_K", "Q4_K", "Q5_K"};
    for (size_t i = 0; i < LM_COUNT_OF(medium); i++)
        if (strcasecmp(name, medium[i]) == 0)
            return lm_mix_find((const char *[]){"Q3_K_M", "Q4_K_M", "Q5_K_M"}[i]);
    for (size_t i = 0; i < LM_COUNT_OF(mixes); i++)
        if (strcasecmp(name, mixes[i].name) == 0) return &mixes[i];
    return NULL;
}

bool lm_mix_quantizes(const char *name, int n_dims) {
    return n_dims >= 2 && lm_str_ends(lm_str_of(name), LM_STR("weight")) &&
           !strstr(name, "_norm.weight") && !strstr(name, "ffn_gate_inp.weight") &&
           !strstr(name, "hc_attn_fn") && !strstr(name, "hc_ffn_fn") &&
           !strstr(name, "output_hc_fn") && !strstr(name, "_compressor_ape") &&
           !strstr(name, "tid2eid") && !strstr(name, "shortconv.conv.weight") &&
           !strstr(name, "ssm_conv1d");
}

static model_part part_of(const char *name) {
    static const struct {
        const char *word;
        model_part part;
    } words[] = {{"attn_qkv.weight", PART_QKV},  {"attn_kv_b.weight", PART_V},
                 {"attn_v.weight", PART_V},      {"attn_output.weight", PART_OUT},
                 {"ffn_down", PART_DOWN},        {"token_embd.weight", PART_EMBEDDING},
                 {"per_layer_token", PART_OTHER}};
    if (strcmp(name, "output.weight") == 0) return PART_HEAD;
    for (size_t i = 0; i < LM_COUNT_OF(words); i++)
        if (strstr(name, words[i].word)) return words[i].part;
    return PART_OTHER;
}

/* Of "blk.7.attn_v.weight"; 0 for others. */
static int64_t layer_of(const char *name) {
    const char *number = strstr(name, "blk.");
    return number ? strtoll(number + strlen("blk."), NULL, 10) : 0;
}

static bool is_at(region place, int64_t layer, const lm_mix_model *model) {
    int64_t n = model->n_layers;
    switch (place) {
    case EVERYWHERE: return true;
    case SHARED_HEADS: return model->heads_per_kv >= 4;
    case FIRST_TWO: return layer < 2;
    case FIRST_FOUR: return layer < 4;
    case FIRST_SIXTEENTH: return layer < n / 16;
    case FIRST_EIGHTH: return layer < n / 8;
    case FIRST_EIGHTH_WITH_IMATRIX: return layer < n / 8 && model->has_imatrix;
    case FIRST_EIGHTH_WITHOUT_IMATRIX: return layer < n / 8 && !model->has_imatrix;
    case ENDS_AND_THIRDS: return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    }
    return false;
}

static bool is_whole(lm_dtype dtype, int64_t n_cols) {
    return n_cols % lm_dtype_get(dtype)->block_elems == 0;
}

lm_dtype lm_mix_fitting(lm_dtype dtype, int64_t n_cols) {
    if (is_whole(dtype, n_cols)) return dtype;
    switch (dtype) {
    case LM_IQ4_XS: dtype = LM_IQ4_NL; break;
    case LM_Q2_K:
    case LM_Q3_K: dtype = LM_Q4_0; break;
    case LM_Q4_K: dtype = LM_Q5_0; break;
    case LM_Q5_K: dtype = LM_Q5_1; break;
    case LM_Q6_K: dtype = LM_Q8_0; break;
    default: break;
    }
    return is_whole(dtype, n_cols) ? dtype : LM_F16;
}

/* The output matrix, on which every token depends. */
static lm_dtype head_dtype(const lm_mix *mix, int64_t n_cols) {
    bool plain = !lm_dtype_is_quantized(mix->dtype) || mix->dtype == LM_Q8_0;
    return plain ? mix->dtype : is_whole(mix->dtype, n_cols) ? LM_Q6_K : LM_Q8_0;
}

lm_dtype lm_mix_dtype(const lm_mix *mix, const lm_mix_model *model, const char *name,
                      int64_t n_cols) {
    model_part part = part_of(name);
    if (model->pure) return lm_mix_fitting(mix->dtype, n_cols);
    if (part == PART_HEAD || (part == PART_EMBEDDING && model->tied_head))
        return lm_mix_fitting(head_dtype(mix, n_cols), n_cols);
    for (size_t i = 0; i < LM_COUNT_OF(rules); i++)
        if (&mixes[rules[i].mix] == mix && rules[i].part == part &&
            is_at(rules[i].place, layer_of(name), model))
            return lm_mix_fitting(rules[i].dtype, n_cols);
    return lm_mix_fitting(mix->dtype, n_cols);
}
