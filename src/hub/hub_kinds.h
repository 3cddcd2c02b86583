/* The functions behind the rows of hub_kinds.def, and what they share. */
#ifndef LM_HUB_HUB_KINDS_H
#define LM_HUB_HUB_KINDS_H

#include "hub/hub_api.h"

#define LM_HUB_KIND(name, endpoint, revision)                                           \
    void lm_hub_##name##_list_url(lm_buf *out, const char *endpoint_, const char *repo, \
                                  const char *revision_);                               \
    void lm_hub_##name##_file_url(lm_buf *out, const char *endpoint_, const char *repo, \
                                  const char *revision_, const char *path);             \
    loam_status lm_hub_##name##_read_list(const json_t *document, const char *where,    \
                                          lm_hub_listing *out, loam_error *err) LM_MUST_USE;
#include "hub/hub_kinds.def"
#undef LM_HUB_KIND

/* Copies the path. sha256 and oid may be empty. */
loam_status lm_hub_listing_add(lm_hub_listing *listing, const char *where, lm_str path,
                               int64_t size_bytes, lm_str sha256, lm_str oid,
                               loam_error *err) LM_MUST_USE;
loam_status lm_hub_listing_set_commit(lm_hub_listing *listing, const char *where, lm_str commit,
                                      loam_error *err) LM_MUST_USE;

/* The endpoint without the slashes at its end. */
void lm_hub_put_endpoint(lm_buf *out, const char *endpoint);

#endif
