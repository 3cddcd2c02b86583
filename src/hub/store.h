/* The models that a user has: those that loam pulled, each an ordinary folder `<root>/<org>/<name>`, and, to read only,
 * those that other programs left in the Hugging Face cache. Commands name them `org/name[:file or quant]`.
 *
 *     <root>/Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf
 *                                 .loam/manifest.json   what came from where (hub/manifest.h)
 *                                 .loam/parts/          what is being fetched (hub/part_file.h)
 *                                 .loam/use             locked (shared) by who runs the model
 */
#ifndef LM_HUB_STORE_H
#define LM_HUB_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "hub/hub_name.h"
#include "hub/hub_pick.h"

typedef struct lm_store {
    const char *root;     /* folder of loam's own models; need not be there */
    const char *hf_cache; /* $HF_HOME/hub; NULL: none */
} lm_store;

/* A model that was found. */
typedef struct lm_store_model {
    char *path;           /* what to open: a folder or a GGUF file (its first part) */
    char *dir;            /* its folder */
    bool is_ours;         /* in root, not in the cache */
    lm_hub_choice choice; /* of names */
    LM_VEC(char *) names; /* all files of dir, sorted */
} lm_store_model;

/* LOAM_NOT_FOUND when neither place has it, or nothing of it fits; LOAM_CONFLICT when it was pulled only in part. */
loam_status lm_store_find(const lm_store *store, const lm_hub_name *name, lm_store_model *out,
                          loam_error *err) LM_MUST_USE;
void lm_store_model_deinit(lm_store_model *model);

/* Keeps the model from being removed while the process lives: a descriptor to close, or -1 (not ours, or no lock to be
 * had, which only means that removal will not notice). */
int lm_store_hold(const lm_store_model *model);

/* The same for what a path names, which is a file or folder that is there: of one of the store's own models, else -1. */
int lm_store_hold_path(const lm_store *store, const char *path);

/* root/org/name, on the heap; NULL when out of memory. */
LM_MUST_USE char *lm_store_dir(const lm_store *store, const char *repo);

/* One line of a listing. */
typedef struct lm_store_entry {
    const char *repo;  /* "org/name" */
    const char *quant; /* "Q4_K_M"; "safetensors" for a folder; "" when its name says nothing */
    bool is_folder, is_ours, is_complete;
    int64_t size_bytes;
    int64_t changed_ms; /* newest of its files */
    const char *path;
} lm_store_entry;

/* All models of both places, sorted by name; the entry lives for the call. */
loam_status lm_store_list(const lm_store *store,
                          void (*on_entry)(void *ctx, const lm_store_entry *), void *ctx,
                          loam_error *err) LM_MUST_USE;

/* Removes the model, or with a pick only those files. LOAM_CONFLICT while it is in use or being pulled. *out_bytes: what
 * was freed. */
loam_status lm_store_remove(const lm_store *store, const lm_hub_name *name, int64_t *out_bytes,
                            loam_error *err) LM_MUST_USE;

#endif
