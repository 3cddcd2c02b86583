/* For compare_answers.py: reads prompts, one a line as "N id id ...", and prints of each the N tokens that a model finds likeliest,
 * one after the other, as "id:logprob:second:logprob" with the second likeliest and both log-probabilities. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/cpu/cpu.h"
#include "base/mem.h"
#include "model/session.h"

enum { MAX_TOKENS = 512 };

static int fail(const loam_error *err) {
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

/* Fills tokens from the line; returns how many there are. */
static int64_t read_prompt(const char *line, int64_t *out_n_wanted, lm_step_row *rows) {
    char *at;
    int64_t n = 0;
    *out_n_wanted = strtoll(line, &at, 10);
    for (char *end; n < MAX_TOKENS; at = end, n++) {
        long token = strtol(at, &end, 10);
        if (end == at) break;
        rows[n] = (lm_step_row){.token = (int32_t)token};
    }
    if (n > 0) rows[n - 1].want_logits = true;
    return n;
}

/* The largest but `other`. */
static int32_t best_of(const float *logits, int64_t n, int32_t other) {
    int32_t best = other == 0 ? 1 : 0;
    for (int64_t i = 0; i < n; i++)
        if (i != other && logits[i] > logits[best]) best = (int32_t)i;
    return best;
}

static int32_t print_best(const float *logits, int64_t n) {
    int32_t first = best_of(logits, n, -1), second = best_of(logits, n, first);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - (double)logits[first]);
    printf("%d:%.9g:%d:%.9g ", first, -log(sum), second,
           (double)logits[second] - (double)logits[first] - log(sum));
    return first;
}

static loam_status answer(lm_session *session, const char *line, loam_error *err) {
    static lm_step_row rows[MAX_TOKENS];
    int64_t n_vocab = lm_model_config(lm_session_model(session))->hparams.vocab_size, n_wanted;
    int64_t n = read_prompt(line, &n_wanted, rows);
    int32_t seq;
    LM_TRY(lm_session_seq_new(session, &seq, err));
    for (int64_t i = 0; i < n; i++) rows[i].seq = seq;
    for (int64_t i = 0; i < n_wanted; i++) {
        LM_TRY(lm_session_step(session, rows, n, err));
        int32_t token = print_best(lm_session_logits(session, 0), n_vocab);
        rows[0] = (lm_step_row){.token = token, .seq = seq, .want_logits = true};
        n = 1;
    }
    putchar('\n');
    lm_session_seq_free(session, seq);
    return LOAM_OK;
}

/* greedy_lines MODEL */
int main(int argc, char **argv) {
    loam_error err;
    lm_device *device;
    lm_model *model;
    lm_session *session;
    char *line = NULL;
    size_t capacity = 0;
    if (argc < 2 || lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, &err) ||
        lm_model_open(argv[1], device, NULL, &model, &err) ||
        lm_session_new(model, &(lm_session_options){.max_rows = MAX_TOKENS}, &session, &err))
        return fail(&err);
    while (getline(&line, &capacity, stdin) > 0)
        if (answer(session, line, &err)) return fail(&err);
    lm_session_free(session);
    lm_model_free(model);
    lm_device_close(device);
    free(line); /* getline's own allocation */
    return 0;
}
