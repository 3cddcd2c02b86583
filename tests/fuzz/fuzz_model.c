/* Any bytes as a model file that is opened and run: refused, or a step over it stays inside its memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/cpu/cpu.h"
#include "model/embedder.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MAX_CACHE_BYTES = 64 << 20 };

/* A text of two tokens, the second of another segment. */
static void embed(const lm_model *model, lm_session_options options) {
    int32_t tokens[2] = {0, (int32_t)lm_model_config(model)->hparams.vocab_size - 1};
    lm_embedder *embedder;
    loam_error err;
    options.max_seqs = 2;
    if (lm_embedder_new(model, &options, &embedder, &err) != LOAM_OK) return;
    int64_t width = lm_embedder_width(embedder), most = lm_embedder_max_tokens(embedder);
    float *out = calloc((size_t)width, sizeof *out);
    lm_embed_text text = {
        .tokens = tokens, .n_tokens = most < 2 ? most : 2, .second_begin = 1, .out = out};
    lm_embed_text *list[] = {&text};
    if (out && lm_embedder_run(embedder, list, 1, &err) == LOAM_OK)
        lm_pooling_finish(lm_model_pooling(model), out, width);
    free(out);
    lm_embedder_free(embedder);
}

static void run_steps(const lm_model *model) {
    const lm_hparams *hp = &lm_model_config(model)->hparams;
    if (hp->n_layers * hp->n_kv_heads * hp->head_dim > MAX_CACHE_BYTES / 1024) return;
    lm_session_options options = {.max_rows = 4,
                                  .max_context = hp->context_len < 16 ? hp->context_len : 16};
    lm_session *session;
    int32_t seq;
    loam_error err;
    if (lm_model_pooling(model)->kind != LM_POOLING_NONE) {
        embed(model, options);
        return;
    }
    if (lm_session_new(model, &options, &session, &err) != LOAM_OK) return;
    lm_step_row rows[2] = {{.token = 0},
                           {.token = (int32_t)hp->vocab_size - 1, .want_logits = true}};
    if (lm_session_seq_new(session, &seq, &err) == LOAM_OK) {
        for (int i = 0; i < 2; i++) rows[i].seq = seq;
        if (lm_session_step(session, rows, 2, &err) == LOAM_OK)
            (void)lm_session_logits(session, 0)[0];
    }
    lm_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    loam_error err;
    lm_device *device;
    lm_model *model;
    char path[64];
    int fd = memfd_create("model", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) {
        if (fd >= 0) close(fd);
        return 0;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err) == LOAM_OK) {
        if (lm_model_open(path, device, &(lm_model_options){.check_weights = true}, &model, &err) ==
            LOAM_OK) {
            run_steps(model);
            lm_model_free(model);
        }
        lm_device_close(device);
    }
    close(fd);
    return 0;
}
