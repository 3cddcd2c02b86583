/* loam rm: removes a model that was pulled. */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/store_arg.h"

typedef struct rm_settings {
    bool yes;
} rm_settings;

static loam_status confirm(const char *what, loam_error *err) {
    if (!isatty(STDIN_FILENO)) {
        lm_error_set(err, LOAM_INVALID, "nobody is there to be asked whether %s may go", what);
        return lm_error_hint(err, LOAM_INVALID, "say --yes");
    }
    fprintf(stderr, "remove %s? [y/N] ", what);
    int answer = getchar();
    if (answer == 'y' || answer == 'Y') return LOAM_OK;
    return lm_error_set(err, LOAM_CANCELLED, "%s stays", what);
}

static int run_rm(const void *settings, int n_args, char **args) {
    const rm_settings *s = settings;
    loam_error err = {0};
    lm_hub_name name;
    lm_store store = {0};
    int64_t n_bytes = 0;
    loam_status status = lm_hub_name_parse(args[0], &name, &err);
    if (status == LOAM_OK && !s->yes) status = confirm(args[0], &err);
    if (status == LOAM_OK) status = lm_cli_store_init(&store, &err);
    if (status == LOAM_OK) status = lm_store_remove(&store, &name, &n_bytes, &err);
    lm_cli_store_deinit(&store);
    if (status != LOAM_OK) return lm_cli_fail(&err);
    printf("removed %s, %.1f MB\n", args[0], (double)n_bytes / 1e6);
    return LM_EXIT_OK;
}

static const lm_option options[] = {
    {.name = "yes",
     .short_name = 'y',
     .type = LM_OPT_FLAG,
     .offset = LM_OPTION_AT(rm_settings, yes),
     .help = "do not ask"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_rm = {
    .name = "rm",
    .summary = "remove a model that was pulled",
    .usage = "<org/name>[:file or quant]",
    .description =
        "Removes a model, or with a quant or file behind the colon only that one of it, and "
        "what an interrupted pull left. Models that a running loam uses, and models that "
        "are being pulled, stay; so does the Hugging Face cache, which is not loam's.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .settings_bytes = sizeof(rm_settings),
    .run = run_rm,
};
