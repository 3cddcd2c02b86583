#include "train/grammar.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"

enum {
    GRAMMAR_MAX_VARS = 24,
    GRAMMAR_MAX_DEPTH = 32,
    GRAMMAR_MAX_TEXT_BYTES = 64 * 1024, /* one text */
    GRAMMAR_NAME_BYTES = 64,
};

struct lm_grammar {
    const lm_grammar_rule *rules;
    lm_map *by_name; /* index into rules */
};

/* What a name remembers within one text. */
typedef struct grammar_var {
    lm_str name;
    const lm_grammar_rule *rule;
    const char *alternative;
} grammar_var;

typedef struct grammar_writer {
    const lm_grammar *grammar;
    lm_rng *rng;
    lm_buf *text;
    double nats;
    grammar_var vars[GRAMMAR_MAX_VARS];
    int n_vars;
    int depth;
    loam_error *err;
} grammar_writer;

static size_t rule_n_alternatives(const lm_grammar_rule *rule) {
    size_t n = 0;
    while (rule->alternatives[n]) n++;
    return n;
}

static loam_status check_alternatives(const lm_grammar_rule *rule, loam_error *err) {
    size_t n = rule_n_alternatives(rule);
    if (n == 0) return lm_error_set(err, LOAM_INVALID, "rule '%s' has no alternatives", rule->name);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(rule->alternatives[i], rule->alternatives[j]) == 0)
                return lm_error_set(err, LOAM_INVALID, "rule '%s' has '%s' twice", rule->name,
                                    rule->alternatives[i]);
        }
    }
    return LOAM_OK;
}

static loam_status index_rules(lm_grammar *grammar, size_t n_rules, loam_error *err) {
    for (size_t i = 0; i < n_rules; i++) {
        const lm_grammar_rule *rule = &grammar->rules[i];
        uint64_t other;
        if (lm_map_get(grammar->by_name, lm_str_of(rule->name), &other))
            return lm_error_set(err, LOAM_INVALID, "rule '%s' is there twice", rule->name);
        LM_TRY(check_alternatives(rule, err));
        if (!lm_map_set(grammar->by_name, lm_str_of(rule->name), i))
            return lm_error_no_memory(err, 0);
    }
    return LOAM_OK;
}

loam_status lm_grammar_new(const lm_grammar_rule *rules, size_t n_rules, lm_grammar **out,
                           loam_error *err) {
    lm_grammar *grammar = lm_calloc(1, sizeof *grammar);
    if (!grammar) return lm_error_no_memory(err, sizeof *grammar);
    grammar->rules = rules;
    grammar->by_name = lm_map_new();
    loam_status status =
        grammar->by_name ? index_rules(grammar, n_rules, err) : lm_error_no_memory(err, 0);
    if (status != LOAM_OK) {
        lm_grammar_free(grammar);
        return status;
    }
    *out = grammar;
    return LOAM_OK;
}

void lm_grammar_free(lm_grammar *grammar) {
    if (!grammar) return;
    lm_map_free(grammar->by_name);
    lm_free(grammar);
}

static const lm_grammar_rule *find_rule(const lm_grammar *grammar, lm_str name) {
    uint64_t index;
    return lm_map_get(grammar->by_name, name, &index) ? &grammar->rules[index] : NULL;
}

static grammar_var *find_var(grammar_writer *w, lm_str name) {
    for (int i = 0; i < w->n_vars; i++) {
        if (lm_str_equal(w->vars[i].name, name)) return &w->vars[i];
    }
    return NULL;
}

static loam_status bad_mark(grammar_writer *w, lm_str mark, const char *why) {
    return lm_error_set(w->err, LOAM_INVALID, "grammar mark '<%.*s>': %s", (int)mark.len, mark.ptr,
                        why);
}

/* Splits at the first `separator`; false, and the whole in *head, when there is none. */
static bool split_at(lm_str text, char separator, lm_str *head, lm_str *tail) {
    const char *at = memchr(text.ptr, separator, text.len);
    *head = at ? (lm_str){text.ptr, (size_t)(at - text.ptr)} : text;
    *tail = at ? (lm_str){at + 1, text.len - head->len - 1} : (lm_str){"", 0};
    return at != NULL;
}

/* "x.field" to the field's text in what x remembers. */
static bool read_field(grammar_writer *w, lm_str reference, lm_str *out) {
    lm_str name, field, field_name, names, values;
    if (!split_at(reference, '.', &name, &field)) return false;
    const grammar_var *var = find_var(w, name);
    if (!var || !var->rule->fields) return false;
    names = lm_str_of(var->rule->fields);
    values = lm_str_of(var->alternative);
    for (bool more = true; more;) {
        more = split_at(names, ' ', &field_name, &names);
        split_at(values, ';', out, &values);
        if (lm_str_equal(field_name, field)) return true;
    }
    return false;
}

/* One alternative, evenly, but not `except` (NULL: none). */
static const char *choose(grammar_writer *w, const lm_grammar_rule *rule, const char *except) {
    size_t n = rule_n_alternatives(rule), n_open = except ? n - 1 : n;
    uint64_t pick = lm_rng_below(w->rng, n_open);
    w->nats += log((double)n_open);
    for (size_t i = 0;; i++) {
        if (rule->alternatives[i] == except) continue;
        if (pick-- == 0) return rule->alternatives[i];
    }
}

/* "x=rule" or "x=rule!y". */
static loam_status remember(grammar_writer *w, lm_str mark, lm_str name, lm_str source) {
    lm_str rule_name, other_name;
    const char *except = NULL;
    if (split_at(source, '!', &rule_name, &other_name)) {
        const grammar_var *other = find_var(w, other_name);
        if (!other) return bad_mark(w, mark, "nothing is remembered under the name after '!'");
        except = other->alternative;
    }
    lm_str stem, reference, ending;
    char composed[GRAMMAR_NAME_BYTES];
    if (split_at(rule_name, '*', &stem, &reference)) {
        if (!read_field(w, reference, &ending)) return bad_mark(w, mark, "no such field");
        int len = snprintf(composed, sizeof composed, "%.*s%.*s", (int)stem.len, stem.ptr,
                           (int)ending.len, ending.ptr);
        rule_name =
            (lm_str){composed, (size_t)len < sizeof composed ? (size_t)len : sizeof composed - 1};
    }
    const lm_grammar_rule *rule = find_rule(w->grammar, rule_name);
    if (!rule) return bad_mark(w, mark, "no such rule");
    grammar_var *var = find_var(w, name);
    if (except && (!find_var(w, other_name) || find_var(w, other_name)->rule != rule))
        return bad_mark(w, mark, "the two come from different rules");
    if (!var) {
        if (w->n_vars == GRAMMAR_MAX_VARS) return bad_mark(w, mark, "too many names");
        var = &w->vars[w->n_vars++];
    }
    if (except && !rule->alternatives[1]) return bad_mark(w, mark, "nothing else to choose");
    *var = (grammar_var){name, rule, choose(w, rule, except)};
    return LOAM_OK;
}

static loam_status write_template(grammar_writer *w, lm_str template_text);

static loam_status write_mark(grammar_writer *w, lm_str mark) {
    lm_str head, tail, value;
    if (split_at(mark, '=', &head, &tail)) return remember(w, mark, head, tail);
    if (!memchr(mark.ptr, '*', mark.len) && read_field(w, mark, &value))
        return write_template(w, value);
    /* A rule is expanded through a name that no mark can spell, so that "*" is read in one place. */
    int n_vars = w->n_vars;
    LM_TRY(remember(w, mark, LM_STR(""), mark));
    const char *alternative = find_var(w, LM_STR(""))->alternative;
    w->n_vars = n_vars;
    return write_template(w, lm_str_of(alternative));
}

static loam_status write_template(grammar_writer *w, lm_str template_text) {
    if (++w->depth > GRAMMAR_MAX_DEPTH)
        return lm_error_set(w->err, LOAM_INVALID, "grammar rules nest too deeply");
    lm_str plain, mark, rest = template_text;
    while (split_at(rest, '<', &plain, &rest)) {
        lm_buf_append(w->text, plain.ptr, plain.len);
        if (!split_at(rest, '>', &mark, &rest))
            return lm_error_set(w->err, LOAM_INVALID, "grammar mark without end: '<%.*s'",
                                (int)mark.len, mark.ptr);
        LM_TRY(write_mark(w, mark));
    }
    lm_buf_append(w->text, plain.ptr, plain.len);
    w->depth--;
    return LOAM_OK;
}

static bool is_vowel(char c) {
    return c && strchr("aeiouAEIOU", c) != NULL;
}

/* Copies `raw`, resolving a(n) and making capitals where sentences begin. */
static void finish_text(const char *raw, lm_buf *text) {
    static const char article[] = "a(n) ";
    bool sentence = true;
    for (const char *at = raw; *at; at++) {
        char c = *at;
        bool letter = isalpha((unsigned char)c) != 0;
        if (sentence && letter) c = (char)toupper((unsigned char)c);
        lm_buf_putc(text, c);
        if (strncmp(at, article, sizeof article - 1) == 0) {
            lm_buf_puts(text, is_vowel(at[sizeof article - 1]) ? "n" : "");
            at += sizeof article - 3; /* the loop steps onto the space after the mark */
        }
        if (letter) sentence = false;
        if (strchr(".!?\n", *at)) sentence = true;
        if (*at == ',') sentence = at[1] == ' ' && at[2] == '"';
    }
}

loam_status lm_grammar_write(const lm_grammar *grammar, const char *start, lm_rng *rng,
                             lm_buf *text, double *out_nats, loam_error *err) {
    lm_buf raw;
    lm_buf_init(&raw, GRAMMAR_MAX_TEXT_BYTES);
    grammar_writer w = {.grammar = grammar, .rng = rng, .text = &raw, .err = err};
    loam_status status = write_mark(&w, lm_str_of(start));
    if (status == LOAM_OK) status = lm_buf_status(&raw, err);
    if (status == LOAM_OK) {
        finish_text(lm_buf_cstr(&raw), text);
        status = lm_buf_status(text, err);
    }
    if (status == LOAM_OK) *out_nats = w.nats;
    lm_buf_deinit(&raw);
    return status;
}
