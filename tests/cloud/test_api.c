/* The REST API of a running `loam up`, on both databases: keys, roles, projects, errors, bills. */
#include "databases.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cloud/api.h"
#include "cloud/secret.h"
#include "net/http_fetch.h"

static const char *g_program; /* the loam binary, from the command line */

typedef struct running {
    char *home;
    const char *database;
    pid_t pid;
    int port;
    char secret[LM_SECRET_BYTES];
    int http_status; /* of the latest answer */
} running;

static char *join(const running *r, const char *name) {
    char *path = lm_path_join(r->home, name);
    assert_non_null(path);
    return path;
}

static void spawn(running *r, const char *port_file, const char *out_file) {
    r->pid = fork();
    if (r->pid != 0) return;
    if (!freopen(out_file, "w", stdout)) _exit(126);
    execl(g_program, g_program, "up", "--home", r->home, "--database", r->database, "--listen",
          "127.0.0.1:0", "--port-file", port_file, "--peak-tflops", "1", "--log", "off",
          (char *)NULL);
    _exit(127);
}

static void wait_for_file(const running *r, const char *path) {
    for (int i = 0; i < 1000; i++) {
        if (lm_file_exists(path)) return;
        if (waitpid(r->pid, NULL, WNOHANG) != 0) fail_msg("loam up ended early");
        lm_clock_sleep_ms(20);
    }
    fail_msg("loam up is not ready after 20 s");
}

/* Starts loam up; the secret is taken from what it prints, if it prints one. */
static void start(running *r) {
    char *port_file = join(r, "port"), *out_file = join(r, "out"), *text;
    size_t size;
    unlink(port_file);
    spawn(r, port_file, out_file);
    wait_for_file(r, port_file);
    assert_ok(lm_file_read(port_file, 64, &text, &size, &err));
    r->port = atoi(text);
    lm_free(text);
    assert_ok(lm_file_read(out_file, 1 << 16, &text, &size, &err));
    const char *secret = strstr(text, "loam-sk-");
    snprintf(r->secret, sizeof r->secret, "%s", secret ? secret : "");
    lm_free(text);
    lm_free(out_file);
    lm_free(port_file);
}

static void stop(running *r) {
    int status;
    assert_int_equal(kill(r->pid, SIGTERM), 0);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void open_cloud(running *r, void **state) {
    *r = (running){.database = test_database_new(*state)};
    r->home = test_temp_dir();
    start(r);
    assert_int_equal(strlen(r->secret), LM_SECRET_BYTES - 1);
}

static void close_cloud(running *r) {
    stop(r);
    assert_ok(lm_file_remove_tree(r->home, &err));
    lm_free(r->home);
}

/* One request; the answer as text, of the caller. The status is in r->http_status. */
static void fetch(running *r, const char *key, const char *method, const char *path,
                  const char *body, lm_buf *answer) {
    char *url = lm_asprintf("http://127.0.0.1:%d%s", r->port, path);
    lm_http_fetch_options options = {
        .method = method, .url = url, .bearer = key, .body = lm_str_of(body), .timeout_ms = 20000};
    assert_ok(lm_http_fetch(&options, &r->http_status, answer, &err));
    lm_free(url);
}

/* The same with a JSON answer, NULL for none; fails unless the status is the one wanted. */
static json_t *call(running *r, int http_status, const char *key, const char *method,
                    const char *path, const char *body) {
    lm_buf answer;
    json_t *value = NULL;
    char *full = lm_asprintf("/api/v1%s", path);
    fetch(r, key, method, full, body, &answer);
    if (r->http_status != http_status)
        fail_msg("%s %s answered %d, wanted %d: %s", method, path, r->http_status, http_status,
                 lm_buf_cstr(&answer));
    if (answer.len) assert_ok(lm_json_parse(lm_buf_view(&answer), "answer", &value, &err));
    lm_buf_deinit(&answer);
    lm_free(full);
    return value;
}

/* Only the status counts. */
static void expect(running *r, int http_status, const char *key, const char *method,
                   const char *path, const char *body) {
    json_decref(call(r, http_status, key, method, path, body));
}

/* Fails unless the error's message holds the text. */
static void expect_error(running *r, int http_status, const char *method, const char *path,
                         const char *body, const char *text) {
    json_t *answer = call(r, http_status, r->secret, method, path, body);
    const json_t *error = json_object_get(answer, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    if (!message || (!strstr(message, text) && !strstr(hint, text)))
        fail_msg("%s %s said '%s' (%s), not '%s'", method, path, message, hint, text);
    json_decref(answer);
}

/* A copy of a text field, lm_free. */
static char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return lm_strdup(text);
}

static void test_the_first_key_is_shown_once(void **state) {
    running r;
    open_cloud(&r, state);
    char secret[LM_SECRET_BYTES];
    memcpy(secret, r.secret, sizeof secret);
    stop(&r);
    start(&r);
    assert_string_equal(r.secret, "");
    expect(&r, 200, secret, "GET", "/me", NULL);
    close_cloud(&r);
}

static void test_one_cloud_a_home(void **state) {
    running first;
    open_cloud(&first, state);
    running second = first;
    char *port_file = join(&first, "port2"), *out_file = join(&first, "out2");
    spawn(&second, port_file, out_file);
    int status;
    assert_int_equal(waitpid(second.pid, &status, 0), second.pid);
    assert_int_equal(WEXITSTATUS(status), 1);
    lm_free(port_file);
    lm_free(out_file);
    close_cloud(&first);
}

/* Every list of every table: what comes back fits the row's schema, and no key means no answer. */
static void test_replies_fit_their_schemas(void **state) {
    running r;
    open_cloud(&r, state);
    expect(&r, 201, r.secret, "POST", "/keys",
           "{\"name\":\"k\",\"token_budget\":5,\"expires_ms\":4000000000000}");
    expect(&r, 201, r.secret, "POST", "/prices",
           "{\"kind\":\"output_tokens\",\"amount_micros\":5}");
    for (int t = 0; lm_api_tables[t]; t++) {
        for (size_t i = 0; i < lm_api_tables[t]->n_rows; i++) {
            const lm_api_endpoint *endpoint = &lm_api_tables[t]->rows[i];
            if (strcmp(endpoint->method, "GET") != 0 || strchr(endpoint->path, '{') ||
                !endpoint->reply)
                continue;
            expect(&r, 401, NULL, "GET", endpoint->path, NULL);
            json_t *answer = call(&r, 200, r.secret, "GET", endpoint->path, NULL), *item;
            size_t n;
            if (endpoint->shape != LM_API_LIST)
                assert_ok(lm_schema_check(endpoint->reply, answer, endpoint->path, &err));
            json_array_foreach(json_object_get(answer, "data"), n, item)
                assert_ok(lm_schema_check(endpoint->reply, item, endpoint->path, &err));
            json_decref(answer);
        }
    }
    close_cloud(&r);
}

static void test_bad_requests_are_told_what_is_wrong(void **state) {
    running r;
    open_cloud(&r, state);
    expect_error(&r, 400, "POST", "/keys", "{\"name\":", "not valid JSON");
    expect_error(&r, 400, "POST", "/keys", NULL, "no body");
    expect_error(&r, 400, "POST", "/keys", "[]", "must be an object");
    expect_error(&r, 400, "POST", "/keys", "{}", "body.name is missing");
    expect_error(&r, 400, "POST", "/keys", "{\"name\":5}", "body.name must be a string");
    expect_error(&r, 400, "POST", "/keys", "{\"name\":\"\"}", "0 characters");
    expect_error(&r, 400, "POST", "/keys", "{\"name\":\"k\",\"tokenbudget\":1}", "token_budget");
    expect_error(&r, 400, "POST", "/keys", "{\"name\":\"k\",\"scopes\":[\"read\",\"wrte\"]}",
                 "body.scopes[1]");
    expect_error(&r, 400, "POST", "/keys", "{\"name\":\"k\",\"token_budget\":-1}",
                 "body.token_budget");
    expect_error(&r, 400, "GET", "/keys?limit=0", NULL, "limit");
    expect_error(&r, 404, "GET", "/keys/nonsense", NULL, "nothing has this id");
    expect_error(&r, 405, "PUT", "/keys", "{}", "method");
    expect_error(&r, 404, "GET", "/nothing", NULL, "no such path");
    char *huge = lm_alloc((16 << 20) + 1);
    memset(huge, ' ', 16 << 20);
    huge[16 << 20] = '\0';
    expect(&r, 413, r.secret, "POST", "/keys", huge);
    lm_free(huge);
    close_cloud(&r);
}

static char *make_key(running *r, const char *key, const char *body, char **out_id) {
    json_t *answer = call(r, 201, key, "POST", "/keys", body);
    char *secret = text_of(answer, "secret");
    if (out_id) *out_id = text_of(answer, "id");
    json_decref(answer);
    return secret;
}

static void test_keys_end(void **state) {
    running r;
    open_cloud(&r, state);
    char body[128], path[128], *id;
    snprintf(body, sizeof body, "{\"name\":\"short\",\"expires_ms\":%lld}",
             (long long)lm_clock_epoch_ms() + 700);
    char *expiring = make_key(&r, r.secret, body, NULL);
    expect(&r, 200, expiring, "GET", "/me", NULL);
    char *revoked = make_key(&r, r.secret, "{\"name\":\"gone\"}", &id);
    expect(&r, 200, revoked, "GET", "/me", NULL);
    snprintf(path, sizeof path, "/keys/%s", id);
    expect(&r, 204, r.secret, "DELETE", path, NULL);
    expect(&r, 401, revoked, "GET", "/me", NULL);
    char *slow = make_key(&r, r.secret, "{\"name\":\"slow\",\"requests_per_minute\":2}", NULL);
    expect(&r, 200, slow, "GET", "/me", NULL);
    expect(&r, 200, slow, "GET", "/me", NULL);
    expect(&r, 429, slow, "GET", "/me", NULL);
    lm_clock_sleep_ms(800);
    expect(&r, 401, expiring, "GET", "/me", NULL);
    expect(&r, 401, "loam-sk-nonsense", "GET", "/me", NULL);
    lm_free(expiring);
    lm_free(revoked);
    lm_free(slow);
    lm_free(id);
    close_cloud(&r);
}

/* Roles bound keys, keys cannot give more than they have, and members who leave take their keys along. */
static void test_roles(void **state) {
    running r;
    open_cloud(&r, state);
    char *viewer = make_key(&r, r.secret, "{\"name\":\"v\",\"role\":\"viewer\"}", NULL);
    expect(&r, 200, viewer, "GET", "/events", NULL);
    expect(&r, 403, viewer, "GET", "/keys", NULL);
    expect(&r, 403, viewer, "POST", "/prices", "{}");
    expect(&r, 422, r.secret, "POST", "/keys",
           "{\"name\":\"x\",\"role\":\"viewer\",\"scopes\":[\"write\"]}");
    char *admin = make_key(&r, r.secret, "{\"name\":\"a\",\"role\":\"admin\"}", NULL);
    expect(&r, 403, admin, "POST", "/keys",
           "{\"name\":\"x\",\"role\":\"admin\",\"scopes\":[\"operator\"]}");
    json_t *me = call(&r, 200, r.secret, "GET", "/me", NULL);
    char path[160], body[160];
    snprintf(path, sizeof path, "/projects/%s/members",
             json_string_value(json_object_get(json_object_get(me, "project"), "id")));
    json_t *member =
        call(&r, 201, r.secret, "POST", path, "{\"name\":\"ada\",\"role\":\"viewer\"}");
    expect(&r, 409, r.secret, "POST", path, "{\"name\":\"ada\",\"role\":\"admin\"}");
    const char *member_id = json_string_value(json_object_get(member, "id"));
    snprintf(body, sizeof body, "{\"name\":\"m\",\"role\":\"admin\",\"member_id\":\"%s\"}",
             member_id);
    char *theirs = make_key(&r, r.secret, body, NULL),
         *member_path = lm_asprintf("%s/%s", path, member_id);
    expect(&r, 403, theirs, "GET", "/keys", NULL); /* an admin key, but a viewer's */
    expect(&r, 200, r.secret, "PATCH", member_path, "{\"role\":\"admin\"}");
    expect(&r, 200, theirs, "GET", "/keys", NULL);
    expect(&r, 204, r.secret, "DELETE", member_path, NULL);
    expect(&r, 401, theirs, "GET", "/me", NULL);
    lm_free(member_path);
    lm_free(theirs);
    lm_free(admin);
    lm_free(viewer);
    json_decref(member);
    json_decref(me);
    close_cloud(&r);
}

static void test_other_projects_are_not_found(void **state) {
    running r;
    open_cloud(&r, state);
    json_t *made = call(&r, 201, r.secret, "POST", "/projects", "{\"name\":\"tenant\"}");
    char *tenant = text_of(made, "secret"),
         *tenant_id = text_of(json_object_get(made, "project"), "id"), path[128], *key_id;
    char *own = make_key(&r, r.secret, "{\"name\":\"own\"}", &key_id);
    snprintf(path, sizeof path, "/keys/%s", key_id);
    expect(&r, 404, tenant, "GET", path, NULL);
    expect(&r, 404, tenant, "DELETE", path, NULL);
    json_t *me = call(&r, 200, r.secret, "GET", "/me", NULL);
    snprintf(path, sizeof path, "/projects/%s",
             json_string_value(json_object_get(json_object_get(me, "project"), "id")));
    expect(&r, 404, tenant, "GET", path, NULL);
    snprintf(path, sizeof path, "/keys?project=%s",
             json_string_value(json_object_get(json_object_get(me, "project"), "id")));
    expect(&r, 404, tenant, "GET", path, NULL);
    snprintf(path, sizeof path, "/keys?project=%s",
             tenant_id); /* the operator reaches everywhere */
    expect(&r, 200, r.secret, "GET", path, NULL);
    snprintf(path, sizeof path, "/projects/%s", tenant_id);
    expect(&r, 200, r.secret, "PATCH", path, "{\"archived\":true}");
    expect(&r, 401, tenant, "GET", "/me", NULL);
    json_decref(me);
    json_decref(made);
    lm_free(own);
    lm_free(key_id);
    lm_free(tenant);
    lm_free(tenant_id);
    close_cloud(&r);
}

static int64_t sum_field(json_t *rows, const char *name) {
    int64_t total = 0;
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) total += json_integer_value(json_object_get(row, name));
    return total;
}

/* The month of the price rise, through the API: the invoice's lines, the ledger and the three forms agree. */
static void test_an_invoice_equals_its_ledger(void **state) {
    running r;
    open_cloud(&r, state);
    static const char *const prices[] = {"{\"kind\":\"ph_leased\",\"unit\":\"p_year\",\"amount_"
                                         "micros\":120000000000,\"effective_ms\":1793491200000}",
                                         "{\"kind\":\"ph_leased\",\"unit\":\"p_year\",\"amount_"
                                         "micros\":179000000000,\"effective_ms\":1794528000000}"};
    static const char lease[] =
        "{\"reference\":\"november\",\"peak_flops\":5000000000000000,\"start_ms\":1793491200000,"
        "\"end_ms\":1796083200000}";
    for (size_t i = 0; i < LM_COUNT_OF(prices); i++)
        expect(&r, 201, r.secret, "POST", "/prices", prices[i]);
    expect(&r, 422, r.secret, "POST", "/prices",
           "{\"kind\":\"ph_leased\",\"unit\":\"million_tokens\",\"amount_micros\":1}");
    expect(&r, 409, r.secret, "POST", "/prices",
           "{\"kind\":\"ph_leased\",\"amount_micros\":1,\"currency\":\"USD\"}");
    for (int i = 0; i < 2; i++)
        expect(&r, 201, r.secret, "POST", "/usage/records", lease); /* booked once all the same */
    json_t *invoice = call(&r, 200, r.secret, "GET", "/invoices/2026-11", NULL);
    json_t *records = call(&r, 200, r.secret, "GET", "/usage/records", NULL);
    assert_int_equal(json_integer_value(json_object_get(invoice, "total_micros")), 63863013698);
    assert_int_equal(sum_field(json_object_get(invoice, "lines"), "amount_micros"), 63863013698);
    assert_int_equal(sum_field(json_object_get(records, "data"), "amount_micros"), 63863013698);
    assert_int_equal(json_array_size(json_object_get(records, "data")), 1);
    lm_buf text;
    fetch(&r, r.secret, "GET", "/api/v1/invoices/2026-11?format=csv", NULL, &text);
    assert_non_null(strstr(lm_buf_cstr(&text), "19726.027397,CNY\r\n"));
    lm_buf_deinit(&text);
    fetch(&r, r.secret, "GET", "/api/v1/invoices/2026-11?format=html", NULL, &text);
    assert_non_null(strstr(lm_buf_cstr(&text), "63,863.01 CNY"));
    lm_buf_deinit(&text);
    json_decref(invoice);
    json_decref(records);
    close_cloud(&r);
}

static void test_changes_leave_events(void **state) {
    running r;
    open_cloud(&r, state);
    expect(&r, 201, r.secret, "POST", "/prices",
           "{\"kind\":\"output_tokens\",\"amount_micros\":5}");
    expect(&r, 400, r.secret, "POST", "/prices", "{}");
    json_t *answer = call(&r, 200, r.secret, "GET", "/events?kind=price.create", NULL);
    json_t *data = json_object_get(answer, "data"), *event = json_array_get(data, 0);
    assert_int_equal(json_array_size(data), 1);
    assert_int_equal(strncmp(json_string_value(json_object_get(event, "actor")), "key_", 4), 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(event, "state_after"), "amount_micros")),
        5);
    json_decref(answer);
    answer = call(&r, 200, r.secret, "GET", "/events?limit=1&order=desc", NULL);
    assert_int_equal(json_array_size(json_object_get(answer, "data")), 1);
    char *path = lm_asprintf("/events?limit=1&order=desc&after=%s",
                             json_string_value(json_object_get(answer, "next")));
    json_decref(answer);
    answer = call(&r, 200, r.secret, "GET", path, NULL);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(answer, "data"), 0), "kind")),
                        "key.create");
    json_decref(answer);
    lm_free(path);
    close_cloud(&r);
}

static void test_pages_and_idle_memory(void **state) {
    enum { RESIDENT_MAX_BYTES = 64 << 20 };
    running r;
    open_cloud(&r, state);
    lm_buf text;
    fetch(&r, NULL, "GET", "/", NULL, &text);
    assert_int_equal(r.http_status, 200);
    lm_buf_deinit(&text);
    fetch(&r, NULL, "GET", "/health", NULL, &text);
    assert_non_null(strstr(lm_buf_cstr(&text), "ok"));
    lm_buf_deinit(&text);
    for (int i = 0; i < 40; i++) expect(&r, 200, r.secret, "GET", "/overview", NULL);
    fetch(&r, NULL, "GET", "/metrics", NULL, &text);
    const char *resident = strstr(lm_buf_cstr(&text), "\nprocess_resident_memory_bytes ");
    assert_non_null(resident);
    double bytes = atof(strchr(resident, ' '));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(bytes > 0 && bytes < RESIDENT_MAX_BYTES);
#else
    assert_true(bytes > 0);
#endif
    lm_buf_deinit(&text);
    close_cloud(&r);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_key_is_shown_once),
        cmocka_unit_test(test_one_cloud_a_home),
        cmocka_unit_test(test_replies_fit_their_schemas),
        cmocka_unit_test(test_bad_requests_are_told_what_is_wrong),
        cmocka_unit_test(test_keys_end),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_other_projects_are_not_found),
        cmocka_unit_test(test_an_invoice_equals_its_ledger),
        cmocka_unit_test(test_changes_leave_events),
        cmocka_unit_test(test_pages_and_idle_memory),
    };
    g_program = argc > 1 ? argv[1] : "build/loam";
    return test_on_databases(tests);
}
