#include "train/recipe.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include <cyaml/cyaml.h>

#include "base/checked.h"

#define RANGE(low, high) .min = (low), .max = (high)
#define LENGTH(most) .max = (most)
#define CHOICES(words) .choices = words
#define ANY .choices = NULL

const lm_recipe_key lm_recipe_keys[] = {
#define LM_RECIPE_KEY(section_, key_, type_, fallback, limits, help_) \
    {.section = #section_,                                            \
     .key = #key_,                                                    \
     .type = LM_RECIPE_##type_,                                       \
     .help = help_,                                                   \
     .offset = offsetof(lm_recipe, section_##_##key_),                \
     limits},
#include "train/recipe_keys.def"
#undef LM_RECIPE_KEY
};

enum { N_KEYS = LM_COUNT_OF(lm_recipe_keys), MAX_SECTIONS = 16, VALUE_TEXT_BYTES = 64 };

const int lm_recipe_n_keys = N_KEYS;

void lm_recipe_init(lm_recipe *recipe) {
    *recipe = (lm_recipe){
#define LM_RECIPE_KEY(section, key, type, fallback, limits, help) .section##_##key = fallback,
#include "train/recipe_keys.def"
#undef LM_RECIPE_KEY
    };
    lm_arena_init(&recipe->arena, 0, 1 << 20);
}

void lm_recipe_deinit(lm_recipe *recipe) {
    lm_arena_deinit(&recipe->arena);
}

/* --- Values */

static void *key_field(const lm_recipe *recipe, const lm_recipe_key *key) {
    return (char *)recipe + key->offset;
}

static loam_status set_number(lm_recipe *recipe, const lm_recipe_key *key, const char *text,
                              loam_error *err) {
    int64_t whole = 0;
    double value = 0;
    bool is_int = key->type == LM_RECIPE_INT;
    bool ok =
        is_int ? lm_str_to_i64(lm_str_of(text), &whole) : lm_str_to_f64(lm_str_of(text), &value);
    if (!ok)
        return lm_error_set(err, LOAM_INVALID, "%s.%s is '%.40s', not a %s", key->section, key->key,
                            text, is_int ? "whole number" : "number");
    if (is_int) value = (double)whole;
    if (!(value >= key->min && value <= key->max))
        return lm_error_set(err, LOAM_INVALID, "%s.%s is %.40s; %.16g to %.16g is allowed",
                            key->section, key->key, text, key->min, key->max);
    if (is_int)
        *(int64_t *)key_field(recipe, key) = whole;
    else
        *(double *)key_field(recipe, key) = value;
    return LOAM_OK;
}

static bool is_choice(const char *choices, const char *text) {
    size_t len = strlen(text);
    for (const char *at = choices; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strcspn(at, " ") == len && memcmp(at, text, len) == 0) return true;
    }
    return false;
}

static loam_status set_text(lm_recipe *recipe, const lm_recipe_key *key, const char *text,
                            loam_error *err) {
    if (key->type == LM_RECIPE_CHOICE && !is_choice(key->choices, text))
        return lm_error_set(err, LOAM_INVALID, "%s.%s is '%.40s'; known are: %s", key->section,
                            key->key, text, key->choices);
    if (key->type == LM_RECIPE_TEXT && (double)strlen(text) > key->max)
        return lm_error_set(err, LOAM_INVALID, "%s.%s is longer than %.0f bytes", key->section,
                            key->key, key->max);
    char *copy = lm_arena_strndup(&recipe->arena, text, strlen(text));
    if (!copy) return lm_error_no_memory(err, strlen(text));
    *(const char **)key_field(recipe, key) = copy;
    return LOAM_OK;
}

static loam_status set_value(lm_recipe *recipe, const lm_recipe_key *key, const char *text,
                             loam_error *err) {
    if (key->type == LM_RECIPE_INT || key->type == LM_RECIPE_REAL)
        return set_number(recipe, key, text, err);
    if (key->type != LM_RECIPE_BOOL) return set_text(recipe, key, text, err);
    if (!is_choice("true false", text))
        return lm_error_set(err, LOAM_INVALID, "%s.%s is '%.40s', not true or false", key->section,
                            key->key, text);
    *(bool *)key_field(recipe, key) = text[0] == 't';
    return LOAM_OK;
}

/* --- YAML. libcyaml gives the structure, with every value as text: values[k] belongs to key k. */

typedef struct recipe_schema {
    cyaml_schema_field_t keys[N_KEYS + MAX_SECTIONS]; /* each section's keys and an end mark */
    cyaml_schema_field_t sections[MAX_SECTIONS + 1];
    const char *section_names[MAX_SECTIONS];
    int n_sections;
    cyaml_schema_value_t top;
} recipe_schema;

static void build_schema(recipe_schema *schema) {
    *schema = (recipe_schema){0};
    cyaml_schema_field_t *field = schema->keys;
    for (int k = 0; k < N_KEYS;) {
        const char *name = lm_recipe_keys[k].section;
        cyaml_schema_field_t *first_field = field;
        int first = k;
        for (; k < N_KEYS && strcmp(lm_recipe_keys[k].section, name) == 0; k++) {
            *field++ = (cyaml_schema_field_t){
                .key = lm_recipe_keys[k].key,
                .data_offset = (uint32_t)((size_t)(k - first) * sizeof(char *)),
                .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char, 0,
                                             LM_RECIPE_MAX_BYTES)}};
        }
        field++; /* zeros end the list */
        LM_ASSERT(schema->n_sections < MAX_SECTIONS);
        schema->section_names[schema->n_sections] = name;
        schema->sections[schema->n_sections++] = (cyaml_schema_field_t){
            .key = name,
            .data_offset = (uint32_t)((size_t)first * sizeof(char *)),
            .value = {.type = CYAML_MAPPING,
                      .flags = CYAML_FLAG_OPTIONAL,
                      .data_size = (uint32_t)((size_t)(k - first) * sizeof(char *)),
                      .mapping = {.fields = first_field}}};
    }
    schema->top = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                         .flags = CYAML_FLAG_POINTER,
                                         .data_size = N_KEYS * sizeof(char *),
                                         .mapping = {.fields = schema->sections}};
}

/* What libcyaml logs about a failure: a reason, then where it was, innermost first. */
typedef struct recipe_complaint {
    char reason[256];
    int line;         /* of the innermost place; 0: unknown */
    char section[64]; /* outermost place, "" at the top */
} recipe_complaint;

static void keep_complaint(cyaml_log_t level, void *ctx, const char *fmt, va_list args) {
    recipe_complaint *complaint = ctx;
    char text[256];
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = '\0';
    const char *place = strstr(text, "(line: ");
    if (place && complaint->line == 0) sscanf(place, "(line: %d", &complaint->line);
    sscanf(text, "  in mapping field '%63[^']'", complaint->section);
    const char *reason = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
    if (!place && !strstr(text, "Backtrace") && !complaint->reason[0])
        snprintf(complaint->reason, sizeof complaint->reason, "%s", reason);
}

static loam_status hint_nearest(const char *key, const char *section, const recipe_schema *schema,
                                loam_error *err) {
    const char *names[N_KEYS];
    size_t n = 0;
    for (int k = 0; section[0] && k < N_KEYS; k++) {
        if (strcmp(lm_recipe_keys[k].section, section) == 0) names[n++] = lm_recipe_keys[k].key;
    }
    for (int s = 0; !section[0] && s < schema->n_sections; s++)
        names[n++] = schema->section_names[s];
    const char *nearest = lm_str_nearest(key, names, n);
    if (nearest)
        return lm_error_hint(err, LOAM_INVALID, "did you mean '%s'? docs/recipes.md lists all keys",
                             nearest);
    return lm_error_hint(err, LOAM_INVALID, "docs/recipes.md lists all keys");
}

static loam_status report_complaint(const recipe_complaint *complaint, const char *name,
                                    const recipe_schema *schema, loam_error *err) {
    static const char unexpected[] = "Unexpected key: ";
    if (strncmp(complaint->reason, unexpected, sizeof unexpected - 1) != 0) {
        lm_error_set(err, LOAM_INVALID, "%s:%d: %s%s%s", name, complaint->line, complaint->section,
                     complaint->section[0] ? ": " : "", complaint->reason);
        return lm_error_hint(err, LOAM_INVALID,
                             "a recipe is sections of 'key: value'; aliases are not allowed");
    }
    const char *key = complaint->reason + sizeof unexpected - 1;
    lm_error_set(err, LOAM_INVALID, "%s:%d: unknown %s '%.64s'%s%s", name, complaint->line,
                 complaint->section[0] ? "key" : "section", key,
                 complaint->section[0] ? " in " : "", complaint->section);
    return hint_nearest(key, complaint->section, schema, err);
}

/* Line on which a key stands in block style; 0 when it is written otherwise. */
static int find_line(lm_str yaml, const lm_recipe_key *key) {
    bool in_section = false;
    int line = 1;
    for (size_t at = 0; at < yaml.len; line++) {
        const char *text = yaml.ptr + at, *newline = memchr(text, '\n', yaml.len - at);
        lm_str rest = {text, newline ? (size_t)(newline - text) : yaml.len - at};
        at += rest.len + 1;
        size_t indent = 0;
        while (indent < rest.len && rest.ptr[indent] == ' ') indent++;
        lm_str word = {rest.ptr + indent, rest.len - indent};
        const char *wanted = indent == 0 ? key->section : key->key;
        size_t len = strlen(wanted);
        bool found = word.len > len && memcmp(word.ptr, wanted, len) == 0 && word.ptr[len] == ':';
        if (indent == 0 && word.len > 0 && isalpha((unsigned char)word.ptr[0]))
            in_section = found;
        else if (in_section && found)
            return line;
    }
    return 0;
}

static loam_status set_all(lm_recipe *recipe, char *const *values, lm_str yaml, const char *name,
                           loam_error *err) {
    for (int k = 0; k < N_KEYS; k++) {
        if (!values[k]) continue;
        loam_status status = set_value(recipe, &lm_recipe_keys[k], values[k], err);
        if (status == LOAM_OK) continue;
        int line = find_line(yaml, &lm_recipe_keys[k]);
        return line ? lm_error_prefix(err, status, "%s:%d", name, line)
                    : lm_error_prefix(err, status, "%s", name);
    }
    return LOAM_OK;
}

loam_status lm_recipe_read(lm_recipe *recipe, lm_str yaml, const char *name, loam_error *err) {
    if (yaml.len > LM_RECIPE_MAX_BYTES)
        return lm_error_set(err, LOAM_LIMIT, "%s has %zu bytes; a recipe has at most %d", name,
                            yaml.len, LM_RECIPE_MAX_BYTES);
    recipe_schema schema;
    build_schema(&schema);
    recipe_complaint complaint = {0};
    cyaml_config_t config = {.log_fn = keep_complaint,
                             .log_ctx = &complaint,
                             .mem_fn = cyaml_mem,
                             .log_level = CYAML_LOG_WARNING,
                             .flags = CYAML_CFG_NO_ALIAS};
    void *values = NULL;
    cyaml_err_t failure =
        cyaml_load_data((const uint8_t *)yaml.ptr, yaml.len, &config, &schema.top, &values, NULL);
    if (failure == CYAML_ERR_OOM) return lm_error_no_memory(err, yaml.len);
    if (failure != CYAML_OK) return report_complaint(&complaint, name, &schema, err);
    loam_status status = values ? set_all(recipe, values, yaml, name, err) : LOAM_OK;
    cyaml_free(&config, &schema.top, values, 0);
    return status;
}

loam_status lm_recipe_set(lm_recipe *recipe, const char *assignment, loam_error *err) {
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return lm_error_set(err, LOAM_INVALID, "'%.80s' is not section.key=value", assignment);
    char names[N_KEYS][2 * VALUE_TEXT_BYTES];
    const char *all[N_KEYS];
    lm_str wanted = {assignment, (size_t)(equals - assignment)};
    for (int k = 0; k < N_KEYS; k++) {
        snprintf(names[k], sizeof names[k], "%s.%s", lm_recipe_keys[k].section,
                 lm_recipe_keys[k].key);
        if (lm_str_is(wanted, names[k]))
            return set_value(recipe, &lm_recipe_keys[k], equals + 1, err);
        all[k] = names[k];
    }
    char name[VALUE_TEXT_BYTES];
    snprintf(name, sizeof name, "%.*s",
             (int)(wanted.len < sizeof name ? wanted.len : sizeof name - 1), wanted.ptr);
    lm_error_set(err, LOAM_INVALID, "unknown recipe key '%s'", name);
    const char *nearest = lm_str_nearest(name, all, N_KEYS);
    return nearest ? lm_error_hint(err, LOAM_INVALID, "did you mean '%s'?", nearest) : LOAM_INVALID;
}

/* --- The whole */

loam_status lm_recipe_check(lm_recipe *recipe, loam_error *err) {
    if (recipe->model_n_kv_heads == 0) recipe->model_n_kv_heads = recipe->model_n_heads;
    if (recipe->model_ffn_dim == 0)
        recipe->model_ffn_dim = (recipe->model_dim * 8 / 3 + 31) / 32 * 32;
    if (strcmp(recipe->tokenizer_kind, "bytes") == 0) recipe->tokenizer_vocab_size = 258;
    if (recipe->model_dim % (2 * recipe->model_n_heads) != 0)
        return lm_error_set(err, LOAM_INVALID,
                            "model.dim is %lld, not an even multiple of model.n_heads %lld",
                            (long long)recipe->model_dim, (long long)recipe->model_n_heads);
    if (recipe->model_n_heads % recipe->model_n_kv_heads != 0)
        return lm_error_set(err, LOAM_INVALID,
                            "model.n_kv_heads %lld does not divide model.n_heads %lld",
                            (long long)recipe->model_n_kv_heads, (long long)recipe->model_n_heads);
    if (recipe->train_min_lr > recipe->train_lr)
        return lm_error_set(err, LOAM_INVALID, "train.min_lr %g is above train.lr %g",
                            recipe->train_min_lr, recipe->train_lr);
    if (recipe->train_warmup_steps > recipe->train_steps)
        return lm_error_set(err, LOAM_INVALID,
                            "train.warmup_steps %lld is more than train.steps %lld",
                            (long long)recipe->train_warmup_steps, (long long)recipe->train_steps);
    if (recipe->data_path[0] == '\0') {
        lm_error_set(err, LOAM_INVALID, "the recipe names no data");
        return lm_error_hint(err, LOAM_INVALID, "set data.path, or pass --data FILE");
    }
    return LOAM_OK;
}

/* Bytes of a character at `at` that YAML takes only escaped (YAML 1.1, 5.1), with its code; 0: another. */
static int unprintable(const unsigned char *at, unsigned *out_code) {
    *out_code = at[0];
    if (at[0] < 0x20 || at[0] == 0x7f) return 1;
    if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
        *out_code = at[1];
        return 2;
    }
    if (at[0] != 0xef) return 0;
    bool mark = at[1] == 0xbb && at[2] == 0xbf, end = at[1] == 0xbf && at[2] >= 0xbe;
    if (!mark && !end) return 0;
    *out_code = mark ? 0xfeff : at[2] == 0xbe ? 0xfffe : 0xffff;
    return 3;
}

/* A double-quoted YAML scalar. */
static void print_quoted(const char *text, lm_buf *out) {
    lm_buf_putc(out, '"');
    for (const char *at = text; *at; at++) {
        unsigned code;
        int n = unprintable((const unsigned char *)at, &code);
        if (n) {
            lm_buf_printf(out, "\\u%04x", code);
            at += n - 1;
            continue;
        }
        if (*at == '"' || *at == '\\') lm_buf_putc(out, '\\');
        lm_buf_putc(out, *at);
    }
    lm_buf_putc(out, '"');
}

/* The shortest text that reads back as the same number. */
static void print_real(double value, lm_buf *out) {
    char text[VALUE_TEXT_BYTES];
    double back = NAN;
    for (int digits = 6; digits <= 17 && back != value; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (!lm_str_to_f64(lm_str_of(text), &back)) back = NAN;
    }
    lm_buf_puts(out, text);
}

void lm_recipe_print_value(const lm_recipe *recipe, const lm_recipe_key *key, lm_buf *out) {
    const void *field = key_field(recipe, key);
    switch (key->type) {
    case LM_RECIPE_INT: lm_buf_printf(out, "%lld", (long long)*(const int64_t *)field); break;
    case LM_RECIPE_REAL: print_real(*(const double *)field, out); break;
    case LM_RECIPE_BOOL: lm_buf_puts(out, *(const bool *)field ? "true" : "false"); break;
    case LM_RECIPE_TEXT: print_quoted(*(const char *const *)field, out); break;
    case LM_RECIPE_CHOICE: lm_buf_puts(out, *(const char *const *)field); break;
    }
}

void lm_recipe_print(const lm_recipe *recipe, lm_buf *out) {
    for (int k = 0; k < N_KEYS; k++) {
        const lm_recipe_key *key = &lm_recipe_keys[k];
        if (k == 0 || strcmp(key->section, lm_recipe_keys[k - 1].section) != 0)
            lm_buf_printf(out, "%s:\n", key->section);
        lm_buf_printf(out, "  %s: ", key->key);
        lm_recipe_print_value(recipe, key, out);
        lm_buf_putc(out, '\n');
    }
}

loam_status lm_recipe_same_training(const lm_recipe *a, const lm_recipe *b, loam_error *err) {
    loam_status status = LOAM_OK;
    for (int k = 0; k < N_KEYS && status == LOAM_OK; k++) {
        const lm_recipe_key *key = &lm_recipe_keys[k];
        if (!is_choice("tokenizer model train", key->section)) continue;
        lm_buf before, now;
        lm_buf_init(&before, LM_RECIPE_MAX_BYTES);
        lm_buf_init(&now, LM_RECIPE_MAX_BYTES);
        lm_recipe_print_value(a, key, &before);
        lm_recipe_print_value(b, key, &now);
        if (!lm_str_equal(lm_buf_view(&before), lm_buf_view(&now)))
            status =
                lm_error_set(err, LOAM_CONFLICT, "%s.%s was %s in the checkpoint and is %s now",
                             key->section, key->key, lm_buf_cstr(&before), lm_buf_cstr(&now));
        lm_buf_deinit(&before);
        lm_buf_deinit(&now);
    }
    return status;
}
