#include "cloud/job_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

enum { TAIL_BYTES = 4096 };

char *lm_job_dir(const char *home, const char *job_id) {
    return lm_asprintf("%s/jobs/%s", home, job_id);
}

char *lm_job_path(const char *home, const char *job_id, const char *name) {
    return lm_asprintf("%s/jobs/%s/%s", home, job_id, name);
}

char *lm_job_run_dir(const char *home, const char *job_id, int64_t epoch) {
    return lm_asprintf("%s/jobs/%s/run-%lld", home, job_id, (long long)epoch);
}

/* ---- lines ---- */

loam_status lm_lines_read(const char *path, int64_t *offset, bool (*fn)(lm_str line, void *arg),
                          void *arg, loam_error *err) {
    FILE *stream = fopen(path, "re");
    if (!stream) return errno == ENOENT ? LOAM_OK : lm_error_errno(err, "%s", path);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    bool more = fseeko(stream, (off_t)*offset, SEEK_SET) == 0;
    while (more && (len = getline(&line, &capacity, stream)) > 0 && line[len - 1] == '\n') {
        *offset += len;
        if (len <= LM_JOB_LINE_MAX_BYTES) more = fn((lm_str){line, (size_t)len - 1}, arg);
    }
    free(line);
    fclose(stream);
    return LOAM_OK;
}

/* Where the last line begins that is not indented. */
static const char *message_begin(const char *text) {
    const char *begin = text;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (*line != ' ') begin = line;
    }
    return begin;
}

/* Makes one line of several: a line's end and the next one's indentation become a semicolon and a space. */
static void copy_message(const char *text, char *out, size_t size) {
    size_t n = 0;
    while (*text && n + 2 < size) {
        if (*text == '\n') {
            out[n++] = ';';
            out[n++] = ' ';
            text += 1 + strspn(text + 1, " ");
        } else {
            out[n++] = *text++;
        }
    }
    out[n] = '\0';
}

void lm_last_message(const char *path, char *out, size_t size) {
    out[0] = '\0';
    FILE *stream = fopen(path, "re");
    if (!stream) return;
    char tail[TAIL_BYTES + 1];
    if (fseeko(stream, -TAIL_BYTES, SEEK_END) != 0) rewind(stream);
    size_t n = fread(tail, 1, TAIL_BYTES, stream);
    fclose(stream);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == ' ')) n--;
    tail[n] = '\0';
    copy_message(message_begin(tail), out, size);
}

/* ---- pages over all runs ---- */

typedef struct reader {
    lm_job_stream stream;
    int64_t epoch;
    int64_t left;
    json_t *array;
} reader;

static json_t *item_of(const reader *r, lm_str line) {
    if (r->stream == LM_JOB_LOGS)
        return json_pack("{s:o?}", "line", json_stringn(line.ptr, line.len));
    json_t *object = json_loadb(line.ptr, line.len, 0, NULL);
    if (json_is_object(object)) {
        json_object_set_new(object, "epoch", json_integer(r->epoch));
        return object;
    }
    json_decref(object);
    return NULL; /* a line that is no JSON object is none of ours */
}

static bool take_line(lm_str line, void *arg) {
    reader *r = arg;
    json_t *item = item_of(r, line);
    if (item) {
        json_array_append_new(r->array, item);
        r->left--;
    }
    return r->left > 0;
}

static loam_status parse_cursor(const char *text, int64_t *epoch, int64_t *offset,
                                loam_error *err) {
    *epoch = 1;
    *offset = 0;
    if (!text || strcmp(text, "0") == 0) return LOAM_OK;
    const char *dot = strchr(text, '.');
    if (dot && lm_str_to_i64((lm_str){text, (size_t)(dot - text)}, epoch) &&
        lm_str_to_i64(lm_str_of(dot + 1), offset) && *epoch >= 1 && *offset >= 0)
        return LOAM_OK;
    return lm_error_set(err, LOAM_INVALID, "query.after: '%.64s' is not a cursor of this list",
                        text);
}

loam_status lm_job_read(const char *home, const char *job_id, int64_t last_epoch,
                        lm_job_stream stream, const char *cursor, int64_t limit, json_t *array,
                        char out_cursor[LM_JOB_CURSOR_BYTES], loam_error *err) {
    reader r = {.stream = stream, .left = limit, .array = array};
    int64_t offset;
    LM_TRY(parse_cursor(cursor, &r.epoch, &offset, err));
    while (r.epoch <= last_epoch) {
        char *dir = lm_job_run_dir(home, job_id, r.epoch);
        char *path = dir ? lm_path_join(dir, stream == LM_JOB_LOGS ? "stderr" : "stdout") : NULL;
        loam_status status =
            path ? lm_lines_read(path, &offset, take_line, &r, err) : lm_error_no_memory(err, 1);
        lm_free(dir);
        lm_free(path);
        LM_TRY(status);
        if (r.left <= 0 || r.epoch == last_epoch) break;
        r.epoch++;
        offset = 0;
    }
    snprintf(out_cursor, LM_JOB_CURSOR_BYTES, "%lld.%lld", (long long)r.epoch, (long long)offset);
    return LOAM_OK;
}
