#include "hub/hub_pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

enum { LIST_MAX_BYTES = 200, PART_MARK_BYTES = sizeof "-00001-of-00002" - 1, MAX_PARTS = 99999 };

static const char *const by_preference[] = {
#define QUANT(name) name,
#include "hub/quants.def"
#undef QUANT
};

/* One model in GGUF: a file, or all parts of one. */
typedef struct gguf_group {
    lm_str stem; /* path without ".gguf" and the part's mark */
    lm_str quant;
    int32_t first; /* index of the first file seen */
    int n_files, n_parts;
} gguf_group;

typedef LM_VEC(gguf_group) gguf_groups;

static bool ends_with(const char *text, const char *suffix) {
    size_t len = strlen(text), n = strlen(suffix);
    return len >= n && strcasecmp(text + len - n, suffix) == 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Five digits as a number, or -1. */
static int five_digits(const char *text) {
    int value = 0;
    for (int i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + text[i] - '0';
    }
    return value;
}

/* The path without ".gguf" and "-00001-of-00002"; out_n_parts is 1 for a file of its own. */
static lm_str stem_of(const char *path, int *out_part, int *out_n_parts) {
    lm_str stem = {path, strlen(path) - strlen(".gguf")};
    *out_part = *out_n_parts = 1;
    if (stem.len <= PART_MARK_BYTES) return stem;
    const char *mark = stem.ptr + stem.len - PART_MARK_BYTES;
    if (mark[0] != '-' || strncmp(mark + 6, "-of-", 4) != 0) return stem;
    int part = five_digits(mark + 1), n_parts = five_digits(mark + 10);
    if (part < 1 || n_parts < part) return stem;
    *out_part = part;
    *out_n_parts = n_parts;
    stem.len -= PART_MARK_BYTES;
    return stem;
}

/* "Q4_K_M", "IQ4_XS", "BF16", "MXFP4_MOE", "UD-Q4_K_XL": begins like a type and has nothing but its letters. */
static bool is_quant(lm_str text) {
    static const char *const begins[] = {"Q",    "IQ",  "TQ",   "BF16", "F16",
                                         "FP16", "F32", "FP32", "MXFP"};
    bool known = false;
    for (size_t i = 0; i < LM_COUNT_OF(begins) && !known; i++) {
        size_t len = strlen(begins[i]);
        char last = begins[i][len - 1];
        known = text.len >= len && strncasecmp(text.ptr, begins[i], len) == 0 &&
                ((last >= '0' && last <= '9') ||
                 (text.len > len && text.ptr[len] >= '0' && text.ptr[len] <= '9'));
    }
    for (size_t i = 0; i < text.len && known; i++) {
        char c = text.ptr[i];
        known =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    return known;
}

static lm_str quant_of_stem(lm_str stem) {
    size_t begin = stem.len;
    while (begin > 0 && !strchr("-./", stem.ptr[begin - 1])) begin--;
    lm_str last = {stem.ptr + begin, stem.len - begin};
    if (!is_quant(last)) return (lm_str){0};
    bool dynamic = begin >= 4 && strncasecmp(stem.ptr + begin - 3, "UD-", 3) == 0 &&
                   strchr("-./", stem.ptr[begin - 4]);
    return dynamic ? (lm_str){last.ptr - 3, last.len + 3} : last;
}

lm_str lm_hub_quant_of(const char *path) {
    int part, n_parts;
    return ends_with(path, ".gguf") ? quant_of_stem(stem_of(path, &part, &n_parts)) : (lm_str){0};
}

/* Not a language model: the projector of a multimodal one, an importance matrix. */
static bool is_companion(const char *path) {
    const char *name = base_name(path);
    return strcasestr(name, "mmproj") || strcasestr(name, "imatrix");
}

static LM_MUST_USE loam_status find_groups(const char *const *names, size_t n, gguf_groups *out,
                                           loam_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (!ends_with(names[i], ".gguf") || is_companion(names[i])) continue;
        int part, n_parts;
        lm_str stem = stem_of(names[i], &part, &n_parts);
        gguf_group *last = out->len ? &out->ptr[out->len - 1] : NULL;
        if (last && last->n_parts == n_parts && n_parts > 1 && lm_str_equal(last->stem, stem)) {
            last->n_files++;
            continue;
        }
        gguf_group group = {.stem = stem,
                            .quant = quant_of_stem(stem),
                            .first = (int32_t)i,
                            .n_files = 1,
                            .n_parts = n_parts};
        if (!lm_vec_push(out, group)) return lm_error_no_memory(err, sizeof group);
    }
    return LOAM_OK;
}

static void put_label(lm_buf *out, const gguf_group *group) {
    const char *slash = memrchr(group->stem.ptr, '/', group->stem.len);
    lm_str name = slash
                      ? (lm_str){slash + 1, (size_t)(group->stem.ptr + group->stem.len - slash) - 1}
                      : group->stem;
    lm_str label = group->quant.len ? group->quant : name;
    if (out->len) lm_buf_puts(out, ", ");
    lm_buf_append(out, label.ptr, label.len);
}

/* What is there, for a message; cut where it gets long. */
static void put_list(lm_buf *out, const gguf_groups *groups, const gguf_group *but, bool folder) {
    for (size_t i = 0; i < groups->len && out->len < LIST_MAX_BYTES - LM_HUB_QUANT_BYTES; i++)
        if (&groups->ptr[i] != but) put_label(out, &groups->ptr[i]);
    if (folder) lm_buf_puts(out, out->len ? ", safetensors" : "safetensors");
}

static bool same_text(lm_str text, const char *pick) {
    return text.len == strlen(pick) && strncasecmp(text.ptr, pick, text.len) == 0;
}

/* How well a group fits what was asked for: 0 not at all; a path or file name fits best, then the quant as a whole, then the
 * end of the name. */
static int fit_of(const gguf_group *group, const char *pick, const char *first_path) {
    int part, n_parts;
    if (ends_with(pick, ".gguf")) {
        lm_str stem = stem_of(pick, &part, &n_parts);
        if (lm_str_equal(stem, group->stem)) return 4;
        return strcmp(base_name(first_path), base_name(pick)) == 0 && !strchr(pick, '/') ? 3 : 0;
    }
    if (same_text(group->quant, pick)) return 2;
    size_t len = strlen(pick);
    bool at_end = group->stem.len > len &&
                  strncasecmp(group->stem.ptr + group->stem.len - len, pick, len) == 0 &&
                  strchr("-._/", group->stem.ptr[group->stem.len - len - 1]);
    return at_end ? 1 : 0;
}

static const gguf_group *preferred(const gguf_groups *groups) {
    for (size_t p = 0; p < LM_COUNT_OF(by_preference); p++)
        for (size_t i = 0; i < groups->len; i++)
            if (same_text(groups->ptr[i].quant, by_preference[p])) return &groups->ptr[i];
    return groups->len ? &groups->ptr[0] : NULL;
}

static LM_MUST_USE loam_status find_fitting(const char *repo, const char *pick,
                                            const char *const *names, const gguf_groups *groups,
                                            const gguf_group **out, loam_error *err) {
    int best = 0, n_best = 0;
    *out = NULL;
    for (size_t i = 0; i < groups->len; i++) {
        int fit = fit_of(&groups->ptr[i], pick, names[groups->ptr[i].first]);
        if (fit == 0 || fit < best) continue;
        n_best = fit == best ? n_best + 1 : 1;
        best = fit;
        *out = &groups->ptr[i];
    }
    if (n_best <= 1) return LOAM_OK;
    lm_error_set(err, LOAM_INVALID, "%s: several files fit '%s'", repo, pick);
    return lm_error_hint(err, LOAM_INVALID, "name the file, such as %s:%s", repo,
                         names[(*out)->first]);
}

static LM_MUST_USE loam_status check_parts(const char *repo, const gguf_group *group,
                                           loam_error *err) {
    if (group->n_files == group->n_parts) return LOAM_OK;
    lm_error_set(err, LOAM_INVALID, "%s: %d of the %d parts of '%.*s' are there", repo,
                 group->n_files, group->n_parts, (int)group->stem.len, group->stem.ptr);
    return lm_error_hint(err, LOAM_INVALID, "all of them are needed; pull the model again");
}

static LM_MUST_USE loam_status choose_gguf(const gguf_group *group, lm_hub_choice *choice,
                                           loam_error *err) {
    choice->is_partial = group->n_files != group->n_parts;
    for (int i = 0; i < group->n_files; i++)
        if (!lm_vec_push(&choice->files, group->first + i)) return lm_error_no_memory(err, 1);
    if (group->quant.len < sizeof choice->quant)
        snprintf(choice->quant, sizeof choice->quant, "%.*s", (int)group->quant.len,
                 group->quant.ptr);
    return LOAM_OK;
}

/* --- Folders. */

/* "model.safetensors", "model-00001-of-00003.safetensors": what transformers opens. */
static bool is_standard_weights(const char *name) {
    return ends_with(name, ".safetensors") && strncmp(name, "model", 5) == 0 &&
           (strcmp(name + 5, ".safetensors") == 0 || (name[5] == '-' && strstr(name, "-of-")));
}

/* Pooling of embedding models: "1_Pooling/config.json". */
static bool is_module_config(const char *path) {
    const char *slash = strchr(path, '/');
    return slash && path[0] >= '0' && path[0] <= '9' && path[1] == '_' &&
           strcmp(slash + 1, "config.json") == 0;
}

static bool belongs_to_folder(const char *path, bool only_standard) {
    static const char *const suffixes[] = {".json",  ".jsonl",     ".model",   ".tiktoken",
                                           ".jinja", "merges.txt", "vocab.txt"};
    if (strchr(path, '/')) return is_module_config(path);
    if (path[0] == '.') return false;
    if (strncasecmp(path, "LICENSE", 7) == 0) return true;
    if (ends_with(path, ".safetensors")) return !only_standard || is_standard_weights(path);
    for (size_t i = 0; i < LM_COUNT_OF(suffixes); i++)
        if (ends_with(path, suffixes[i])) return true;
    return false;
}

typedef struct folder_facts {
    bool has_config, has_weights, has_standard, has_pickles;
} folder_facts;

static folder_facts look_at(const char *const *names, size_t n) {
    folder_facts facts = {0};
    for (size_t i = 0; i < n; i++) {
        if (strchr(names[i], '/')) continue;
        if (strcmp(names[i], "config.json") == 0) facts.has_config = true;
        if (ends_with(names[i], ".safetensors")) facts.has_weights = true;
        if (is_standard_weights(names[i])) facts.has_standard = true;
        if (ends_with(names[i], ".bin") || ends_with(names[i], ".pth") ||
            ends_with(names[i], ".pt"))
            facts.has_pickles = true;
    }
    return facts;
}

static LM_MUST_USE loam_status choose_folder(const char *const *names, size_t n,
                                             const folder_facts *facts, lm_hub_choice *choice,
                                             loam_error *err) {
    choice->is_folder = true;
    for (size_t i = 0; i < n; i++) {
        if (!belongs_to_folder(names[i], facts->has_standard)) continue;
        if (!lm_vec_push(&choice->files, (int32_t)i)) return lm_error_no_memory(err, 1);
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status nothing_fits(const char *repo, const char *pick,
                                            const gguf_groups *groups, const folder_facts *facts,
                                            loam_error *err) {
    lm_buf list;
    lm_buf_init(&list, 4096);
    put_list(&list, groups, NULL, facts->has_config && facts->has_weights);
    if (*pick)
        lm_error_set(err, LOAM_NOT_FOUND, "%s has nothing that fits '%s'", repo, pick);
    else
        lm_error_set(err, LOAM_NOT_FOUND, "%s has no weights that loam reads", repo);
    if (list.len)
        lm_error_hint(err, LOAM_NOT_FOUND, "it has %s", lm_buf_cstr(&list));
    else if (facts->has_pickles)
        lm_error_hint(err, LOAM_NOT_FOUND,
                      "its weights are pickles, which can run code; look for safetensors or GGUF");
    else
        lm_error_hint(err, LOAM_NOT_FOUND, "loam reads GGUF, and folders with safetensors");
    lm_buf_deinit(&list);
    return LOAM_NOT_FOUND;
}

static LM_MUST_USE loam_status choose(const char *repo, const char *pick, const char *const *names,
                                      size_t n, const gguf_groups *groups, lm_hub_choice *choice,
                                      loam_error *err) {
    folder_facts facts = look_at(names, n);
    bool folder = facts.has_config && facts.has_weights;
    const gguf_group *group = NULL;
    if (folder && (!*pick || strcasecmp(pick, "safetensors") == 0)) {
        if (!*pick) put_list(&choice->others, groups, NULL, false);
        return choose_folder(names, n, &facts, choice, err);
    }
    for (size_t i = 0; *pick && i < n && !ends_with(pick, ".gguf"); i++)
        if (strcmp(names[i], pick) == 0)
            return lm_vec_push(&choice->files, (int32_t)i) ? LOAM_OK : lm_error_no_memory(err, 1);
    if (*pick)
        LM_TRY(find_fitting(repo, pick, names, groups, &group, err));
    else
        group = preferred(groups);
    if (!group) return nothing_fits(repo, pick, groups, &facts, err);
    if (!*pick) put_list(&choice->others, groups, group, false);
    LM_TRY(check_parts(repo, group, err));
    return choose_gguf(group, choice, err);
}

loam_status lm_hub_pick(const char *repo, const char *pick, const char *const *names, size_t n,
                        lm_hub_choice *out, loam_error *err) {
    gguf_groups groups = {0};
    lm_hub_choice choice = {0};
    lm_buf_init(&choice.others, 4096);
    loam_status status = find_groups(names, n, &groups, err);
    if (status == LOAM_OK) status = choose(repo, pick, names, n, &groups, &choice, err);
    lm_vec_deinit(&groups);
    if (status == LOAM_OK)
        *out = choice;
    else
        lm_hub_choice_deinit(&choice);
    return status;
}

loam_status lm_hub_each_variant(const char *const *names, size_t n,
                                void (*on_variant)(void *ctx, const lm_hub_choice *choice),
                                void *ctx, loam_error *err) {
    gguf_groups groups = {0};
    folder_facts facts = look_at(names, n);
    lm_hub_choice choice = {0};
    loam_status status = find_groups(names, n, &groups, err);
    if (status == LOAM_OK && facts.has_config && facts.has_weights) {
        status = choose_folder(names, n, &facts, &choice, err);
        if (status == LOAM_OK) on_variant(ctx, &choice);
        lm_hub_choice_deinit(&choice);
    }
    for (size_t i = 0; status == LOAM_OK && i < groups.len; i++) {
        choice = (lm_hub_choice){0};
        status = choose_gguf(&groups.ptr[i], &choice, err);
        if (status == LOAM_OK) on_variant(ctx, &choice);
        lm_hub_choice_deinit(&choice);
    }
    lm_vec_deinit(&groups);
    return status;
}

void lm_hub_choice_deinit(lm_hub_choice *choice) {
    lm_vec_deinit(&choice->files);
    lm_buf_deinit(&choice->others);
}
