/* What the template language means. Expected texts are jinja2's; compare_jinja.py tries far more. */
#include "testing.h"

#include "base/json.h"
#include "model/jinja/jinja.h"

static const char VARIABLES[] =
    "{\"n\": 3, \"x\": 2.5, \"yes\": true, \"none_value\": null, \"s\": \"Hello, World\", \"han\": "
    "\"\\u4f60\\u597d\","
    " \"list\": [3, 1, 2], \"d\": {\"b\": 1, \"a\": [true, null], \"items\": 5}, \"tree\": [[1, "
    "[2]], 3],"
    " \"people\": [{\"name\": \"Bo\", \"age\": 30}, {\"name\": \"al\", \"age\": 25}]}";

static loam_status render(const char *template, const lm_jinja_limits *limits, lm_buf *out,
                          loam_error *error) {
    lm_jinja *jinja = NULL;
    json_t *variables = NULL;
    assert_ok(lm_json_parse(LM_STR(VARIABLES), "variables", &variables, &err));
    lm_jinja_options options = {.variables = variables, .now_epoch_s = 86400};
    if (limits) options.limits = *limits;
    lm_buf_init(out, 1 << 20);
    loam_status status = lm_jinja_compile(lm_str_of(template), &jinja, error);
    if (status == LOAM_OK) status = lm_jinja_render(jinja, &options, out, error);
    lm_jinja_free(jinja);
    json_decref(variables);
    return status;
}

typedef struct example {
    const char *template, *text;
} example;

static void expect_all(const example *examples, size_t n) {
    for (size_t i = 0; i < n; i++) {
        lm_buf out;
        loam_error error = {0};
        if (render(examples[i].template, NULL, &out, &error) != LOAM_OK)
            fail_msg("%s: %s", examples[i].template, error.message);
        if (strcmp(lm_buf_cstr(&out), examples[i].text) != 0)
            fail_msg("%s\ngives  [%s]\nwanted [%s]", examples[i].template, lm_buf_cstr(&out),
                     examples[i].text);
        lm_buf_deinit(&out);
    }
}
#define EXPECT(...)                           \
    do {                                      \
        const example rows[] = {__VA_ARGS__}; \
        expect_all(rows, LM_COUNT_OF(rows));  \
    } while (0)

static void expect_error(const char *template, const char *part) {
    lm_buf out;
    loam_error error = {0};
    if (render(template, NULL, &out, &error) == LOAM_OK)
        fail_msg("%s: gives [%s], wanted an error", template, lm_buf_cstr(&out));
    if (!strstr(error.message, part))
        fail_msg("%s: '%s' does not say '%s'", template, error.message, part);
    lm_buf_deinit(&out);
}

static void test_white_space(void **state) {
    EXPECT({"a\n  {% if yes %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"}, {"  {{ n }}  \n", "  3  "},
           {"a  {%- if yes -%}  b  {%- endif -%}  c", "abc"}, {"a\n{{- n -}}\n b", "a3b"},
           {"  {%+ if yes %}b{% endif %}", "  b"}, {"{% if yes +%}\nb{% endif %}", "\nb"},
           {"a {# c #}\nb", "a b"}, {"a {#- c -#} b", "ab"}, {"  {# c #}\nb", "b"},
           {"{% raw %}{{ x }}\n{% endraw %}\nb", "{{ x }}\nb"},
           {"{%- raw -%} {% y %} {%- endraw -%} b", "{% y %}b"}, {"a\r\nb\rc", "a\nb\nc"}, {"", ""},
           {"\n", ""}, {"\n\n", "\n"}, {"{{ '}}' }}{{ {'a': {}}}}", "}}{'a': {}}"});
}

static void test_literals(void **state) {
    EXPECT({"{{ 'a' \"b\" }}", "ab"}, {"{{ '\\x41\\u4f60\\n\\101\\q\\'' }}", "A你\nA\\q'"},
           {"{{ 1_000 + 0x1f + 0b11 + 0o7 }}", "1041"},
           {"{{ 1e3 }} {{ 1.50 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }}",
            "1000.0 1.5 1e+16 1e-05 0.30000000000000004"},
           {"{{ true }}{{ False }}{{ none }}", "TrueFalseNone"},
           {"{{ (1,) }}{{ () }}{{ (1, 2) }}{{ 1, 2 }}", "(1,)()(1, 2)(1, 2)"},
           {"{{ [1, 'a', \"it's\", none] }}", "[1, 'a', \"it's\", None]"},
           {"{{ {'a': 1, 2: [3]} }}", "{'a': 1, 2: [3]}"});
}

static void test_operators(void **state) {
    EXPECT(
        {"{{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7.5 % -2 }}", "3.5 3 -4 2 -0.5"},
        {"{{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }}", "1024 0.5 4"},
        {"{{ 'a' ~ 1 ~ none }} {{ 'ab' * 2 }} {{ [1] + [2] }}", "a1None abab [1, 2]"},
        {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }}", "True False"},
        {"{{ 'a' in 'cat' }} {{ 2 not in list }} {{ 'b' in d }}", "True False True"},
        {"{{ 1 == 1.0 == true }} {{ '1' == 1 }}", "True False"},
        {"{{ 0 or 'x' }} {{ 1 and 'y' }} {{ not 0 }}", "x y True"},
        {"{{ 'a' if no else 'b' }}[{{ 'a' if no }}]", "b[]"},
        {"{{ -n | abs }} {{ s[::-1] }} {{ s[1:4] }} {{ list[-1] }} {{ han[1] }}",
         "3 dlroW ,olleH ell 2 好"},
        {"{{ '%s=%05.1f' % ('a', x) }}", "a=002.5"});
}

static void test_attributes(void **state) {
    EXPECT(
        {"{{ d.b }}{{ d['b'] }}{{ people[0].name }}{{ list.0 }}", "11Bo3"},
        {"[{{ d.zz }}][{{ d.a.zz }}][{{ missing }}]", "[][][]"},
        {"{{ d.items is callable }} {{ d['items'] }}", "True 5"},
        {"{{ d.pop is defined }} {{ list.append is defined }}", "False False"},
        {"{{ s.__class__ is defined }}", "False"},
        {"{{ nothing.__class__ is defined }}{{ nothing.__len__ }}", "False"},
        {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "b=1;a=[True, None];items=5;"},
        {"{{ s.split(', ')[1].upper() }} {{ ' a '.strip() }}|", "WORLD a|"},
        {"{{ 'ß'.upper() }} {{ 'ΑΣ'.lower() }} {{ 'it s'.title() }}", "SS ας It S"});
}

static void test_loops(void **state) {
    EXPECT({"{% for i in list %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% "
            "endfor %}",
            "1/3,2/3,3/3"},
           {"{% for i in list if i > 1 %}{{ loop.index0 }}{{ i }}{{ loop.revindex }} {% endfor %}",
            "032 121 "},
           {"{% for i in [] %}{% else %}none{% endfor %}", "none"},
           {"{% for i in list %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "32"},
           {"{% for i in list %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}", "3"},
           {"{% for i in tree recursive %}{{ loop.depth }}:{{ loop(i) if i is iterable else i }} "
            "{% endfor %}",
            "1:2:1 2:3:2   1:3 "},
           {"{% for i in list %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}",
            "<3>1 3<1>2 1<2> "},
           {"{% for i in list %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"},
           {"{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}", "True False True "},
           {"{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }} {% endfor %}", "3 7 "},
           {"{% for c in han %}{{ c }}.{% endfor %}", "你.好."},
           {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "21"});
}

static void test_scopes(void **state) {
    EXPECT({"{% set ns = namespace(a=1) %}{% for i in list %}{% set ns.a = ns.a + i %}{% endfor "
            "%}{{ ns.a }}",
            "7"},
           {"{% if yes %}{% set y = 1 %}{% endif %}{{ y }}", "1"},
           {"{% with a = 1, b = n %}{{ a + b }}{% endwith %}[{{ a }}]", "4[]"},
           {"{% set t %}a{{ n }}{% endset %}{{ t | length }}", "2"},
           {"{% set t | upper %}a{% endset %}{{ t }}", "A"},
           {"{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"},
           {"{% filter upper %}a{{ s }}{% endfilter %}", "AHELLO, WORLD"},
           {"{% block q %}{{ n }}{% endblock %}", "3"},
           {"{% for i in [1] %}{{ n }}{% endfor %}{% set n = 5 %}",
            ""}, /* Jinja: the outermost level sets it, so it is nothing before */
           {"{% generation %}a{% endgeneration %}", "a"});
}

static void test_macros(void **state) {
    EXPECT(
        {"{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, b=3) }} {{ m() }}",
         "12 13 2"},
        {"{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{% endcall %}", "<x>"},
        {"{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(v) m() %}{{ v + 1 }}{% endcall %}",
         "2"},
        {"{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, k=2) }}", "(1,){'k': 2}"},
        {"{% macro f(k) %}{{ k }}{{ f(k - 1) if k }}{% endmacro %}{{ f(3) }}", "3210"},
        {"{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}", "2"},
        {"{{ m is defined }}{% macro m() %}{% endmacro %}{{ m.name }}", "Falsem"});
}

static void test_filters(void **state) {
    EXPECT(
        {"{{ d | tojson }}", "{\"b\": 1, \"a\": [true, null], \"items\": 5}"},
        {"{{ d | tojson(indent=2) }}",
         "{\n  \"b\": 1,\n  \"a\": [\n    true,\n    null\n  ],\n  \"items\": 5\n}"},
        {"{{ '<é\"\\n' | tojson }} {{ 'é🦙' | tojson(ensure_ascii=true) }}",
         "\"<é\\\"\\n\" \"\\u00e9\\ud83e\\udd99\""},
        {"{{ {'b': 1, 'a': {}} | tojson(separators=(',', ':'), sort_keys=true) }}",
         "{\"a\":{},\"b\":1}"},
        {"{{ people | map(attribute='name') | join(', ') }}", "Bo, al"},
        {"{{ people | selectattr('age', 'gt', 26) | list | length }}", "1"},
        {"{{ list | sort }} {{ list | sort(reverse=true) | first }}", "[1, 2, 3] 3"},
        {"{{ people | sort(attribute='name') | map(attribute='name') | list }}", "['al', 'Bo']"},
        {"{{ 'a\nb' | indent(2) }}|{{ ' x ' | trim }}|", "a\n  b|x|"},
        {"{{ missing | default('z') }}{{ '' | default('z', true) }}", "zz"},
        {"{{ d | items | list | length }} {{ 'abc' | reverse }} {{ '3' | int + 1 }} {{ 'q' | "
         "int(7) }}",
         "3 cba 4 7"},
        {"{{ 2.675 | round(2) }} {{ 2.5 | round }} {{ 7 | round(-1) }}", "2.67 2.0 10"},
        {"{{ '<a>' | e }} {{ ('<a>' | safe) + '<' }}", "&lt;a&gt; <a>&lt;"},
        {"{{ d | dictsort }}", "[('a', [True, None]), ('b', 1), ('items', 5)]"},
        {"{{ list | batch(2) | list }} {{ list | sum }}", "[[3, 1], [2]] 6"},
        {"{{ [1, 'a'] | select('string') | list }} {{ list | reject('odd') | list }}", "['a'] [2]"},
        {"{% if list | select('none') %}t{% endif %}", "t"},
        {"{{ strftime_now('%Y-%m-%d') | length }}", "10"});
}

static void test_tests(void **state) {
    EXPECT({"{{ n is odd }} {{ n is divisibleby 3 }} {{ s is string }} {{ d is mapping }} {{ list "
            "is sequence }}",
            "True True True True True"},
           {"{{ missing is defined }} {{ none_value is none }} {{ n is not none }} {{ yes is "
            "boolean }}",
            "False True True True"},
           {"{{ n is in list }} {{ n is sameas 3 }} {{ 'upper' is filter }} {{ 'zz' is test }}",
            "True True True False"},
           {"{{ missing is iterable }} {{ n is iterable }} {{ 2.0 is float }} {{ 1 is number }}",
            "True False True True"});
}

static void test_errors(void **state) {
    expect_error("a\n{{ raise_exception('No ' ~ n) }}", "line 2: No 3");
    expect_error("{{ missing.x }}", "'missing' is undefined");
    expect_error("{{ 1 + 'a' }}", "unsupported operand");
    expect_error("{{ 'a' + 1 }}", "can only concatenate");
    expect_error("{{ d.pop('b') }}", "unsafe");
    expect_error("{{ nothing.__class__.__name__ }}", "'__class__' of 'Undefined' object is unsafe");
    expect_error("{{ nothing.__html__ }}", "'nothing' is undefined");
    expect_error("{{ list.append(1) }}", "unsafe");
    expect_error("{{ 9223372036854775807 + 1 }}", "64 bits");
    expect_error("{{ 1 // 0 }}", "division by zero");
    expect_error("{{ missing | tojson }}", "not JSON serializable");
    expect_error("{{ [1, 'a'] | sort }}", "not supported between");
    expect_error("{% include 'x' %}", "include");
    expect_error("{{ n | zz }}", "no filter named 'zz'");
    expect_error("{% if yes %}{{ n | zz }}{% endif %}", "No filter named 'zz'");
    expect_error("{% zz %}", "unknown tag");
    expect_error("{% if yes %}", "endif");
    expect_error("{{ n", "ends");
    expect_error("{{ 'a }}", "string has no end");
    expect_error("{# a", "end of comment");
    expect_error("{{ (1] }}", "unexpected ']'");
    expect_error("{% break %}", "outside loop");
    expect_error("{% set n.a = 1 %}", "non-namespace");
    expect_error("{% macro m() %}{% endmacro %}{{ m(1) }}", "not more than 0");
    expect_error("\xff", "UTF-8");
    EXPECT({"{% if not yes %}{{ n | zz }}{% endif %}ok", "ok"});
}

static void expect_limit(const char *template, lm_jinja_limits limits) {
    lm_buf out;
    loam_error error = {0};
    loam_status status = render(template, &limits, &out, &error);
    if (status != LOAM_LIMIT)
        fail_msg("%s: '%s' (%s)", template, loam_status_name(status), error.message);
    if (!strstr(error.message, "line 1"))
        fail_msg("%s: '%s' names no line", template, error.message);
    assert_int_equal(out.len, 0);
    lm_buf_deinit(&out);
}

static void test_limits(void **state) {
    static const char nested[] =
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    expect_limit(nested, (lm_jinja_limits){0});
    expect_limit("{% for a in range(99999) %}{% set x = 'ab' * 9999 %}{% endfor %}",
                 (lm_jinja_limits){.max_memory_bytes = 16 << 20});
    expect_limit("{{ 'ab' * 999999999 }}", (lm_jinja_limits){0});
    expect_limit("{{ ['ab'] * 99999999 }}", (lm_jinja_limits){0});
    expect_limit("{% for a in range(9999) %}{{ s }}{% endfor %}",
                 (lm_jinja_limits){.max_output_bytes = 1000});
    expect_limit("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", (lm_jinja_limits){0});
    expect_limit("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", (lm_jinja_limits){0});
    expect_limit("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", (lm_jinja_limits){0});
    expect_limit("{% set ns = namespace(a=[]) %}{% for i in range(2000) %}{% set ns.a = [ns.a] "
                 "%}{% endfor %}{{ ns.a }}",
                 (lm_jinja_limits){0});
    expect_error("{{ range(1000000) | length }}", "Range too big");
    expect_error("{{ '{:999999999}'.format(1) }}", "width");
}

/* Text that grows by appending costs what it holds, not the square of it. */
static void test_appending_is_linear(void **state) {
    lm_buf out;
    lm_jinja_limits limits = {.max_memory_bytes = 16 << 20};
    assert_ok(render("{% set ns = namespace(t='') %}{% for i in range(20000) %}{% set ns.t = ns.t "
                     "+ s + '.' %}{% endfor %}{{ ns.t | length }}",
                     &limits, &out, &err));
    assert_string_equal(lm_buf_cstr(&out), "260000");
    lm_buf_deinit(&out);
}

static void test_long_chains(void **state) {
    lm_buf source, out;
    loam_error error = {0};
    lm_buf_init(&source, 1 << 20);
    lm_buf_puts(&source, "{{ 1");
    for (int i = 0; i < 50000; i++) lm_buf_puts(&source, "+1");
    lm_buf_puts(&source, " }}");
    assert_int_equal(render(lm_buf_cstr(&source), NULL, &out, &error), LOAM_INVALID);
    lm_buf_deinit(&out);
    lm_buf_reset(&source);
    lm_buf_puts(&source, "{{ ");
    for (int i = 0; i < 50000; i++) lm_buf_puts(&source, "(");
    assert_int_equal(render(lm_buf_cstr(&source), NULL, &out, &error), LOAM_INVALID);
    lm_buf_deinit(&out);
    lm_buf_deinit(&source);
}

static void test_what_is_read(void **state) {
    lm_jinja *jinja;
    assert_ok(lm_jinja_compile(
        LM_STR("{% set a = 1 %}{{ a }}{% for m in messages %}{{ tools }}{% endfor %}"), &jinja,
        &err));
    assert_true(lm_jinja_reads(jinja, LM_STR("tools")));
    assert_true(lm_jinja_reads(jinja, LM_STR("messages")));
    assert_false(lm_jinja_reads(jinja, LM_STR("a")));
    assert_false(lm_jinja_reads(jinja, LM_STR("m")));
    lm_jinja_free(jinja);
}

/* Whichever allocation fails, the answer is an error or the text. */
static void test_memory_runs_out(void **state) {
    for (uint64_t n = 1; n < 60; n++) {
        lm_buf out;
        loam_error error = {0};
        lm_jinja *jinja = NULL;
        lm_jinja_options options = {0};
        lm_buf_init(&out, 1 << 20);
        lm_mem_fail_after(n);
        loam_status status =
            lm_jinja_compile(LM_STR("{% macro m(a) %}{% if a %}{% set b = 1 %}{% endif %}{{ [a, b] "
                                    "}}{% endmacro %}{{ m(1) }}"),
                             &jinja, &error);
        if (status == LOAM_OK) status = lm_jinja_render(jinja, &options, &out, &error);
        lm_mem_fail_after(0);
        if (status == LOAM_OK) assert_string_equal(lm_buf_cstr(&out), "[1, 1]");
        if (status != LOAM_OK && status != LOAM_NO_MEMORY && status != LOAM_LIMIT)
            fail_msg("%s", error.message);
        lm_jinja_free(jinja);
        lm_buf_deinit(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_space),     cmocka_unit_test(test_literals),
        cmocka_unit_test(test_operators),       cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_loops),           cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_macros),          cmocka_unit_test(test_filters),
        cmocka_unit_test(test_tests),           cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_appending_is_linear),
        cmocka_unit_test(test_long_chains),     cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
