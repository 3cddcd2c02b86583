#include "databases.h"

#include "cloud/keyring.h"
#include "cloud/secret.h"
#include "cloud/table/key.h"
#include "cloud/table/migrate.h"
#include "cloud/table/project.h"

typedef struct ring {
    lm_db *db;
    lm_id_gen ids;
    lm_keyring *keyring;
    lm_key key;
    char secret[LM_SECRET_BYTES];
} ring;

/* A project with one key as `key` says, loaded into a keyring. */
static void open_ring(ring *r, void **state, lm_key key) {
    assert_ok(lm_db_open(test_database_new(*state), &r->db, &err));
    assert_ok(lm_migrate(r->db, &err));
    lm_id_gen_init(&r->ids);
    lm_project project = {.name = "p"};
    lm_id_new(&r->ids, "prj", project.id);
    assert_ok(lm_table_insert(r->db, &lm_project_table, &project, &err));
    char hash[LM_SECRET_HASH_HEX_BYTES];
    memcpy(key.project_id, project.id, sizeof project.id);
    lm_id_new(&r->ids, "key", key.id);
    lm_secret_new(key.id, r->secret, hash);
    key.name = "k";
    key.secret_hash = hash;
    assert_ok(lm_table_insert(r->db, &lm_key_table, &key, &err));
    r->key = key;
    assert_ok(lm_keyring_new(&r->keyring, &err));
    assert_ok(lm_keyring_load(r->keyring, r->db, &err));
}

static void close_ring(ring *r) {
    lm_keyring_free(r->keyring);
    lm_id_gen_deinit(&r->ids);
    lm_db_close(r->db);
}

static void test_who_is_let_in(void **state) {
    ring r;
    open_ring(&r, state, (lm_key){.role = "viewer", .scopes = LM_SCOPES_ALL, .expires_ms = 5000});
    lm_caller caller;
    assert_ok(lm_keyring_authenticate(r.keyring, r.secret, 4999, &caller, &err));
    assert_string_equal(caller.key_id, r.key.id);
    assert_int_equal(caller.scopes, LM_SCOPE_READ | LM_SCOPE_BILLING); /* the role bounds the key */
    assert_status(LOAM_DENIED, lm_keyring_authenticate(r.keyring, r.secret, 5000, &caller, &err));
    assert_status(LOAM_DENIED, lm_keyring_authenticate(r.keyring, NULL, 1, &caller, &err));
    assert_status(LOAM_DENIED,
                  lm_keyring_authenticate(r.keyring, "loam-sk-short", 1, &caller, &err));
    char wrong[LM_SECRET_BYTES];
    memcpy(wrong, r.secret, sizeof wrong);
    wrong[LM_SECRET_BYTES - 2] = wrong[LM_SECRET_BYTES - 2] == '0' ? '1' : '0';
    assert_status(LOAM_DENIED, lm_keyring_authenticate(r.keyring, wrong, 1, &caller, &err));
    close_ring(&r);
}

static void test_revoking_takes_effect_at_once(void **state) {
    ring r;
    open_ring(&r, state, (lm_key){.role = "admin", .scopes = LM_SCOPE_READ});
    lm_caller caller;
    assert_ok(lm_keyring_authenticate(r.keyring, r.secret, 1, &caller, &err));
    char hash[LM_SECRET_HASH_HEX_BYTES] = {0};
    memset(hash, '0', sizeof hash - 1);
    r.key.secret_hash = hash;
    r.key.revoked_ms = 7;
    assert_ok(lm_table_update(r.db, &lm_key_table, &r.key, &err));
    assert_ok(lm_keyring_load(r.keyring, r.db, &err));
    assert_status(LOAM_DENIED, lm_keyring_authenticate(r.keyring, r.secret, 1, &caller, &err));
    close_ring(&r);
}

static void test_requests_per_minute(void **state) {
    ring r;
    open_ring(&r, state, (lm_key){.role = "admin", .requests_per_minute = 3});
    int64_t retry_after_s = 0, now_ms = 1000000;
    for (int i = 0; i < 3; i++)
        assert_ok(lm_keyring_admit(r.keyring, r.key.id, now_ms, &retry_after_s, &err));
    assert_status(LOAM_LIMIT, lm_keyring_admit(r.keyring, r.key.id, now_ms, &retry_after_s, &err));
    assert_in_range(retry_after_s, 20, 21);
    assert_ok(lm_keyring_admit(r.keyring, r.key.id, now_ms + 21000, &retry_after_s, &err));
    assert_status(LOAM_LIMIT,
                  lm_keyring_admit(r.keyring, r.key.id, now_ms + 21000, &retry_after_s, &err));
    close_ring(&r);
}

/* However many run side by side, a budget is overshot by at most one reservation. */
static void test_budget(void **state) {
    ring r;
    open_ring(&r, state, (lm_key){.role = "admin", .token_budget = 100});
    lm_reservation first, second, third;
    assert_ok(lm_keyring_reserve(r.keyring, r.key.id, 60, 0, &first, &err));
    assert_ok(lm_keyring_reserve(r.keyring, r.key.id, 60, 0, &second, &err));
    assert_status(LOAM_LIMIT, lm_keyring_reserve(r.keyring, r.key.id, 60, 0, &third, &err));
    lm_keyring_settle(r.keyring, &first, 10, 0);
    lm_keyring_settle(r.keyring, &second, 60, 0);
    assert_ok(lm_keyring_reserve(r.keyring, r.key.id, 60, 0, &third, &err));
    lm_keyring_settle(r.keyring, &third, 60, 0);
    assert_status(LOAM_LIMIT, lm_keyring_reserve(r.keyring, r.key.id, 1, 0, &first, &err));
    int64_t tokens, micros;
    assert_true(lm_keyring_spent(r.keyring, r.key.id, &tokens, &micros));
    assert_int_equal(tokens, 130);
    close_ring(&r);
}

static void test_secrets_differ_and_name_their_key(void **state) {
    lm_id_gen ids;
    lm_id_gen_init(&ids);
    char id[LM_ID_BYTES], named[LM_ID_BYTES], one[LM_SECRET_BYTES], two[LM_SECRET_BYTES],
        hex[LM_SECRET_HASH_HEX_BYTES];
    uint8_t hash[LM_SECRET_HASH_BYTES], kept[LM_SECRET_HASH_BYTES];
    lm_id_new(&ids, "key", id);
    lm_secret_new(id, one, hex);
    lm_secret_new(id, two, hex);
    assert_string_not_equal(one, two);
    assert_true(lm_secret_parse(two, named, hash));
    assert_string_equal(named, id);
    assert_true(lm_secret_hash_parse(hex, kept));
    assert_memory_equal(hash, kept, sizeof hash);
    lm_id_gen_deinit(&ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_revoking_takes_effect_at_once),
        cmocka_unit_test(test_requests_per_minute),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_secrets_differ_and_name_their_key),
    };
    return test_on_databases(tests);
}
