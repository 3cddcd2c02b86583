/* A training recipe: what `loam train` is told, read from YAML (libcyaml) and checked.
 *
 *     data: {path: corpus, separator: "\n\n"}
 *     model: {n_layers: 4, dim: 128}
 *     train: {steps: 500}
 *
 * A recipe is two levels, section and key; recipe_keys.def lists all of them with default, limits and help, and everything
 * here follows from that list. The key `dim` of section `model` is the member model_dim. Unknown sections and keys
 * are refused with the nearest known one and the line; aliases are refused (they make small files large).
 */
#ifndef LM_TRAIN_RECIPE_H
#define LM_TRAIN_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

typedef int64_t lm_recipe_INT;
typedef double lm_recipe_REAL;
typedef bool lm_recipe_BOOL;
typedef const char *lm_recipe_TEXT;
typedef const char *lm_recipe_CHOICE;

typedef struct lm_recipe {
#define LM_RECIPE_KEY(section, key, type, fallback, limits, help) lm_recipe_##type section##_##key;
#include "train/recipe_keys.def"
#undef LM_RECIPE_KEY
    lm_arena arena; /* of texts */
} lm_recipe;

typedef enum lm_recipe_type {
    LM_RECIPE_INT,
    LM_RECIPE_REAL,
    LM_RECIPE_BOOL,
    LM_RECIPE_TEXT,
    LM_RECIPE_CHOICE,
} lm_recipe_type;

/* One key as data: for documentation and messages. */
typedef struct lm_recipe_key {
    const char *section, *key;
    lm_recipe_type type;
    double min, max;     /* numbers: both ends allowed; text: bytes */
    const char *choices; /* words separated by spaces */
    const char *help;
    size_t offset; /* in lm_recipe */
} lm_recipe_key;

extern const lm_recipe_key lm_recipe_keys[];
extern const int lm_recipe_n_keys;

enum { LM_RECIPE_MAX_BYTES = 64 * 1024 };

/* All defaults. Deinit may be called on a zeroed recipe. */
void lm_recipe_init(lm_recipe *recipe);
void lm_recipe_deinit(lm_recipe *recipe);

/* Reads YAML over what the recipe has. `name` is what messages call the text. On failure the recipe is unspecified but
 * may be deinitialized. Checks every value by itself; lm_recipe_check looks at how they fit together. */
loam_status lm_recipe_read(lm_recipe *recipe, lm_str yaml, const char *name,
                           loam_error *err) LM_MUST_USE;

/* "section.key=value", as on the command line. */
loam_status lm_recipe_set(lm_recipe *recipe, const char *assignment, loam_error *err) LM_MUST_USE;

/* Heads divide, min_lr <= lr, and so on; fills in what 0 stands for (n_kv_heads, ffn_dim; the bytes tokenizer's vocab_size). */
loam_status lm_recipe_check(lm_recipe *recipe, loam_error *err) LM_MUST_USE;

/* The canonical text: all keys in order, readable by lm_recipe_read. */
void lm_recipe_print(const lm_recipe *recipe, lm_buf *out);

/* One key's value as YAML. */
void lm_recipe_print_value(const lm_recipe *recipe, const lm_recipe_key *key, lm_buf *out);

/* LOAM_CONFLICT with the key's name when the two would not train the same model: sections tokenizer, model and train. */
loam_status lm_recipe_same_training(const lm_recipe *a, const lm_recipe *b,
                                    loam_error *err) LM_MUST_USE;

#endif
