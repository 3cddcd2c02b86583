/* What the store knows of a model's folder: where it came from, which files are complete, and which are still to come.
 * It is the JSON file .loam/manifest.json; files without an entry (somebody's own) are left alone.
 *
 * Reading takes no lock, since the file is replaced as a whole; changing does (.loam/lock), for as long as a change takes.
 */
#ifndef LM_HUB_MANIFEST_H
#define LM_HUB_MANIFEST_H

#include <stdbool.h>

#include <jansson.h>

#include "hub/hub_api.h"

typedef struct lm_manifest {
    char *dir;
    json_t *document;
    int lock_fd; /* -1: for reading */
} lm_manifest;

/* Both make an empty one where there is none; the second locks, waiting for whoever has it. lm_manifest_close it. */
loam_status lm_manifest_read(const char *dir, lm_manifest *out, loam_error *err) LM_MUST_USE;
loam_status lm_manifest_open(const char *dir, lm_manifest *out, loam_error *err) LM_MUST_USE;
loam_status lm_manifest_save(const lm_manifest *manifest, loam_error *err) LM_MUST_USE;
void lm_manifest_close(lm_manifest *manifest);

/* Whether the file is there, unchanged since it was fetched, and has the content that the hub lists now. */
bool lm_manifest_has(const lm_manifest *manifest, const lm_hub_file *file);

/* Whether the file is still to be fetched, or to be fetched anew. */
bool lm_manifest_is_pending(const lm_manifest *manifest, const char *path);

void lm_manifest_set_pending(lm_manifest *manifest, const lm_hub_file *file);
loam_status lm_manifest_set_done(lm_manifest *manifest, const lm_hub_file *file, const char *sha256,
                                 const char *oid, loam_error *err) LM_MUST_USE;
void lm_manifest_forget(lm_manifest *manifest, const char *path);

#endif
