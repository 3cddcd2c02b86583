#include "hub/pull.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "hub/manifest.h"
#include "hub/part_file.h"
#include "net/download.h"
#include "net/http_fetch.h"

enum { URL_MAX_BYTES = 4096, LIST_TRIES = 2, CONTENT_TRIES = 2, MARGIN_BYTES = 16 << 20 };

/* A file on its way. */
typedef struct item {
    const lm_hub_file *file;
    lm_part_file *part;
    char *url;
} item;

typedef struct pull {
    const lm_hub_name *name;
    const lm_pull_options *options;
    const lm_hub *hub;
    char *dir, *parts_dir;
    lm_hub_listing listing;
    LM_VEC(item) items;
    LM_VEC(lm_download_file) downloads; /* of items, in the same order */
    int64_t n_present;                  /* bytes of chosen files that were there */
    int64_t n_total;                    /* of all chosen files */
    bool told_wait;
} pull;

static void tell(const pull *p, lm_pull_event event) {
    if (p->options->on_event) p->options->on_event(p->options->ctx, &event);
}

/* --- The list. */

static LM_MUST_USE loam_status list_refused(const pull *p, int http_status, loam_error *err) {
    const char *repo = p->name->repo, *endpoint = p->hub->endpoint;
    if (http_status == 401 || http_status == 403) {
        lm_error_set(err, LOAM_DENIED,
                     "%s: no model %s, or none that may be seen without a token (%d)", endpoint,
                     repo, http_status);
        return lm_error_hint(
            err, LOAM_DENIED,
            "is the name right? for gated models accept the terms on the hub's page, and "
            "set HF_TOKEN or MODELSCOPE_API_TOKEN");
    }
    if (http_status == 404)
        return lm_error_set(err, LOAM_NOT_FOUND, "%s: no model %s%s%s", endpoint, repo,
                            p->options->revision ? " at revision " : "",
                            p->options->revision ? p->options->revision : "");
    return lm_error_set(err, LOAM_UNAVAILABLE, "%s: answered %d", endpoint, http_status);
}

static LM_MUST_USE loam_status fetch_list_once(const pull *p, const char *url, lm_buf *answer,
                                               loam_error *err) {
    int http_status = 0;
    lm_http_fetch_options fetch = {.url = url,
                                   .bearer = p->hub->token,
                                   .follow = true,
                                   .timeout_ms = p->options->stall_ms,
                                   .max_answer_bytes = LM_HUB_MAX_LIST_BYTES};
    LM_TRY(lm_http_fetch(&fetch, &http_status, answer, err));
    return http_status == 200 ? LOAM_OK : list_refused(p, http_status, err);
}

static const char *revision_of(const pull *p) {
    return p->options->revision ? p->options->revision : p->hub->kind->default_revision;
}

static LM_MUST_USE loam_status fetch_list(pull *p, loam_error *err) {
    lm_buf url, answer;
    lm_buf_init(&url, URL_MAX_BYTES);
    p->hub->kind->put_list_url(&url, p->hub->endpoint, p->name->repo, revision_of(p));
    loam_status status = lm_buf_status(&url, err);
    bool again = status == LOAM_OK;
    for (int i = 0; again; i++) {
        status = fetch_list_once(p, lm_buf_cstr(&url), &answer, err);
        again = (status == LOAM_UNAVAILABLE || status == LOAM_IO) && i + 1 < LIST_TRIES;
        if (status == LOAM_OK)
            status = lm_hub_listing_parse(p->hub->kind, lm_buf_view(&answer), p->hub->endpoint,
                                          &p->listing, err);
        lm_buf_deinit(&answer);
        if (again) lm_clock_sleep_ms(p->options->retry_delay_ms);
    }
    lm_buf_deinit(&url);
    return status;
}

/* --- Which files, and what of them is missing. */

static LM_MUST_USE loam_status choose(pull *p, lm_hub_choice *out, loam_error *err) {
    size_t n = p->listing.files.len;
    const char **names = lm_alloc((n + 1) * sizeof *names);
    if (!names) return lm_error_no_memory(err, n);
    for (size_t i = 0; i < n; i++) names[i] = p->listing.files.ptr[i].path;
    loam_status status = lm_hub_pick(p->name->repo, p->name->pick, names, n, out, err);
    lm_free(names);
    if (status == LOAM_OK)
        tell(p, (lm_pull_event){.kind = LM_PULL_CHOSEN,
                                .text = out->is_folder ? "safetensors" : out->quant,
                                .others = lm_buf_cstr(&out->others)});
    return status;
}

static bool on_wait(void *ctx) {
    pull *p = ctx;
    if (!p->told_wait) tell(p, (lm_pull_event){.kind = LM_PULL_WAITS, .text = p->name->repo});
    p->told_wait = true;
    return !p->options->on_progress ||
           p->options->on_progress(p->options->ctx, p->n_present, p->n_total);
}

/* Reads the file again and compares. */
static bool content_is(const char *path, const lm_hub_file *file) {
    lm_file_map map;
    lm_digest *digest;
    char sha256[LM_DIGEST_SHA256_HEX], oid[LM_DIGEST_OID_HEX];
    if (lm_file_map_open(path, &map, NULL) != LOAM_OK) return false;
    bool same = lm_digest_new(file->size_bytes, &digest, NULL) == LOAM_OK;
    if (same) {
        if (map.ptr) lm_digest_update(digest, map.ptr, map.size_bytes);
        lm_digest_final(digest, sha256, oid);
        lm_digest_free(digest);
        same = file->sha256[0] ? strcmp(sha256, file->sha256) == 0
                               : !file->oid[0] || strcmp(oid, file->oid) == 0;
    }
    lm_file_map_close(&map);
    return same;
}

static LM_MUST_USE loam_status is_present(const pull *p, const lm_hub_file *file,
                                          const char *final_path, bool *out, loam_error *err) {
    lm_manifest manifest;
    LM_TRY(lm_manifest_read(p->dir, &manifest, err));
    *out = lm_manifest_has(&manifest, file);
    lm_manifest_close(&manifest);
    if (*out && p->options->check) *out = content_is(final_path, file);
    return LOAM_OK;
}

static LM_MUST_USE loam_status make_parent(const char *path, loam_error *err) {
    char *dir = lm_strdup(path);
    if (!dir) return lm_error_no_memory(err, strlen(path));
    *strrchr(dir, '/') = '\0';
    loam_status status = lm_file_make_dirs(dir, err);
    lm_free(dir);
    return status;
}

static LM_MUST_USE loam_status url_of(const pull *p, const lm_hub_file *file, char **out,
                                      loam_error *err) {
    lm_buf url;
    lm_buf_init(&url, URL_MAX_BYTES);
    const char *revision = p->listing.commit[0] ? p->listing.commit : revision_of(p);
    p->hub->kind->put_file_url(&url, p->hub->endpoint, p->name->repo, revision, file->path);
    loam_status status = lm_buf_status(&url, err);
    if (status == LOAM_OK) *out = lm_buf_take(&url);
    lm_buf_deinit(&url);
    return status;
}

static LM_MUST_USE loam_status push_item(pull *p, const lm_hub_file *file, lm_part_file *part,
                                         loam_error *err) {
    item it = {.file = file, .part = part};
    loam_status status = url_of(p, file, &it.url, err);
    if (status == LOAM_OK && !lm_vec_push(&p->items, it)) status = lm_error_no_memory(err, 1);
    if (status == LOAM_OK) return LOAM_OK;
    lm_free(it.url);
    lm_part_file_close(part);
    return status;
}

/* The file is there, or its part is open when this returns. */
static LM_MUST_USE loam_status prepare_file(pull *p, const lm_hub_file *file, loam_error *err) {
    char *final_path = lm_path_join(p->dir, file->path);
    if (!final_path) return lm_error_no_memory(err, 1);
    loam_status status = make_parent(final_path, err);
    lm_part_file *part = NULL;
    bool present = false;
    while (status == LOAM_OK && !present && !part) {
        status = is_present(p, file, final_path, &present, err);
        if (status == LOAM_OK && !present)
            status = lm_part_file_open(p->parts_dir, final_path, file, on_wait, p, &part, err);
        /* without a part: another process has just completed it */
    }
    if (status == LOAM_OK && part) /* it may also have come between the look and the lock */
        status = is_present(p, file, final_path, &present, err);
    lm_free(final_path);
    if (status != LOAM_OK || present) lm_part_file_close(part);
    if (status != LOAM_OK) return status;
    int64_t there = present ? file->size_bytes : lm_part_file_bytes(part);
    lm_pull_event_kind kind = present ? LM_PULL_PRESENT : LM_PULL_RESUMES;
    if (present) p->n_present += there;
    if (there > 0) tell(p, (lm_pull_event){.kind = kind, .text = file->path, .n_bytes = there});
    return present ? LOAM_OK : push_item(p, file, part, err);
}

static LM_MUST_USE loam_status note_pending(const pull *p, const lm_hub_choice *choice,
                                            loam_error *err) {
    lm_manifest manifest;
    LM_TRY(lm_manifest_open(p->dir, &manifest, err));
    json_object_update_new(manifest.document,
                           json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "repo", p->name->repo, "hub",
                                     p->hub->kind->name, "endpoint", p->hub->endpoint, "revision",
                                     revision_of(p), "commit", p->listing.commit, "pulled_ms",
                                     (json_int_t)lm_clock_epoch_ms()));
    for (size_t i = 0; i < choice->files.len; i++) {
        const lm_hub_file *file = &p->listing.files.ptr[choice->files.ptr[i]];
        if (!lm_manifest_has(&manifest, file)) lm_manifest_set_pending(&manifest, file);
    }
    loam_status status = lm_manifest_save(&manifest, err);
    lm_manifest_close(&manifest);
    return status;
}

static LM_MUST_USE loam_status check_room(const pull *p, loam_error *err) {
    int64_t room = 0;
    for (size_t i = 0; i < p->items.len; i++) room += lm_part_file_room(p->items.ptr[i].part);
    if (room == 0) return LOAM_OK;
    loam_status status = lm_file_check_room(p->parts_dir, (size_t)room + MARGIN_BYTES, err);
    if (status != LOAM_OK)
        return lm_error_hint(err, status,
                             "make room, or set LOAM_MODELS to a folder on another disk");
    for (size_t i = 0; i < p->items.len; i++) {
        status = lm_part_file_reserve(p->items.ptr[i].part, err);
        if (status != LOAM_OK) return status;
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status prepare(pull *p, loam_error *err) {
    lm_hub_choice choice;
    LM_TRY(choose(p, &choice, err));
    loam_status status = note_pending(p, &choice, err);
    for (size_t i = 0; i < choice.files.len; i++)
        p->n_total += p->listing.files.ptr[choice.files.ptr[i]].size_bytes;
    for (size_t i = 0; status == LOAM_OK && i < choice.files.len; i++)
        status = prepare_file(p, &p->listing.files.ptr[choice.files.ptr[i]], err);
    lm_hub_choice_deinit(&choice);
    return status == LOAM_OK ? check_room(p, err) : status;
}

/* --- Fetching. */

static LM_MUST_USE loam_status note_done(const pull *p, const lm_hub_file *file, const char *sha256,
                                         const char *oid, loam_error *err) {
    lm_manifest manifest;
    LM_TRY(lm_manifest_open(p->dir, &manifest, err));
    loam_status status = lm_manifest_set_done(&manifest, file, sha256, oid, err);
    if (status == LOAM_OK) status = lm_manifest_save(&manifest, err);
    lm_manifest_close(&manifest);
    return status;
}

static LM_MUST_USE loam_status finish(pull *p, item *it, loam_error *err) {
    char sha256[LM_DIGEST_SHA256_HEX], oid[LM_DIGEST_OID_HEX];
    LM_TRY(lm_part_file_finish(it->part, sha256, oid, err));
    LM_TRY(note_done(p, it->file, sha256, oid, err));
    tell(p, (lm_pull_event){.kind = LM_PULL_DONE,
                            .text = it->file->path,
                            .n_bytes = it->file->size_bytes,
                            .is_verified = it->file->sha256[0] || it->file->oid[0]});
    p->n_present += it->file->size_bytes;
    return LOAM_OK;
}

static loam_status on_pieces(void *ctx, size_t index, size_t first, size_t n, loam_error *err) {
    pull *p = ctx;
    return lm_part_file_advance(p->items.ptr[index].part, err);
}

static bool on_progress(void *ctx, int64_t n_bytes) {
    const pull *p = ctx;
    return !p->options->on_progress ||
           p->options->on_progress(p->options->ctx, p->n_present + n_bytes, p->n_total);
}

static LM_MUST_USE loam_status declare_downloads(pull *p, loam_error *err) {
    for (size_t i = 0; i < p->items.len; i++) {
        const item *it = &p->items.ptr[i];
        lm_download_file file = {.url = it->url,
                                 .bearer = p->hub->token,
                                 .size_bytes = it->file->size_bytes,
                                 .piece_bytes = lm_part_file_piece_bytes(it->part),
                                 .fd = lm_part_file_fd(it->part),
                                 .done = lm_part_file_done(it->part)};
        if (!lm_vec_push(&p->downloads, file)) return lm_error_no_memory(err, sizeof file);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status download(pull *p, loam_error *err) {
    const lm_pull_options *o = p->options;
    p->downloads.len = 0;
    LM_TRY(declare_downloads(p, err));
    loam_status status = lm_download(p->downloads.ptr, p->downloads.len,
                                     &(lm_download_options){.n_connections = o->n_connections,
                                                            .n_retries = o->n_retries,
                                                            .stall_ms = o->stall_ms,
                                                            .retry_delay_ms = o->retry_delay_ms,
                                                            .on_pieces = on_pieces,
                                                            .on_progress = on_progress,
                                                            .ctx = p},
                                     err);
    for (size_t i = 0; i < p->items.len; i++) {
        loam_status saved = lm_part_file_save(p->items.ptr[i].part, status == LOAM_OK ? err : NULL);
        if (status == LOAM_OK) status = saved;
    }
    return status;
}

static void drop_item(pull *p, size_t i) {
    lm_part_file_close(p->items.ptr[i].part);
    lm_free(p->items.ptr[i].url);
    p->items.ptr[i] = p->items.ptr[--p->items.len];
}

/* Gives files that are whole their names; those whose bytes are wrong stay, to be fetched anew. */
static LM_MUST_USE loam_status finish_whole(pull *p, loam_error *err) {
    loam_status corrupt = LOAM_OK;
    for (size_t i = 0; i < p->items.len;) {
        loam_status status = LOAM_OK;
        bool whole = lm_part_file_is_whole(p->items.ptr[i].part);
        if (whole) status = finish(p, &p->items.ptr[i], err);
        if (status == LOAM_CORRUPT) corrupt = status;
        if (status != LOAM_OK && status != LOAM_CORRUPT) return status;
        if (whole && status == LOAM_OK)
            drop_item(p, i);
        else
            i++;
    }
    return corrupt;
}

static LM_MUST_USE loam_status fetch_items(pull *p, loam_error *err) {
    loam_status status = LOAM_CORRUPT;
    for (int i = 0; i < CONTENT_TRIES && status == LOAM_CORRUPT; i++) {
        if (i > 0)
            tell(p, (lm_pull_event){.kind = LM_PULL_FAILED, .text = err ? err->message : ""});
        loam_error finish_error = {0};
        status = download(p, err);
        loam_status finished = finish_whole(p, status == LOAM_OK ? err : &finish_error);
        if (status == LOAM_OK) status = finished;
    }
    return status;
}

static void reset(pull *p) {
    while (p->items.len) drop_item(p, p->items.len - 1);
    lm_hub_listing_deinit(&p->listing);
    p->listing = (lm_hub_listing){0};
    p->n_present = p->n_total = 0;
}

static LM_MUST_USE loam_status pull_from(pull *p, const lm_hub *hub, loam_error *err) {
    p->hub = hub;
    loam_status status = fetch_list(p, err);
    if (status == LOAM_OK) status = prepare(p, err);
    if (status == LOAM_OK) status = fetch_items(p, err);
    reset(p);
    return status;
}

/* --- All of it. */

static LM_MUST_USE loam_status make_folders(pull *p, loam_error *err) {
    p->dir = lm_store_dir(p->options->store, p->name->repo);
    p->parts_dir = p->dir ? lm_path_join(p->dir, ".loam/parts") : NULL;
    char *use = p->dir ? lm_path_join(p->dir, ".loam/use") : NULL;
    loam_status status =
        use && p->parts_dir ? lm_file_make_dirs(p->parts_dir, err) : lm_error_no_memory(err, 1);
    if (status == LOAM_OK) {
        int fd = open(use, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) status = lm_error_errno(err, "%s", use);
        if (fd >= 0) close(fd);
    }
    lm_free(use);
    return status;
}

/* A pull that brought nothing leaves no folder of a model that there is none of. */
static void remove_if_empty(const pull *p) {
    static const char *const made[] = {".loam/parts", ".loam/use", ".loam", ""};
    for (size_t i = 0; i < LM_COUNT_OF(made); i++) {
        char *path = lm_path_join(p->dir, made[i]);
        if (!path) return;
        bool kept = i == 0 && rmdir(path) != 0;
        char *manifest = lm_path_join(p->dir, ".loam/manifest.json");
        kept = kept || !manifest || lm_file_exists(manifest);
        if (!kept && i > 0) remove(path);
        lm_free(manifest);
        lm_free(path);
        if (kept) break;
    }
    char *slash = strrchr(p->dir, '/');
    *slash = '\0';
    rmdir(p->dir);
    *slash = '/';
}

static bool is_final(loam_status status) {
    return status == LOAM_OK || status == LOAM_CANCELLED || status == LOAM_LIMIT ||
           status == LOAM_NO_MEMORY;
}

static LM_MUST_USE loam_status pull_offline(const lm_hub_name *name, const lm_pull_options *options,
                                            loam_error *err) {
    lm_store_model model;
    loam_status status = lm_store_find(options->store, name, &model, err);
    if (status != LOAM_OK)
        return lm_error_hint(err, status,
                             "nothing is fetched offline; pull it while there is a network");
    lm_store_model_deinit(&model);
    return LOAM_OK;
}

loam_status lm_pull(const lm_hub_name *name, const lm_pull_options *options, loam_error *err) {
    if (options->offline) return pull_offline(name, options, err);
    pull p = {.name = name, .options = options};
    loam_error first = {0};
    loam_status outcome = LOAM_OK;
    loam_status status = make_folders(&p, err);
    for (size_t i = 0; status == LOAM_OK && i < options->n_hubs; i++) {
        loam_error hub_error = {0};
        loam_status got = pull_from(&p, &options->hubs[i], &hub_error);
        if (i == 0 || is_final(got)) {
            first = hub_error;
            outcome = got;
        }
        if (is_final(got)) break;
        tell(&p, (lm_pull_event){.kind = LM_PULL_FAILED, .text = hub_error.message});
    }
    if (status == LOAM_OK) {
        status = outcome;
        if (status != LOAM_OK && err) *err = first;
        if (status != LOAM_OK) remove_if_empty(&p);
    }
    lm_vec_deinit(&p.items);
    lm_vec_deinit(&p.downloads);
    lm_free(p.dir);
    lm_free(p.parts_dir);
    return status;
}
