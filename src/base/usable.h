/* What of the machine this process may use: CPUs and memory, as its affinity and the kernel's control groups leave them. Version 2 of
 * control groups (one hierarchy below /sys/fs/cgroup) and version 1 (a hierarchy below it for each controller). Any thread.
 * Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
 */
#ifndef LM_BASE_USABLE_H
#define LM_BASE_USABLE_H

#include <stddef.h>

/* CPUs this process may use now: scheduler affinity, limited by its groups' quotas; at least 1. */
int lm_cpu_n_usable(void);

/* Memory that this process may use, and how much of it is free or can be freed. */
typedef struct lm_machine_memory {
    size_t total_bytes, available_bytes;
} lm_machine_memory;
lm_machine_memory lm_machine_memory_read(void);

/* CPUs that the quotas of group "/a/b" of the hierarchy at `root` and of all groups around it allow, rounded up; INT_MAX without
 * any. */
int lm_cgroup_n_cpus(const char *root, const char *group);

/* The tightest memory limit among those groups, and how much of that one is in use, less what can be dropped. SIZE_MAX and 0
 * without any. */
typedef struct lm_cgroup_memory {
    size_t limit_bytes, used_bytes;
} lm_cgroup_memory;
lm_cgroup_memory lm_cgroup_memory_read(const char *root, const char *group);

#endif
