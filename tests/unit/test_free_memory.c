/* Free memory, of systems drawn in a folder: /proc and /sys/fs/cgroup as the kernel has them. */
#include "base/free_memory.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[] = "/tmp/salmap-free-memory-XXXXXX";

static void make_root(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    AT_END(system(command) == 0);
}

TestSuite(free_memory, .init = make_root, .fini = remove_root);

/* A file below the root, with its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0755);
        *at = '/';
    }
    FILE *f = fopen(full, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *const meminfo =
    "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n";
static const uint64_t available = (uint64_t)8000000 * 1024;

Test(free_memory, is_what_the_system_has_available)
{
    put("/proc/meminfo", meminfo);
    cr_expect_eq(sal_free_memory(root), available);
}

Test(free_memory, is_guessed_where_nothing_is_told)
{
    cr_expect_eq(sal_free_memory(root), (uint64_t)1 << 30);
}

Test(free_memory, is_what_a_group_of_version_2_leaves)
{
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "0::/user.slice/job.scope\n");
    put("/sys/fs/cgroup/user.slice/job.scope/memory.max", "500000000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/memory.current", "300000000\n");
    put("/sys/fs/cgroup/user.slice/job.scope/memory.stat", "anon 100\ninactive_file 50000000\nactive_file 7\n");
    cr_expect_eq(sal_free_memory(root), 250000000);
}

Test(free_memory, is_the_least_of_all_groups_above)
{
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("/sys/fs/cgroup/a/b/c/memory.current", "5\n");
    put("/sys/fs/cgroup/a/b/memory.max", "4000000\n");
    put("/sys/fs/cgroup/a/b/memory.current", "1000000\n");
    put("/sys/fs/cgroup/a/memory.max", "2000000\n");
    put("/sys/fs/cgroup/a/memory.current", "1500000\n");
    cr_expect_eq(sal_free_memory(root), 500000);
}

Test(free_memory, is_nothing_in_a_group_that_is_full)
{
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "1000\n");
    put("/sys/fs/cgroup/memory.current", "1001\n");
    cr_expect_eq(sal_free_memory(root), 0);
}

Test(free_memory, is_what_a_group_of_version_1_leaves)
{
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "12:cpuset:/x\n5:cpu,memory:/slurm/job_7\n1:name=systemd:/init.scope\n");
    put("/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "600000000\n");
    put("/sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes", "200000000\n");
    put("/sys/fs/cgroup/memory/slurm/job_7/memory.stat", "inactive_file 1\ntotal_inactive_file 100000000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "900000000\n");
    cr_expect_eq(sal_free_memory(root), 500000000);
}

Test(free_memory, is_found_in_a_container_that_is_told_the_names_of_its_host)
{
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "5:memory:/docker/0123456789abcdef\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "500000000\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "100000000\n");
    cr_expect_eq(sal_free_memory(root), 400000000);
}

Test(free_memory, does_not_take_another_controller_for_memory)
{
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "5:memoryless,cpu:/a\nnonsense\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "500\n");
    put("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "100\n");
    cr_expect_eq(sal_free_memory(root), available);
}
