#define _GNU_SOURCE /* memmem */
#include "results/run.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

sal_status sal_run_path(char **out, const char *folder, const char *name)
{
    const size_t length = strlen(folder), size = length + strlen(name) + 2;
    *out = malloc(size);
    if (!*out)
        return sal_fail_memory(size, "a path");
    snprintf(*out, size, "%s%s%s", folder, length && folder[length - 1] != '/' ? "/" : "", name);
    return SAL_OK;
}

sal_status sal_run_store_path(char **out, const char *folder, int64_t shard, int64_t shards)
{
    char name[96];
    if (shards <= 1)
        return sal_run_path(out, folder, SAL_STORE_WHOLE);
    snprintf(name, sizeof name, SAL_STORE_SHARDS "/%lld-of-%lld.sqlite", (long long)shard, (long long)shards);
    return sal_run_path(out, folder, name);
}

int sal_run_parse_shard(int64_t *shard, int64_t *shards, const char *name)
{
    long long i, n;
    int end = 0;
    if (sscanf(name, "%lld-of-%lld.sqlite%n", &i, &n, &end) != 2 || end == 0 || name[end] != '\0')
        return 0;
    *shard = i;
    *shards = n;
    return i >= 0 && n >= 2 && i < n;
}

sal_status sal_run_hash(char sha256[65], const char *text, size_t size)
{
    sal_status st = SAL_OK;
    sal_digest *digest = NULL;
    TRY(sal_digest_open(&digest));
    TRY(sal_digest_add(digest, text, size));
    TRY(sal_digest_finish(sha256, digest));
done:
    sal_digest_close(digest);
    return st;
}

/* ---- What describes it --------------------------------------------------- */

/* As a shell reads it back. */
static void print_quoted(FILE *to, const char *text)
{
    if (text[0] &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./") == strlen(text)) {
        fputs(text, to);
        return;
    }
    fputc('\'', to);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", to);
        else
            fputc(*text, to);
    fputc('\'', to);
}

/* Calls visit for every "name value" line. */
static sal_status each_setting(const char *settings, void (*visit)(void *, const char *, const char *), void *context)
{
    char *copy = strdup(settings), *rest = copy;
    if (!copy)
        return sal_fail_memory(strlen(settings), "settings");
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, ' ');
        if (!value)
            continue;
        *value++ = '\0';
        visit(context, line, value);
    }
    free(copy);
    return SAL_OK;
}

static void put_setting(void *context, const char *name, const char *value)
{
    sal_json_text(context, name, value);
}

static void put_option(void *context, const char *name, const char *value)
{
    FILE *to = context;
    if (strcmp(value, "no") == 0)
        return;
    fprintf(to, " --%s", name);
    if (strcmp(value, "yes") != 0) {
        fputc(' ', to);
        print_quoted(to, value);
    }
}

/* The command that makes the run again, in a folder of its own. */
static sal_status make_command(char **out, const sal_run *run, const sal_dataset *dataset, const char *const *inputs,
                               size_t input_count)
{
    size_t size;
    *out = NULL;
    FILE *to = open_memstream(out, &size);
    if (!to)
        return sal_fail_memory(0, "a command");
    fputs("salmap sweep ", to);
    print_quoted(to, run->model);
    for (size_t i = 0; i < input_count; i++) {
        fputc(' ', to);
        print_quoted(to, inputs[i]);
    }
    if (dataset->manifest) {
        fputs(" --root ", to);
        print_quoted(to, dataset->root[0] ? dataset->root : ".");
    }
    fputs(" -o AGAIN", to);
    sal_status st = each_setting(run->settings, put_option, to);
    if (fclose(to) != 0 && st == SAL_OK)
        st = sal_fail_memory(size, "a command");
    return st;
}

/* The same for all shards of a run. */
static sal_status fingerprint(char sha256[65], const sal_run *run)
{
    sal_status st = SAL_OK;
    sal_digest *digest = NULL;
    TRY(sal_digest_open(&digest));
    TRY(sal_digest_add(digest, run->model_sha256, strlen(run->model_sha256)));
    TRY(sal_digest_add(digest, run->manifest_sha256, strlen(run->manifest_sha256)));
    TRY(sal_digest_add(digest, run->settings, strlen(run->settings)));
    TRY(sal_digest_finish(sha256, digest));
done:
    sal_digest_close(digest);
    return st;
}

static sal_status write_json(const char *path, const sal_run *run, const sal_dataset *dataset,
                             const char *const *inputs, size_t input_count, const char *mark)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    char *command = NULL;
    TRY(make_command(&command, run, dataset, inputs, input_count));
    TRY(sal_file_create(&file, path));
    sal_json j = {.stream = file.stream, .lines = 1};
    sal_json_begin(&j, NULL, '{');
    sal_json_text(&j, "salmap", sal_version());
    sal_json_text(&j, "model", run->model);
    sal_json_text(&j, "model_sha256", run->model_sha256);
    sal_json_begin(&j, "inputs", '[');
    for (size_t i = 0; i < input_count; i++)
        sal_json_text(&j, NULL, inputs[i]);
    sal_json_end(&j, ']');
    sal_json_text(&j, "root", dataset->root);
    sal_json_text(&j, "manifest", SAL_RUN_MANIFEST);
    sal_json_text(&j, "manifest_sha256", run->manifest_sha256);
    sal_json_count(&j, "pictures", dataset->count);
    sal_json_begin(&j, "settings", '{');
    TRY(each_setting(run->settings, put_setting, &j));
    sal_json_end(&j, '}');
    sal_json_text(&j, "fingerprint", mark);
    sal_json_text(&j, "again", command);
    sal_json_end(&j, '}');
    fputc('\n', file.stream);
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    free(command);
    return st;
}

/* *same: 1 it contains the text, 0 not, -1 there is no such file. */
static sal_status file_has(int *same, const char *path, const char *text)
{
    unsigned char *bytes = NULL;
    size_t size;
    *same = -1;
    if (access(path, F_OK) != 0)
        return SAL_OK;
    sal_status st = sal_file_read(&bytes, &size, path, (uint64_t)1 << 32);
    if (st == SAL_OK)
        *same = memmem(bytes, size, text, strlen(text)) != NULL;
    sal_free(bytes);
    return st;
}

static sal_status write_manifest(const char *path, const sal_dataset *dataset)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    char *text = NULL;
    size_t size;
    TRY(sal_dataset_text(&text, &size, dataset));
    TRY(sal_file_create(&file, path));
    (void)fwrite(text, 1, size, file.stream);
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    free(text);
    return st;
}

static sal_status check_json(int *there, char mark[SAL_DIGEST_SIZE], const char *path, const sal_run *run)
{
    sal_status st = SAL_OK;
    int same;
    TRY(fingerprint(mark, run));
    TRY(file_has(&same, path, mark));
    *there = same >= 0;
    if (same == 0)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: is of a run of another model, list of pictures or options; --restart throws its results "
                      "away, or choose another run folder",
                      path);
done:
    return st;
}

sal_status sal_run_check(const char *folder, const sal_run *run)
{
    sal_status st = SAL_OK;
    char *json = NULL;
    char mark[SAL_DIGEST_SIZE];
    int there;
    TRY(sal_run_path(&json, folder, SAL_RUN_JSON));
    TRY(check_json(&there, mark, json, run));
done:
    free(json);
    return st;
}

sal_status sal_run_describe(const char *folder, const sal_run *run, const sal_dataset *dataset,
                            const char *const *inputs, size_t input_count)
{
    sal_status st = SAL_OK;
    char *json = NULL, *manifest = NULL;
    char mark[SAL_DIGEST_SIZE];
    int there;
    TRY(sal_run_path(&json, folder, SAL_RUN_JSON));
    TRY(sal_run_path(&manifest, folder, SAL_RUN_MANIFEST));
    TRY(check_json(&there, mark, json, run));
    if (access(manifest, F_OK) != 0)
        TRY(write_manifest(manifest, dataset));
    if (!there)
        TRY(write_json(json, run, dataset, inputs, input_count, mark));
done:
    free(json);
    free(manifest);
    return st;
}

/* ---- Removing ------------------------------------------------------------ */

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

/* Results that nobody writes, with their journals. Damaged ones are no reason to keep them. */
static sal_status remove_store(const char *folder, const char *name)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    char *path = NULL, file[96];
    TRY(sal_run_path(&path, folder, name));
    if (access(path, F_OK) == 0 && sal_sql_open(&sql, path, SQLITE_OPEN_READWRITE) == SAL_OK) {
        st = sal_sql_run(&sql, "BEGIN IMMEDIATE; ROLLBACK");
        if (st != SAL_ERROR_IO)
            st = SAL_OK;
    }
    for (size_t i = 0; st == SAL_OK && i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(file, sizeof file, "%s%s", name, endings[i]);
        st = remove_file(folder, file);
    }
done:
    sal_sql_close(&sql);
    free(path);
    return st;
}

static sal_status remove_shards(const char *folder)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    DIR *directory = NULL;
    int64_t index, count;
    TRY(sal_run_path(&path, folder, SAL_STORE_SHARDS));
    directory = opendir(path);
    for (struct dirent *e; directory && (e = readdir(directory)) != NULL;)
        if (sal_run_parse_shard(&index, &count, e->d_name))
            TRY(remove_store(path, e->d_name));
    (void)rmdir(path);
done:
    if (directory)
        closedir(directory);
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
    static const char *const descriptions[] = {SAL_RUN_CSV, SAL_RUN_JSON, SAL_RUN_MANIFEST};
    sal_status st = SAL_OK;
    TRY(remove_store(folder, SAL_STORE_WHOLE));
    TRY(remove_shards(folder));
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

sal_status sal_run_remove_shard(const char *folder, int64_t shard, int64_t shards)
{
    sal_status st = SAL_OK;
    char name[96];
    snprintf(name, sizeof name, SAL_STORE_SHARDS "/%lld-of-%lld.sqlite", (long long)shard, (long long)shards);
    TRY(remove_store(folder, name));
    TRY(remove_file(folder, SAL_RUN_JSON));
    TRY(remove_file(folder, SAL_RUN_MANIFEST));
done:
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
