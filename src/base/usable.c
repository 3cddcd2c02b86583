#include "base/usable.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { MAX_GROUP_BYTES = 4096 };

/* A group, and how much of its name belongs to the one that is looked at: itself first, then those around it. */
typedef struct place {
    const char *root, *group;
    size_t group_len;
} place;

/* The next group outwards; false behind the root. */
static bool leave(place *p) {
    if (p->group_len == 0) return false;
    while (p->group_len > 0 && p->group[p->group_len - 1] != '/') p->group_len--;
    if (p->group_len > 0) p->group_len--;
    return true;
}

/* The first numbers, at most two, of a file of the group; how many there are. */
static int read_numbers(const place *p, const char *file, long long out[2]) {
    char *path = lm_asprintf("%s%.*s/%s", p->root, (int)p->group_len, p->group, file);
    FILE *stream = path ? fopen(path, "re") : NULL;
    lm_free(path);
    if (!stream) return 0;
    int n = fscanf(stream, "%lld %lld", &out[0], &out[1]);
    fclose(stream);
    return n < 0 ? 0 : n;
}

/* The number behind `name ` in a file of lines "name number"; 0 where there is none. */
static long long read_field(const place *p, const char *file, const char *name) {
    char *path = lm_asprintf("%s%.*s/%s", p->root, (int)p->group_len, p->group, file), line[128];
    FILE *stream = path ? fopen(path, "re") : NULL;
    size_t len = strlen(name);
    long long value = 0;
    lm_free(path);
    while (stream && fgets(line, sizeof line, stream))
        if (strncmp(line, name, len) == 0 && line[len] == ' ') sscanf(line + len, "%lld", &value);
    if (stream) fclose(stream);
    return value;
}

static int quota_of(const place *p) {
    long long v[2], period;
    if (read_numbers(p, "cpu.max", v) == 2) { /* "max 100000" without a quota */
        period = v[1];
    } else {
        if (read_numbers(p, "cpu.cfs_period_us", v) < 1) return INT_MAX;
        period = v[0];
        if (read_numbers(p, "cpu.cfs_quota_us", v) < 1) return INT_MAX; /* -1 without */
    }
    if (v[0] <= 0 || period <= 0) return INT_MAX;
    long long n_cpus = v[0] / period + (v[0] % period != 0);
    return n_cpus < INT_MAX ? (int)n_cpus : INT_MAX;
}

int lm_cgroup_n_cpus(const char *root, const char *group) {
    place p = {root, group, strlen(group)};
    int least = INT_MAX;
    do {
        int n = quota_of(&p);
        if (n < least) least = n;
    } while (leave(&p));
    return least;
}

/* Pages of files that nobody has touched for a while can be dropped: they are in use, but not in the way. */
static lm_cgroup_memory memory_of(const place *p) {
    long long limit[2], used[2] = {0};
    bool v2 = read_numbers(p, "memory.max", limit) >= 1;
    if (!v2 && read_numbers(p, "memory.limit_in_bytes", limit) < 1)
        return (lm_cgroup_memory){SIZE_MAX, 0};
    if (read_numbers(p, v2 ? "memory.current" : "memory.usage_in_bytes", used) < 1) used[0] = 0;
    long long idle = read_field(p, "memory.stat", v2 ? "inactive_file" : "total_inactive_file");
    return (lm_cgroup_memory){(size_t)limit[0], (size_t)(used[0] > idle ? used[0] - idle : 0)};
}

lm_cgroup_memory lm_cgroup_memory_read(const char *root, const char *group) {
    place p = {root, group, strlen(group)};
    lm_cgroup_memory tightest = {SIZE_MAX, 0};
    do {
        lm_cgroup_memory m = memory_of(&p);
        if (m.limit_bytes < tightest.limit_bytes) tightest = m;
    } while (leave(&p));
    return tightest;
}

/* Whether a comma-separated list names the controller. */
static bool names(const char *list, const char *controller) {
    size_t len = strlen(controller);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, controller, len) == 0 && (at[len] == ',' || at[len] == '\0')) return true;
    return false;
}

/* This process' group: of the line "4:cpu,cpuacct:/a/b" that names the controller, or of "0::/a/b". */
static void find_group(const char *controller, char out[MAX_GROUP_BYTES], bool *is_v1) {
    char line[MAX_GROUP_BYTES];
    FILE *stream = fopen("/proc/self/cgroup", "re");
    out[0] = '\0';
    *is_v1 = false;
    while (stream && fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        bool v1 = names(list + 1, controller);
        if (!v1 && (list[1] != '\0' || *is_v1)) continue;
        snprintf(out, MAX_GROUP_BYTES, "%s", strcmp(group, "/") == 0 ? "" : group);
        *is_v1 = v1;
    }
    if (stream) fclose(stream);
}

int lm_cpu_n_usable(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    char group[MAX_GROUP_BYTES];
    bool is_v1;
    find_group("cpu", group, &is_v1);
    int quota = lm_cgroup_n_cpus(is_v1 ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup", group);
    if (quota < n) n = quota;
    return n < 1 ? 1 : n;
}

static size_t available_bytes(void) {
    char line[128];
    unsigned long long kib = ULLONG_MAX >> 10;
    FILE *stream = fopen("/proc/meminfo", "re");
    while (stream && fgets(line, sizeof line, stream))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (stream) fclose(stream);
    return (size_t)kib << 10;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

lm_machine_memory lm_machine_memory_read(void) {
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    char group[MAX_GROUP_BYTES];
    bool is_v1;
    find_group("memory", group, &is_v1);
    lm_cgroup_memory limit =
        lm_cgroup_memory_read(is_v1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup", group);
    size_t left = limit.used_bytes < limit.limit_bytes ? limit.limit_bytes - limit.used_bytes : 0;
    size_t total = smaller(machine, limit.limit_bytes);
    return (lm_machine_memory){.total_bytes = total,
                               .available_bytes = smaller(total, smaller(available_bytes(), left))};
}
