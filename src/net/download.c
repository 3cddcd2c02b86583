/* A connection (a slot) has a span of a file to fetch, several pieces long, so that requests are few; when it breaks off
 * the slot waits a little and asks for the rest of its span.
 *
 *     idle --next span--> under way --all there--> idle
 *                          |   ^                            a server that knows no ranges sends the whole file instead:
 *                  broke off   after a delay                the file's other slots are dropped, one starts from byte 0
 *                          v   |
 *                         waiting --too often in vain--> the download fails
 */
#include "net/download.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/curl_internal.h"

enum {
    SPAN_MAX_PIECES = 16,
    POLL_MS = 100,
    DELAY_MAX_MS = 8000,
    RETRY_AFTER_MAX_MS = 60000,
    RECEIVE_BYTES = 256 << 10,
};

typedef struct download download;
typedef struct file_state file_state;

typedef enum slot_state { SLOT_IDLE, SLOT_UNDER_WAY, SLOT_WAITING } slot_state;

typedef struct slot {
    download *d;
    CURL *easy;
    slot_state state;
    file_state *file;
    int64_t begin, at, end;    /* of the span; `at` is the next byte to come */
    int64_t asked_at;          /* `at` when this request began */
    int64_t best, best_before; /* the furthest that `at` has been, now and before this request */
    int n_vain;                /* failures in a row that brought no byte */
    int64_t retry_at_ns;
    int64_t retry_after_ms; /* what the server asked for */
    struct curl_slist *headers;
    bool accepted; /* the answer's head is what was asked for */
    bool fatal;    /* d->error says what no retry mends */
    char message[CURL_ERROR_SIZE];
} slot;

struct file_state {
    lm_download_file *file;
    size_t n_pieces;
    uint8_t *taken; /* [n_pieces] there or some slot's */
    size_t next;    /* first piece that may be untaken */
    int n_active;   /* slots */
    bool without_ranges;
};

struct download {
    const lm_download_options *options;
    CURLM *multi;
    file_state *files;
    size_t n_files;
    slot *slots;
    int n_slots;
    int64_t n_bytes; /* of complete pieces */
    loam_status status;
    loam_error error;
};

/* --- Spans. */

static int64_t piece_end(const file_state *f, size_t piece) {
    int64_t end = (int64_t)(piece + 1) * f->file->piece_bytes;
    return end < f->file->size_bytes ? end : f->file->size_bytes;
}

/* Few requests, but enough spans for all slots to have work up to the end. */
static size_t span_pieces(const download *d, const file_state *f) {
    size_t left = 0;
    for (size_t i = f->next; i < f->n_pieces; i++) left += !f->taken[i];
    size_t share = left / (size_t)(2 * d->n_slots);
    return share < 1 ? 1 : share > SPAN_MAX_PIECES ? SPAN_MAX_PIECES : share;
}

static void take_span(slot *s, file_state *f, size_t first, size_t n) {
    memset(f->taken + first, 1, n);
    s->file = f;
    s->n_vain = 0;
    s->begin = s->at = s->best = (int64_t)first * f->file->piece_bytes;
    s->end = piece_end(f, first + n - 1);
    f->n_active++;
}

/* Whole files where there are no ranges: one slot, from the beginning, over what is there already. */
static bool take_whole(slot *s, file_state *f) {
    if (f->n_active > 0 || !memchr(f->file->done, 0, f->n_pieces)) return false;
    take_span(s, f, 0, f->n_pieces);
    return true;
}

static bool take_from(const download *d, slot *s, file_state *f) {
    if (f->n_pieces == 0) return false;
    if (f->without_ranges) return take_whole(s, f);
    while (f->next < f->n_pieces && f->taken[f->next]) f->next++;
    if (f->next == f->n_pieces) return false;
    size_t n = 1, most = span_pieces(d, f);
    while (n < most && f->next + n < f->n_pieces && !f->taken[f->next + n]) n++;
    take_span(s, f, f->next, n);
    return true;
}

static bool take_next(download *d, slot *s) {
    for (size_t i = 0; i < d->n_files; i++)
        if (take_from(d, s, &d->files[i])) return true;
    return false;
}

/* The slot gives back what of its span is not there. */
static void release_span(slot *s) {
    file_state *f = s->file;
    memcpy(f->taken, f->file->done, f->n_pieces);
    for (int i = 0; i < s->d->n_slots; i++) {
        const slot *other = &s->d->slots[i];
        if (other == s || other->state == SLOT_IDLE || other->file != f) continue;
        for (size_t p = (size_t)(other->begin / f->file->piece_bytes);
             p < f->n_pieces && (int64_t)p * f->file->piece_bytes < other->end; p++)
            f->taken[p] = 1;
    }
    f->next = 0;
    f->n_active--;
    s->state = SLOT_IDLE;
}

/* --- What arrives. */

static size_t fail(slot *s, loam_status status) {
    s->d->status = status;
    s->fatal = true;
    return 0;
}

static size_t fail_size(slot *s, const char *what) {
    lm_error_set(&s->d->error, LOAM_CORRUPT, "%s: the server sends %s, not the %lld bytes it lists",
                 s->file->file->url, what, (long long)s->file->file->size_bytes);
    return fail(s, LOAM_CORRUPT);
}

/* A 200 for a part of a file: this server knows no ranges. */
static bool is_whole_answer(const slot *s, long http_status) {
    return http_status == 200 && !(s->begin == 0 && s->end == s->file->file->size_bytes);
}

static bool accept_answer(slot *s) {
    long http_status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (http_status != 200 && http_status != 206) return false;
    if (is_whole_answer(s, http_status)) {
        s->file->without_ranges = true;
        return false;
    }
    if (http_status == 200) s->at = 0; /* whatever was asked for */
    if (length >= 0 && length != s->end - s->at) {
        char text[40];
        snprintf(text, sizeof text, "%lld bytes", (long long)length);
        return fail_size(s, text) != 0;
    }
    return true;
}

static loam_status write_at(const slot *s, const char *bytes, size_t len, loam_error *err) {
    for (size_t n = 0; n < len;) {
        ssize_t wrote = pwrite(s->file->file->fd, bytes + n, len - n, s->at + (off_t)n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return lm_error_errno(err, "cannot keep what is downloaded");
        n += (size_t)wrote;
    }
    return LOAM_OK;
}

/* `at` has moved on from `from`: pieces of the span that are complete now. */
static loam_status complete_pieces(slot *s, int64_t from, loam_error *err) {
    lm_download_file *file = s->file->file;
    size_t first = (size_t)(from / file->piece_bytes), n = 0;
    while (first + n < s->file->n_pieces && piece_end(s->file, first + n) <= s->at) n++;
    if (n == 0) return LOAM_OK;
    for (size_t i = first; i < first + n; i++)
        if (!file->done[i]) s->d->n_bytes += piece_end(s->file, i) - (int64_t)i * file->piece_bytes;
    memset(file->done + first, 1, n);
    return s->d->options->on_pieces(s->d->options->ctx, (size_t)(s->file - s->d->files), first, n,
                                    err);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg) {
    slot *s = arg;
    size_t len = size * count;
    if (!s->accepted && !accept_answer(s)) return 0;
    s->accepted = true;
    if ((int64_t)len > s->end - s->at) return fail_size(s, "more bytes");
    loam_status status = write_at(s, bytes, len, &s->d->error);
    int64_t from = s->at;
    s->at += (int64_t)len;
    if (s->at > s->best) s->best = s->at;
    if (status == LOAM_OK) status = complete_pieces(s, from, &s->d->error);
    return status == LOAM_OK ? len : fail(s, status);
}

/* "Content-Range: bytes 100-199/1000": the range that was asked for, of a file of the size that was promised. */
static bool range_fits(const slot *s, lm_str value) {
    char text[96];
    snprintf(text, sizeof text, "bytes %lld-%lld/%lld", (long long)s->asked_at,
             (long long)s->end - 1, (long long)s->file->file->size_bytes);
    return lm_str_is(value, text);
}

static lm_str header_value(lm_str line, const char *name) {
    size_t len = strlen(name);
    if (line.len <= len || strncasecmp(line.ptr, name, len) != 0 || line.ptr[len] != ':')
        return (lm_str){0};
    lm_str value = {line.ptr + len + 1, line.len - len - 1};
    while (value.len && value.ptr[0] == ' ') value.ptr++, value.len--;
    while (value.len && strchr("\r\n ", value.ptr[value.len - 1])) value.len--;
    return value;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg) {
    slot *s = arg;
    lm_str line = {bytes, size * count};
    int64_t seconds;
    lm_str range = header_value(line, "Content-Range"), after = header_value(line, "Retry-After");
    if (after.len && lm_str_to_i64(after, &seconds) && seconds >= 0)
        s->retry_after_ms =
            seconds < RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000 : RETRY_AFTER_MAX_MS;
    long http_status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &http_status);
    if (range.len && http_status == 206 && !range_fits(s, range))
        return fail_size(s, "another range");
    return line.len;
}

/* --- Requests. */

static loam_status set_headers(slot *s, loam_error *err) {
    const lm_download_file *file = s->file->file;
    struct curl_slist *list = NULL;
    char *bearer = file->bearer ? lm_asprintf("Authorization: Bearer %s", file->bearer) : NULL;
    if (bearer) list = curl_slist_append(list, bearer);
    bool ok = !file->bearer || list;
    lm_free(bearer);
    curl_slist_free_all(s->headers);
    s->headers = list;
    return ok ? LOAM_OK : lm_error_no_memory(err, 1);
}

static loam_status start(slot *s, loam_error *err) {
    download *d = s->d;
    const lm_download_file *file = s->file->file;
    char range[64];
    LM_TRY(set_headers(s, err));
    curl_easy_reset(s->easy);
    s->message[0] = '\0';
    lm_curl_set_common(s->easy, file->url, s->headers, s->message);
    lm_curl_follow(s->easy, file->url);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1); /* no sharing of one */
    curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_easy_setopt(s->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(s->easy, CURLOPT_LOW_SPEED_TIME, (long)((d->options->stall_ms + 999) / 1000));
    if (s->file->without_ranges) {
        s->at = 0;
    } else {
        snprintf(range, sizeof range, "%lld-%lld", (long long)s->at, (long long)s->end - 1);
        curl_easy_setopt(s->easy, CURLOPT_RANGE, range);
    }
    s->asked_at = s->at;
    s->best_before = s->best;
    s->accepted = s->fatal = false;
    s->retry_after_ms = 0;
    if (curl_multi_add_handle(d->multi, s->easy) != CURLM_OK) return lm_error_no_memory(err, 1);
    s->state = SLOT_UNDER_WAY;
    return LOAM_OK;
}

static loam_status start_what_is_due(download *d, loam_error *err) {
    int64_t now = lm_clock_mono_ns();
    for (int i = 0; i < d->n_slots; i++) {
        slot *s = &d->slots[i];
        if (s->state == SLOT_WAITING && s->file->without_ranges && s->file->n_active > 1)
            release_span(s); /* another slot of the file is left, and one is enough */
        bool due = (s->state == SLOT_WAITING && s->retry_at_ns <= now) ||
                   (s->state == SLOT_IDLE && take_next(d, s));
        if (due) LM_TRY(start(s, err));
    }
    return LOAM_OK;
}

/* --- How requests end. */

static loam_status refused(const slot *s, long http_status, loam_error *err) {
    const char *url = s->file->file->url;
    switch (http_status) {
    case 401:
    case 403:
        lm_error_set(err, LOAM_DENIED, "%s: the server refuses (%ld)", url, http_status);
        return lm_error_hint(err, LOAM_DENIED,
                             "is the token right, and has its owner been granted access?");
    case 404:
    case 410: return lm_error_set(err, LOAM_NOT_FOUND, "%s: not there (%ld)", url, http_status);
    case 416:
        return lm_error_set(err, LOAM_CORRUPT, "%s: the server's file is shorter than it lists",
                            url);
    default: return lm_error_set(err, LOAM_UNAVAILABLE, "%s: answered %ld", url, http_status);
    }
}

/* Answers that another try may change: overload, and a storage's refusal of an address that the hub has signed. */
static bool may_pass(const slot *s, long http_status) {
    long n_redirects = 0;
    curl_easy_getinfo(s->easy, CURLINFO_REDIRECT_COUNT, &n_redirects);
    return http_status < 400 || http_status >= 500 || http_status == 408 || http_status == 429 ||
           (http_status == 403 && n_redirects > 0);
}

static loam_status wait_for_retry(slot *s, loam_error *err) {
    const lm_download_options *o = s->d->options;
    bool in_vain = s->best == s->best_before;
    s->n_vain = in_vain ? s->n_vain + 1 : 0;
    if (s->n_vain > o->n_retries) {
        long http_status = 0;
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &http_status);
        if (http_status >= 400) return refused(s, http_status, err);
        return lm_error_set(err, LOAM_UNAVAILABLE, "%s: %s", s->file->file->url,
                            s->message[0] ? s->message : "the connection broke");
    }
    int64_t delay_ms = in_vain ? o->retry_delay_ms : 0;
    for (int i = 1; i < s->n_vain && delay_ms < DELAY_MAX_MS; i++) delay_ms *= 2;
    if (delay_ms > DELAY_MAX_MS) delay_ms = DELAY_MAX_MS;
    if (delay_ms < s->retry_after_ms) delay_ms = s->retry_after_ms;
    s->retry_at_ns = lm_clock_mono_ns() + delay_ms * 1000000;
    s->state = SLOT_WAITING;
    return LOAM_OK;
}

static loam_status finish(slot *s, CURLcode code, loam_error *err) {
    long http_status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_multi_remove_handle(s->d->multi, s->easy);
    if (s->fatal) {
        if (err) *err = s->d->error;
        return s->d->status;
    }
    if (code == CURLE_OK && s->at == s->end) {
        release_span(s);
        return LOAM_OK;
    }
    if (s->file->without_ranges && !s->accepted && http_status == 200) {
        release_span(s); /* to be fetched as a whole */
        return LOAM_OK;
    }
    if (http_status >= 400 && !may_pass(s, http_status)) return refused(s, http_status, err);
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_TOO_MANY_REDIRECTS ||
        code == CURLE_URL_MALFORMAT || code == CURLE_PEER_FAILED_VERIFICATION)
        return lm_error_set(err, LOAM_UNAVAILABLE, "%s: %s", s->file->file->url, s->message);
    return wait_for_retry(s, err);
}

static loam_status finish_all(download *d, loam_error *err) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(d->multi, &left));) {
        slot *s = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        LM_TRY(finish(s, code, err));
    }
    return LOAM_OK;
}

/* Complete pieces, and what is there of those under way. */
static int64_t bytes_there(const download *d) {
    int64_t n = d->n_bytes;
    for (int i = 0; i < d->n_slots; i++) {
        const slot *s = &d->slots[i];
        if (s->state == SLOT_IDLE) continue;
        int64_t piece = s->at / s->file->file->piece_bytes;
        bool counted = s->at == s->end || s->file->file->done[piece];
        if (!counted) n += s->at - piece * s->file->file->piece_bytes;
    }
    return n;
}

static bool is_busy(const download *d) {
    for (int i = 0; i < d->n_slots; i++)
        if (d->slots[i].state != SLOT_IDLE) return true;
    return false;
}

static loam_status transfer(download *d, loam_error *err) {
    const lm_download_options *o = d->options;
    for (;;) {
        int n_running;
        LM_TRY(start_what_is_due(d, err));
        if (!is_busy(d)) return LOAM_OK;
        if (curl_multi_perform(d->multi, &n_running) != CURLM_OK)
            return lm_error_set(err, LOAM_INTERNAL, "libcurl fails");
        LM_TRY(finish_all(d, err));
        if (o->on_progress && !o->on_progress(o->ctx, bytes_there(d)))
            return lm_error_set(err, LOAM_CANCELLED, "the download was broken off");
        curl_multi_poll(d->multi, NULL, 0, POLL_MS, NULL);
    }
}

/* --- Setting up. */

static loam_status prepare_file(download *d, file_state *f, lm_download_file *file,
                                loam_error *err) {
    LM_ASSERT(file->piece_bytes > 0);
    f->file = file;
    f->n_pieces = (size_t)((file->size_bytes + file->piece_bytes - 1) / file->piece_bytes);
    f->taken = lm_alloc(f->n_pieces);
    if (!f->taken) return lm_error_no_memory(err, f->n_pieces);
    memcpy(f->taken, file->done, f->n_pieces);
    for (size_t i = 0; i < f->n_pieces; i++)
        if (file->done[i]) d->n_bytes += piece_end(f, i) - (int64_t)i * file->piece_bytes;
    return LOAM_OK;
}

static loam_status prepare(download *d, lm_download_file *files, size_t n, loam_error *err) {
    d->files = lm_calloc(n ? n : 1, sizeof *d->files);
    d->slots = lm_calloc((size_t)d->n_slots, sizeof *d->slots);
    d->multi = curl_multi_init();
    if (!d->files || !d->slots || !d->multi) return lm_error_no_memory(err, n * sizeof *d->files);
    d->n_files = n;
    for (size_t i = 0; i < n; i++) LM_TRY(prepare_file(d, &d->files[i], &files[i], err));
    for (int i = 0; i < d->n_slots; i++) {
        d->slots[i] = (slot){.d = d, .easy = curl_easy_init()};
        if (!d->slots[i].easy) return lm_error_no_memory(err, 1);
    }
    return LOAM_OK;
}

static void deinit(download *d) {
    for (int i = 0; d->slots && i < d->n_slots; i++) {
        if (d->slots[i].state == SLOT_UNDER_WAY)
            curl_multi_remove_handle(d->multi, d->slots[i].easy);
        curl_easy_cleanup(d->slots[i].easy);
        curl_slist_free_all(d->slots[i].headers);
    }
    curl_multi_cleanup(d->multi);
    for (size_t i = 0; i < d->n_files; i++) lm_free(d->files[i].taken);
    lm_free(d->files);
    lm_free(d->slots);
}

loam_status lm_download(lm_download_file *files, size_t n, const lm_download_options *options,
                        loam_error *err) {
    LM_ASSERT(options->n_connections >= 1 && options->n_connections <= LM_DOWNLOAD_MAX_CONNECTIONS);
    lm_curl_init();
    download d = {.options = options, .n_slots = options->n_connections};
    loam_status status = prepare(&d, files, n, err);
    if (status == LOAM_OK) status = transfer(&d, err);
    deinit(&d);
    return status;
}
