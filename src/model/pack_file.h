/* The packed file: a model's matrices in a device's own order, kept between runs and mapped by all who run the model.
 *
 *     header   magic, version, the device's order, what it was made of, a checksum of header and table
 *     table    a line a matrix: name, type, shape, a probe of the order, place, checksum
 *     data     at multiples of LM_PACK_ALIGNMENT
 *
 * Numbers are in the machine's byte order. Whoever opens a file knows what it must hold (lm_pack_plan), so nothing in it is
 * followed: all but the checksums is compared with what is expected, and what differs is the reason to make the file
 * anew. The probe is a hash of a small matrix packed now: a packer that has changed without a new name of its order is
 * found out. Data are checked against their checksums when a file is opened, on all threads of the device.
 *
 * Written beside its name and renamed, without waiting for the disk: what a power cut leaves behind, the checksums
 * find. The map begins at a multiple of the huge page, and data are written in pieces of that size, so that file systems
 * with large folios give it huge pages.
 */
#ifndef LM_MODEL_PACK_FILE_H
#define LM_MODEL_PACK_FILE_H

#include "base/file.h"
#include "compute/device.h"

enum { LM_PACK_VERSION = 1, LM_PACK_ALIGNMENT = 64 };

/* What the model's file was when its weights were packed. */
typedef struct lm_pack_source {
    uint64_t size_bytes;
    int64_t mtime_ns;
    uint64_t hash; /* of its files' sizes and times, and of names, types, shapes and samples of its tensors */
} lm_pack_source;

/* How far packing is, in bytes of packed weights. */
typedef void lm_pack_progress_fn(void *ctx, size_t n_done, size_t n_bytes);

/* What a packed file holds: weights with packed_bytes (lm_backend) above 0, in LM_LAYOUT_ROWS, names of at most
 * LM_PACK_NAME_BYTES with the terminator. */
enum { LM_PACK_NAME_BYTES = 96 };
typedef struct lm_pack_plan {
    lm_device *device; /* shares memory with the host */
    lm_pack_source source;
    lm_weight **weights;              /* [n] */
    size_t n;                         /* at least 1 */
    lm_pack_progress_fn *on_progress; /* called while a file is made; NULL: not */
    void *progress_ctx;
    /* Called around the packing of a weight whose data may have to be made first; NULL: all are there, in the model's map. */
    loam_status (*prepare)(void *ctx, lm_weight *weight, loam_error *err);
    void (*done)(void *ctx, lm_weight *weight);
    void *weights_ctx;
} lm_pack_plan;

/* The map of a file that is as planned. LOAM_NOT_FOUND: there is none; LOAM_INVALID: it is another version's, order's or
 * model's; LOAM_CORRUPT: it is damaged. The message says what of. */
loam_status lm_pack_file_open(const char *path, const lm_pack_plan *plan, lm_file_map *out,
                              loam_error *err) LM_MUST_USE;

/* Packs the weights into a file at `path`, replacing what is there. Of several that want to make the same file at once one
 * does, and the others wait for it and find it made. Pages of the model's file are given back. LOAM_LIMIT: there is not
 * room enough on the disk; LOAM_UNAVAILABLE: others take too long; LOAM_IO, LOAM_NO_MEMORY. */
loam_status lm_pack_file_make(const char *path, const lm_pack_plan *plan,
                              loam_error *err) LM_MUST_USE;

/* Points the weights at their data in the map of a file that was opened for this plan. */
void lm_pack_file_use(const lm_file_map *map, const lm_pack_plan *plan);

size_t lm_pack_plan_bytes(const lm_pack_plan *plan); /* of all data */

#endif
