/* Models and training on a device that only records: what loading brings to it, the order of a
 * step's work, what a step moves, and that lack of memory or the loss of the device is told
 * wherever it happens and leaves nothing behind. */
#include "golden/golden.h"

#include "learning.h"
#include "model/stored_tensor.h"
#include "recording_device.h"

static const recording_options plain = {.lacks = LM_OP_COUNT};

static const lm_session_options limits = {.max_rows = 32, .max_outs = 2, .max_seqs = 2};

static loam_status open_model(lm_device *device, lm_model **out, loam_error *err) {
    char *path = golden_path("biased", ".gguf");
    loam_status status = lm_model_open(path, device, NULL, out, err);
    lm_free(path);
    return status;
}

static int32_t new_seq(lm_session *session) {
    int32_t seq = -1;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    return seq;
}

/* n rows of one sequence; logits of the last if asked for. */
static loam_status append(lm_session *session, int32_t seq, int n, bool want_logits,
                          loam_error *err) {
    lm_step_row rows[32];
    for (int i = 0; i < n; i++)
        rows[i] = (lm_step_row){
            .token = golden_token(i), .seq = seq, .want_logits = want_logits && i == n - 1};
    return lm_session_step(session, rows, n, err);
}

static size_t weight_bytes(const lm_weight *weight) {
    return lm_dtype_bytes(weight->dtype,
                          weight->shape[0] * (weight->n_dims > 1 ? weight->shape[1] : 1));
}

static void test_loading_brings_every_weight_once(void **state) {
    recording_device r;
    recording_open(&r, &plain);
    lm_model *model;
    assert_ok(open_model(&r.base, &model, &err));
    const lm_arch_config *config = lm_model_config(model);
    int n = 0;
    size_t size_bytes = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        int64_t n_layers = lm_param_has_layer(id) ? config->hparams.n_layers : 1;
        for (int64_t layer = 0; layer < n_layers && lm_param_in(config, id); layer++, n++)
            size_bytes += weight_bytes(lm_model_param(model, id, layer));
    }
    assert_int_equal(recording_count(&r, RECORDED_ALLOC), n);
    assert_int_equal(recording_count(&r, RECORDED_UPLOAD), n);
    assert_int_equal(recording_bytes(&r, RECORDED_UPLOAD), size_bytes);
    lm_model_free(model);
    lm_device_close(&r.base);
}

/* With an order of its own: matrices come packed, the embedding as it is, a tied head both ways. */
static void test_loading_packs_what_is_multiplied_with(void **state) {
    recording_device r;
    recording_open(&r, &(recording_options){.lacks = LM_OP_COUNT, .packs = true});
    lm_model *model;
    assert_ok(open_model(&r.base, &model, &err));
    const lm_arch_config *config = lm_model_config(model);
    assert_false(config->features & LM_FEATURE_UNTIED_HEAD);
    int n_packed = 0;
    size_t packed_bytes = 0;
    for (int id = 0; id < LM_PARAM_COUNT; id++) {
        bool expected = id != LM_PARAM_TOKEN_EMBED;
        int64_t n_layers = lm_param_has_layer(id) ? config->hparams.n_layers : 1;
        for (int64_t layer = 0; layer < n_layers; layer++) {
            const lm_weight *weight = lm_model_param(model, id, layer);
            if (!weight || weight->n_dims != 2) continue;
            assert_int_equal(weight->layout, expected ? LM_LAYOUT_PANELS : LM_LAYOUT_ROWS);
            n_packed += expected;
            packed_bytes += expected ? 2 * weight_bytes(weight) : 0;
        }
    }
    assert_int_equal(recording_count(&r, RECORDED_PACK), n_packed);
    assert_int_equal(recording_bytes(&r, RECORDED_PACK), packed_bytes);
    assert_int_equal(recording_count(&r, RECORDED_UPLOAD), recording_count(&r, RECORDED_ALLOC));
    lm_model_free(model);
    lm_device_close(&r.base);
}

/* The steps of the last run, one op after the other. */
static void check_order(const recording_device *r, int64_t n_layers) {
    static const lm_op_id layer[] = {
        LM_OP_RMS_NORM, LM_OP_LINEAR, LM_OP_LINEAR,   LM_OP_LINEAR,
        LM_OP_ROPE,     LM_OP_ROPE,   LM_OP_KV_WRITE, LM_OP_ATTENTION_PAGED,
        LM_OP_LINEAR,   LM_OP_ADD,    LM_OP_RMS_NORM, LM_OP_LINEAR,
        LM_OP_LINEAR,   LM_OP_SWIGLU, LM_OP_LINEAR,   LM_OP_ADD};
    int at = 0;
    assert_int_equal(recording_get(r, RECORDED_STEP, at++)->op, LM_OP_EMBED);
    for (int64_t i = 0; i < n_layers; i++)
        for (size_t k = 0; k < LM_COUNT_OF(layer); k++)
            assert_int_equal(recording_get(r, RECORDED_STEP, at++)->op, layer[k]);
    assert_int_equal(recording_get(r, RECORDED_STEP, at++)->op, LM_OP_GATHER_ROWS);
    assert_int_equal(recording_get(r, RECORDED_STEP, at++)->op, LM_OP_RMS_NORM);
    assert_int_equal(recording_get(r, RECORDED_STEP, at++)->op, LM_OP_LINEAR);
    assert_int_equal(recording_count(r, RECORDED_STEP), at);
}

static void test_session_step(void **state) {
    recording_device r;
    recording_open(&r, &plain);
    lm_model *model;
    lm_session *session;
    assert_ok(open_model(&r.base, &model, &err));
    assert_ok(lm_session_new(model, &limits, &session, &err));
    int32_t seq = new_seq(session);
    for (int step = 0; step < 4; step++) { /* a prompt in two chunks, then two tokens */
        bool decode = step > 1;
        recording_forget(&r);
        uint64_t n_allocs = lm_mem_n_allocs();
        assert_ok(append(session, seq, decode ? 1 : 16, decode, &err));
        assert_int_equal(lm_mem_n_allocs(), n_allocs);
        assert_int_equal(recording_count(&r, RECORDED_ALLOC), 0);
        assert_int_equal(recording_count(&r, RECORDED_RUN), 1);
        assert_int_equal(recording_bytes(&r, RECORDED_DOWNLOAD), decode ? GOLDEN_VOCAB * 4 : 0);
        check_order(&r, lm_model_config(model)->hparams.n_layers);
        if (decode) lm_session_logits(session, 0)[GOLDEN_VOCAB - 1] = 1; /* the host's to change */
    }
    lm_session_free(session);
    lm_model_free(model);
    lm_device_close(&r.base);
}

static void test_shared_block_is_copied_within_the_device(void **state) {
    recording_device r;
    recording_open(&r, &plain);
    lm_model *model;
    lm_session *session;
    assert_ok(open_model(&r.base, &model, &err));
    assert_ok(lm_session_new(model, &limits, &session, &err));
    int32_t first = new_seq(session), second;
    assert_ok(append(session, first, 20, false, &err));
    assert_ok(lm_session_seq_fork(session, first, 20, &second, &err));
    recording_forget(&r);
    assert_ok(append(session, second, 1, true, &err));
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    int64_t block_elems = 2 * hp->n_layers * hp->n_kv_heads * hp->head_dim * LM_KV_BLOCK_TOKENS;
    assert_int_equal(recording_bytes(&r, RECORDED_COPY), (size_t)block_elems * sizeof(float));
    lm_session_seq_free(session, first);
    lm_session_seq_free(session, second);
    assert_int_equal(lm_session_n_free_blocks(session), lm_session_n_blocks(session));
    lm_session_free(session);
    lm_model_free(model);
    lm_device_close(&r.base);
}

/* Latent attention: the matrices of heads lie otherwise in the file, the cache has keys alone, and a shared block of it is
 * copied, with its scales. */
static void test_latent_attention(void **state) {
    static const lm_op_id layer[] = {
        LM_OP_RMS_NORM,   LM_OP_LINEAR, LM_OP_RMS_NORM, LM_OP_LINEAR,   LM_OP_HEAD_LINEAR,
        LM_OP_LINEAR,     LM_OP_ROPE,   LM_OP_JOIN,     LM_OP_LINEAR,   LM_OP_RMS_NORM,
        LM_OP_LINEAR,     LM_OP_ROPE,   LM_OP_JOIN,     LM_OP_KV_WRITE, LM_OP_ATTENTION_PAGED,
        LM_OP_HEAD_LINEAR};
    recording_device *r = malloc(sizeof *r);
    lm_session_options scaled = limits;
    lm_model *model;
    lm_session *session;
    recording_open(r, &plain);
    assert_ok(
        lm_model_open(LM_GOLDEN_DIR "/../families/deepseek_v3", &r->base, NULL, &model, &err));
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    const lm_weight *k_up = lm_model_param(model, LM_PARAM_K_UP, 0);
    assert_int_equal(k_up->shape[0], hp->n_heads);
    assert_int_equal(k_up->shape[1], hp->kv_latent_dim);
    assert_int_equal(k_up->shape[2], hp->nope_dim);
    scaled.kv_dtype = LM_I8;
    assert_ok(lm_session_new(model, &scaled, &session, &err));
    int32_t first = new_seq(session), second;
    recording_forget(r);
    assert_ok(append(session, first, 20, false, &err));
    for (size_t k = 0; k < LM_COUNT_OF(layer); k++)
        assert_int_equal(recording_get(r, RECORDED_STEP, 1 + (int)k)->op, layer[k]);
    assert_ok(lm_session_seq_fork(session, first, 20, &second, &err));
    recording_forget(r);
    assert_ok(append(session, second, 1, true, &err));
    int64_t token_bytes = hp->kv_latent_dim + hp->rope_dim + (int64_t)sizeof(float);
    assert_int_equal(recording_bytes(r, RECORDED_COPY),
                     hp->n_layers * token_bytes * LM_KV_BLOCK_TOKENS);
    lm_session_free(session);
    lm_model_free(model);
    lm_device_close(&r->base);
    free(r);
}

static void test_training_step(void **state) {
    recording_device *r = malloc(sizeof *r);
    recording_open(r, &plain);
    learning l;
    learning_open(&l, &r->base, true, true);
    recording_forget(r);
    uint64_t n_allocs = lm_mem_n_allocs();
    learning_accumulate(&l);
    assert_int_equal(recording_bytes(r, RECORDED_DOWNLOAD), sizeof(float)); /* the loss */
    int n_forward = 0; /* the loss stands between the way there and the way back */
    while (recording_get(r, RECORDED_STEP, n_forward)->op != LM_OP_LINEAR_CROSS_ENTROPY)
        n_forward++;
    int n_steps = recording_count(r, RECORDED_STEP);
    for (int i = 0; i < n_steps; i++) {
        lm_op_id op = recording_get(r, RECORDED_STEP, i)->op;
        if (op == LM_OP_ATTENTION) assert_true(i < n_forward);
        if (op == LM_OP_ATTENTION_BACKWARD || op == LM_OP_LINEAR_DW) assert_true(i > n_forward);
    }
    recording_forget(r);
    learning_grad_norm(&l);
    assert_ok(lm_learner_update(l.learner, 0, 0.01, 1, &err));
    assert_int_equal(recording_count(r, RECORDED_RUN), 2);
    assert_int_equal(recording_get(r, RECORDED_CLEAR, 0)->size_bytes, l.params.n_elems * 4);
    assert_int_equal(recording_get(r, RECORDED_CLEAR, 0)->at, l.params.grads);
    assert_int_equal(lm_mem_n_allocs(), n_allocs);
    assert_int_equal(recording_count(r, RECORDED_ALLOC), 0);
    learning_close(&l);
    free(r);
}

/* A model with its session, on a device that may fail; what was built is freed again. */
static loam_status open_all(recording_device *r, loam_error *err) {
    lm_model *model = NULL;
    lm_session *session = NULL;
    loam_status status = open_model(&r->base, &model, err);
    if (status == LOAM_OK) status = lm_session_new(model, &limits, &session, err);
    lm_session_free(session);
    lm_model_free(model);
    return status;
}

/* The same for training. */
static loam_status train_all(recording_device *r, loam_error *err) {
    lm_arch_config config = learning_config(false);
    lm_train_params params = {0};
    lm_learner *learner = NULL;
    lm_train_params_options options = {.init_std = 0.3, .bf16 = true};
    lm_learner_options learner_options = {.batch_size = 1, .seq_len = LEARN_LEN, .bf16 = true};
    loam_status status = lm_train_params_init(&params, &r->base, &config, &options, err);
    if (status == LOAM_OK) status = lm_learner_new(&params, &learner_options, &learner, err);
    lm_learner_free(learner);
    lm_train_params_deinit(&params);
    return status;
}

/* Every allocation fails once, and every transfer is once the first that finds the device lost. */
static void check_failures(loam_status (*build)(recording_device *r, loam_error *err)) {
    recording_device *r = malloc(sizeof *r);
    for (int lost = 0; lost < 2; lost++) {
        loam_status status = LOAM_INTERNAL, expected = lost ? LOAM_UNAVAILABLE : LOAM_NO_MEMORY;
        int n = 1;
        for (; status != LOAM_OK; n++) {
            loam_error why = {0};
            recording_open(r, &(recording_options){.lacks = LM_OP_COUNT,
                                                   .fail_alloc = lost ? 0 : n,
                                                   .lost_after = lost ? n : 0});
            status = build(r, &why);
            lm_device_close(&r->base); /* fails when anything is left */
            if (status != LOAM_OK) assert_int_equal(status, expected);
        }
        assert_true(n > 10);
    }
    free(r);
}

static void test_failures_leave_nothing(void **state) {
    check_failures(open_all);
    check_failures(train_all);
}

static void test_lost_device_changes_no_sequence(void **state) {
    for (int n = 1; n <= 8; n++) {
        recording_device r;
        recording_open(&r, &plain);
        lm_model *model;
        lm_session *session;
        assert_ok(open_model(&r.base, &model, &err));
        assert_ok(lm_session_new(model, &limits, &session, &err));
        int32_t seq = new_seq(session);
        assert_ok(append(session, seq, 5, true, &err));
        r.options.lost_after = r.n_works + n;
        loam_error why = {0};
        loam_status status = append(session, seq, 1, true, &why);
        assert_int_equal(status, n < 8 ? LOAM_UNAVAILABLE : LOAM_OK); /* 6 inputs, a run, logits */
        assert_int_equal(lm_session_seq_len(session, seq), status == LOAM_OK ? 6 : 5);
        lm_session_free(session);
        lm_model_free(model);
        lm_device_close(&r.base);
    }
}

static void test_missing_kernel_is_named(void **state) {
    recording_device r;
    recording_open(&r, &(recording_options){.lacks = LM_OP_ATTENTION_PAGED});
    loam_error why = {0};
    assert_int_equal(open_all(&r, &why), LOAM_UNSUPPORTED);
    assert_string_equal(why.message, "the recording backend has no kernel for attention_paged");
    lm_device_close(&r.base);
}

static void count_threads(void *arg, int thread, int n_threads) {
    int *counts = arg;
    counts[thread]++;
    counts[2] = n_threads;
}

static void test_without_threads_the_caller_works(void **state) {
    for (int has_threads = 0; has_threads < 2; has_threads++) {
        recording_device r;
        recording_open(&r, &(recording_options){.lacks = LM_OP_COUNT, .has_threads = has_threads});
        int counts[3] = {0};
        lm_device_parallel(&r.base, count_threads, counts);
        assert_int_equal(counts[0], 1);
        assert_int_equal(counts[1], has_threads);
        assert_int_equal(counts[2], r.base.n_threads);
        lm_device_close(&r.base);
    }
}

static void test_silent_device_has_the_memory_of_the_host(void **state) {
    for (size_t memory_bytes = 0; memory_bytes <= 12345; memory_bytes += 12345) {
        recording_device r;
        recording_open(&r,
                       &(recording_options){.lacks = LM_OP_COUNT, .memory_bytes = memory_bytes});
        size_t told = lm_device_memory_bytes(&r.base);
        assert_true(memory_bytes ? told == memory_bytes : told > 1 << 20);
        lm_device_close(&r.base);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loading_brings_every_weight_once),
        cmocka_unit_test(test_loading_packs_what_is_multiplied_with),
        cmocka_unit_test(test_session_step),
        cmocka_unit_test(test_shared_block_is_copied_within_the_device),
        cmocka_unit_test(test_latent_attention),
        cmocka_unit_test(test_training_step),
        cmocka_unit_test(test_failures_leave_nothing),
        cmocka_unit_test(test_lost_device_changes_no_sequence),
        cmocka_unit_test(test_missing_kernel_is_named),
        cmocka_unit_test(test_without_threads_the_caller_works),
        cmocka_unit_test(test_silent_device_has_the_memory_of_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
