/* Digests by which hubs name contents: SHA-256 of what Git LFS keeps, and git's blob id, the SHA-1 of "blob <size>" and
 * the bytes, of small files. One thread at a time.
 */
#ifndef LM_HUB_DIGEST_H
#define LM_HUB_DIGEST_H

#include <stdint.h>

#include "base/error.h"

enum { LM_DIGEST_SHA256_HEX = 65, LM_DIGEST_OID_HEX = 41 }; /* with terminator */

typedef struct lm_digest lm_digest;

/* size_bytes of content will come. */
loam_status lm_digest_new(int64_t size_bytes, lm_digest **out, loam_error *err) LM_MUST_USE;
void lm_digest_free(lm_digest *digest); /* NULL is fine */
void lm_digest_update(lm_digest *digest, const void *bytes, size_t len);

/* Once, at the end; in lower-case hexadecimal digits. */
void lm_digest_final(lm_digest *digest, char out_sha256[LM_DIGEST_SHA256_HEX],
                     char out_oid[LM_DIGEST_OID_HEX]);

#endif
