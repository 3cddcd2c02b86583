#include "hub/hub_api.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "hub/hub_kinds.h"

static const lm_hub_kind kinds[] = {
#define LM_HUB_KIND(name_, endpoint_, revision_) \
    {.name = #name_,                             \
     .endpoint = endpoint_,                      \
     .default_revision = revision_,              \
     .put_list_url = lm_hub_##name_##_list_url,  \
     .put_file_url = lm_hub_##name_##_file_url,  \
     .read_list = lm_hub_##name_##_read_list},
#include "hub/hub_kinds.def"
#undef LM_HUB_KIND
};

const lm_hub_kind *lm_hub_kind_find(lm_str name) {
    for (size_t i = 0; i < LM_COUNT_OF(kinds); i++)
        if (lm_str_is(name, kinds[i].name)) return &kinds[i];
    return NULL;
}

const lm_hub_kind *lm_hub_kind_default(void) {
    return &kinds[0];
}

void lm_hub_put_endpoint(lm_buf *out, const char *endpoint) {
    size_t len = strlen(endpoint);
    while (len && endpoint[len - 1] == '/') len--;
    lm_buf_append(out, endpoint, len);
}

/* Hexadecimal digits into out, in lower case; false when it is no digest of that length. */
static bool copy_hex(lm_str text, char *out, size_t n_digits) {
    if (text.len != n_digits) return text.len == 0;
    for (size_t i = 0; i < n_digits; i++) {
        char c = text.ptr[i];
        if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        out[i] = c;
    }
    out[n_digits] = '\0';
    return true;
}

loam_status lm_hub_listing_add(lm_hub_listing *listing, const char *where, lm_str path,
                               int64_t size_bytes, lm_str sha256, lm_str oid, loam_error *err) {
    lm_hub_file file = {.size_bytes = size_bytes};
    int shown = (int)(path.len < 100 ? path.len : 100);
    if (listing->files.len == LM_HUB_MAX_FILES)
        return lm_error_set(err, LOAM_LIMIT, "%s: more than %d files", where, LM_HUB_MAX_FILES);
    if (size_bytes < 0 || size_bytes > LM_HUB_MAX_FILE_BYTES)
        return lm_error_set(err, LOAM_CORRUPT, "%s: the size of '%.*s' is %lld", where, shown,
                            path.ptr, (long long)size_bytes);
    if (!copy_hex(sha256, file.sha256, sizeof file.sha256 - 1) ||
        !copy_hex(oid, file.oid, sizeof file.oid - 1))
        return lm_error_set(err, LOAM_CORRUPT, "%s: the digest of '%.*s' is none", where, shown,
                            path.ptr);
    if (memchr(path.ptr, '\0', path.len) || !lm_hub_path_is_safe(path.ptr)) {
        lm_error_set(err, LOAM_CORRUPT, "%s: '%.*s' is no path that a hub may write to", where,
                     shown, path.ptr);
        return lm_error_hint(err, LOAM_CORRUPT, "the hub is broken or means harm; use another");
    }
    file.path = lm_strndup(path.ptr, path.len);
    if (file.path && lm_vec_push(&listing->files, file)) return LOAM_OK;
    lm_free(file.path);
    return lm_error_no_memory(err, path.len);
}

loam_status lm_hub_listing_set_commit(lm_hub_listing *listing, const char *where, lm_str commit,
                                      loam_error *err) {
    for (size_t i = 0; i < commit.len; i++) {
        bool hex = strchr("0123456789abcdefABCDEF", commit.ptr[i]) && commit.ptr[i];
        if (!hex || commit.len >= sizeof listing->commit)
            return lm_error_set(err, LOAM_CORRUPT, "%s: the commit's name is no number", where);
    }
    memcpy(listing->commit, commit.ptr, commit.len);
    listing->commit[commit.len] = '\0';
    return LOAM_OK;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const lm_hub_file *)a)->path, ((const lm_hub_file *)b)->path);
}

static LM_MUST_USE loam_status sort_files(lm_hub_listing *listing, const char *where,
                                          loam_error *err) {
    if (listing->files.len == 0) return LOAM_OK;
    qsort(listing->files.ptr, listing->files.len, sizeof *listing->files.ptr, compare_paths);
    for (size_t i = 1; i < listing->files.len; i++) {
        if (compare_paths(&listing->files.ptr[i - 1], &listing->files.ptr[i]) == 0)
            return lm_error_set(err, LOAM_CORRUPT, "%s: '%s' is listed twice", where,
                                listing->files.ptr[i].path);
    }
    return LOAM_OK;
}

loam_status lm_hub_listing_parse(const lm_hub_kind *kind, lm_str text, const char *where,
                                 lm_hub_listing *out, loam_error *err) {
    lm_hub_listing listing = {0};
    json_t *document = NULL;
    LM_TRY(lm_json_parse(text, where, &document, err));
    loam_status status = kind->read_list(document, where, &listing, err);
    if (status == LOAM_OK) status = sort_files(&listing, where, err);
    json_decref(document);
    if (status == LOAM_OK)
        *out = listing;
    else
        lm_hub_listing_deinit(&listing);
    return status;
}

void lm_hub_listing_deinit(lm_hub_listing *listing) {
    for (size_t i = 0; i < listing->files.len; i++) lm_free(listing->files.ptr[i].path);
    lm_vec_deinit(&listing->files);
}
