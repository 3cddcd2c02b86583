#include "train/trainer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/complete.h"
#include "train/dataset.h"
#include "train/export.h"
#include "train/learner.h"
#include "train/peak.h"
#include "train/schedule.h"
#include "train/texts.h"
#include "train/vocab.h"

enum { STATE_JSON_BYTES = 4096, SAMPLE_MAX_BYTES = 1 << 20 };

/* What a checkpoint says beside the arrays. */
typedef struct run_state {
    int64_t step;
    int64_t flops;
    int64_t device_ns;
} run_state;

typedef struct trainer {
    const lm_train_options *options;
    const lm_recipe *recipe;
    int lock; /* descriptor of DIR/lock, -1 while not held */
    char *checkpoint_dir, *model_dir, *gguf_path;
    lm_texts texts;
    lm_tokenizer *tokenizer;
    lm_dataset train, validation;
    lm_windows windows; /* of the validation text */
    double entropy;     /* nats a validation token, 0: unknown */
    lm_train_params params;
    lm_learner *learner;
    lm_learner_flops cost;
    double peak_flops_per_s;
    run_state state;
    int64_t run_start_step;  /* where this process began */
    double seconds_per_step; /* smoothed over the last steps; 0 before the first */
} trainer;

static void tell(const trainer *t, lm_train_event event) {
    event.step = t->state.step;
    event.steps = t->recipe->train_steps;
    event.flops = t->state.flops;
    event.device_ms = t->state.device_ns / 1000000;
    t->options->on_event(t->options->ctx, &event);
}

static void warn(const trainer *t, const loam_error *why) {
    tell(t, (lm_train_event){.kind = LM_TRAIN_WARNING, .text = why->message});
}

static int64_t sequences_per_step(const lm_recipe *recipe) {
    return recipe->train_batch_size * recipe->train_grad_accum_steps;
}

/* --- Preparing */

/* Two runs must not share a folder: the lock goes with the process, however it ends. */
static loam_status lock_folder(trainer *t, loam_error *err) {
    const char *dir = t->options->out_dir;
    LM_TRY(lm_file_make_dirs(dir, err));
    char *path = lm_path_join(dir, "lock");
    if (!path) return lm_error_no_memory(err, 0);
    t->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    loam_status status = LOAM_OK;
    if (t->lock < 0)
        status = lm_error_errno(err, "%s", path);
    else if (flock(t->lock, LOCK_EX | LOCK_NB) != 0)
        status = errno == EWOULDBLOCK
                     ? lm_error_set(err, LOAM_CONFLICT,
                                    "%s: another training run works in this folder", dir)
                     : lm_error_errno(err, "%s", path);
    lm_free(path);
    return status;
}

static loam_status make_paths(trainer *t, loam_error *err) {
    const char *dir = t->options->out_dir;
    t->checkpoint_dir = lm_path_join(dir, "checkpoints");
    t->model_dir = lm_path_join(dir, "model");
    t->gguf_path = lm_path_join(dir, "model.gguf");
    return t->checkpoint_dir && t->model_dir && t->gguf_path ? LOAM_OK : lm_error_no_memory(err, 0);
}

static loam_status open_dataset(const trainer *t, const char *name, lm_str text, lm_dataset *out,
                                loam_error *err) {
    char *path = lm_asprintf("%s/data/%s.tokens", t->options->out_dir, name);
    if (!path) return lm_error_no_memory(err, 0);
    loam_status status =
        lm_dataset_open(path, text, lm_str_of(t->recipe->data_separator), t->tokenizer, out, err);
    lm_free(path);
    if (status == LOAM_OK && out->n_tokens < t->recipe->model_context + 2) {
        lm_error_set(err, LOAM_INVALID,
                     "the %s text has %lld tokens, fewer than a sequence of %lld", name,
                     (long long)out->n_tokens, (long long)t->recipe->model_context);
        status = lm_error_hint(err, LOAM_INVALID, "give more text, or a smaller model.context");
    }
    return status;
}

/* Tokens that a validation predicts, and the information of the text in nats over them. */
static double entropy_per_token(const trainer *t) {
    lm_str rest = t->texts.validation, document;
    size_t n_bytes = 0;
    while (lm_texts_next_document(&rest, lm_str_of(t->recipe->data_separator), &document))
        n_bytes += document.len;
    int64_t n_targets = t->validation.n_tokens - t->validation.n_documents;
    return t->texts.nats_per_byte * (double)n_bytes / (double)n_targets;
}

static loam_status prepare_data(trainer *t, loam_error *err) {
    const lm_recipe *r = t->recipe;
    const char *given = t->options->data_path;
    LM_TRY(lm_texts_open(r, given ? given : r->data_path, given ? NULL : t->options->base_dir,
                         &t->texts, err));
    lm_vocab_options vocab = {.text = t->texts.train,
                              .separator = lm_str_of(r->data_separator),
                              .vocab_size = r->tokenizer_vocab_size};
    LM_TRY(lm_vocab_make(&vocab, &t->tokenizer, err));
    char *data_dir = lm_path_join(t->options->out_dir, "data");
    loam_status status = data_dir ? lm_file_make_dirs(data_dir, err) : lm_error_no_memory(err, 0);
    lm_free(data_dir);
    if (status == LOAM_OK) status = open_dataset(t, "training", t->texts.train, &t->train, err);
    if (status == LOAM_OK)
        status = open_dataset(t, "validation", t->texts.validation, &t->validation, err);
    if (status == LOAM_OK)
        status = lm_dataset_windows(&t->validation, r->model_context, &t->windows, err);
    if (status == LOAM_OK) t->entropy = entropy_per_token(t);
    return status;
}

static lm_arch_config make_config(const lm_recipe *r, int64_t vocab_size) {
    lm_arch_config config = {.arch = lm_arch_find("llama"),
                             .features = r->model_tie_embeddings ? LM_FEATURE_ALWAYS
                                                                 : LM_FEATURE_UNTIED_HEAD};
    int64_t head_dim = r->model_dim / r->model_n_heads;
    config.hparams = (lm_hparams){.architecture = "llama",
                                  .n_layers = r->model_n_layers,
                                  .dim = r->model_dim,
                                  .n_heads = r->model_n_heads,
                                  .n_kv_heads = r->model_n_kv_heads,
                                  .head_dim = head_dim,
                                  .rope_dim = head_dim,
                                  .ffn_dim = r->model_ffn_dim,
                                  .hidden_act = "silu",
                                  .vocab_size = vocab_size,
                                  .context_len = r->model_context,
                                  .rms_norm_eps = r->model_rms_norm_eps,
                                  .rope_theta = r->model_rope_theta,
                                  .rope_layout = LM_ROPE_HALF_SPLIT,
                                  .rope_scaling = {.factor = 1},
                                  .tied_embeddings = r->model_tie_embeddings};
    return config;
}

static loam_status prepare_model(trainer *t, loam_error *err) {
    const lm_recipe *r = t->recipe;
    bool bf16 = strcmp(r->train_dtype, "bf16") == 0;
    lm_arch_config config = make_config(r, lm_tokenizer_vocab_size(t->tokenizer));
    LM_TRY(lm_arch_config_check(&config, err));
    lm_train_params_options params = {
        .seed = (uint64_t)r->train_seed, .init_std = r->model_init_std, .bf16 = bf16};
    LM_TRY(lm_train_params_init(&t->params, t->options->device, &config, &params, err));
    lm_learner_options learner = {.batch_size = r->train_batch_size,
                                  .seq_len = r->model_context,
                                  .bf16 = bf16,
                                  .beta1 = (float)r->train_beta1,
                                  .beta2 = (float)r->train_beta2,
                                  .eps = (float)r->train_eps,
                                  .weight_decay = (float)r->train_weight_decay};
    LM_TRY(lm_learner_new(&t->params, &learner, &t->learner, err));
    t->cost = lm_learner_cost(t->learner);
    return lm_peak_measure(t->options->device, bf16 ? LM_BF16 : LM_F32, &t->peak_flops_per_s, err);
}

/* --- Checkpoints */

static json_t *state_json(const trainer *t) {
    char digest[LM_SHA256_HEX_BYTES];
    lm_sha256_hex(t->train.digest, digest);
    return json_pack("{s:I, s:I, s:I, s:s}", "step", (json_int_t)t->state.step, "flops",
                     (json_int_t)t->state.flops, "device_ns", (json_int_t)t->state.device_ns,
                     "data", digest);
}

/* The arrays of the parameters that a checkpoint keeps. */
typedef struct kept_array {
    const char *section;
    float *data; /* in device memory */
} kept_array;

enum { N_KEPT_ARRAYS = 3 };

static void list_kept_arrays(const trainer *t, kept_array out[N_KEPT_ARRAYS]) {
    out[0] = (kept_array){"weights", t->params.weights};
    out[1] = (kept_array){"adam_m", t->params.m};
    out[2] = (kept_array){"adam_v", t->params.v};
}

static size_t kept_bytes(const trainer *t) {
    return (size_t)t->params.n_elems * sizeof(float);
}

static loam_status write_sections(const trainer *t, const char *state, const lm_buf *recipe,
                                  loam_error *err) {
    lm_checkpoint_section sections[2 + N_KEPT_ARRAYS] = {{"state", state, strlen(state)},
                                                         {"recipe", recipe->ptr, recipe->len}};
    kept_array arrays[N_KEPT_ARRAYS];
    lm_host_view views[N_KEPT_ARRAYS] = {0};
    loam_status status = LOAM_OK;
    list_kept_arrays(t, arrays);
    for (int i = 0; status == LOAM_OK && i < N_KEPT_ARRAYS; i++) {
        status = lm_host_view_init(&views[i], t->params.device, arrays[i].data, kept_bytes(t), err);
        sections[2 + i] = (lm_checkpoint_section){arrays[i].section, views[i].ptr, kept_bytes(t)};
    }
    if (status == LOAM_OK)
        status = lm_checkpoint_write(t->checkpoint_dir, t->state.step, sections,
                                     LM_COUNT_OF(sections), &t->options->fence, err);
    for (int i = 0; i < N_KEPT_ARRAYS; i++) lm_host_view_deinit(&views[i]);
    if (status != LOAM_OK) return status;
    return lm_checkpoint_prune(t->checkpoint_dir, t->recipe->checkpoint_keep, err);
}

static loam_status save(const trainer *t, loam_error *err) {
    lm_buf recipe;
    lm_buf_init(&recipe, LM_RECIPE_MAX_BYTES);
    lm_recipe_print(t->recipe, &recipe);
    json_t *object = state_json(t);
    char *state = object ? json_dumps(object, JSON_COMPACT) : NULL;
    loam_status status = state ? lm_buf_status(&recipe, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK) status = write_sections(t, state, &recipe, err);
    free(state); /* jansson's own */
    json_decref(object);
    lm_buf_deinit(&recipe);
    if (status == LOAM_OK)
        tell(t, (lm_train_event){.kind = LM_TRAIN_CHECKPOINT, .path = t->checkpoint_dir});
    return status;
}

static loam_status check_recipe(const trainer *t, const lm_checkpoint *checkpoint,
                                loam_error *err) {
    lm_str text;
    LM_TRY(lm_checkpoint_find(checkpoint, "recipe", &text, err));
    lm_recipe before;
    lm_recipe_init(&before);
    loam_status status = lm_recipe_read(&before, text, "the checkpoint's recipe", err);
    if (status == LOAM_OK) status = lm_recipe_same_training(&before, t->recipe, err);
    if (status == LOAM_CONFLICT)
        status =
            lm_error_hint(err, status, "use the recipe it began with, or another --out folder");
    lm_recipe_deinit(&before);
    return status;
}

static loam_status read_state(trainer *t, const lm_checkpoint *checkpoint, loam_error *err) {
    static const char name[] = "the checkpoint's state";
    lm_str text, digest;
    json_t *object;
    char ours[LM_SHA256_HEX_BYTES];
    run_state state;
    LM_TRY(lm_checkpoint_find(checkpoint, "state", &text, err));
    LM_TRY(lm_json_parse(text, name, &object, err));
    lm_sha256_hex(t->train.digest, ours);
    loam_status status = lm_json_i64(object, name, "step", &state.step, err);
    if (status == LOAM_OK) status = lm_json_i64(object, name, "flops", &state.flops, err);
    if (status == LOAM_OK) status = lm_json_i64(object, name, "device_ns", &state.device_ns, err);
    if (status == LOAM_OK) status = lm_json_str(object, name, "data", &digest, err);
    if (status == LOAM_OK && !lm_str_is(digest, ours))
        status = lm_error_set(err, LOAM_CONFLICT,
                              "the training text is not the one that the checkpoint was made with");
    if (status == LOAM_OK) t->state = state;
    json_decref(object);
    return status;
}

static loam_status load(trainer *t, const lm_checkpoint *checkpoint, loam_error *err) {
    kept_array arrays[N_KEPT_ARRAYS];
    LM_TRY(check_recipe(t, checkpoint, err));
    LM_TRY(read_state(t, checkpoint, err));
    list_kept_arrays(t, arrays);
    for (int i = 0; i < N_KEPT_ARRAYS; i++) {
        const void *bytes;
        LM_TRY(lm_checkpoint_array(checkpoint, arrays[i].section, kept_bytes(t), &bytes, err));
        LM_TRY(lm_device_upload(t->params.device, arrays[i].data, bytes, kept_bytes(t), err));
    }
    return lm_train_params_round(&t->params, err);
}

static void tell_skipped(void *ctx, const loam_error *why) {
    warn(ctx, why);
}

/* Without --resume a folder that holds checkpoints is refused, so that nobody trains over them by mistake. */
static loam_status resume(trainer *t, loam_error *err) {
    lm_checkpoint checkpoint;
    if (!lm_file_is_dir(t->checkpoint_dir)) return LOAM_OK;
    loam_status status =
        lm_checkpoint_open_newest(t->checkpoint_dir, tell_skipped, t, &checkpoint, err);
    if (status == LOAM_NOT_FOUND) return LOAM_OK;
    if (status != LOAM_OK) return status;
    if (t->options->resume) {
        status = load(t, &checkpoint, err);
    } else {
        lm_error_set(err, LOAM_CONFLICT, "%s already holds checkpoints, up to step %lld",
                     t->options->out_dir, (long long)checkpoint.step);
        status =
            lm_error_hint(err, LOAM_CONFLICT, "pass --resume to go on, or another --out folder");
    }
    lm_checkpoint_close(&checkpoint);
    return status;
}

/* --- Validation and samples */

/* Puts up to batch_size windows, every stride-th from *window on, into the next batch; returns how many targets count. */
static int64_t fill_validation(trainer *t, size_t *window, size_t stride) {
    int64_t len = t->recipe->model_context, n_targets = 0;
    int32_t *tokens = lm_learner_tokens(t->learner), *targets = lm_learner_targets(t->learner);
    for (int64_t row = 0; row < t->recipe->train_batch_size; row++, tokens += len, targets += len) {
        if (*window >= t->windows.len) {
            for (int64_t i = 0; i < len; i++) targets[i] = -1;
            continue;
        }
        n_targets +=
            lm_dataset_window(&t->validation, &t->windows.ptr[*window], len, tokens, targets);
        *window += stride;
    }
    return n_targets;
}

/* Mean loss over the validation text's tokens, or with a limit over evenly spaced windows. */
static loam_status validate(trainer *t, int64_t max_tokens, double *out_loss, loam_error *err) {
    int64_t start_ns = lm_clock_mono_ns(), n_targets = 0;
    size_t stride = 1;
    if (max_tokens > 0) stride = (size_t)((t->validation.n_tokens + max_tokens - 1) / max_tokens);
    double sum = 0;
    for (size_t window = 0; window < t->windows.len;) {
        int64_t n = fill_validation(t, &window, stride);
        float loss;
        LM_TRY(lm_learner_loss(t->learner, &loss, err));
        sum += (double)loss * (double)n;
        n_targets += n;
        t->state.flops += t->cost.loss;
    }
    t->state.device_ns += lm_clock_mono_ns() - start_ns;
    *out_loss = n_targets ? sum / (double)n_targets : NAN;
    return LOAM_OK;
}

static loam_status tell_validation(trainer *t, int64_t max_tokens, double *out_loss,
                                   loam_error *err) {
    LM_TRY(validate(t, max_tokens, out_loss, err));
    tell(t, (lm_train_event){.kind = LM_TRAIN_EVAL, .val_loss = *out_loss, .entropy = t->entropy});
    return LOAM_OK;
}

static bool keep_piece(void *ctx, lm_str text, const lm_sample *sample) {
    lm_buf *out = ctx;
    lm_buf_append(out, text.ptr, text.len);
    return out->status == LOAM_OK;
}

static loam_status complete(trainer *t, const lm_model *model, lm_buf *text, loam_error *err) {
    const lm_recipe *r = t->recipe;
    lm_session *session = NULL;
    LM_TRY(lm_session_new(model, &(lm_session_options){0}, &session, err));
    lm_complete_options options = {
        .generate = {.sampling = LM_SAMPLER_DEFAULTS, .max_tokens = r->sample_max_tokens}};
    options.generate.sampling.temperature = (float)r->sample_temperature;
    options.generate.sampling.seed = (uint64_t)(r->train_seed + t->state.step);
    lm_buf_puts(text, r->sample_prompt);
    loam_status status =
        lm_complete(session, lm_str_of(r->sample_prompt), &options, keep_piece, text, NULL, err);
    lm_session_free(session);
    return status;
}

static loam_status export_folder(const trainer *t, loam_error *err) {
    return lm_export_folder(&t->params, t->tokenizer, t->model_dir, err);
}

/* Samples come from the exported model, by the way every user of it will go. */
static loam_status sample(trainer *t, loam_error *err) {
    if (t->recipe->sample_max_tokens == 0) return LOAM_OK;
    lm_model *model = NULL;
    lm_buf text;
    lm_buf_init(&text, SAMPLE_MAX_BYTES);
    loam_status status = lm_model_open(t->model_dir, t->options->device, NULL, &model, err);
    if (status == LOAM_OK) status = complete(t, model, &text, err);
    if (status == LOAM_OK)
        tell(t, (lm_train_event){.kind = LM_TRAIN_SAMPLE, .text = lm_buf_cstr(&text)});
    lm_model_free(model);
    lm_buf_deinit(&text);
    return status;
}

/* --- Steps */

static loam_status accumulate(trainer *t, double *out_loss, loam_error *err) {
    const lm_recipe *r = t->recipe;
    int64_t len = r->model_context;
    double sum = 0;
    for (int64_t part = 0; part < r->train_grad_accum_steps; part++) {
        for (int64_t row = 0; row < r->train_batch_size; row++) {
            int64_t n = t->state.step * sequences_per_step(r) + part * r->train_batch_size + row;
            lm_dataset_sample(&t->train, (uint64_t)r->train_seed, n, len,
                              lm_learner_tokens(t->learner) + row * len,
                              lm_learner_targets(t->learner) + row * len);
        }
        float loss;
        LM_TRY(lm_learner_accumulate(t->learner, &loss, err));
        sum += (double)loss;
    }
    *out_loss = sum / (double)r->train_grad_accum_steps;
    return LOAM_OK;
}

/* What speeds are told from: single steps of a shared machine say little. */
static double smooth_seconds(trainer *t, double seconds) {
    static const double memory = 0.9;
    bool first = t->seconds_per_step == 0;
    t->seconds_per_step = first ? seconds : memory * t->seconds_per_step + (1 - memory) * seconds;
    return t->seconds_per_step;
}

/* One optimizer step; tells it. */
static loam_status make_step(trainer *t, loam_error *err) {
    const lm_recipe *r = t->recipe;
    int64_t start_ns = lm_clock_mono_ns();
    lm_schedule schedule = {.lr = r->train_lr,
                            .min_lr = r->train_min_lr,
                            .warmup_steps = r->train_warmup_steps,
                            .steps = r->train_steps};
    double loss, norm, factor = 1 / (double)r->train_grad_accum_steps;
    double lr = lm_schedule_lr(&schedule, t->state.step);
    LM_TRY(accumulate(t, &loss, err));
    LM_TRY(lm_learner_grad_norm(t->learner, &norm, err));
    norm *= factor;
    if (!isfinite(loss) || !isfinite(norm)) {
        lm_error_set(err, LOAM_INVALID, "the loss is %g and the gradient's length %g at step %lld",
                     loss, norm, (long long)t->state.step);
        return lm_error_hint(
            err, LOAM_INVALID,
            "training diverged; try a smaller train.lr or more train.warmup_steps");
    }
    if (r->train_clip_norm > 0 && norm > r->train_clip_norm) factor *= r->train_clip_norm / norm;
    LM_TRY(lm_learner_update(t->learner, t->state.step, lr, factor, err));
    int64_t elapsed_ns = lm_clock_mono_ns() - start_ns,
            n_tokens = sequences_per_step(r) * r->model_context;
    int64_t model_flops = t->cost.accumulate * r->train_grad_accum_steps;
    double seconds = smooth_seconds(t, (double)(elapsed_ns + 1) * 1e-9);
    t->state.step++;
    t->state.flops += model_flops + t->cost.update;
    t->state.device_ns += elapsed_ns;
    tell(t, (lm_train_event){.kind = LM_TRAIN_STEP,
                             .tokens = t->state.step * n_tokens,
                             .loss = loss,
                             .lr = lr,
                             .grad_norm = norm,
                             .tokens_per_s = (double)n_tokens / seconds,
                             .mfu = (double)model_flops / seconds / t->peak_flops_per_s});
    return LOAM_OK;
}

static bool is_due(int64_t step, int64_t every) {
    return every > 0 && step % every == 0;
}

/* What follows a step that is not the last: what fails here is told, and the run goes on, unless it lost its fence. */
static loam_status after_step(trainer *t, loam_error *err) {
    const lm_recipe *r = t->recipe;
    loam_error why = {0};
    double val_loss;
    if (is_due(t->state.step, r->validation_every))
        LM_TRY(tell_validation(t, r->validation_max_tokens, &val_loss, err));
    if (is_due(t->state.step, r->sample_every) &&
        (export_folder(t, &why) != LOAM_OK || sample(t, &why) != LOAM_OK))
        warn(t, &why);
    if (!is_due(t->state.step, r->checkpoint_every)) return LOAM_OK;
    loam_status status = save(t, &why);
    if (status == LOAM_CONFLICT) {
        if (err) *err = why;
        return status;
    }
    if (status != LOAM_OK) warn(t, &why);
    return LOAM_OK;
}

static loam_status make_steps(trainer *t, loam_error *err) {
    while (t->state.step < t->recipe->train_steps) {
        if (*t->options->stop) {
            LM_TRY(save(t, err));
            lm_error_set(err, LOAM_CANCELLED, "stopped at step %lld of %lld",
                         (long long)t->state.step, (long long)t->recipe->train_steps);
            return lm_error_hint(err, LOAM_CANCELLED,
                                 "the same command with --resume goes on from there");
        }
        LM_TRY(make_step(t, err));
        if (t->state.step < t->recipe->train_steps) LM_TRY(after_step(t, err));
    }
    return LOAM_OK;
}

static loam_status finish(trainer *t, loam_error *err) {
    if (t->run_start_step < t->state.step) LM_TRY(save(t, err));
    double val_loss;
    LM_TRY(tell_validation(t, 0, &val_loss, err));
    LM_TRY(export_folder(t, err));
    LM_TRY(lm_export_gguf(&t->params, t->tokenizer, "loam", t->gguf_path, err));
    LM_TRY(sample(t, err));
    tell(t, (lm_train_event){.kind = LM_TRAIN_DONE,
                             .val_loss = val_loss,
                             .entropy = t->entropy,
                             .path = t->model_dir,
                             .gguf = t->gguf_path});
    return LOAM_OK;
}

static void tell_start(const trainer *t) {
    const lm_recipe *r = t->recipe;
    double step_flops = (double)(t->cost.accumulate * r->train_grad_accum_steps + t->cost.update);
    tell(t, (lm_train_event){.kind = LM_TRAIN_START,
                             .resumed = t->state.step > 0,
                             .n_params = lm_arch_n_params(&t->params.config),
                             .n_train_tokens = t->train.n_tokens,
                             .n_validation_tokens = t->validation.n_tokens,
                             .vocab_size = t->params.config.hparams.vocab_size,
                             .tokens_per_step = sequences_per_step(r) * r->model_context,
                             .entropy = t->entropy,
                             .expected_flops = step_flops * (double)r->train_steps,
                             .peak_flops_per_s = t->peak_flops_per_s});
}

static loam_status run(trainer *t, loam_error *err) {
    LM_TRY(lock_folder(t, err));
    LM_TRY(make_paths(t, err));
    LM_TRY(prepare_data(t, err));
    LM_TRY(prepare_model(t, err));
    LM_TRY(resume(t, err));
    t->run_start_step = t->state.step;
    tell_start(t);
    LM_TRY(make_steps(t, err));
    return finish(t, err);
}

loam_status lm_train_run(const lm_train_options *options, loam_error *err) {
    trainer t = {.options = options, .recipe = options->recipe, .lock = -1};
    loam_status status = run(&t, err);
    lm_learner_free(t.learner);
    lm_train_params_deinit(&t.params);
    lm_vec_deinit(&t.windows);
    lm_dataset_close(&t.train);
    lm_dataset_close(&t.validation);
    lm_tokenizer_free(t.tokenizer);
    lm_texts_close(&t.texts);
    lm_free(t.checkpoint_dir);
    lm_free(t.model_dir);
    lm_free(t.gguf_path);
    if (t.lock >= 0) close(t.lock);
    return status;
}
