#define _GNU_SOURCE /* memmem, syncfs */
#include "results/run.h"
#include "results/settings.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
    if (sscanf(name, "%18lld-of-%18lld.sqlite%n", &i, &n, &end) != 2 || end == 0 || name[end] != '\0')
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

sal_status sal_run_refuse_foreign(const char *folder)
{
    static const char *const signs[] = {SAL_RUN_JSON, SAL_STORE_WHOLE, SAL_STORE_SHARDS};
    static const char *const names[] = {SAL_RUN_MANIFEST, SAL_RUN_CSV, SAL_RUN_MAPS, SAL_RUN_OVERLAYS};
    sal_status st = SAL_OK;
    char *path = NULL;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        free(path);
        TRY(sal_run_path(&path, folder, signs[i]));
        if (access(path, F_OK) == 0)
            goto done;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        free(path);
        TRY(sal_run_path(&path, folder, names[i]));
        if (access(path, F_OK) == 0) {
            st = sal_fail(SAL_ERROR_ARGUMENT, "%s: is not of a run, and results would go there: choose another folder",
                          path);
            goto done;
        }
    }
done:
    free(path);
    return st;
}

sal_status sal_run_settle(const char *path)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    if (access(path, F_OK) != 0)
        return SAL_OK;
    TRY(sal_sql_open(&sql, path, SQLITE_OPEN_READWRITE));
    TRY(sal_sql_run(&sql, "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT; PRAGMA journal_mode = DELETE"));
done:
    sal_sql_close(&sql);
    return st;
}

sal_status sal_run_sync(const char *folder)
{
    sal_status st = SAL_OK;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot be written to the disk: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
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

static sal_status put_setting(void *context, const char *name, const char *value)
{
    sal_json_text(context, name, value);
    return SAL_OK;
}

static sal_status put_option(void *context, const char *name, const char *value)
{
    FILE *to = context;
    if (strcmp(value, "no") == 0)
        return SAL_OK;
    fprintf(to, " --%s", name);
    if (strcmp(value, "yes") != 0) {
        fputc(' ', to);
        print_quoted(to, value);
    }
    return SAL_OK;
}

/* The command that makes the run again, in a folder of its own. */
static sal_status make_command(char **out, const sal_run *run, const sal_dataset *dataset, const char *const *inputs,
                               size_t input_count)
{
    sal_text text;
    *out = NULL;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    FILE *to = text.stream;
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
    st = sal_settings_each(run->settings, put_option, to);
    return sal_text_close(out, NULL, &text, st, "a command");
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
    TRY(sal_settings_each(run->settings, put_setting, &j));
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
