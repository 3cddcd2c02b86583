/* loam corpus: writes a corpus of generated stories to train on. */
#include <stdio.h>

#include "cli/command.h"
#include "train/corpus.h"

typedef struct corpus_settings {
    const char *out;
    int64_t n_stories, seed;
    double validation_fraction;
} corpus_settings;

static void print_part(const char *name, const lm_corpus_part *part) {
    printf("%-10s %7lld stories  %9lld bytes  %.4f nats a byte\n", name, (long long)part->n_stories,
           (long long)part->n_bytes, part->n_bytes ? part->nats / (double)part->n_bytes : 0.0);
}

static int run_corpus(const void *settings, int n_args, char **args) {
    const corpus_settings *s = settings;
    loam_error err = {0};
    lm_corpus_options options = {.dir = s->out,
                                 .n_stories = s->n_stories,
                                 .seed = (uint64_t)s->seed,
                                 .validation_fraction = s->validation_fraction};
    lm_corpus_summary summary;
    if (lm_corpus_write(&options, &summary, &err) != LOAM_OK) return lm_cli_fail(&err);
    print_part("train", &summary.train);
    print_part("validation", &summary.validation);
    return LM_EXIT_OK;
}

static const lm_option options[] = {
    {"out", 'o', LM_OPT_STRING, "DIR", "folder to write (default corpus)",
     LM_OPTION_AT(corpus_settings, out), 0, 0, NULL},
    {"stories", 'n', LM_OPT_INT, "N", "number of stories (default 40000)",
     LM_OPTION_AT(corpus_settings, n_stories), 1, LM_CORPUS_MAX_STORIES, NULL},
    {"seed", 's', LM_OPT_INT, "S", "seed: the same gives the same stories (default 1)",
     LM_OPTION_AT(corpus_settings, seed), 0, 9e15, NULL},
    {"validation", 0, LM_OPT_FLOAT, "F", "share of stories held out (default 0.02)",
     LM_OPTION_AT(corpus_settings, validation_fraction), 0, 0.5, NULL},
    LM_OPTIONS_END,
};

static const corpus_settings defaults = {
    .out = "corpus", .n_stories = 40000, .seed = 1, .validation_fraction = 0.02};

const lm_command lm_cmd_corpus = {
    .name = "corpus",
    .summary = "write a corpus of generated stories to train on",
    .usage = "[--out DIR]",
    .description = "Writes train.txt and validation.txt, which share no story, and corpus.json "
                   "with the number of stories, bytes "
                   "and the information of each. A model's validation loss cannot be expected to "
                   "fall below the information.",
    .examples = "loam corpus --out corpus\n    40,000 stories in ./corpus\n"
                "loam corpus --out big --stories 1000000 --seed 7\n    a million others\n",
    .options = options,
    .settings_bytes = sizeof(corpus_settings),
    .defaults = &defaults,
    .run = run_corpus,
};
