/* Checkpoints: everything a run needs to go on, in one file that is there entirely or not at all.
 *
 *     "LOAMCKP1"  u32 n_sections  u32 0  u64 file size         header, 24 bytes, little-endian
 *     n_sections x { char name[16], u64 offset, u64 size }
 *     the sections' bytes, each at a multiple of 64
 *     SHA-256 of all that is before                            32 bytes
 *
 * A checkpoint is written beside its place, flushed to the disk and then renamed; a crash leaves the ones before as they
 * are. A folder keeps DIR/step-<9 digits>.ckpt of the newest few. One thread.
 */
#ifndef LM_TRAIN_CHECKPOINT_H
#define LM_TRAIN_CHECKPOINT_H

#include "base/file.h"

enum { LM_CHECKPOINT_MAX_SECTIONS = 16, LM_CHECKPOINT_NAME_BYTES = 16 };

typedef struct lm_checkpoint_section {
    const char *name; /* shorter than LM_CHECKPOINT_NAME_BYTES */
    const void *bytes;
    size_t size;
} lm_checkpoint_section;

/* Who may write: `path` must contain exactly the decimal `epoch`, else somebody newer owns the run. path NULL: anybody. */
typedef struct lm_fence {
    const char *path;
    int64_t epoch;
} lm_fence;

/* Writes DIR/step-<step>.ckpt. The fence is read when all bytes are on the disk, just before the rename: LOAM_CONFLICT when it
 * was lost. On any failure the folder has the checkpoints it had. */
loam_status lm_checkpoint_write(const char *dir, int64_t step,
                                const lm_checkpoint_section *sections, int n_sections,
                                const lm_fence *fence, loam_error *err) LM_MUST_USE;

/* Removes all but the `keep` newest checkpoints, and what interrupted writes left. */
loam_status lm_checkpoint_prune(const char *dir, int64_t keep, loam_error *err) LM_MUST_USE;

/* An open checkpoint, mapped. */
typedef struct lm_checkpoint {
    lm_file_map map;
    int64_t step;
    int n_sections;
    lm_checkpoint_section
        sections[LM_CHECKPOINT_MAX_SECTIONS]; /* names and bytes point into the map */
} lm_checkpoint;

/* Maps and verifies one file. LOAM_CORRUPT says what is wrong. */
loam_status lm_checkpoint_open(const char *path, lm_checkpoint *out, loam_error *err) LM_MUST_USE;

/* The newest checkpoint of the folder that is whole. Each that is not is told to `skipped` (may be NULL) with its error. LOAM_NOT_FOUND
 * when there is none, or no folder. */
typedef void lm_checkpoint_skipped_fn(void *ctx, const loam_error *why);
loam_status lm_checkpoint_open_newest(const char *dir, lm_checkpoint_skipped_fn *skipped, void *ctx,
                                      lm_checkpoint *out, loam_error *err) LM_MUST_USE;
void lm_checkpoint_close(lm_checkpoint *checkpoint);

/* A section by name; LOAM_CORRUPT when it is absent. */
loam_status lm_checkpoint_find(const lm_checkpoint *checkpoint, const char *name, lm_str *out,
                               loam_error *err) LM_MUST_USE;

/* The bytes, in the map, of a section that must have exactly this size. */
loam_status lm_checkpoint_array(const lm_checkpoint *checkpoint, const char *name, size_t size,
                                const void **out_bytes, loam_error *err) LM_MUST_USE;

#endif
