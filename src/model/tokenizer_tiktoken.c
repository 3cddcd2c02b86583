/* tiktoken's rank files: a line for each token, its bytes in base64 and its rank. What they do not say, the pre-tokenization
 * and the special tokens, stands in tiktoken_files.def. Source: github.com/openai/tiktoken.
 */
#include "model/tokenizer_ranks.h"
#include "model/tokenizer_readers.h"

typedef struct tiktoken_file {
    const char *name;
    size_t n_ranks;
    const char *pre, *bos, *eos;
} tiktoken_file;

static const tiktoken_file files[] = {
#define LM_TIKTOKEN(name, n_ranks, pre, bos, eos) {name, n_ranks, pre, bos, eos},
#include "model/tiktoken_files.def"
#undef LM_TIKTOKEN
};

static const struct {
    const char *file;
    int32_t id;
    const char *text;
} specials[] = {
#define LM_TIKTOKEN_SPECIAL(file, id, text) {file, id, text},
#include "model/tiktoken_files.def"
#undef LM_TIKTOKEN_SPECIAL
};

static const char known_names[] =
#define LM_TIKTOKEN(name, n_ranks, pre, bos, eos) ", " name
#include "model/tiktoken_files.def"
#undef LM_TIKTOKEN
    ;

/* "dir/qwen.tiktoken" is "qwen". */
static lm_str stem_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path,
               *dot = strrchr(name, '.');
    return (lm_str){name, dot ? (size_t)(dot - name) : strlen(name)};
}

static const tiktoken_file *find_file(const char *path, size_t n_ranks) {
    lm_str stem = stem_of(path);
    for (size_t i = 0; i < LM_COUNT_OF(files); i++) {
        if (lm_str_is(stem, files[i].name)) return &files[i];
    }
    for (size_t i = 0; i < LM_COUNT_OF(files); i++) {
        if (files[i].n_ranks == n_ranks) return &files[i];
    }
    return NULL;
}

/* The next line, without its end; false behind the last. */
static bool next_line(lm_str *rest, lm_str *out) {
    if (rest->len == 0) return false;
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t n = end ? (size_t)(end - rest->ptr) : rest->len, skip = n + (end != NULL);
    *out = (lm_str){rest->ptr, n && rest->ptr[n - 1] == '\r' ? n - 1 : n};
    *rest = (lm_str){rest->ptr + skip, rest->len - skip};
    return true;
}

static bool cut_line(lm_str line, lm_str *out_base64, uint64_t *out_rank) {
    const char *space = memchr(line.ptr, ' ', line.len);
    if (!space) return false;
    *out_base64 = (lm_str){line.ptr, (size_t)(space - line.ptr)};
    return lm_str_to_u64((lm_str){space + 1, line.len - out_base64->len - 1}, out_rank);
}

bool lm_tokenizer_is_tiktoken(lm_str text) {
    lm_str line, base64;
    uint64_t rank;
    return next_line(&text, &line) && line.len < 1000 && cut_line(line, &base64, &rank);
}

static LM_MUST_USE loam_status read_ranks(lm_str text, lm_tokenizer_spec *spec,
                                          lm_ranked_tokens *tokens, size_t *out_n,
                                          loam_error *err) {
    lm_str line;
    size_t n = 0;
    for (size_t number = 1; next_line(&text, &line); number++) {
        lm_str base64;
        uint64_t rank;
        if (line.len == 0) continue;
        if (!cut_line(line, &base64, &rank) || rank > INT32_MAX)
            return lm_error_set(err, LOAM_INVALID, "line %zu is no base64 and rank", number);
        loam_status status = lm_ranks_put_bytes(spec, tokens, (int64_t)rank, base64, err);
        if (status != LOAM_OK) return lm_error_prefix(err, status, "line %zu", number);
        n++;
    }
    *out_n = n;
    return n ? LOAM_OK : lm_error_set(err, LOAM_INVALID, "there are no tokens");
}

static LM_MUST_USE loam_status apply_file(const tiktoken_file *file, lm_tokenizer_spec *spec,
                                          lm_ranked_tokens *tokens, loam_error *err) {
    for (size_t i = 0; i < LM_COUNT_OF(specials); i++) {
        /* a shorter list under the same name has its own ids there */
        if (strcmp(specials[i].file, file->name) != 0 || (size_t)specials[i].id < tokens->list.len)
            continue;
        LM_TRY(
            lm_ranks_put_special(spec, tokens, specials[i].id, lm_str_of(specials[i].text), err));
    }
    LM_TRY(lm_tokenizer_spec_set_pre(spec, lm_str_of(file->pre), err));
    LM_TRY(lm_ranks_finish(spec, tokens, err));
    spec->bos = lm_tokenizer_spec_find(spec, lm_str_of(file->bos));
    spec->add_bos = spec->bos >= 0 && strcmp(file->pre, "llama-bpe") == 0;
    int32_t eos = lm_tokenizer_spec_find(spec, lm_str_of(file->eos));
    return eos >= 0 ? lm_tokenizer_spec_add_eos(spec, eos, err) : LOAM_OK;
}

static LM_MUST_USE loam_status read_file(lm_str text, const char *path, lm_tokenizer_spec *spec,
                                         lm_ranked_tokens *tokens, loam_error *err) {
    size_t n = 0;
    LM_TRY(read_ranks(text, spec, tokens, &n, err));
    const tiktoken_file *file = find_file(path, n);
    if (file) return apply_file(file, spec, tokens, err);
    lm_error_set(err, LOAM_UNSUPPORTED, "a rank file of %zu tokens, whose pattern is not known", n);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows %s; others it reads as tokenizer.json",
                         known_names + 2);
}

loam_status lm_tokenizer_read_tiktoken(lm_str text, const char *path, lm_tokenizer_spec *out,
                                       loam_error *err) {
    lm_tokenizer_spec spec;
    lm_ranked_tokens tokens = {0};
    loam_status status = lm_tokenizer_spec_init(&spec, LM_TOKENIZER_BPE, err);
    if (status == LOAM_OK) status = read_file(text, path, &spec, &tokens, err);
    lm_ranks_deinit(&tokens);
    if (status == LOAM_OK) {
        *out = spec;
        return LOAM_OK;
    }
    lm_tokenizer_spec_deinit(&spec);
    return lm_error_prefix(err, status, "%s", path);
}
