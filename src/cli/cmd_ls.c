/* loam ls: the models that commands know by name. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/store_arg.h"
#include "cli/table_print.h"

typedef struct ls_settings {
    bool json;
} ls_settings;

static const lm_print_column columns[] = {
    {"model", "name", LM_CELL_TEXT},
    {"type", "type", LM_CELL_TEXT},
    {"size", "size_bytes", LM_CELL_BYTES},
    {"changed", "changed_ms", LM_CELL_TIME},
    {"in", "in", LM_CELL_TEXT},
    {"state", "state", LM_CELL_TEXT},
    {NULL},
};

static void on_entry(void *ctx, const lm_store_entry *entry) {
    bool named = entry->quant[0] && !entry->is_folder;
    char name[LM_HUB_REPO_BYTES + LM_HUB_QUANT_BYTES + 2];
    snprintf(name, sizeof name, "%s%s%s", entry->repo, named ? ":" : "", named ? entry->quant : "");
    json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "name", name,
                                         "type", entry->is_folder ? "safetensors" : "gguf", "quant",
                                         entry->quant, "size_bytes", (json_int_t)entry->size_bytes,
                                         "changed_ms", (json_int_t)entry->changed_ms, "in",
                                         entry->is_ours ? "loam" : "huggingface cache", "state",
                                         entry->is_complete ? "complete" : "partial", "path",
                                         entry->path));
}

static int run_ls(const void *settings, int n_args, char **args) {
    const ls_settings *s = settings;
    loam_error err = {0};
    lm_store store = {0};
    json_t *rows = json_array();
    loam_status status = lm_cli_store_init(&store, &err);
    if (status == LOAM_OK) status = lm_store_list(&store, on_entry, rows, &err);
    if (status == LOAM_OK && s->json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (status == LOAM_OK) {
        lm_print_table(columns, rows);
    }
    json_decref(rows);
    lm_cli_store_deinit(&store);
    return status == LOAM_OK ? LM_EXIT_OK : lm_cli_fail(&err);
}

static const lm_option options[] = {
    {.name = "json",
     .type = LM_OPT_FLAG,
     .offset = LM_OPTION_AT(ls_settings, json),
     .help = "print a JSON array, with paths"},
    LM_OPTIONS_END,
};

const lm_command lm_cmd_ls = {
    .name = "ls",
    .summary = "list the models that are here",
    .description =
        "Lists what loam pull fetched and what other programs left in the Hugging Face "
        "cache, by the names that every command takes. A model of which files are missing "
        "still is 'partial': pull it again, and it goes on.",
    .options = options,
    .settings_bytes = sizeof(ls_settings),
    .run = run_ls,
};
