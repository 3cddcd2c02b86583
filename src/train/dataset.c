#include "train/dataset.h"

#include "base/mem.h"
#include "base/rng.h"
#include "train/texts.h"

static const char magic[8] = "LOAMTOK1";

typedef struct token_file_header {
    char magic[8];
    int64_t n_tokens, n_documents;
    uint8_t digest[LM_SHA256_BYTES];
    uint8_t zeros[8];
} token_file_header;

_Static_assert(sizeof(token_file_header) == 64, "the header is 64 bytes");

typedef LM_VEC(int64_t) start_list;

/* What the token file depends on. */
static void source_digest(lm_str text, lm_str separator, const lm_tokenizer *tokenizer,
                          uint8_t out[LM_SHA256_BYTES]) {
    lm_sha256 hash;
    uint64_t lengths[2] = {separator.len, text.len};
    lm_sha256_init(&hash);
    lm_sha256_update(&hash, lengths, sizeof lengths);
    lm_sha256_update(&hash, separator.ptr, separator.len);
    lm_sha256_update(&hash, text.ptr, text.len);
    for (int32_t id = 0; id < lm_tokenizer_vocab_size(tokenizer); id++) {
        lm_str token = lm_tokenizer_token_text(tokenizer, id);
        lm_sha256_update(&hash, token.ptr, token.len);
        lm_sha256_update(&hash, "", 1);
    }
    lm_sha256_final(&hash, out);
}

/* --- Making the file */

static loam_status pack_document(lm_str document, const lm_tokenizer *tokenizer, lm_vec_i32 *ids,
                                 loam_error *err) {
    if (!lm_vec_push(ids, lm_tokenizer_bos(tokenizer)))
        return lm_error_no_memory(err, document.len);
    LM_TRY(lm_tokenizer_encode(tokenizer, document, (lm_encode_options){0}, ids, err));
    return lm_vec_push(ids, lm_tokenizer_eos(tokenizer)) ? LOAM_OK
                                                         : lm_error_no_memory(err, document.len);
}

/* Writes the ids of all documents; counts them in the header and collects where they start. */
static loam_status write_ids(lm_file_writer *writer, lm_str text, lm_str separator,
                             const lm_tokenizer *tokenizer, token_file_header *header,
                             start_list *starts, loam_error *err) {
    lm_vec_i32 ids = {0};
    lm_str document;
    loam_status status = LOAM_OK;
    while (status == LOAM_OK && lm_texts_next_document(&text, separator, &document)) {
        ids.len = 0;
        status = pack_document(document, tokenizer, &ids, err);
        if (status == LOAM_OK && !lm_vec_push(starts, header->n_tokens))
            status = lm_error_no_memory(err, 0);
        if (status == LOAM_OK)
            status = lm_file_writer_write(writer, ids.ptr, ids.len * sizeof *ids.ptr, err);
        header->n_tokens += (int64_t)ids.len;
        header->n_documents++;
    }
    lm_vec_deinit(&ids);
    return status;
}

static loam_status write_file(lm_file_writer *writer, lm_str text, lm_str separator,
                              const lm_tokenizer *tokenizer, const uint8_t digest[LM_SHA256_BYTES],
                              loam_error *err) {
    token_file_header header = {0};
    start_list starts = {0};
    int32_t zero = 0;
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.digest, digest, sizeof header.digest);
    loam_status status = lm_file_writer_write(writer, &header, sizeof header, err);
    if (status == LOAM_OK)
        status = write_ids(writer, text, separator, tokenizer, &header, &starts, err);
    if (status == LOAM_OK && header.n_tokens % 2)
        status = lm_file_writer_write(writer, &zero, sizeof zero, err);
    if (status == LOAM_OK)
        status = lm_file_writer_write(writer, starts.ptr, starts.len * sizeof *starts.ptr, err);
    lm_vec_deinit(&starts);
    if (status != LOAM_OK) return status;
    if (fseek(writer->stream, 0, SEEK_SET) != 0)
        return lm_error_errno(err, "%s", writer->path); /* now that it is known */
    return lm_file_writer_write(writer, &header, sizeof header, err);
}

static loam_status make_file(const char *path, lm_str text, lm_str separator,
                             const lm_tokenizer *tokenizer, const uint8_t digest[LM_SHA256_BYTES],
                             loam_error *err) {
    lm_file_writer writer;
    LM_TRY(lm_file_writer_open(&writer, path, err));
    loam_status status = write_file(&writer, text, separator, tokenizer, digest, err);
    if (status == LOAM_OK) return lm_file_writer_commit(&writer, err);
    lm_file_writer_abort(&writer);
    return status;
}

/* --- Reading it */

/* Whether header and size agree, and the file is of this digest. */
static bool is_header_right(const lm_file_map *map, const uint8_t digest[LM_SHA256_BYTES]) {
    const token_file_header *header = (const token_file_header *)map->ptr;
    if (map->size_bytes < sizeof *header) return false;
    size_t n_tokens = (size_t)header->n_tokens, n_documents = (size_t)header->n_documents;
    size_t room = map->size_bytes - sizeof *header;
    if (n_tokens > room / sizeof(int32_t) || n_documents > room / sizeof(int64_t))
        return false; /* negative ones too */
    size_t expected = (n_tokens + 1) / 2 * 2 * sizeof(int32_t) + n_documents * sizeof(int64_t);
    return memcmp(header->magic, magic, sizeof magic) == 0 &&
           memcmp(header->digest, digest, LM_SHA256_BYTES) == 0 && room == expected;
}

/* Whether every id is in the vocabulary and documents start where they can. */
static bool is_content_right(const lm_dataset *dataset, int32_t vocab_size) {
    for (int64_t i = 0; i < dataset->n_tokens; i++) {
        if (dataset->tokens[i] < 0 || dataset->tokens[i] >= vocab_size) return false;
    }
    for (int64_t d = 0; d < dataset->n_documents; d++) {
        int64_t least = d ? dataset->starts[d - 1] + 1 : 0;
        if (dataset->starts[d] < least || dataset->starts[d] >= dataset->n_tokens ||
            (d == 0 && dataset->starts[d] != 0))
            return false;
    }
    return dataset->n_documents > 0;
}

/* Maps the file if it is whole and of this digest. */
static bool open_file(const char *path, const uint8_t digest[LM_SHA256_BYTES], int32_t vocab_size,
                      lm_dataset *out) {
    lm_dataset dataset = {0};
    loam_error ignored;
    if (lm_file_map_open(path, &dataset.map, &ignored) != LOAM_OK) return false;
    bool ok = is_header_right(&dataset.map, digest);
    if (ok) {
        const token_file_header *header = (const token_file_header *)dataset.map.ptr;
        dataset.n_tokens = header->n_tokens;
        dataset.n_documents = header->n_documents;
        dataset.tokens = (const int32_t *)(header + 1);
        dataset.starts = (const int64_t *)(dataset.tokens + (header->n_tokens + 1) / 2 * 2);
        memcpy(dataset.digest, digest, LM_SHA256_BYTES);
        ok = is_content_right(&dataset, vocab_size);
    }
    if (ok)
        *out = dataset;
    else
        lm_file_map_close(&dataset.map);
    return ok;
}

loam_status lm_dataset_open(const char *path, lm_str text, lm_str separator,
                            const lm_tokenizer *tokenizer, lm_dataset *out, loam_error *err) {
    uint8_t digest[LM_SHA256_BYTES];
    source_digest(text, separator, tokenizer, digest);
    int32_t vocab_size = lm_tokenizer_vocab_size(tokenizer);
    if (!open_file(path, digest, vocab_size, out)) {
        LM_TRY(make_file(path, text, separator, tokenizer, digest, err));
        if (!open_file(path, digest, vocab_size, out))
            return lm_error_set(err, LOAM_IO, "%s changed while it was written", path);
    }
    out->bos = lm_tokenizer_bos(tokenizer);
    return LOAM_OK;
}

void lm_dataset_close(lm_dataset *dataset) {
    lm_file_map_close(&dataset->map);
    *dataset = (lm_dataset){0};
}

/* --- Blocks */

/* Index of the document that holds a position. */
static int64_t document_at(const lm_dataset *dataset, int64_t position) {
    int64_t low = 0, high = dataset->n_documents;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (dataset->starts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int64_t document_end(const lm_dataset *dataset, int64_t document) {
    return document + 1 < dataset->n_documents ? dataset->starts[document + 1] : dataset->n_tokens;
}

void lm_dataset_sample(const lm_dataset *dataset, uint64_t seed, int64_t n, int64_t len,
                       int32_t *tokens, int32_t *targets) {
    int64_t last = dataset->n_tokens - len - 1;
    LM_ASSERT(last >= 0);
    lm_rng rng;
    lm_rng_init_stream(&rng, seed, (uint64_t)n);
    int64_t at = (int64_t)lm_rng_below(&rng, (uint64_t)dataset->n_tokens);
    int64_t document = document_at(dataset, at), start = dataset->starts[document];
    if (document_end(dataset, document) - start <= len + 1) at = start;
    if (at > last) at = last;
    memcpy(tokens, dataset->tokens + at, (size_t)len * sizeof *tokens);
    memcpy(targets, dataset->tokens + at + 1, (size_t)len * sizeof *targets);
}

/* The window from `start` on: whole documents as far as they go, or one piece of a long one. *out_next: where to go on. */
static lm_window window_from(const lm_dataset *dataset, int64_t start, int64_t len,
                             int64_t *out_next) {
    int64_t last = start + len; /* the last target */
    if (last >= dataset->n_tokens - 1) {
        *out_next = dataset->n_tokens;
        return (lm_window){start, dataset->n_tokens - 1 - start};
    }
    int64_t cut =
        dataset
            ->starts[document_at(dataset, last + 1)]; /* first document that does not end inside */
    if (cut > start) {
        *out_next = cut;
        return (lm_window){start, cut - 1 - start};
    }
    *out_next = last;
    return (lm_window){start, len};
}

loam_status lm_dataset_windows(const lm_dataset *dataset, int64_t len, lm_windows *out,
                               loam_error *err) {
    for (int64_t at = 0; at < dataset->n_tokens - 1;) {
        lm_window window = window_from(dataset, at, len, &at);
        if (!lm_vec_push(out, window)) return lm_error_no_memory(err, sizeof window);
    }
    return LOAM_OK;
}

int64_t lm_dataset_window(const lm_dataset *dataset, const lm_window *window, int64_t len,
                          int32_t *tokens, int32_t *targets) {
    int64_t n_counted = 0;
    for (int64_t i = 0; i < len; i++) {
        int64_t at = window->start + i;
        tokens[i] = at < dataset->n_tokens ? dataset->tokens[at] : 0;
        bool counts = i < window->n_targets && dataset->tokens[at + 1] != dataset->bos;
        targets[i] = counts ? dataset->tokens[at + 1] : -1;
        n_counted += counts;
    }
    return n_counted;
}
