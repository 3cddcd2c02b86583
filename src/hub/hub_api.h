/* What hubs speak: where a repository's list of files is, where its files are, and how the list reads. One row a protocol
 * (hub_kinds.def), Hugging Face's and ModelScope's; mirrors and hubs within a company speak one of the two. Any thread.
 */
#ifndef LM_HUB_HUB_API_H
#define LM_HUB_HUB_API_H

#include <jansson.h>

#include "base/str.h"
#include "base/vec.h"
#include "hub/digest.h"
#include "hub/hub_name.h"

typedef struct lm_hub_file {
    char *path; /* within the repository; safe (lm_hub_path_is_safe) */
    int64_t size_bytes;
    char sha256[LM_DIGEST_SHA256_HEX]; /* "": the hub does not say */
    char oid[LM_DIGEST_OID_HEX];       /* git blob id; likewise */
} lm_hub_file;

enum { LM_HUB_COMMIT_BYTES = 65, LM_HUB_MAX_FILES = 20000, LM_HUB_MAX_LIST_BYTES = 32 << 20 };
#define LM_HUB_MAX_FILE_BYTES ((int64_t)1 << 46)

typedef struct lm_hub_listing {
    char commit
        [LM_HUB_COMMIT_BYTES]; /* what the revision stands for now; "": the hub does not say */
    LM_VEC(lm_hub_file) files; /* by path, each once */
} lm_hub_listing;

typedef struct lm_hub_kind {
    const char *name;             /* "huggingface" */
    const char *endpoint;         /* the public one */
    const char *default_revision; /* "main" */
    void (*put_list_url)(lm_buf *out, const char *endpoint, const char *repo, const char *revision);
    void (*put_file_url)(lm_buf *out, const char *endpoint, const char *repo, const char *revision,
                         const char *path);
    loam_status (*read_list)(const json_t *document, const char *where, lm_hub_listing *out,
                             loam_error *err);
} lm_hub_kind;

const lm_hub_kind *lm_hub_kind_find(lm_str name); /* NULL: unknown */
const lm_hub_kind *lm_hub_kind_default(void);

/* `where` stands in messages for the document. LOAM_INVALID for what is no such list, LOAM_CORRUPT for unsafe paths, sizes
 * or digests that are none. lm_hub_listing_deinit it. */
loam_status lm_hub_listing_parse(const lm_hub_kind *kind, lm_str text, const char *where,
                                 lm_hub_listing *out, loam_error *err) LM_MUST_USE;
void lm_hub_listing_deinit(lm_hub_listing *listing);

#endif
