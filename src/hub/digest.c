/* OpenSSL's, which use the processor's SHA instructions: a file is read once for both. */
#include "hub/digest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"

enum { OID_MAX_BYTES = 64 << 20 }; /* larger files are kept by LFS, whose name is the SHA-256 */

struct lm_digest {
    EVP_MD_CTX *sha256;
    EVP_MD_CTX *sha1; /* NULL for large files */
};

static EVP_MD_CTX *begin(const EVP_MD *kind) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, kind, NULL) == 1) return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

loam_status lm_digest_new(int64_t size_bytes, lm_digest **out, loam_error *err) {
    lm_digest *digest = lm_calloc(1, sizeof *digest);
    if (!digest) return lm_error_no_memory(err, sizeof *digest);
    bool small = size_bytes <= OID_MAX_BYTES;
    digest->sha256 = begin(EVP_sha256());
    digest->sha1 = small ? begin(EVP_sha1()) : NULL;
    if (!digest->sha256 || (small && !digest->sha1)) {
        lm_digest_free(digest);
        return lm_error_no_memory(err, 1);
    }
    char head[40];
    int len = snprintf(head, sizeof head, "blob %lld", (long long)size_bytes);
    if (small) EVP_DigestUpdate(digest->sha1, head, (size_t)len + 1); /* git's ends with a NUL */
    *out = digest;
    return LOAM_OK;
}

void lm_digest_free(lm_digest *digest) {
    if (!digest) return;
    EVP_MD_CTX_free(digest->sha256);
    EVP_MD_CTX_free(digest->sha1);
    lm_free(digest);
}

void lm_digest_update(lm_digest *digest, const void *bytes, size_t len) {
    EVP_DigestUpdate(digest->sha256, bytes, len);
    if (digest->sha1) EVP_DigestUpdate(digest->sha1, bytes, len);
}

static void final_hex(EVP_MD_CTX *context, char *out) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_DigestFinal_ex(context, bytes, &len);
    for (unsigned i = 0; i < len; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void lm_digest_final(lm_digest *digest, char out_sha256[LM_DIGEST_SHA256_HEX],
                     char out_oid[LM_DIGEST_OID_HEX]) {
    final_hex(digest->sha256, out_sha256);
    out_oid[0] = '\0';
    if (digest->sha1) final_hex(digest->sha1, out_oid);
}
