/* loam train: trains a model from a recipe. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/cpu/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/command.h"
#include "train/report.h"

typedef struct train_settings {
    const char *out, *data;
    lm_option_list set;
    bool resume, json;
    int64_t threads;
    const char *fence;
    int64_t epoch;
} train_settings;

static volatile sig_atomic_t stop;

static void on_stop(int signal_number) {
    stop = 1;
}

static void watch_stop(void) {
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static loam_status read_recipe(const train_settings *s, const char *path, lm_recipe *recipe,
                               loam_error *err) {
    char *text;
    size_t size;
    LM_TRY(lm_file_read(path, LM_RECIPE_MAX_BYTES, &text, &size, err));
    loam_status status = lm_recipe_read(recipe, (lm_str){text, size}, path, err);
    lm_free(text);
    for (int i = 0; status == LOAM_OK && i < s->set.len; i++)
        status = lm_recipe_set(recipe, s->set.items[i], err);
    if (status == LOAM_OK && s->data && !recipe->data_path[0]) recipe->data_path = s->data;
    return status == LOAM_OK ? lm_recipe_check(recipe, err) : status;
}

/* The recipe's own folder, from which its paths start; free with lm_free. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? lm_strndup(path, (size_t)(slash - path) + (slash == path)) : lm_strdup(".");
}

static loam_status train(const train_settings *s, const lm_recipe *recipe, const char *base_dir,
                         loam_error *err) {
    lm_device *device = NULL;
    lm_train_report *report = NULL;
    LM_TRY(lm_backend_cpu.open(&(lm_device_options){.n_threads = (int)s->threads}, &device, err));
    bool json = s->json || !isatty(STDOUT_FILENO);
    loam_status status =
        lm_train_report_new(s->out, json ? stdout : NULL, json ? stderr : stdout, &report, err);
    if (status == LOAM_OK) {
        lm_train_options options = {.recipe = recipe,
                                    .base_dir = base_dir,
                                    .data_path = s->data,
                                    .out_dir = s->out,
                                    .resume = s->resume,
                                    .fence = {s->fence, s->epoch},
                                    .device = device,
                                    .stop = &stop,
                                    .on_event = lm_train_report_event,
                                    .ctx = report};
        watch_stop();
        status = lm_train_run(&options, err);
    }
    lm_train_report_free(report);
    lm_device_close(device);
    return status;
}

static int exit_code_of(loam_status status, bool recipe_read, const loam_error *err) {
    if (status == LOAM_OK) return LM_EXIT_OK;
    int failed = lm_cli_fail(err);
    if (status == LOAM_CANCELLED) return LM_EXIT_STOPPED;
    return status == LOAM_INVALID && !recipe_read
               ? LM_EXIT_USAGE
               : failed; /* to try a wrong recipe again is no use */
}

static int run_train(const void *settings, int n_args, char **args) {
    const train_settings *s = settings;
    loam_error err = {0};
    lm_recipe recipe;
    lm_recipe_init(&recipe);
    char *base_dir = folder_of(args[0]);
    loam_status status =
        base_dir ? read_recipe(s, args[0], &recipe, &err) : lm_error_no_memory(&err, 0);
    bool recipe_read = status == LOAM_OK;
    if (recipe_read) status = train(s, &recipe, base_dir, &err);
    lm_recipe_deinit(&recipe);
    lm_free(base_dir);
    return exit_code_of(status, recipe_read, &err);
}

#define AT(field) LM_OPTION_AT(train_settings, field)
static const lm_option options[] = {
    {"out", 'o', LM_OPT_STRING, "DIR", "run folder: checkpoints, metrics, model (default run)",
     AT(out), 0, 0, NULL},
    {"data", 'd', LM_OPT_STRING, "PATH", "text file or folder to train on instead of the recipe's",
     AT(data), 0, 0, NULL},
    {"set", 's', LM_OPT_LIST, "KEY=VALUE",
     "set a key of the recipe, such as train.steps=200; may be repeated", AT(set), 0, 0, NULL},
    {"resume", 'r', LM_OPT_FLAG, NULL,
     "go on from the newest whole checkpoint; begin when there is none", AT(resume), 0, 0, NULL},
    {"threads", 't', LM_OPT_INT, "N", "threads to compute with (default: all processors)",
     AT(threads), 0, LM_POOL_MAX_THREADS, NULL},
    {"json", 0, LM_OPT_FLAG, NULL,
     "print events as JSON lines, and what people read on standard error (always when the output "
     "is no terminal)",
     AT(json), 0, 0, NULL},
    {"fence", 0, LM_OPT_STRING, "FILE",
     "write checkpoints only while FILE holds the number of --epoch", AT(fence), 0, 0, NULL},
    {"epoch", 0, LM_OPT_INT, "N", "this run's number for --fence", AT(epoch), 0, 9e15, NULL},
    LM_OPTIONS_END,
};

static const train_settings defaults = {.out = "run"};

const lm_command lm_cmd_train = {
    .name = "train",
    .summary = "train a model from a recipe",
    .usage = "<recipe.yaml>",
    .description = "Trains a tokenizer and a model as the recipe says (docs/recipes.md) and "
                   "exports it as a Hugging Face folder and a GGUF "
                   "file. SIGTERM and SIGINT make a checkpoint and exit with 75; --resume goes on "
                   "from the newest one, with the same "
                   "result, to the byte, as if there had been no break.",
    .examples =
        "loam train examples/stories.yaml --data corpus --out run\n    a writer of small stories\n"
        "loam train recipe.yaml --out run --resume\n    go on after a break\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .settings_bytes = sizeof(train_settings),
    .defaults = &defaults,
    .run = run_train,
};
