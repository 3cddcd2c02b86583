#include "testing.h"

#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "model/arch.h"
#include "model/gguf_writer.h"
#include "model/hparams.h"
#include "model/hparams_write.h"
#include "model/kv_cache.h"

#define SIZES                                                                                      \
    "\"model_type\":\"llama\",\"num_hidden_layers\":2,\"hidden_size\":64,\"num_attention_heads\":" \
    "8,"                                                                                           \
    "\"intermediate_size\":96,\"vocab_size\":100,\"max_position_embeddings\":256"

static loam_status read_config(const char *text, lm_hparams *out, loam_error *err) {
    json_t *config = NULL;
    LM_TRY(lm_json_parse(lm_str_of(text), "config.json", &config, err));
    loam_status status = lm_hparams_from_config(config, "config.json", out, err);
    json_decref(config);
    return status;
}

static void check_refused(const char *text, loam_status want, const char *what) {
    lm_hparams h;
    loam_error err = {0};
    loam_status status = read_config(text, &h, &err);
    if (status != want || !strstr(err.message, what))
        fail_msg("%s: got '%s' (%s), wanted '%s' with '%s'", text, loam_status_name(status),
                 err.message, loam_status_name(want), what);
}

static void test_defaults_of_a_config(void **state) {
    lm_hparams h;
    assert_ok(read_config("{" SIZES "}", &h, &err));
    assert_int_equal(h.n_kv_heads, 8);
    assert_int_equal(h.head_dim, 8);
    assert_int_equal(h.rope_dim, 8);
    assert_close(h.rope_theta, 10000, 0, 0);
    assert_close(h.rms_norm_eps, 1e-6, 0, 0);
    assert_string_equal(h.hidden_act, "silu");
    assert_false(h.tied_embeddings);
    assert_int_equal(h.rope_layout, LM_ROPE_HALF_SPLIT);
    assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_NONE);
    assert_close(h.rope_scaling.factor, 1, 0, 0);
}

static void test_both_spellings_of_rope(void **state) {
    static const char *const texts[] = {
        "{" SIZES ",\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":"
        "8.0,\"low_freq_factor\":1.0,"
        "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":128}}",
        "{" SIZES ",\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"llama3\","
        "\"factor\":8.0,\"low_freq_factor\":1.0,"
        "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":128}}",
    };
    for (size_t i = 0; i < LM_COUNT_OF(texts); i++) {
        lm_hparams h;
        assert_ok(read_config(texts[i], &h, &err));
        assert_close(h.rope_theta, 500000, 0, 0);
        assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_LLAMA3);
        assert_close(h.rope_scaling.factor, 8, 0, 0);
        assert_close(h.rope_scaling.high_freq_factor, 4, 0, 0);
        assert_int_equal(h.rope_scaling.original_context_len, 128);
    }
}

static void test_other_scalings(void **state) {
    lm_hparams h;
    assert_ok(read_config("{" SIZES ",\"rope_scaling\":null}", &h, &err));
    assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_NONE);
    assert_ok(
        read_config("{" SIZES ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}", &h, &err));
    assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_LINEAR);
    assert_ok(read_config("{" SIZES ",\"rope_scaling\":{\"rope_type\":\"default\"}}", &h, &err));
    assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_NONE);
    assert_ok(
        read_config("{" SIZES ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}}", &h, &err));
    assert_close(h.rope_scaling.beta_fast, 32, 0, 0);
    check_refused("{" SIZES ",\"rope_scaling\":{\"type\":\"spiral\"}}", LOAM_UNSUPPORTED,
                  "rope scaling 'spiral'");
    check_refused("{" SIZES ",\"rope_scaling\":7}", LOAM_INVALID, "must be an object");
    check_refused("{" SIZES ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", LOAM_INVALID,
                  "scaling factor 0");
    check_refused("{" SIZES ",\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8}}", LOAM_INVALID,
                  "original_max_position");
}

static void test_configs_that_make_no_sense(void **state) {
    check_refused("[]", LOAM_INVALID, "not a JSON object");
    check_refused("{}", LOAM_INVALID, "'model_type'");
    check_refused("{\"model_type\":\"llama\"}", LOAM_INVALID, "'num_hidden_layers' is missing");
    check_refused("{" SIZES ",\"head_dim\":\"8\"}", LOAM_INVALID, "'head_dim' must be an integer");
    check_refused("{" SIZES ",\"head_dim\":7}", LOAM_INVALID, "rotary width 7 is odd");
    check_refused("{" SIZES ",\"num_key_value_heads\":3}", LOAM_INVALID, "8 heads cannot share 3");
    check_refused("{" SIZES ",\"num_key_value_heads\":0}", LOAM_INVALID, "key-value heads 0");
    check_refused("{" SIZES ",\"rms_norm_eps\":-1}", LOAM_INVALID, "epsilon -1 is not positive");
    check_refused("{" SIZES ",\"rope_theta\":0}", LOAM_INVALID, "rope theta 0");
    check_refused("{" SIZES ",\"partial_rotary_factor\":2}", LOAM_INVALID, "partial_rotary_factor");
    check_refused(
        "{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":4611686018427387904,\"n_head\":8,"
        "\"vocab_size\":100}",
        LOAM_INVALID, "4611686018427387904");
    check_refused("{\"model_type\":\"granitemoehybrid\",\"num_hidden_layers\":2,"
                  "\"hidden_size\":4611686018427387904,\"num_attention_heads\":8,"
                  "\"intermediate_size\":96,\"vocab_size\":100,\"max_position_embeddings\":256,"
                  "\"layer_types\":[\"mamba\",\"attention\"],\"mamba_n_heads\":4,"
                  "\"mamba_expand\":2}",
                  LOAM_INVALID, "4611686018427387904");
    check_refused(
        "{\"model_type\":\"llama\",\"num_hidden_layers\":9223372036854775807,\"hidden_size\":64,"
        "\"num_attention_heads\":0,\"intermediate_size\":96,\"vocab_size\":100,\"max_position_"
        "embeddings\":9}",
        LOAM_INVALID, "number of layers 9223372036854775807");
}

/* A GGUF file of the llama family with rope_freqs of n elements (0: without), kept in *path. */
static lm_gguf *write_gguf(const char *path, int64_t n_freqs, const char *scaling) {
    static const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {{"llama.block_count", 2},          {"llama.embedding_length", 64},
                 {"llama.attention.head_count", 8}, {"llama.feed_forward_length", 96},
                 {"llama.context_length", 256},     {"llama.vocab_size", 100}};
    const float freqs[8] = {1, 2, 3, 4};
    lm_gguf_writer *writer = lm_gguf_writer_new();
    lm_gguf *gguf = NULL;
    lm_gguf_writer_add_str(writer, "general.architecture", LM_STR("llama"));
    for (size_t i = 0; i < LM_COUNT_OF(sizes); i++)
        lm_gguf_writer_add_u32(writer, sizes[i].key, sizes[i].value);
    if (scaling) {
        lm_gguf_writer_add_str(writer, "llama.rope.scaling.type", lm_str_of(scaling));
        lm_gguf_writer_add_f32(writer, "llama.rope.scaling.factor", 4);
    }
    if (n_freqs)
        assert_ok(
            lm_gguf_writer_add_tensor(writer, "rope_freqs.weight", LM_F32, 1, &n_freqs, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_write(writer, freqs, (size_t)n_freqs * sizeof *freqs, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    assert_ok(lm_gguf_open(path, &gguf, &err));
    return gguf;
}

static void test_gguf(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x.gguf");
    lm_hparams h;
    lm_gguf *gguf = write_gguf(path, 4, "yarn");
    assert_ok(lm_hparams_from_gguf(gguf, &h, &err));
    assert_int_equal(h.rope_layout, LM_ROPE_INTERLEAVED);
    assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_YARN);
    assert_close(h.rope_scaling.factor, 4, 0, 0);
    assert_non_null(h.rope_freq_factors);
    assert_true(h.rope_freq_factors[3] == 4);
    assert_true(h.tied_embeddings);
    lm_gguf_close(gguf);
    gguf = write_gguf(path, 5, NULL);
    assert_status(LOAM_INVALID, lm_hparams_from_gguf(gguf, &h, &err));
    lm_gguf_close(gguf);
    gguf = write_gguf(path, 0, "spiral");
    assert_status(LOAM_UNSUPPORTED, lm_hparams_from_gguf(gguf, &h, &err));
    lm_gguf_close(gguf);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

/* A small file of some family with a tensor of one number, one more number, and lists of a number for each of three layers, some of
 * them in place of one for all. */
typedef struct small_gguf {
    const char *arch, *tensor, *number;
    uint32_t value;
    struct {
        const char *key;
        int32_t by_layer[3];
    } lists[3];
} small_gguf;

static bool is_listed(const small_gguf *f, const char *key) {
    for (size_t i = 0; i < LM_COUNT_OF(f->lists); i++)
        if (f->lists[i].key && strcmp(f->lists[i].key, key) == 0) return true;
    return false;
}

static void write_lists(const small_gguf *f, lm_gguf_writer *writer) {
    char key[96];
    for (size_t i = 0; i < LM_COUNT_OF(f->lists) && f->lists[i].key; i++) {
        snprintf(key, sizeof key, "%s.%s", f->arch, f->lists[i].key);
        lm_gguf_writer_open_array(writer, key, LM_GGUF_I32, LM_COUNT_OF(f->lists[i].by_layer));
        for (size_t k = 0; k < LM_COUNT_OF(f->lists[i].by_layer); k++)
            lm_gguf_writer_push_i32(writer, f->lists[i].by_layer[k]);
    }
}

static loam_status read_small_gguf(const char *path, const small_gguf *f, loam_error *out_err) {
    lm_hparams h;
    static const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {{"block_count", 3},           {"embedding_length", 64},
                 {"context_length", 256},      {"feed_forward_length", 96},
                 {"attention.head_count", 4},  {"vocab_size", 100},
                 {"attention.key_length", 16}, {"attention.sliding_window", 8}};
    char key[96];
    const float one = 1;
    const int64_t shape[] = {1};
    lm_gguf *gguf;
    lm_gguf_writer *writer = lm_gguf_writer_new();
    lm_gguf_writer_add_str(writer, "general.architecture", lm_str_of(f->arch));
    for (size_t i = 0; i < LM_COUNT_OF(sizes); i++) {
        if (is_listed(f, sizes[i].key)) continue;
        snprintf(key, sizeof key, "%s.%s", f->arch, sizes[i].key);
        lm_gguf_writer_add_u32(writer, key, sizes[i].value);
    }
    snprintf(key, sizeof key, "%s.%s", f->arch, f->number);
    lm_gguf_writer_add_u32(writer, key, f->value);
    write_lists(f, writer);
    assert_ok(lm_gguf_writer_add_tensor(writer, f->tensor, LM_F32, 1, shape, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_write(writer, &one, sizeof one, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    assert_ok(lm_gguf_open(path, &gguf, &err));
    loam_status status = lm_hparams_from_gguf(gguf, &h, out_err);
    lm_gguf_close(gguf);
    return status;
}

static void test_gguf_files_that_say_too_much(void **state) {
    static const struct {
        small_gguf file;
        const char *what;
    } cases[] = {
        {{"mimo2",
          "output_norm.weight",
          "attention.value_length",
          16,
          {{"attention.head_count_kv", {2, 1, 4}}}},
         "layers of one kind have"},
        {{"gemma3n", "output_norm.weight", "altup.num_inputs", 1, {{0}}}, "stream 0 of 1"},
        {{"jina-bert-v2", "blk.0.attn_norm_2.weight", "unread", 0, {{0}}}, "two norms"},
        {{"gemma4",
          "output_norm.weight",
          "attention.shared_kv_layers",
          1,
          {{"feed_forward_length", {96, 64, 32}}}},
         "feed_forward_length"},
        {{"deci",
          "output_norm.weight",
          "unread",
          0,
          {{"feed_forward_length", {96, 0, 96}}, {"attention.head_count", {4, 4, 4}}}},
         "no layer attends or keeps a state"},
    };
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x.gguf");
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        loam_error why = {0};
        loam_status status = read_small_gguf(path, &cases[i].file, &why);
        if (status != LOAM_UNSUPPORTED || !strstr(why.message, cases[i].what))
            fail_msg("'%s', wanted '%s'", why.message, cases[i].what);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

/* A deepseek2 file of two layers, with a bias where experts are chosen or without, that does not say how they are scored. */
static lm_hparams latent_gguf(const char *path, bool has_bias) {
    static const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {
        {"block_count", 3},          {"nextn_predict_layers", 1},    {"embedding_length", 64},
        {"context_length", 256},     {"feed_forward_length", 96},    {"attention.head_count", 4},
        {"vocab_size", 100},         {"attention.kv_lora_rank", 24}, {"attention.key_length", 20},
        {"rope.dimension_count", 8}, {"attention.value_length", 14}, {"expert_count", 4},
        {"expert_used_count", 2},    {"attention.head_count_kv", 4},
    };
    const float bias[4] = {0};
    const int64_t shape[] = {4};
    lm_gguf_writer *writer = lm_gguf_writer_new();
    lm_gguf_writer_add_str(writer, "general.architecture", LM_STR("deepseek2"));
    for (size_t i = 0; i < LM_COUNT_OF(numbers); i++) {
        char *key = lm_asprintf("deepseek2.%s", numbers[i].key);
        lm_gguf_writer_add_u32(writer, key, numbers[i].value);
        lm_free(key);
    }
    assert_ok(lm_gguf_writer_add_tensor(writer,
                                        has_bias ? "blk.1.exp_probs_b.bias" : "output_norm.weight",
                                        LM_F32, 1, shape, &err));
    assert_ok(lm_gguf_writer_begin(writer, path, &err));
    assert_ok(lm_gguf_writer_write(writer, bias, sizeof bias, &err));
    assert_ok(lm_gguf_writer_commit(writer, &err));
    lm_gguf_writer_free(writer);
    lm_gguf *gguf;
    lm_hparams h;
    assert_ok(lm_gguf_open(path, &gguf, &err));
    assert_ok(lm_hparams_from_gguf(gguf, &h, &err));
    lm_gguf_close(gguf);
    return h;
}

static void test_latent_gguf(void **state) {
    char *dir = test_temp_dir(), *path = lm_path_join(dir, "x.gguf");
    for (int has_bias = 0; has_bias < 2; has_bias++) {
        lm_hparams h = latent_gguf(path, has_bias);
        assert_int_equal(h.expert_sigmoid, has_bias);
        assert_int_equal(h.n_layers, 2);
        assert_int_equal(h.n_kv_heads, 1);
        assert_int_equal(h.head_dim, 24 + 8); /* what is cached */
        assert_int_equal(h.nope_dim, 12);
        assert_int_equal(h.value_dim, 14);
        assert_close(h.attention_scale, 1 / sqrt(20), 1e-12, 0);
    }
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(path);
    lm_free(dir);
}

#define LATENT                                                                          \
    "\"model_type\":\"deepseek_v3\",\"num_hidden_layers\":4,\"hidden_size\":64,"        \
    "\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":100,"            \
    "\"max_position_embeddings\":256,\"n_routed_experts\":8,\"num_experts_per_tok\":2," \
    "\"qk_nope_head_dim\":12,\"qk_rope_head_dim\":8"

static void test_latent_config(void **state) {
    lm_hparams h;
    assert_ok(read_config("{" LATENT
                          ",\"kv_lora_rank\":24,\"v_head_dim\":14,\"rope_interleave\":false,"
                          "\"mlp_layer_types\":[\"dense\",\"dense\",\"sparse\",\"sparse\"],"
                          "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":40,\"mscale\":1.0,"
                          "\"mscale_all_dim\":1.0}}",
                          &h, &err));
    double mscale = 0.1 * log(40) + 1;
    assert_int_equal(h.head_dim, 24 + 8);
    assert_int_equal(h.q_latent_dim, 0);
    assert_int_equal(lm_hparams_leading_dense(&h), 2);
    assert_int_equal(h.rope_layout, LM_ROPE_HALF_SPLIT);
    assert_close(h.attention_scale, mscale * mscale / sqrt(20), 1e-12, 0);
    check_refused("{" LATENT ",\"kv_lora_rank\":24}", LOAM_INVALID, "v_head_dim");
    check_refused("{" LATENT ",\"kv_lora_rank\":9223372036854775807,\"v_head_dim\":14}",
                  LOAM_INVALID, "latent width");
}

/* The text part of a model that sees may leave numbers out, and its type and whether the head is tied to the whole. */
static void test_text_part(void **state) {
    lm_hparams h;
    assert_ok(
        read_config("{\"model_type\":\"gemma3\",\"vision_config\":{\"hidden_size\":1152},"
                    "\"text_config\":{\"model_type\":\"gemma3_text\",\"hidden_size\":2560,"
                    "\"intermediate_size\":10240,\"num_hidden_layers\":34,\"sliding_window\":1024,"
                    "\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"}}}",
                    &h, &err)); /* as the 4B's is published */
    assert_int_equal(h.n_heads, 8);
    assert_int_equal(h.n_kv_heads, 4);
    assert_int_equal(h.head_dim, 256);
    assert_int_equal(h.vocab_size, 262208);
    assert_int_equal(h.window, 1024);
    assert_close(h.rope_theta, 1e6, 0, 0);
    assert_close(h.local_rope_theta, 1e4, 0, 0);
    assert_close(h.attention_scale, 0.0625, 0, 0);
    assert_true(h.tied_embeddings);
    assert_ok(
        read_config("{\"model_type\":\"qwen2_5_vl\",\"tie_word_embeddings\":true,\"text_config\":"
                    "{\"num_hidden_layers\":2,\"hidden_size\":64,\"num_attention_heads\":4,"
                    "\"intermediate_size\":96,\"vocab_size\":100,\"max_position_embeddings\":256,"
                    "\"rope_scaling\":{\"type\":\"mrope\",\"mrope_section\":[2,3,3]}}}",
                    &h, &err));
    assert_string_equal(h.architecture, "qwen2_5_vl");
    assert_int_equal(h.rope_scaling.kind, LM_ROPE_SCALING_NONE);
    assert_true(h.tied_embeddings);
    assert_string_equal(lm_arch_find("qwen2_5_vl_text")->hf_type, "qwen2_5_vl");
    assert_null(lm_arch_find("_text"));
}

/* What a family says for each layer must be the same in all, where it is a width, and of a kind that is known. */
static void test_each_layer(void **state) {
    lm_hparams h;
    check_refused(
        "{\"model_type\":\"exaone4\",\"num_hidden_layers\":9223372036854775807,\"hidden_size\":64,"
        "\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":100,"
        "\"max_position_embeddings\":256,\"sliding_window\":8}",
        LOAM_INVALID, "number of layers");
    assert_ok(read_config("{" SIZES
                          ",\"num_experts\":4,\"moe_topk\":[2,2],\"num_shared_expert\":[1,1],"
                          "\"moe_intermediate_size\":[24,24]}",
                          &h, &err));
    assert_int_equal(h.n_experts_used, 2);
    assert_int_equal(h.expert_ffn_dim, 24);
    assert_int_equal(h.shared_ffn_dim, 24);
    check_refused("{" SIZES ",\"num_experts\":4,\"moe_topk\":[2,1]}", LOAM_UNSUPPORTED, "moe_topk");
    check_refused("{" SIZES ",\"num_experts\":4,\"moe_topk\":[\"2\"]}", LOAM_UNSUPPORTED,
                  "moe_topk");
    check_refused("{" SIZES ",\"num_experts\":4,\"moe_topk\":[]}", LOAM_INVALID, "experts used");
    check_refused("{" SIZES ",\"layer_types\":[\"attention\",\"mamba\"]}", LOAM_UNSUPPORTED,
                  "layer 1 is of type 'mamba'");
    assert_ok(read_config("{" SIZES ",\"sliding_window\":8,\"sliding_window_pattern\":\"LG\"}", &h,
                          &err));
    assert_true(lm_layer_in(&h.windowed, 0));
    assert_false(lm_layer_in(&h.windowed, 1));
}

/* The larger member of the family says nothing of its biases: it is known by its layers. */
static void test_alibi(void **state) {
#define BAICHUAN(layers)                                                                 \
    "{\"model_type\":\"baichuan\",\"num_hidden_layers\":" #layers ",\"hidden_size\":64," \
    "\"num_attention_heads\":8,\"intermediate_size\":96,\"vocab_size\":100,"             \
    "\"max_position_embeddings\":256}"
    lm_hparams h;
    assert_ok(read_config(BAICHUAN(32), &h, &err));
    assert_close(h.alibi_max, 0, 0, 0);
    assert_false(lm_layer_in(&h.no_rope, 31));
    assert_ok(read_config(BAICHUAN(40), &h, &err));
    assert_close(h.alibi_max, 8, 0, 0);
    assert_true(lm_layer_in(&h.no_rope, 39));
#undef BAICHUAN
}

/* A Gemma whose rows see both sides is another architecture; of others none is known. */
static void test_use_bidirectional_attention(void **state) {
    lm_hparams h;
    assert_ok(read_config(
        "{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":7,\"hidden_size\":64,"
        "\"intermediate_size\":96,\"use_bidirectional_attention\":true,\"sliding_window\":8}",
        &h, &err));
    assert_string_equal(h.architecture, "gemma-embedding");
    assert_true(h.bidirectional);
    assert_int_equal(h.window, 8);
    check_refused("{" SIZES ",\"use_bidirectional_attention\":true}", LOAM_UNSUPPORTED,
                  "use_bidirectional_attention");
}

#define DELTA                                                                    \
    "{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":8,\"hidden_size\":64," \
    "\"num_attention_heads\":8,\"intermediate_size\":96,\"vocab_size\":100,"     \
    "\"max_position_embeddings\":256"
#define DELTA_HEADS                                                                       \
    ",\"linear_num_key_heads\":2,\"linear_num_value_heads\":4,\"linear_key_head_dim\":8," \
    "\"linear_value_head_dim\":16"

static void test_recurrent_layers(void **state) {
    lm_hparams h;
    assert_ok(read_config(DELTA DELTA_HEADS "}", &h, &err));
    for (int i = 0; i < 8; i++)
        assert_int_equal(lm_layer_in(&h.recurrent, i), i != 3 && i != 7); /* each fourth attends */
    assert_int_equal(h.conv_taps, 4);
    assert_int_equal(lm_cached_layers(&h), 2);
    assert_int_equal(lm_cached_layer(&h, 7), 1);
    assert_int_equal(lm_state_keys(&h), 16);
    assert_int_equal(lm_state_values(&h), 64);
    assert_ok(read_config("{" SIZES ",\"linear_num_key_heads\":3}", &h, &err)); /* not its own */
    assert_int_equal(lm_layers_before(&h.recurrent, 2), 0);
    assert_ok(read_config(DELTA DELTA_HEADS ",\"full_attention_interval\":9}", &h, &err));
    assert_int_equal(lm_cached_layers(&h), 0);
    assert_true(h.state_beta_scale == 0 && !lm_layer_in(&h.no_rope, 3));
    assert_ok(read_config(DELTA DELTA_HEADS ",\"linear_allow_neg_eigval\":true,"
                                            "\"rope_parameters\":{\"rope_theta\":null}}",
                          &h, &err));
    assert_true(h.state_beta_scale == 2 && lm_layer_in(&h.no_rope, 3));
}

#define LONE                                                                                       \
    "{\"model_type\":\"nemotron_h\",\"num_hidden_layers\":4,\"hidden_size\":32,\"vocab_size\":48," \
    "\"num_attention_heads\":4,\"intermediate_size\":40,\"max_position_embeddings\":128,"          \
    "\"mamba_num_heads\":4,\"mamba_head_dim\":16,\"ssm_state_size\":8,\"n_groups\":2,"             \
    "\"conv_kernel\":4,\"n_routed_experts\":4,\"num_experts_per_tok\":2"

static void test_lone_blocks(void **state) {
    lm_hparams h;
    assert_ok(read_config(LONE ",\"hybrid_override_pattern\":\"M-*-\"}", &h, &err));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(lm_layer_in(&h.recurrent, i), i == 0);
        assert_int_equal(lm_layer_attends(&h, i), i == 2);
        assert_int_equal(lm_layer_has_mlp(&h, i), i % 2);
    }
    assert_int_equal(lm_cached_layers(&h), 1);
    assert_int_equal(lm_cached_layer(&h, 2), 0);
    assert_int_equal(h.n_experts, 0); /* though it says a number */
    assert_ok(
        read_config(LONE ",\"layers_block_type\":[\"mamba\",\"attention\",\"moe\"]}", &h, &err));
    assert_int_equal(h.n_layers, 3);
    assert_int_equal(h.n_experts, 4);
    check_refused(LONE ",\"hybrid_override_pattern\":\"M-*\"}", LOAM_UNSUPPORTED,
                  "layer 3 is of type ''");
    check_refused(LONE ",\"hybrid_override_pattern\":\"M-*X\"}", LOAM_UNSUPPORTED,
                  "layer 3 is of type 'X'");
    assert_ok(read_config(LONE ",\"hybrid_override_pattern\":\"M-M-\"}", &h, &err));
    assert_int_equal(lm_cached_layers(&h), 0);
    check_refused(LONE ",\"hybrid_override_pattern\":\"----\"}", LOAM_UNSUPPORTED,
                  "no layer attends or keeps a state");
    check_refused(LONE ",\"hybrid_override_pattern\":\"ME*E\",\"moe_latent_size\":8}",
                  LOAM_UNSUPPORTED, "moe_latent_size");
}

#define VARIED                                                                                    \
    "{\"model_type\":\"nemotron-nas\",\"num_hidden_layers\":2,\"hidden_size\":48,\"vocab_size\":" \
    "48,"                                                                                         \
    "\"num_attention_heads\":4,\"max_position_embeddings\":128,\"block_configs\":["

static void test_varied_layers(void **state) {
    lm_hparams h;
    assert_ok(read_config(VARIED
                          "{\"attention\":{\"n_heads_in_group\":2},\"ffn\":{\"ffn_mult\":16}},"
                          "{\"attention\":{\"n_heads_in_group\":null},\"ffn\":{}}]}",
                          &h, &err));
    assert_int_equal(h.n_kv_heads, 2);
    assert_true(lm_layer_attends(&h, 0) && !lm_layer_attends(&h, 1));
    assert_true(lm_layer_has_mlp(&h, 0) && !lm_layer_has_mlp(&h, 1));
    assert_int_equal(lm_ffn_dim_at(&h, 0), 512);
    assert_int_equal(h.ffn_dim, 512);
    assert_int_equal(lm_cached_layers(&h), 1);
    check_refused(VARIED "{\"attention\":{\"n_heads_in_group\":2},\"ffn\":{\"ffn_mult\":16}}]}",
                  LOAM_INVALID, "1 of 2 layers");
    assert_ok(read_config(VARIED
                          "{\"attention\":{\"n_heads_in_group\":2},\"ffn\":{\"ffn_mult\":16}},"
                          "{\"attention\":{\"n_heads_in_group\":4},\"ffn\":{\"ffn_mult\":16}}]}",
                          &h, &err));
    assert_true(lm_kv_heads_at(&h, 0) == 2 && lm_kv_heads_at(&h, 1) == 1);
    assert_ok(read_config(VARIED
                          "{\"attention\":{\"n_heads_in_group\":2},\"ffn\":{\"ffn_mult\":16}},"
                          "{\"attention\":{\"replace_with_linear\":true},\"ffn\":{}}]}",
                          &h, &err));
    assert_true(lm_layer_mixes(&h, 1) && !lm_layer_attends(&h, 1));
    assert_int_equal(lm_cached_layers(&h), 1);
    check_refused(VARIED "{\"attention\":{},\"ffn\":{\"replace_with_linear\":true}},{}]}",
                  LOAM_UNSUPPORTED, "a matrix in place of an MLP");
    check_refused(VARIED "{},{}]}", LOAM_INVALID, "feed-forward width");
}

#define LISTED                                                                                   \
    "{\"num_hidden_layers\":2,\"hidden_size\":48,\"vocab_size\":48,\"num_attention_heads\":4,"    \
    "\"intermediate_size\":40,\"max_position_embeddings\":128,"

/* Heads layer by layer: DeciLM's of keys, Laguna's of queries, OpenELM's of both, whose MLPs differ as well. */
static void test_listed_heads(void **state) {
    lm_hparams h;
    assert_ok(read_config(LISTED
                          "\"model_type\":\"deci\",\"num_key_value_heads_per_layer\":[4,2]}",
                          &h, &err));
    assert_true(lm_heads_at(&h, 1) == 4 && lm_kv_heads_at(&h, 0) == 4 && lm_kv_heads_at(&h, 1) == 2);
    assert_true(h.n_kv_heads == 4 && lm_hparams_heads_vary(&h));
    check_refused(LISTED "\"model_type\":\"deci\",\"num_key_value_heads_per_layer\":[4,3]}",
                  LOAM_INVALID, "cannot share");
    check_refused(LISTED "\"model_type\":\"deci\",\"num_key_value_heads_per_layer\":[4,0]}",
                  LOAM_INVALID, "number of key-value heads");
    assert_ok(read_config(LISTED "\"model_type\":\"laguna\",\"num_key_value_heads\":2,"
                                 "\"num_attention_heads_per_layer\":[4,6]}",
                          &h, &err));
    assert_true(h.n_heads == 6 && lm_heads_at(&h, 0) == 4 && lm_kv_heads_at(&h, 1) == 2);
    assert_ok(read_config(LISTED
                          "\"model_type\":\"laguna\",\"expert_swiglu_limit_list\":[null,2.5],"
                          "\"share_expert_swiglu_limit_list\":[0,1]}",
                          &h, &err));
    assert_true(h.expert_limits[0] == 0 && h.expert_limits[1] == 2.5f && h.mlp_limits[1] == 1);
#define OPENELM                                                                                   \
    "{\"model_type\":\"openelm\",\"num_transformer_layers\":2,\"model_dim\":48,\"vocab_size\":48," \
    "\"head_dim\":8,\"max_context_length\":128,\"num_query_heads\":[2,3],\"num_kv_heads\":[1,3],"
    assert_ok(read_config(OPENELM "\"ffn_multipliers\":[0.5,2],\"ffn_dim_divisor\":32}", &h, &err));
    assert_true(lm_heads_at(&h, 1) == 3 && lm_kv_heads_at(&h, 0) == 1 && h.tied_embeddings);
    assert_true(lm_ffn_dim_at(&h, 0) == 32 && lm_ffn_dim_at(&h, 1) == 96);
    check_refused(OPENELM "\"ffn_multipliers\":[0.5]}", LOAM_INVALID, "ffn_multipliers");
    check_refused(OPENELM "\"ffn_multipliers\":[1,1],\"ffn_dim_divisor\":0}", LOAM_INVALID,
                  "ffn_dim_divisor");
}

/* What encoders' configs say that is not known. */
static void test_encoders(void **state) {
#define ENCODER(type)                                                                             \
    "{\"model_type\":\"" type                                                                     \
    "\",\"num_hidden_layers\":2,\"hidden_size\":64,\"num_attention_heads\":8,\"vocab_size\":100," \
    "\"intermediate_size\":96,\"max_position_embeddings\":256"
    lm_hparams h;
    assert_ok(read_config(ENCODER("electra") ",\"embedding_size\":16}", &h, &err));
    assert_int_equal(lm_embed_dim(&h), 16);
    check_refused(ENCODER("electra") ",\"embedding_size\":-1}", LOAM_INVALID,
                  "width of embeddings");
    check_refused(ENCODER("roformer") ",\"rotary_value\":true}", LOAM_UNSUPPORTED, "rotary_value");
    check_refused(ENCODER("new") ",\"logn_attention_scale\":true}", LOAM_UNSUPPORTED,
                  "logn_attention_scale");
    check_refused(ENCODER("new") ",\"layer_norm_type\":\"rms_norm\"}", LOAM_UNSUPPORTED,
                  "layer_norm_type");
    check_refused(
        ENCODER("new") ",\"rope_scaling\":{\"type\":\"ntk\",\"factor\":8,\"mixed_b\":0.6}}",
        LOAM_UNSUPPORTED, "mixed_b");
    check_refused(ENCODER("bert") ",\"rope_scaling\":{\"type\":\"ntk\",\"factor\":8}}",
                  LOAM_UNSUPPORTED, "'ntk'");
    check_refused(ENCODER("t5") ",\"relative_attention_num_buckets\":16}", LOAM_UNSUPPORTED,
                  "16 spans");
    assert_ok(read_config(ENCODER("t5") ",\"feed_forward_proj\":\"gated-gelu\"}", &h, &err));
    assert_string_equal(h.hidden_act, "gelu_new");
    check_refused(ENCODER("neobert") "}", LOAM_INVALID, "'max_length' is missing");
    check_refused(ENCODER("modernbert") ",\"classifier_activation\":\"silu\"}", LOAM_UNSUPPORTED,
                  "classifier_activation");
    assert_ok(read_config(ENCODER("modernbert") ",\"classifier_pooling\":\"mean\"}", &h, &err));
    assert_true(h.scores_mean);
}

#define KIMI                                                                                     \
    "{\"model_type\":\"kimi_linear\",\"num_hidden_layers\":4,\"hidden_size\":32,\"vocab_size\":" \
    "48,"                                                                                        \
    "\"num_attention_heads\":4,\"intermediate_size\":40,\"model_max_length\":128,"               \
    "\"kv_lora_rank\":20,\"qk_nope_head_dim\":10,\"qk_rope_head_dim\":6,\"v_head_dim\":14"

/* As published, or as transformers writes it. */
static void test_steps_of_keys(void **state) {
    static const char *const both[] = {
        KIMI ",\"linear_attn_config\":{\"head_dim\":8,\"num_heads\":3,\"short_conv_kernel_size\":4,"
             "\"kda_layers\":[1,2,4],\"full_attn_layers\":[3]}}",
        KIMI
        ",\"linear_head_dim\":8,\"linear_num_heads\":3,\"linear_conv_kernel_dim\":4,\"layer_"
        "types\":"
        "[\"linear_attention\",\"linear_attention\",\"full_attention\",\"linear_attention\"]}"};
    for (size_t n = 0; n < LM_COUNT_OF(both); n++) {
        lm_hparams h;
        assert_ok(read_config(both[n], &h, &err));
        for (int i = 0; i < 4; i++) assert_int_equal(lm_layer_attends(&h, i), i == 2);
        assert_int_equal(h.conv_taps, 4);
        assert_int_equal(lm_state_keys(&h), 24);
        assert_int_equal(lm_state_values(&h), 24);
        assert_int_equal(h.step_latent_dim, 8);
        assert_int_equal(h.context_len, 128);
        assert_true(lm_layer_in(&h.no_rope, 2) && !h.channel_states);
    }
}

#define KIMI_K3(low)                                                                          \
    KIMI ",\"attn_res_block_size\":2,\"linear_attn_config\":{\"head_dim\":8,\"num_heads\":3," \
         "\"short_"                                                                           \
         "conv_kernel_size\":4,\"gate_lower_bound\":" low ",\"kda_layers\":[1,2,3],"          \
         "\"full_attn_layers\":[4]}"

static void test_streams_that_begin_anew(void **state) {
    lm_hparams h;
    assert_ok(read_config(KIMI_K3("-5.0") ",\"hidden_act\":\"situ\",\"activation_situ_beta\":4,"
                                          "\"activation_situ_linear_beta\":25}",
                          &h, &err));
    assert_string_equal(h.architecture, "kimi-k3");
    assert_int_equal(h.recall_period, 2);
    assert_true(h.step_bound == 5 && h.gate_bound == 4 && h.up_bound == 25);
    check_refused(KIMI_K3("5.0") "}", LOAM_INVALID, "'gate_lower_bound' is 5");
    check_refused(KIMI_K3("-5.0") ",\"hidden_act\":\"situ\",\"activation_situ_beta\":-4}",
                  LOAM_INVALID, "bound of gates -4");
}

#define SELECTIVE \
    "{\"model_type\":\"mamba\",\"num_hidden_layers\":3,\"hidden_size\":40,\"vocab_size\":48"

static void test_selective_layers(void **state) {
    lm_hparams h;
    assert_ok(read_config(SELECTIVE ",\"time_step_rank\":\"auto\"}", &h, &err));
    assert_int_equal(h.step_latent_dim, 3); /* a sixteenth, rounded up */
    assert_int_equal(h.state_heads, 80);
    assert_int_equal(h.state_key_dim, 16);
    assert_int_equal(lm_state_values(&h), 80);
    assert_int_equal(lm_layers_before(&h.recurrent, 3), 3);
    assert_int_equal(lm_cached_layers(&h), 0);
    assert_true(h.scan_norm_eps == 0);
    assert_ok(read_config(SELECTIVE ",\"time_step_rank\":5,\"intermediate_size\":64}", &h, &err));
    assert_int_equal(h.step_latent_dim, 5);
    assert_int_equal(h.state_heads, 64);
    check_refused(SELECTIVE ",\"time_step_rank\":-2}", LOAM_INVALID, "steps are made from");
    check_refused(SELECTIVE ",\"expand\":-2}", LOAM_INVALID, "heads");
    check_refused(SELECTIVE ",\"mixer_rms_eps\":-1.0}", LOAM_INVALID, "norms");
}

#define JAMBA                                                                                 \
    "{\"model_type\":\"jamba\",\"num_hidden_layers\":6,\"hidden_size\":40,\"vocab_size\":48," \
    "\"num_attention_heads\":4,\"intermediate_size\":40,\"max_position_embeddings\":128,"     \
    "\"num_experts\":4,\"num_experts_per_tok\":2"

static void test_layers_by_period_and_offset(void **state) {
    lm_hparams h;
    assert_ok(read_config(JAMBA ",\"attn_layer_period\":3,\"attn_layer_offset\":1,"
                                "\"expert_layer_offset\":0}",
                          &h, &err));
    for (int i = 0; i < h.n_layers; i++) {
        assert_int_equal(lm_layer_attends(&h, i), i % 3 == 1);
        assert_int_equal(lm_layer_in(&h.dense_layers, i), i % 2 == 1);
    }
    assert_int_equal(h.step_latent_dim, 3);
    assert_true(h.scan_norm_eps == h.rms_norm_eps);
}

#define SWA(type)                                                                                \
    "{\"model_type\":\"" type "\",\"num_hidden_layers\":3,\"hidden_size\":32,\"vocab_size\":48," \
    "\"num_attention_heads\":4,\"intermediate_size\":40,\"max_position_embeddings\":128,"        \
    "\"sliding_window\":20"

static void test_theta_by_layer(void **state) {
    lm_hparams h;
    assert_ok(read_config(SWA("granite_swa") ",\"layer_rope_theta\":[0,5000,5000.0]}", &h, &err));
    assert_true(lm_layer_in(&h.no_rope, 0) && lm_layers_before(&h.no_rope, 3) == 1);
    assert_close(h.rope_theta, 5000, 0, 0);
    check_refused(SWA("granite_swa") ",\"layer_rope_theta\":[0,5000,10000]}", LOAM_UNSUPPORTED,
                  "layer_rope_theta");
    check_refused(SWA("flint") "}", LOAM_INVALID, "'layer_types' is missing");
    check_refused(SWA("arctic") ",\"num_local_experts\":4,\"moe_layer_frequency\":2}",
                  LOAM_UNSUPPORTED, "moe_layer_frequency");
    check_refused(SWA("nanbeige") ",\"loop_share_kv\":true}", LOAM_UNSUPPORTED, "loop_share_kv");
    check_refused(SWA("nanbeige") ",\"loop_loss_weights\":[1]}", LOAM_UNSUPPORTED,
                  "loop_loss_weights");
    check_refused(SWA("nanbeige") ",\"num_loops\":-1}", LOAM_INVALID, "number of layers -3");
    check_refused(SWA("nanbeige") ",\"num_loops\":4611686018427387904}", LOAM_INVALID,
                  "number of layers");
    check_refused(SWA("ouro") ",\"early_exit_threshold\":0.9}", LOAM_UNSUPPORTED,
                  "early_exit_threshold");
    check_refused(SWA("albert") ",\"num_hidden_groups\":2}", LOAM_UNSUPPORTED, "2 groups of 1");
    check_refused(SWA("maple") "}", LOAM_INVALID, "'layer_types' is missing");
    check_refused(
        SWA("maple") ",\"layer_types\":[\"full_attention\"],\"nope_on_global_attention\":false}",
        LOAM_UNSUPPORTED, "nope_on_global_attention");
}

/* Granite 4 turns by one word only; published members without say "nope", Command R7B "rope_gptj". Encoders' words are kinds, of which
 * some are unknown. */
static void test_rope_by_a_word(void **state) {
    static const struct {
        const char *word;
        bool turns;
    } cases[] = {{"\"nope\"", false}, {"null", false}, {"\"rope\"", true}};
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        char text[512];
        lm_hparams h;
        snprintf(text, sizeof text,
                 SWA("granitemoehybrid") ",\"mamba_n_heads\":4,\"mamba_expand\":2,"
                                         "\"mamba_d_state\":16,\"mamba_n_groups\":1,"
                                         "\"mamba_d_conv\":4,\"layer_types\":[\"mamba\","
                                         "\"attention\",\"mamba\"],"
                                         "\"position_embedding_type\":%s}",
                 cases[i].word);
        assert_ok(read_config(text, &h, &err));
        assert_int_equal(lm_layer_in(&h.no_rope, 1), !cases[i].turns);
    }
    lm_hparams h;
    assert_ok(read_config(SWA("cohere2") ",\"position_embedding_type\":\"rope_gptj\"}", &h, &err));
    check_refused(SWA("bert") ",\"position_embedding_type\":\"relative_key\"}", LOAM_UNSUPPORTED,
                  "relative_key");
}

/* Cohere 2 with experts: norms of either kind, and dense layers that turn without a window. */
static void test_dense_with_rope(void **state) {
    lm_hparams h;
#define AVERAGED                                                                      \
    SWA("cohere2_moe")                                                                \
    ",\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]," \
    "\"first_k_dense_replace\":1,\"num_experts\":4,\"num_experts_per_tok\":2,"        \
    "\"num_shared_experts\":1"
    assert_ok(read_config(AVERAGED ",\"rms_norm_eps\":null}", &h, &err));
    assert_true(h.layer_norms && h.expert_normalize && !h.expert_sigmoid);
    assert_close(h.mixture_scale, 0.5, 0, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(lm_layer_in(&h.no_rope, i), i == 2);
    assert_ok(read_config(AVERAGED ",\"rms_norm_eps\":1e-6,"
                                   "\"shared_expert_combination_strategy\":\"sum\"}",
                          &h, &err));
    assert_false(h.layer_norms);
    assert_close(h.mixture_scale, 0, 0, 0);
    check_refused(AVERAGED ",\"prefix_dense_sliding_window_pattern\":2}", LOAM_UNSUPPORTED,
                  "prefix_dense_sliding_window_pattern");
#undef AVERAGED
}

/* An indexer, and which layers use that of one before them. */
static void test_index(void **state) {
#define INDEXED                                                                              \
    "{\"model_type\":\"glm_moe_dsa\",\"num_hidden_layers\":6,\"hidden_size\":32,\"vocab_size\":48," \
    "\"num_attention_heads\":4,\"intermediate_size\":40,\"max_position_embeddings\":128,"    \
    "\"rms_norm_eps\":1e-5,\"kv_lora_rank\":20,\"q_lora_rank\":24,\"qk_nope_head_dim\":10,\"qk_rope_head_dim\":6," \
    "\"v_head_dim\":14,\"index_topk\":100,\"index_n_heads\":2"
    const struct {
        const char *config;
        const char *shared; /* a digit for each of six layers */
    } cases[] = {{"", "000000"},
                 {",\"index_topk_freq\":3", "001101"},
                 {",\"index_topk_freq\":3,\"index_skip_topk_offset\":1", "011011"},
                 {",\"index_topk_pattern\":\"FSSFSF\",\"index_topk_freq\":3", "011010"},
                 {",\"indexer_types\":[\"full\",\"shared\",\"shared\",\"full\",\"full\",\"shared\"]",
                  "011001"}};
    lm_hparams h;
    for (size_t i = 0; i < LM_COUNT_OF(cases); i++) {
        char *config = lm_asprintf("%s,\"index_head_dim\":8%s}", INDEXED, cases[i].config);
        assert_ok(read_config(config, &h, &err));
        assert_int_equal(h.index_topk, 100);
        assert_int_equal(h.index_heads, 2);
        assert_int_equal(h.index_dim, 8);
        assert_true(h.context_len > 100);
        for (int layer = 0; layer < 6; layer++)
            assert_int_equal(lm_layer_indexes(&h, layer), cases[i].shared[layer] == '0');
        lm_free(config);
    }
    check_refused(INDEXED ",\"index_head_dim\":5}", LOAM_INVALID, "5 wide, 6 elements rotate");
    check_refused(INDEXED "}", LOAM_INVALID, "width of an indexer's heads");
    check_refused(INDEXED ",\"index_head_dim\":8,\"index_topk_pattern\":\"SF\"}", LOAM_INVALID,
                  "first layer has no indexer");
    check_refused(INDEXED ",\"index_head_dim\":8,\"indexer_rope_interleave\":false}",
                  LOAM_UNSUPPORTED, "'indexer_rope_interleave' is false");
    check_refused(SWA("llama") ",\"index_topk\":-1}", LOAM_INVALID, "positions that are chosen");
    check_refused(SWA("llama") ",\"index_topk\":9}", LOAM_UNSUPPORTED, "no latent vectors");
#undef INDEXED
}

/* MiMo-V2's, as published. */
static void test_key_heads_by_layer(void **state) {
    lm_hparams h;
    assert_ok(read_config(SWA("mimo_v2_flash") ",\"num_key_value_heads\":1,\"head_dim\":12,"
                                               "\"v_head_dim\":8,\"sliding_window_size\":20,"
                                               "\"hybrid_layer_pattern\":[0,1,0]}",
                          &h, &err));
    assert_int_equal(h.window, 21);
    assert_int_equal(lm_kv_heads_at(&h, 0), 1);
    assert_int_equal(lm_kv_heads_at(&h, 1), 2);
    assert_int_equal(lm_value_dim_at(&h, 1), 8);
    assert_int_equal(lm_local_rope_dim(&h), 4);
    assert_int_equal(h.rope_dim, 4);
    check_refused(SWA("mimo_v2_flash") ",\"hybrid_layer_pattern\":[0,1,0],\"swa_head_dim\":4}",
                  LOAM_UNSUPPORTED, "differ in more than key heads");
    check_refused(SWA("mimo_v2_flash") "}", LOAM_INVALID, "'layer_types' is missing");
    check_refused(SWA("mimo_v2_flash") ",\"hybrid_layer_pattern\":[0,1,0],\"v_head_dim\":99999}",
                  LOAM_INVALID, "width of a head's values");
}

#define GEMMA4                                                                                     \
    "{\"model_type\":\"gemma4_text\",\"num_hidden_layers\":6,\"hidden_size\":32,\"vocab_size\":"   \
    "48,"                                                                                          \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":8,\"intermediate_size\":40," \
    "\"global_head_dim\":16,\"num_global_key_value_heads\":1,\"max_position_embeddings\":128,"     \
    "\"sliding_window\":20,\"rms_norm_eps\":1e-6"

static void test_heads_by_layer(void **state) {
    lm_hparams h;
    assert_ok(read_config(GEMMA4 ",\"attention_k_eq_v\":true,\"hidden_size_per_layer_input\":0}",
                          &h, &err));
    for (int i = 0; i < 6; i++) {
        bool full = i == 5;
        assert_int_equal(lm_kv_heads_at(&h, i), full ? 1 : 2);
        assert_int_equal(lm_head_dim_at(&h, i), full ? 16 : 8);
        assert_int_equal(lm_layer_in(&h.keys_are_values, i), full);
    }
    assert_int_equal(h.turning_pairs, 2);
    assert_int_equal(h.n_experts, 0);
    assert_int_equal(lm_cached_layers(&h), 6);
}

#define SMALL GEMMA4 ",\"hidden_size_per_layer_input\":8,\"vocab_size_per_layer_input\":"

static void test_layers_that_share_keys(void **state) {
    lm_hparams h;
    assert_ok(read_config(GEMMA4 ",\"layer_types\":[\"full_attention\"],\"num_kv_shared_layers\":4,"
                                 "\"use_double_wide_mlp\":true}",
                          &h, &err));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(lm_layer_keeps(&h, i), i < 2);
        assert_int_equal(lm_ffn_dim_at(&h, i), i < 2 ? 40 : 80);
    }
    assert_int_equal(lm_cached_layers(&h), 2);
    lm_kv_options kv = lm_kv_options_of(&h, LM_F32, 0);
    assert_int_equal(kv.n_layers, 2);
    assert_false(lm_layer_in(&kv.local, 0));
    assert_true(lm_layer_in(&kv.local, 1));
    check_refused(GEMMA4 ",\"num_kv_shared_layers\":4}", LOAM_INVALID, "for layer 5");
    check_refused(GEMMA4 ",\"num_kv_shared_layers\":6}", LOAM_INVALID, "others' keys 6");
    check_refused(GEMMA4 ",\"num_kv_shared_layers\":-1}", LOAM_INVALID, "others' keys -1");
}

static void test_inputs_of_layers(void **state) {
    lm_hparams h;
    assert_ok(read_config(SMALL "60}", &h, &err));
    assert_int_equal(h.layer_input_dim, 8);
    assert_int_equal(h.layer_vocab_size, 60);
    check_refused(SMALL "0}", LOAM_INVALID, "inputs of layers");
    check_refused(GEMMA4 ",\"hidden_size_per_layer_input\":-8}", LOAM_INVALID, "-8");
}

static void test_streams(void **state) {
    lm_hparams h;
    assert_ok(read_config("{\"model_type\":\"gemma3n_text\",\"altup_num_inputs\":3}", &h, &err));
    assert_int_equal(h.n_streams, 3);
    assert_int_equal(h.n_shared_kv_layers, 15);
    assert_int_equal(h.layer_vocab_size, 262144);
    for (int i = 0; i < h.n_layers; i++) {
        assert_int_equal(lm_layer_in(&h.cut_gates, i), i < 10);
        assert_int_equal(lm_layer_in(&h.windowed, i), i % 5 != 4);
    }
    assert_float_equal(h.gate_cutoff, 1.6448536269514722, 1e-12);
    assert_float_equal(h.rope_theta, 1e6, 0);
    assert_float_equal(h.local_rope_theta, 1e4, 0);
#define GEMMA3N \
    "{\"model_type\":\"gemma3n_text\",\"num_hidden_layers\":5,\"num_kv_shared_layers\":0,"
    assert_ok(read_config(GEMMA3N
                          "\"activation_sparsity_pattern\":[0,0.5,0,0,0],"
                          "\"query_pre_attn_scalar\":256,\"intermediate_size\":[64,64,64,64,64]}",
                          &h, &err));
    assert_float_equal(h.attention_scale, 1, 0);
    assert_true(lm_layer_in(&h.cut_gates, 1) && !lm_layer_in(&h.cut_gates, 0));
    assert_float_equal(h.gate_cutoff, 0, 1e-12);
    assert_int_equal(h.ffn_dim, 64);
    h.gate_cutoff = INFINITY; /* as a GGUF file may have it */
    assert_status(LOAM_INVALID, lm_hparams_check(&h, "x", &err));
    check_refused(GEMMA3N "\"activation_sparsity_pattern\":[0,0.5,0.6,0,0]}", LOAM_UNSUPPORTED,
                  "activation_sparsity_pattern");
    check_refused(GEMMA3N "\"activation_sparsity_pattern\":[1,0,0,0,0]}", LOAM_UNSUPPORTED,
                  "activation_sparsity_pattern");
    check_refused(GEMMA3N "\"intermediate_size\":[64,64,32,64,64]}", LOAM_UNSUPPORTED,
                  "intermediate_size");
    check_refused(GEMMA3N "\"altup_active_idx\":1}", LOAM_UNSUPPORTED, "altup_active_idx");
    check_refused(GEMMA3N "\"altup_num_inputs\":17}", LOAM_INVALID, "streams");
    check_refused(GEMMA3N "\"hidden_size_per_layer_input\":0}", LOAM_INVALID, "layers' inputs");
}

/* Whether a GGUF file can say all of a model that this config describes. */
static loam_status check_gguf_of(const char *text, loam_error *err) {
    lm_arch_config config = {0};
    LM_TRY(read_config(text, &config.hparams, err));
    config.arch = lm_arch_find(config.hparams.architecture);
    return lm_hparams_check_gguf(&config, err);
}

#define HYBRID_HEAD                                                                            \
    "{\"model_type\":\"falcon_h1\",\"num_hidden_layers\":1,\"hidden_size\":32,"                \
    "\"num_attention_heads\":2,\"intermediate_size\":40,\"vocab_size\":48,"                    \
    "\"max_position_embeddings\":128,\"mamba_n_heads\":2,\"mamba_d_head\":16,\"mamba_d_ssm\":" \
    "32,\"mamba_n_groups\":1,\"mamba_d_state\":8,\"mamba_d_conv\":4,\"lm_head_multiplier\":2," \
    "\"embedding_multiplier\":"

/* What GGUF files of a family have no word for. */
static void test_what_gguf_cannot_say(void **state) {
    assert_ok(check_gguf_of(SMALL "48}", &err));
    assert_status(LOAM_UNSUPPORTED, check_gguf_of(SMALL "40}", &err));
    assert_ok(check_gguf_of(HYBRID_HEAD "3}", &err));
    assert_ok(check_gguf_of(HYBRID_HEAD "2,\"tie_word_embeddings\":true}", &err));
    assert_status(LOAM_UNSUPPORTED,
                  check_gguf_of(HYBRID_HEAD "3,\"tie_word_embeddings\":true}", &err));
}

static void test_experts_beside_an_mlp(void **state) {
    lm_hparams h;
    assert_ok(read_config(SMALL "48,\"enable_moe_block\":true,\"num_experts\":4,"
                                "\"top_k_experts\":2,\"moe_intermediate_size\":20}",
                          &h, &err));
    assert_int_equal(h.n_experts_used, 2);
    assert_int_equal(h.expert_ffn_dim, 20);
    assert_int_equal(h.shared_ffn_dim, 40);
    assert_true(h.expert_normalize);
}

static void test_recurrent_layers_out_of_reason(void **state) {
    check_refused(DELTA "}", LOAM_INVALID, "heads of states");
    check_refused(DELTA DELTA_HEADS ",\"linear_conv_kernel_dim\":1}", LOAM_INVALID, "taps");
    check_refused(DELTA DELTA_HEADS ",\"linear_conv_kernel_dim\":17}", LOAM_INVALID, "taps");
    check_refused(DELTA DELTA_HEADS ",\"time_step_limit\":[0.001,null]}", LOAM_UNSUPPORTED,
                  "time_step_limit");
    check_refused("{\"model_type\":\"mamba\",\"num_hidden_layers\":2,\"hidden_size\":64,"
                  "\"vocab_size\":100,\"hidden_act\":\"gelu\"}",
                  LOAM_UNSUPPORTED, "'gelu', not SiLU");
    check_refused(DELTA ",\"linear_num_key_heads\":3,\"linear_num_value_heads\":4,"
                        "\"linear_key_head_dim\":8,\"linear_value_head_dim\":16}",
                  LOAM_INVALID, "cannot share");
    check_refused(DELTA ",\"linear_num_key_heads\":2,\"linear_num_value_heads\":4,"
                        "\"linear_key_head_dim\":8,\"linear_value_head_dim\":-16}",
                  LOAM_INVALID, "width of states' values");
    check_refused("{" SIZES ",\"layer_types\":[\"mamba\",\"attention\"]}", LOAM_UNSUPPORTED,
                  "mamba");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_of_a_config),
        cmocka_unit_test(test_both_spellings_of_rope),
        cmocka_unit_test(test_other_scalings),
        cmocka_unit_test(test_configs_that_make_no_sense),
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_gguf_files_that_say_too_much),
        cmocka_unit_test(test_latent_gguf),
        cmocka_unit_test(test_latent_config),
        cmocka_unit_test(test_text_part),
        cmocka_unit_test(test_each_layer),
        cmocka_unit_test(test_alibi),
        cmocka_unit_test(test_use_bidirectional_attention),
        cmocka_unit_test(test_recurrent_layers),
        cmocka_unit_test(test_lone_blocks),
        cmocka_unit_test(test_varied_layers),
        cmocka_unit_test(test_listed_heads),
        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_theta_by_layer),
        cmocka_unit_test(test_key_heads_by_layer),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_rope_by_a_word),
        cmocka_unit_test(test_dense_with_rope),
        cmocka_unit_test(test_heads_by_layer),
        cmocka_unit_test(test_layers_that_share_keys),
        cmocka_unit_test(test_inputs_of_layers),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_what_gguf_cannot_say),
        cmocka_unit_test(test_experts_beside_an_mlp),
        cmocka_unit_test(test_recurrent_layers_out_of_reason),
        cmocka_unit_test(test_selective_layers),
        cmocka_unit_test(test_steps_of_keys),
        cmocka_unit_test(test_streams_that_begin_anew),
        cmocka_unit_test(test_layers_by_period_and_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
