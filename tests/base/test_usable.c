/* Control groups of both versions, made of plain files. */
#include "testing.h"

#include <limits.h>

#include "base/file.h"
#include "base/usable.h"

static void write_file(const char *root, const char *group, const char *file, const char *text) {
    char *dir = lm_asprintf("%s%s", root, group), *path = lm_path_join(dir, file);
    assert_ok(lm_file_make_dirs(dir, &err));
    assert_ok(lm_file_write_atomic(path, text, strlen(text), &err));
    lm_free(path);
    lm_free(dir);
}

/* The tightest quota from the group up to the root counts, part of a CPU as a whole one. */
static void test_quotas(void **state) {
    char *root = test_temp_dir();
    assert_int_equal(lm_cgroup_n_cpus(root, "/a/b"), INT_MAX);
    write_file(root, "/a/b", "cpu.max", "max 100000\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a/b"), INT_MAX);
    write_file(root, "/a", "cpu.max", "250000 100000\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a/b"), 3);
    write_file(root, "/a/b", "cpu.max", "50000 100000\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a/b"), 1);
    assert_int_equal(lm_cgroup_n_cpus(root, "/a"), 3);
    assert_int_equal(lm_cgroup_n_cpus(root, ""), INT_MAX);
    write_file(root, "", "cpu.max", "200000 100000\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a"), 2);
    write_file(root, "/a", "cpu.max", "nonsense");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a"), 2);
    assert_ok(lm_file_remove_tree(root, &err));
    lm_free(root);
}

static void test_quotas_of_version_1(void **state) {
    char *root = test_temp_dir();
    write_file(root, "", "cpu.cfs_period_us", "100000\n");
    write_file(root, "", "cpu.cfs_quota_us", "-1\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a"), INT_MAX);
    write_file(root, "/a", "cpu.cfs_period_us", "50000\n");
    write_file(root, "/a", "cpu.cfs_quota_us", "75000\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a"), 2);
    assert_int_equal(lm_cgroup_n_cpus(root, "/a/there/is/none"), 2);
    write_file(root, "", "cpu.cfs_quota_us", "100000\n");
    assert_int_equal(lm_cgroup_n_cpus(root, "/a"), 1);
    assert_ok(lm_file_remove_tree(root, &err));
    lm_free(root);
}

static void check_memory(const char *root, const char *group, size_t limit, size_t used) {
    lm_cgroup_memory memory = lm_cgroup_memory_read(root, group);
    assert_true(memory.limit_bytes == limit);
    assert_true(memory.used_bytes == used);
}

static void test_memory(void **state) {
    char *root = test_temp_dir();
    check_memory(root, "/a", SIZE_MAX, 0);
    write_file(root, "/a", "memory.max", "max\n");
    check_memory(root, "/a", SIZE_MAX, 0);
    write_file(root, "", "memory.max", "4096000\n");
    write_file(root, "", "memory.current", "1000000\n");
    check_memory(root, "/a", 4096000, 1000000);
    write_file(root, "", "memory.stat", "anon 5\ninactive_file 400000\nactive_file 7\n");
    check_memory(root, "/a", 4096000, 600000);
    write_file(root, "/a", "memory.max", "2048000\n");
    check_memory(root, "/a", 2048000, 0);
    assert_ok(lm_file_remove_tree(root, &err));
    write_file(root, "/b", "memory.limit_in_bytes", "8192000\n"); /* version 1 */
    write_file(root, "/b", "memory.usage_in_bytes", "500\n");
    write_file(root, "/b", "memory.stat", "inactive_file 1\ntotal_inactive_file 100\n");
    check_memory(root, "/b", 8192000, 400);
    assert_ok(lm_file_remove_tree(root, &err));
    lm_free(root);
}

static void test_this_process(void **state) {
    lm_machine_memory memory = lm_machine_memory_read();
    assert_true(lm_cpu_n_usable() >= 1);
    assert_true(memory.total_bytes > 0 && memory.available_bytes <= memory.total_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotas), cmocka_unit_test(test_quotas_of_version_1),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_this_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
