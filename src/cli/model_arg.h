/* What commands that take a model share: opening it, with its packed weights kept where the user wants them, and the options that say
 * how it is computed. */
#ifndef LM_CLI_MODEL_ARG_H
#define LM_CLI_MODEL_ARG_H

#include "cli/command.h"
#include "model/model.h"
#include "model/tokenizer.h"

/* In a command's settings; its defaults begin with LM_CLI_PACK_DEFAULTS. */
typedef struct lm_cli_pack {
    bool keep;
    const char *dir;   /* NULL: beside the model, or else in the user's cache */
    const char *coded; /* what the weights of quantized folders become; NULL: "auto" */
} lm_cli_pack;
#define LM_CLI_PACK_DEFAULTS {.keep = true}

/* The options that fill it: three lines of the command's table. */
#define LM_CLI_PACK_OPTIONS(settings, field)                                                    \
    {.name = "pack-file",                                                                       \
     .type = LM_OPT_FLAG,                                                                       \
     .offset = LM_OPTION_AT(settings, field.keep),                                              \
     .help = "keep the weights in the processor's order in a file, which later starts map and " \
             "share (the default; --no-pack-file packs in memory at every start)"},             \
        {.name = "pack-dir",                                                                    \
         .type = LM_OPT_STRING,                                                                 \
         .arg = "FOLDER",                                                                       \
         .offset = LM_OPTION_AT(settings, field.dir),                                           \
         .help = "where to keep that file (default: beside the model, or where that cannot be " \
                 "written $XDG_CACHE_HOME/loam/packs)"},                                        \
        {.name = "coded-weights",                                                               \
         .type = LM_OPT_STRING,                                                                 \
         .arg = "KIND",                                                                         \
         .offset = LM_OPTION_AT(settings, field.coded),                                         \
         .help = "how a quantized folder (GPTQ, AWQ, FP8, ...) is kept: exact, in f32; small, " \
                 "about as in the file; auto, exact up to 1 GiB (default auto)"}

#define LM_CLI_KV_DTYPE "i16" /* what keys and values are kept as where nothing is said */

/* How a model is computed: lines of the tables of commands whose settings have a `const char *kv_dtype` and an `int64_t
 * threads`. */
#define LM_CLI_KV_DTYPE_OPTION(settings)         \
    {.name = "kv-dtype",                         \
     .type = LM_OPT_STRING,                      \
     .arg = "TYPE",                              \
     .offset = LM_OPTION_AT(settings, kv_dtype), \
     .help =                                     \
         "how keys and values are kept: i16, i8, f16, bf16 or f32 (default " LM_CLI_KV_DTYPE ")"}
#define LM_CLI_THREADS_OPTION(settings)         \
    {.name = "threads",                         \
     .type = LM_OPT_INT,                        \
     .arg = "N",                                \
     .offset = LM_OPTION_AT(settings, threads), \
     .max = 256,                                \
     .env = "LOAM_THREADS",                     \
     .help = "threads to compute with (default: one per usable CPU)"}

/* The tokens of a file's text, with the one that begins a text if the model wants it. The newline that ends the file is none of
 * the text's, as the llama.cpp family reads it. */
loam_status lm_cli_text_tokens(const lm_model *model, const char *path, lm_vec_i32 *out,
                               loam_error *err) LM_MUST_USE;

/* What takes the place of each chunk's first token: the model's BOS, or -1 where it wants none. */
int32_t lm_cli_chunk_bos(const lm_model *model);

loam_status lm_cli_model_open(const char *path, lm_device *device, const lm_cli_pack *pack,
                              lm_model **out, loam_error *err) LM_MUST_USE;

#endif
