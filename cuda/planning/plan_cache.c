#include "planning/plan_cache.h"

#include "base/file.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLAN_BYTES = 16 << 20, TEXT = 256, PATH = 4096 };

/* What stands in a file in place of a plan where no engine takes the problem. */
static const char unsupported[] = "unsupported\n";

/* Letters, digits, dots and dashes as they are, anything else as one underscore. */
static void as_file_name(char *to, size_t size, const char *from)
{
    size_t n = 0;
    for (; *from && n + 1 < size; from++) {
        int plain = isalnum((unsigned char)*from) || *from == '.' || *from == '-' || *from == ',';
        if (plain || (n > 0 && to[n - 1] != '_'))
            to[n++] = plain ? *from : '_';
    }
    to[n] = '\0';
}

sal_status plan_cache_open(plan_cache *c, const char *device)
{
    char name[TEXT], path[PATH];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    c->folder = NULL;
    /* A relative folder is to be ignored (XDG base directory specification). */
    if (!(cache && cache[0] == '/') && !(home && home[0] == '/'))
        return SAL_OK;
    as_file_name(name, sizeof name, device);
    int own = cache && cache[0] == '/';
    int length = snprintf(path, sizeof path, "%s%s/salmap/plans/%zu/%s", own ? cache : home, own ? "" : "/.cache",
                          nvidia.cudnnGetVersion(), name);
    if (length < 0 || (size_t)length >= sizeof path || sal_directory_make(path) != SAL_OK)
        return SAL_OK;
    return sal_strdup(&c->folder, path);
}

void plan_cache_close(plan_cache *c)
{
    free(c->folder);
    c->folder = NULL;
}

static int path_of(char *path, size_t size, const plan_cache *c, const cudnn_graph_problem *problem)
{
    char text[TEXT], name[TEXT];
    as_file_name(name, sizeof name, cudnn_graph_text(text, sizeof text, problem));
    int length = snprintf(path, size, "%s/%s.json", c->folder, name);
    return length > 0 && (size_t)length < size;
}

/* 1: *st and *out are what the file says; 0: there is no good file. *failed: it is whole, and its plan did not run. */
static int load(sal_status *st, cudnn_graph **out, int *failed, const char *path, const cudnn_target *target,
                const cudnn_graph_problem *problem, size_t limit)
{
    unsigned char *bytes = NULL;
    char *text = NULL;
    size_t size;
    int good = 0;
    if (sal_file_read(&bytes, &size, path, MAX_PLAN_BYTES) != SAL_OK)
        return 0;
    if (sal_alloc(&text, size + 1, 1, "a plan") == SAL_OK) {
        memcpy(text, bytes, size);
        if (strncmp(text, unsupported, sizeof unsupported - 1) == 0) {
            const char *reason = text + sizeof unsupported - 1;
            good = *reason != '\0'; /* none: the file was cut short */
            if (good)
                *st = sal_fail(SAL_ERROR_UNSUPPORTED, "%s", reason);
        } else {
            *st = cudnn_graph_load(out, target, problem, text);
            good = *st == SAL_OK && cudnn_graph_workspace(*out) <= limit;
            *failed = *st == SAL_ERROR_DEVICE;
        }
    }
    if (!good) {
        cudnn_graph_close(*out);
        *out = NULL;
    }
    sal_free(text);
    sal_free(bytes);
    return good;
}

/* What cannot be kept is made again next time. */
static void keep(const char *path, sal_status st, const cudnn_graph *graph)
{
    sal_file_out file = {0};
    char *text = NULL;
    if (st == SAL_OK ? cudnn_graph_save(&text, graph) != SAL_OK : st != SAL_ERROR_UNSUPPORTED)
        return;
    char reason[1024];
    snprintf(reason, sizeof reason, "%s", sal_last_error());
    if (sal_file_create(&file, path) == SAL_OK) {
        int written = text ? fputs(text, file.stream) : fprintf(file.stream, "%s%s", unsupported, reason);
        if (written >= 0)
            (void)sal_file_commit(&file);
    }
    sal_file_discard(&file);
    free(text);
    if (st != SAL_OK)
        (void)sal_fail(st, "%s", reason);
}

sal_status plan_cache_graph(cudnn_graph **out, int *replaced, const plan_cache *c, const cudnn_target *target,
                            const cudnn_graph_problem *problem, size_t limit)
{
    char path[PATH];
    sal_status st = SAL_OK;
    *out = NULL;
    *replaced = 0;
    if (!c->folder || !path_of(path, sizeof path, c, problem))
        return cudnn_graph_open(out, target, problem, limit);
    if (load(&st, out, replaced, path, target, problem, limit))
        return st;
    st = cudnn_graph_open(out, target, problem, limit);
    keep(path, st, *out);
    return st;
}
