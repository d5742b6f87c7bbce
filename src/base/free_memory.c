#include "base/free_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH_SIZE = 4096 };

/* The files of a version of control groups. */
typedef struct version {
    const char *mount;
    const char *limit;
    const char *used;
    const char *cached; /* line of memory.stat: files that are in memory and can be dropped */
} version;

static const version first = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                              "total_inactive_file "};
static const version second = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "};

/* The number behind `key` at the beginning of a line; 0 where there is none ("max"). */
static int read_number(uint64_t *out, const char *path, const char *key)
{
    char line[256];
    int found = 0;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        char *end;
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        *out = strtoull(line + strlen(key), &end, 10);
        found = end != line + strlen(key);
    }
    if (f)
        fclose(f);
    return found;
}

static int read_file(uint64_t *out, const char *folder, const char *file, const char *key)
{
    char path[MAX_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return read_number(out, path, key);
}

/* What one group leaves of `bytes`. */
static uint64_t left_by(const version *v, const char *folder, uint64_t bytes)
{
    uint64_t limit, used, cached;
    if (!read_file(&limit, folder, v->limit, "") || !read_file(&used, folder, v->used, ""))
        return bytes;
    if (!read_file(&cached, folder, "memory.stat", v->cached) || cached > used)
        cached = 0;
    used -= cached;
    const uint64_t left = limit > used ? limit - used : 0;
    return left < bytes ? left : bytes;
}

/* The group itself and those above it. In a container its name may be that of the host's tree: what is not there is
 * passed over, and the mount's own folder is the container's. */
static uint64_t left_by_all(const version *v, const char *root, const char *group, uint64_t bytes)
{
    char folder[MAX_PATH_SIZE];
    const size_t mount = strlen(root) + strlen(v->mount);
    if ((size_t)snprintf(folder, sizeof folder, "%s%s%s", root, v->mount, group) >= sizeof folder)
        return bytes;
    for (;;) {
        bytes = left_by(v, folder, bytes);
        char *end = strrchr(folder, '/');
        if (strlen(folder) <= mount || !end || (size_t)(end - folder) < mount)
            return bytes;
        *end = '\0';
    }
}

/* Whether a line of /proc/self/cgroup, "4:cpu,memory:/name", is that of the first version's memory. */
static int is_memory(const char *controllers, size_t length)
{
    for (const char *at = controllers; at < controllers + length; at++) {
        const size_t word = strcspn(at, ",:");
        if (word == 6 && memcmp(at, "memory", 6) == 0)
            return 1;
        at += word;
    }
    return 0;
}

uint64_t sal_free_memory(const char *root)
{
    char line[MAX_PATH_SIZE];
    uint64_t bytes = (uint64_t)1 << 30, available;
    snprintf(line, sizeof line, "%s/proc/meminfo", root);
    if (read_number(&available, line, "MemAvailable:"))
        bytes = available * 1024;
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        const char *controllers = strchr(line, ':');
        const char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        controllers++;
        if (group == controllers)
            bytes = left_by_all(&second, root, group + 1, bytes);
        else if (is_memory(controllers, (size_t)(group - controllers)))
            bytes = left_by_all(&first, root, group + 1, bytes);
    }
    if (f)
        fclose(f);
    return bytes;
}
