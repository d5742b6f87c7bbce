/* Taking a run's files away: all of them, or what is left over. */
#include "results/run.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static int is_output(const char *name)
{
    static const char *const endings[] = {".npy", ".npz", ".png", ".overlay.png", ".overlay.jpg"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(name, endings[i]))
            return 1;
    return 0;
}

/* Where sal_file_create's temporary suffix begins in a file name, or NULL. */
static const char *temporary_suffix(const char *name)
{
    const char *at = NULL;
    for (const char *next = name; (next = strstr(next, ".tmp-")) != NULL; next++)
        at = next;
    if (!at || at[5 + strspn(at + 5, "0123456789-")] != '\0')
        return NULL;
    return at;
}

typedef sal_status (*file_visitor)(void *context, size_t first, const char *folder, const char *name);

/* Every file of <folder>/<kind>/NNN/. */
static sal_status each_file(const char *folder, const char *kind, file_visitor visit, void *context)
{
    sal_status st = SAL_OK;
    char *top = NULL, *sub = NULL;
    DIR *outer = NULL, *inner = NULL;
    TRY(sal_run_path(&top, folder, kind));
    outer = opendir(top);
    for (struct dirent *e; outer && (e = readdir(outer)) != NULL;) {
        if (strspn(e->d_name, "0123456789") != strlen(e->d_name))
            continue;
        TRY(sal_run_path(&sub, top, e->d_name));
        inner = opendir(sub);
        for (struct dirent *f; inner && (f = readdir(inner)) != NULL;)
            if (f->d_name[0] != '.')
                TRY(visit(context, strtoul(e->d_name, NULL, 10) * 1000, sub, f->d_name));
        if (inner)
            closedir(inner);
        inner = NULL;
        free(sub);
        sub = NULL;
    }
done:
    if (inner)
        closedir(inner);
    if (outer)
        closedir(outer);
    free(sub);
    free(top);
    return st;
}

static sal_status remove_file(const char *folder, const char *name)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    TRY(sal_run_path(&path, folder, name));
    if (unlink(path) != 0 && errno != ENOENT)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot remove: %s", path, strerror(errno));
done:
    free(path);
    return st;
}

static sal_status remove_output(void *context, size_t first, const char *folder, const char *name)
{
    (void)context;
    (void)first;
    return is_output(name) || temporary_suffix(name) ? remove_file(folder, name) : SAL_OK;
}

/* Folders that are empty now. */
static void remove_folders(const char *folder, const char *kind)
{
    char *top = NULL;
    DIR *outer = NULL;
    if (sal_run_path(&top, folder, kind) == SAL_OK)
        outer = opendir(top);
    for (struct dirent *e; outer && (e = readdir(outer)) != NULL;)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(outer), e->d_name, AT_REMOVEDIR);
    if (outer)
        closedir(outer);
    if (top)
        (void)rmdir(top);
    free(top);
}

/* Damaged results are no reason to keep them, results that are being written are. */
static sal_status check_unused(const char *path)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    if (access(path, F_OK) == 0 && sal_sql_open(&sql, path, SQLITE_OPEN_READWRITE) == SAL_OK)
        st = sal_sql_run(&sql, "BEGIN IMMEDIATE; ROLLBACK");
    sal_sql_close(&sql);
    return st == SAL_ERROR_IO ? st : SAL_OK;
}

/* Results with their journals. */
static sal_status remove_store(const char *folder, const char *name)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    sal_status st = SAL_OK;
    char *path = NULL, file[96];
    TRY(sal_run_path(&path, folder, name));
    TRY(check_unused(path));
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(file, sizeof file, "%s%s", name, endings[i]);
        TRY(remove_file(folder, file));
    }
done:
    free(path);
    return st;
}

/* All of them or none: looks first whether one is in use. */
static sal_status remove_shards(const char *folder)
{
    sal_status st = SAL_OK;
    char *path = NULL, *file = NULL;
    DIR *directory = NULL;
    int64_t index, count;
    TRY(sal_run_path(&path, folder, SAL_STORE_SHARDS));
    directory = opendir(path);
    for (int pass = 0; directory && pass < 2; pass++) {
        rewinddir(directory);
        for (struct dirent *e; (e = readdir(directory)) != NULL;) {
            if (!sal_run_parse_shard(&index, &count, e->d_name))
                continue;
            free(file);
            TRY(sal_run_path(&file, path, e->d_name));
            TRY(pass == 0 ? check_unused(file) : remove_store(path, e->d_name));
        }
    }
    (void)rmdir(path);
done:
    if (directory)
        closedir(directory);
    free(file);
    free(path);
    return st;
}

sal_status sal_run_remove_own_temporaries(const char *folder)
{
    static const char *const names[] = {SAL_STORE_WHOLE, SAL_RUN_CSV, SAL_RUN_JSON, SAL_RUN_MANIFEST};
    sal_status st = SAL_OK;
    DIR *directory = opendir(folder);
    for (struct dirent *e; directory && st == SAL_OK && (e = readdir(directory)) != NULL;) {
        const char *suffix = temporary_suffix(e->d_name);
        for (size_t i = 0; suffix && i < sizeof names / sizeof names[0]; i++)
            if (strncmp(e->d_name, names[i], (size_t)(suffix - e->d_name)) == 0 && names[i][suffix - e->d_name] == '\0')
                st = remove_file(folder, e->d_name);
    }
    if (directory)
        closedir(directory);
    return st;
}

sal_status sal_run_remove(const char *folder)
{
    static const char *const kinds[] = {SAL_RUN_MAPS, SAL_RUN_OVERLAYS};
    /* run.json last: without it the rest would be taken for somebody's own. */
    static const char *const descriptions[] = {SAL_RUN_CSV, SAL_RUN_MANIFEST, SAL_RUN_JSON};
    sal_status st = SAL_OK;
    TRY(remove_shards(folder));
    TRY(remove_store(folder, SAL_STORE_WHOLE));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        TRY(each_file(folder, kinds[i], remove_output, NULL));
        remove_folders(folder, kinds[i]);
    }
    TRY(sal_run_remove_own_temporaries(folder));
    for (size_t i = 0; i < sizeof descriptions / sizeof descriptions[0]; i++)
        TRY(remove_file(folder, descriptions[i]));
done:
    return st;
}

sal_status sal_run_remove_merged(const char *folder)
{
    sal_status st = SAL_OK;
    TRY(remove_store(folder, SAL_STORE_WHOLE));
    TRY(remove_file(folder, SAL_RUN_CSV));
done:
    return st;
}

/* The files that the rows of a result file name; damaged ones name none. */
static void remove_named(const char *folder, const char *path)
{
    sal_sql sql = {0};
    sqlite3_stmt *select = NULL;
    int row = 1;
    if (sal_sql_open(&sql, path, SQLITE_OPEN_READWRITE) == SAL_OK &&
        sal_sql_prepare(&select, &sql, "SELECT map_file, overlay_file FROM maps") == SAL_OK)
        while (sal_sql_step(&row, &sql, select) == SAL_OK && row)
            for (int k = 0; k < 2; k++)
                if (sal_sql_text(select, k))
                    (void)remove_file(folder, sal_sql_text(select, k));
    sqlite3_finalize(select);
    sal_sql_close(&sql);
}

sal_status sal_run_remove_shard(const char *folder, const sal_run *run)
{
    sal_status st = SAL_OK;
    char *path = NULL, name[96];
    snprintf(name, sizeof name, SAL_STORE_SHARDS "/%lld-of-%lld.sqlite", (long long)run->shard, (long long)run->shards);
    TRY(sal_run_path(&path, folder, name));
    TRY(check_unused(path));
    if (access(path, F_OK) == 0)
        remove_named(folder, path);
    TRY(remove_store(folder, name));
    TRY(sal_run_remove_merged(folder));
    st = sal_run_check(folder, run);
    if (st == SAL_ERROR_ARGUMENT) {
        TRY(remove_file(folder, SAL_RUN_MANIFEST));
        TRY(remove_file(folder, SAL_RUN_JSON));
    }
done:
    free(path);
    return st;
}

typedef struct ownership {
    int (*is_ours)(void *context, size_t first, const char *file);
    void *context;
} ownership;

static sal_status remove_temporary(void *context, size_t first, const char *folder, const char *name)
{
    sal_status st = SAL_OK;
    const ownership *o = context;
    const char *suffix = temporary_suffix(name);
    char *final = NULL;
    if (!suffix)
        return SAL_OK;
    TRY(sal_strdup(&final, name));
    final[suffix - name] = '\0';
    if (o->is_ours(o->context, first, final))
        TRY(remove_file(folder, name));
done:
    free(final);
    return st;
}

sal_status sal_run_remove_temporaries(const char *folder, int (*is_ours)(void *context, size_t first, const char *file),
                                      void *context)
{
    sal_status st = SAL_OK;
    ownership o = {is_ours, context};
    TRY(each_file(folder, SAL_RUN_MAPS, remove_temporary, &o));
    TRY(each_file(folder, SAL_RUN_OVERLAYS, remove_temporary, &o));
done:
    return st;
}

typedef struct orphan_search {
    sal_sql *sql;
    sqlite3_stmt *find;
} orphan_search;

static sal_status remove_orphan(void *context, size_t first, const char *folder, const char *name)
{
    sal_status st = SAL_OK;
    orphan_search *o = context;
    char path[4096];
    int row;
    (void)first;
    const char *number = strrchr(folder, '/');
    if (!number || snprintf(path, sizeof path, SAL_RUN_OVERLAYS "%s/%s", number, name) >= (int)sizeof path)
        return SAL_OK;
    TRY(sal_sql_bind_text(o->sql, o->find, 1, path));
    TRY(sal_sql_step(&row, o->sql, o->find));
    TRY(sal_sql_check(o->sql, sqlite3_reset(o->find)));
    if (!row && is_output(name))
        TRY(remove_file(folder, name));
done:
    return st;
}

sal_status sal_run_remove_overlays(const char *folder, sal_sql *sql)
{
    sal_status st = SAL_OK;
    orphan_search o = {.sql = sql};
    TRY(sal_sql_run(sql,
                    "CREATE TEMP TABLE IF NOT EXISTS named AS SELECT overlay_file FROM maps"
                    " WHERE overlay_file IS NOT NULL; CREATE INDEX IF NOT EXISTS temp.by_name ON named(overlay_file)"));
    TRY(sal_sql_prepare(&o.find, sql, "SELECT 1 FROM named WHERE overlay_file = ?1"));
    TRY(each_file(folder, SAL_RUN_OVERLAYS, remove_orphan, &o));
    remove_folders(folder, SAL_RUN_OVERLAYS);
done:
    sqlite3_finalize(o.find);
    return st;
}
