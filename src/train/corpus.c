#include "train/corpus.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "train/stories.h"

enum { CORPUS_MAX_STORY_BYTES = 64 * 1024, CORPUS_MAX_JSON_BYTES = 64 * 1024 };

typedef struct corpus_file {
    lm_file_writer writer;
    lm_corpus_part part;
} corpus_file;

static loam_status open_file(corpus_file *file, const char *dir, const char *name,
                             loam_error *err) {
    char *path = lm_path_join(dir, name);
    if (!path) return lm_error_no_memory(err, 0);
    loam_status status = lm_file_writer_open(&file->writer, path, err);
    lm_free(path);
    return status;
}

static loam_status add_story(corpus_file *file, lm_str story, double nats, loam_error *err) {
    if (file->part.n_stories > 0) LM_TRY(lm_file_writer_write(&file->writer, "\n\n", 2, err));
    LM_TRY(lm_file_writer_write(&file->writer, story.ptr, story.len, err));
    file->part.n_stories++;
    file->part.n_bytes += (int64_t)story.len;
    file->part.nats += nats;
    return LOAM_OK;
}

/* A number in [0, 1) that is the story's own. */
static double story_share(lm_str story) {
    lm_sha256 hash;
    uint8_t digest[LM_SHA256_BYTES];
    lm_sha256_init(&hash);
    lm_sha256_update(&hash, story.ptr, story.len);
    lm_sha256_final(&hash, digest);
    return (digest[0] * 65536 + digest[1] * 256 + digest[2]) / 16777216.0;
}

static loam_status write_stories(const lm_corpus_options *options, const lm_grammar *grammar,
                                 corpus_file *train, corpus_file *validation, loam_error *err) {
    lm_buf story;
    lm_buf_init(&story, CORPUS_MAX_STORY_BYTES);
    lm_rng rng;
    lm_rng_init(&rng, options->seed);
    loam_status status = LOAM_OK;
    for (int64_t i = 0; i < options->n_stories && status == LOAM_OK; i++) {
        double nats = 0;
        lm_buf_reset(&story);
        status = lm_grammar_write(grammar, lm_stories_start, &rng, &story, &nats, err);
        if (status != LOAM_OK) break;
        bool held_out = story_share(lm_buf_view(&story)) < options->validation_fraction;
        status = add_story(held_out ? validation : train, lm_buf_view(&story), nats, err);
    }
    lm_buf_deinit(&story);
    return status;
}

static json_t *part_json(const lm_corpus_part *part) {
    return json_pack("{s:I, s:I, s:f}", "stories", (json_int_t)part->n_stories, "bytes",
                     (json_int_t)part->n_bytes, "nats", part->nats);
}

static loam_status write_summary(const lm_corpus_options *options, const lm_corpus_summary *summary,
                                 loam_error *err) {
    json_t *root = json_pack("{s:s, s:I, s:o, s:o}", "generator", "stories", "seed",
                             (json_int_t)options->seed, "train", part_json(&summary->train),
                             "validation", part_json(&summary->validation));
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    char *path = lm_path_join(options->dir, "corpus.json");
    loam_status status = text && path ? lm_file_write_atomic(path, text, strlen(text), err)
                                      : lm_error_no_memory(err, 0);
    json_decref(root);
    lm_free(path);
    free(text); /* jansson's own */
    return status;
}

static loam_status check_options(const lm_corpus_options *options, loam_error *err) {
    if (options->n_stories < 1 || options->n_stories > LM_CORPUS_MAX_STORIES)
        return lm_error_set(err, LOAM_INVALID, "%lld stories; 1 to %d can be written",
                            (long long)options->n_stories, LM_CORPUS_MAX_STORIES);
    if (!(options->validation_fraction >= 0 && options->validation_fraction <= 0.5))
        return lm_error_set(err, LOAM_INVALID, "validation fraction %g is not in 0 to 0.5",
                            options->validation_fraction);
    return LOAM_OK;
}

loam_status lm_corpus_write(const lm_corpus_options *options, lm_corpus_summary *out,
                            loam_error *err) {
    LM_TRY(check_options(options, err));
    LM_TRY(lm_file_make_dirs(options->dir, err));
    lm_grammar *grammar;
    LM_TRY(lm_grammar_new(lm_stories_rules, lm_stories_n_rules, &grammar, err));
    corpus_file train = {0}, validation = {0};
    loam_status status = open_file(&train, options->dir, "train.txt", err);
    if (status == LOAM_OK) status = open_file(&validation, options->dir, "validation.txt", err);
    if (status == LOAM_OK) status = write_stories(options, grammar, &train, &validation, err);
    if (status == LOAM_OK) status = lm_file_writer_commit(&train.writer, err);
    if (status == LOAM_OK) status = lm_file_writer_commit(&validation.writer, err);
    lm_file_writer_abort(&train.writer);
    lm_file_writer_abort(&validation.writer);
    lm_grammar_free(grammar);
    if (status != LOAM_OK) return status;
    lm_corpus_summary summary = {train.part, validation.part};
    LM_TRY(write_summary(options, &summary, err));
    *out = summary;
    return LOAM_OK;
}

loam_status lm_corpus_read_nats_per_byte(const char *path, double *out, loam_error *err) {
    char *text;
    size_t size;
    LM_TRY(lm_file_read(path, CORPUS_MAX_JSON_BYTES, &text, &size, err));
    json_t *root = NULL;
    loam_status status = lm_json_parse((lm_str){text, size}, path, &root, err);
    double nats = 0;
    int64_t n_bytes = 0;
    const json_t *part = json_object_get(root, "validation");
    if (status == LOAM_OK) status = lm_json_i64(part, path, "bytes", &n_bytes, err);
    if (status == LOAM_OK) status = lm_json_f64_or(part, path, "nats", 0, &nats, err);
    if (status == LOAM_OK && (n_bytes <= 0 || nats <= 0))
        status = lm_error_set(err, LOAM_INVALID, "%s: the validation part is empty", path);
    if (status == LOAM_OK) *out = nats / (double)n_bytes;
    json_decref(root);
    lm_free(text);
    return status;
}
