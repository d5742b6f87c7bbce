/* A sweep that only looks. */
#include "sweep/sweep.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The nearest folder above it that is there must be one that may be written to. */
static sal_status check_parent(const char *folder)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    const char *parent = ".";
    struct stat info;
    TRY(sal_strdup(&path, folder));
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        parent = slash == path ? "/" : path;
        *slash = '\0';
        if (slash == path || stat(path, &info) == 0)
            break;
        parent = ".";
    }
    if (stat(parent, &info) != 0 || !S_ISDIR(info.st_mode) || access(parent, W_OK | X_OK) != 0)
        st = sal_fail(SAL_ERROR_IO, "%s: the run folder cannot be made: %s: %s", folder, parent,
                      S_ISDIR(info.st_mode) ? strerror(errno) : "is a file");
done:
    free(path);
    return st;
}

static sal_status count_results(sal_sweep_state *s, sal_sql *sql)
{
    sal_status st = SAL_OK;
    TRY(sal_store_check_tables(sql, "main"));
    TRY(sal_store_check_run(sql, &s->run));
    if (s->options.extend)
        TRY(sal_store_check_list(sql, s->dataset));
    TRY(sal_sweep_count_done(s, sql));
done:
    return st;
}

static int has_journal(const char *store)
{
    static const char *const endings[] = {"-wal", "-journal"};
    char path[4096];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const int n = snprintf(path, sizeof path, "%s%s", store, endings[i]);
        if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0)
            return 1;
    }
    return 0;
}

static sal_status look_at_results(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    if (s->options.restart)
        return SAL_OK;
    if (access(s->store_path, F_OK) != 0 || has_journal(s->store_path)) {
        /* A run that is to be extended has another list, which was compared already. */
        if (!s->options.extend)
            TRY(sal_run_check(s->folder, &s->run));
        goto done;
    }
    TRY(sal_sql_open(&sql, s->store_path, SQLITE_OPEN_READONLY));
    TRY(count_results(s, &sql));
done:
    sal_sql_close(&sql);
    return st;
}

sal_status sal_sweep_look_at_run(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    struct stat info;
    if (stat(s->folder, &info) != 0) {
        TRY(check_parent(s->folder));
    } else {
        if (access(s->folder, W_OK | X_OK) != 0 || !S_ISDIR(info.st_mode))
            return sal_fail(SAL_ERROR_IO, "%s: the output folder is not writable: %s", s->folder,
                            S_ISDIR(info.st_mode) ? strerror(errno) : "it is a file");
        TRY(sal_sweep_check_folder(s, s->model));
        TRY(look_at_results(s));
    }
    s->progress.pictures = 0;
    for (size_t i = 0; i < s->dataset->count; i++)
        s->progress.pictures += (size_t)sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards);
    sal_sweep_count_missing(s);
    if (s->progress.missing == s->dataset->count && s->progress.done < s->progress.pictures)
        TRY(sal_sweep_fail_missing(s));
done:
    return st;
}
