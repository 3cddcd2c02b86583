/* Which files of a repository make up the model that somebody asked for: one quant of a GGUF repository with all its
 * parts, or a folder's configuration, tokenizer, template and safetensors without the same weights in other formats. The
 * same rule chooses what to fetch and, later, what to open. Any thread.
 */
#ifndef LM_HUB_HUB_PICK_H
#define LM_HUB_HUB_PICK_H

#include "base/str.h"
#include "base/vec.h"

enum { LM_HUB_QUANT_BYTES = 48 };

typedef struct lm_hub_choice {
    bool is_folder;                 /* else GGUF: the first file is the one to open */
    bool is_partial;                /* some of its parts are not there (lm_hub_each_variant) */
    LM_VEC(int32_t) files;          /* indices of names, parts in their order */
    char quant[LM_HUB_QUANT_BYTES]; /* of the GGUF, as its name has it; "": none in its name */
    lm_buf others; /* "Q4_0, Q8_0": what else there is; empty when nothing was chosen by default */
} lm_hub_choice;

/* names: all files of the repository, sorted. pick "": the default. LOAM_NOT_FOUND when nothing fits, its hint lists what
 * is there; LOAM_INVALID when parts are missing or several things fit. lm_hub_choice_deinit it. */
loam_status lm_hub_pick(const char *repo, const char *pick, const char *const *names, size_t n,
                        lm_hub_choice *out, loam_error *err) LM_MUST_USE;
void lm_hub_choice_deinit(lm_hub_choice *choice);

/* All models that the names hold: the folder, and each GGUF. The choice lives for the call. */
loam_status lm_hub_each_variant(const char *const *names, size_t n,
                                void (*on_variant)(void *ctx, const lm_hub_choice *choice),
                                void *ctx, loam_error *err) LM_MUST_USE;

/* The quant in a GGUF's name: "dir/Model-0.5B-Q4_K_M-00001-of-00002.gguf" gives "Q4_K_M"; empty when there is none. */
lm_str lm_hub_quant_of(const char *path);

#endif
