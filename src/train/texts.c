#include "train/texts.h"

#include "base/mem.h"
#include "train/corpus.h"

/* path itself when absolute, else under base_dir. */
static char *resolve(const char *path, const char *base_dir) {
    return path[0] == '/' || !base_dir ? lm_strdup(path) : lm_path_join(base_dir, path);
}

static loam_status map_text(char *path, lm_file_map *map, lm_str *out, loam_error *err) {
    if (!path) return lm_error_no_memory(err, 0);
    LM_TRY(lm_file_map_open(path, map, err));
    *out = (lm_str){(const char *)map->ptr, map->size_bytes};
    return LOAM_OK;
}

/* Where the held-out end of a text begins. */
static size_t split_point(lm_str text, lm_str separator, double fraction) {
    size_t at = (size_t)((double)text.len * (1 - fraction));
    if (separator.len > 0) {
        const char *next = memmem(text.ptr + at, text.len - at, separator.ptr, separator.len);
        return next ? (size_t)(next - text.ptr) + separator.len : text.len;
    }
    while (at < text.len && ((uint8_t)text.ptr[at] & 0xc0) == 0x80)
        at++; /* into no character's middle */
    return at;
}

static loam_status open_folder(const char *folder, lm_texts *texts, loam_error *err) {
    char *train = lm_path_join(folder, "train.txt"),
         *validation = lm_path_join(folder, "validation.txt");
    char *corpus = lm_path_join(folder, "corpus.json");
    loam_status status = validation && corpus ? map_text(train, &texts->maps[0], &texts->train, err)
                                              : lm_error_no_memory(err, 0);
    if (status == LOAM_OK && lm_file_exists(validation)) {
        status = map_text(validation, &texts->maps[1], &texts->validation, err);
        if (status == LOAM_OK && lm_file_exists(corpus))
            status = lm_corpus_read_nats_per_byte(corpus, &texts->nats_per_byte, err);
    }
    lm_free(train);
    lm_free(validation);
    lm_free(corpus);
    return status;
}

static loam_status open_train(const char *path, lm_texts *texts, loam_error *err) {
    if (lm_file_is_dir(path)) return open_folder(path, texts, err);
    char *copy = lm_strdup(path);
    loam_status status = map_text(copy, &texts->maps[0], &texts->train, err);
    lm_free(copy);
    return status;
}

static loam_status open_validation(const lm_recipe *recipe, const char *base_dir, lm_texts *texts,
                                   loam_error *err) {
    if (recipe->data_validation_path[0]) {
        char *path = resolve(recipe->data_validation_path, base_dir);
        lm_file_map_close(&texts->maps[1]);
        texts->nats_per_byte = 0;
        loam_status status = map_text(path, &texts->maps[1], &texts->validation, err);
        lm_free(path);
        return status;
    }
    if (texts->validation.ptr) return LOAM_OK;
    size_t at = split_point(texts->train, lm_str_of(recipe->data_separator),
                            recipe->data_validation_fraction);
    texts->validation = (lm_str){texts->train.ptr + at, texts->train.len - at};
    texts->train.len = at;
    return LOAM_OK;
}

loam_status lm_texts_open(const lm_recipe *recipe, const char *path, const char *base_dir,
                          lm_texts *out, loam_error *err) {
    lm_texts texts = {0};
    char *resolved = resolve(path, base_dir);
    loam_status status = resolved ? open_train(resolved, &texts, err) : lm_error_no_memory(err, 0);
    if (status == LOAM_OK) status = open_validation(recipe, base_dir, &texts, err);
    if (status == LOAM_OK && (texts.train.len == 0 || texts.validation.len == 0)) {
        lm_error_set(err, LOAM_INVALID, "%s: the %s part is empty", resolved,
                     texts.train.len ? "validation" : "training");
        status =
            lm_error_hint(err, LOAM_INVALID, "give more text, or change data.validation_fraction");
    }
    lm_free(resolved);
    if (status == LOAM_OK)
        *out = texts;
    else
        lm_texts_close(&texts);
    return status;
}

void lm_texts_close(lm_texts *texts) {
    lm_file_map_close(&texts->maps[0]);
    lm_file_map_close(&texts->maps[1]);
    *texts = (lm_texts){0};
}

bool lm_texts_next_document(lm_str *rest, lm_str separator, lm_str *out) {
    while (rest->len > 0) {
        const char *end =
            separator.len ? memmem(rest->ptr, rest->len, separator.ptr, separator.len) : NULL;
        *out = (lm_str){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
        size_t taken = end ? out->len + separator.len : rest->len;
        *rest = (lm_str){rest->ptr + taken, rest->len - taken};
        if (out->len > 0) return true;
    }
    return false;
}
