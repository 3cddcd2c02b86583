#include "testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/usage_journal.h"

static char *g_dir, *g_path;

static int setup(void **state) {
    g_dir = test_temp_dir();
    g_path = lm_path_join(g_dir, "usage");
    return 0;
}

static int teardown(void **state) {
    int failed = lm_file_remove_tree(g_dir, NULL) != LOAM_OK;
    lm_free(g_path);
    lm_free(g_dir);
    return failed;
}

static lm_usage_record record_of(int64_t number) {
    lm_usage_record record = {
        .tag = "prj_a/key_b", .start_ms = number, .prompt_tokens = 10 * number};
    snprintf(record.request_id, sizeof record.request_id, "req-%lld", (long long)number);
    return record;
}

static void append_n(lm_usage_journal *journal, int64_t first, int64_t n) {
    for (int64_t i = first; i < first + n; i++) {
        lm_usage_record record = record_of(i);
        int64_t slot;
        assert_ok(lm_usage_journal_append(journal, &record, &slot, &err));
        assert_int_equal(slot, i);
    }
}

static void test_append_update_read(void **state) {
    lm_usage_journal *journal;
    lm_usage_record out[8];
    int64_t cursor = 0, n = -1;
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 0, 3);
    lm_usage_record record = record_of(1);
    record.completion_tokens = 7;
    record.finished = 1;
    lm_usage_journal_update(journal, 1, &record);
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 3);
    assert_int_equal(cursor, 3);
    assert_string_equal(out[1].request_id, "req-1");
    assert_string_equal(out[1].tag, "prj_a/key_b");
    assert_int_equal(out[1].completion_tokens, 7);
    assert_int_equal(out[1].finished, 1);
    assert_int_equal(out[2].finished, 0);
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 0);
    lm_usage_journal_close(journal);
}

/* More than two chunks, reopened in between, read in odd pieces. */
static void test_growth_and_reopen(void **state) {
    lm_usage_journal *journal;
    lm_usage_record out[97];
    int64_t cursor = 0, n = 0, seen = 0;
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 0, 1500);
    lm_usage_journal_close(journal);
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 1500, 1000);
    do {
        assert_ok(lm_usage_journal_read(g_path, &cursor, out, 97, &n, &err));
        for (int64_t i = 0; i < n; i++) assert_int_equal(out[i].start_ms, seen++);
    } while (n > 0);
    assert_int_equal(seen, 2500);
    lm_usage_journal_close(journal);
}

static void test_one_writer(void **state) {
    lm_usage_journal *journal, *second;
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    assert_status(LOAM_CONFLICT, lm_usage_journal_open(g_path, &second, &err));
    lm_usage_journal_close(journal);
}

static void damage(int64_t slot, int64_t half) {
    int fd = open(g_path, O_RDWR);
    char byte = 0x5a;
    assert_int_equal(pwrite(fd, &byte, 1, 4096 + slot * 512 + half * 256 + 3), 1);
    close(fd);
}

static void test_torn_records(void **state) {
    lm_usage_journal *journal;
    lm_usage_record out[8];
    int64_t cursor = 0, n;
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 0, 4);
    for (int i = 1; i <= 2; i++) { /* sequence 3 lies in half 1, sequence 2 in half 0 */
        lm_usage_record record = record_of(0);
        record.completion_tokens = i;
        lm_usage_journal_update(journal, 0, &record);
    }
    lm_usage_journal_close(journal);
    damage(0, 1); /* the newest half of slot 0 */
    damage(2, 1); /* the only half of slot 2 */
    damage(3, 1); /* the only half of the last slot: as if it were being written */
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 2);
    assert_int_equal(cursor, 3);
    assert_int_equal(out[0].completion_tokens, 1);
    assert_int_equal(out[1].start_ms, 1);
}

static void test_cut_and_foreign_files(void **state) {
    lm_usage_journal *journal;
    lm_usage_record out[8];
    int64_t cursor = 0, n = -1;
    assert_status(LOAM_NOT_FOUND, lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_ok(lm_file_write_atomic(g_path, "loa", 3, &err));
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 0);
    assert_ok(lm_file_write_atomic(g_path, "this is some other file of mine", 31, &err));
    assert_status(LOAM_CORRUPT, lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_status(LOAM_CORRUPT, lm_usage_journal_open(g_path, &journal, &err));
    assert_int_equal(unlink(g_path), 0);
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 0, 4);
    lm_usage_journal_close(journal);
    assert_int_equal(truncate(g_path, 4096 + 2 * 512 + 100), 0);
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 2);
}

/* A writer killed at a random moment: every record that a pipe acknowledged is there, with at least that many tokens. */
static void test_sigkill_loses_nothing(void **state) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        lm_usage_journal *journal;
        if (lm_usage_journal_open(g_path, &journal, NULL) != LOAM_OK) _exit(1);
        for (int64_t slot, i = 0;; i++) {
            lm_usage_record record = record_of(i);
            if (lm_usage_journal_append(journal, &record, &slot, NULL) != LOAM_OK) _exit(1);
            record.completion_tokens = i;
            lm_usage_journal_update(journal, slot, &record);
            if (write(pipes[1], &i, sizeof i) != sizeof i) _exit(1);
        }
    }
    close(pipes[1]);
    int64_t acknowledged = -1, value;
    while (acknowledged < 500) {
        assert_int_equal(read(pipes[0], &value, sizeof value), sizeof value);
        acknowledged = value;
    }
    kill(child, SIGKILL);
    while (read(pipes[0], &value, sizeof value) == sizeof value) acknowledged = value;
    close(pipes[0]);
    waitpid(child, NULL, 0);
    lm_usage_record out[100];
    int64_t cursor = 0, n, seen = 0;
    do {
        assert_ok(lm_usage_journal_read(g_path, &cursor, out, 100, &n, &err));
        for (int64_t i = 0; i < n; i++, seen++)
            if (seen <= acknowledged) assert_int_equal(out[i].completion_tokens, seen);
    } while (n > 0);
    assert_true(seen > acknowledged);
}

/* No room for a second chunk: the append fails, what is there stays readable and updatable, and it goes on later. */
static void test_full_disk(void **state) {
    struct rlimit old, tight;
    lm_usage_journal *journal;
    lm_usage_record out[8], record = record_of(1024);
    int64_t slot, cursor = 1020, n;
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 0, 1024);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){600 << 10, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    loam_status status = lm_usage_journal_append(journal, &record, &slot, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, LOAM_IO);
    record = record_of(1023);
    record.finished = 1;
    lm_usage_journal_update(journal, 1023, &record);
    append_n(journal, 1024, 1);
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 5);
    assert_int_equal(out[3].finished, 1);
    lm_usage_journal_close(journal);
}

/* Space of old slots is given back; what stands behind them, and what comes, is untouched. */
static void test_discard(void **state) {
    lm_usage_journal *journal;
    lm_usage_record out[8];
    struct stat before, after;
    int64_t cursor = 1000, n;
    assert_ok(lm_usage_journal_open(g_path, &journal, &err));
    append_n(journal, 0, 1004);
    assert_int_equal(stat(g_path, &before), 0);
    lm_usage_journal_discard(g_path, 1001); /* keeps the rest of its page */
    assert_int_equal(stat(g_path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_true(after.st_blocks < before.st_blocks / 2);
    append_n(journal, 1004, 1);
    assert_ok(lm_usage_journal_read(g_path, &cursor, out, 8, &n, &err));
    assert_int_equal(n, 5);
    lm_usage_journal_close(journal);
    lm_usage_journal_discard("/nonexistent", 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_discard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_update_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growth_and_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_and_foreign_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sigkill_loses_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
