#define _GNU_SOURCE /* syncfs */
#include "results/run.h"
#include "results/settings_lines.h"

#include "base/memory.h"

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

void sal_run_store_name(char name[SAL_RUN_STORE_NAME], int64_t shard, int64_t shards)
{
    if (shards <= 1)
        snprintf(name, SAL_RUN_STORE_NAME, SAL_STORE_WHOLE);
    else
        snprintf(name, SAL_RUN_STORE_NAME, SAL_STORE_SHARDS "/%lld-of-%lld.sqlite", (long long)shard,
                 (long long)shards);
}

sal_status sal_run_store_path(char **out, const char *folder, int64_t shard, int64_t shards)
{
    char name[SAL_RUN_STORE_NAME];
    sal_run_store_name(name, shard, shards);
    return sal_run_path(out, folder, name);
}

int sal_run_parse_shard(int64_t *shard, int64_t *shards, const char *name)
{
    char again[SAL_RUN_STORE_NAME];
    long long i, n;
    if (sscanf(name, "%18lld-of-%18lld.sqlite", &i, &n) != 2 || i < 0 || n < 2 || i >= n)
        return 0;
    *shard = i;
    *shards = n;
    /* " 1-of-2.sqlite" and "01-of-2.sqlite" say the same, and no run calls them so. */
    sal_run_store_name(again, i, n);
    return strcmp(name, again + strlen(SAL_STORE_SHARDS "/")) == 0;
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

sal_status sal_run_exists(int *there, const char *folder, const char *name)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    *there = 0;
    TRY(sal_run_folder_open(&f, folder));
    TRY(sal_run_file_exists(there, &f, name));
done:
    sal_run_folder_close(&f);
    return st;
}

sal_status sal_run_settle(const char *path)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    if (access(path, F_OK) != 0)
        return SAL_OK;
    TRY(sal_sql_check_alone(path));
    TRY(sal_sql_open(&sql, path, SQLITE_OPEN_READWRITE));
    TRY(sal_sql_run(&sql, SAL_STORE_ALONE));
    TRY(sal_store_refuse_foreign(&sql));
    TRY(sal_sql_run(&sql, "BEGIN IMMEDIATE; COMMIT; PRAGMA journal_mode = DELETE"));
done:
    sal_sql_close(&sql);
    return st;
}

sal_status sal_run_sync(const char *folder)
{
    sal_status st = SAL_OK;
    sal_run_disks disks = {.count = 0};
    TRY(sal_run_disks_open(&disks, folder));
    if (sal_run_disks_sync(&disks) != 0)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot be written to the disk: %s", folder, strerror(errno));
done:
    sal_run_disks_close(&disks);
    return st;
}

/* ---- What describes it --------------------------------------------------- */

static sal_status write_manifest(const sal_run_folder *f, const sal_dataset *dataset)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    char *text = NULL;
    size_t size;
    TRY(sal_dataset_text(&text, &size, dataset));
    TRY(sal_run_file_create(&file, f, SAL_RUN_MANIFEST));
    (void)fwrite(text, 1, size, file.stream);
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    free(text);
    return st;
}

/* *same: 0 where it is of another run, which is an error unless it may be replaced. */
static sal_status check_json(int *there, int *same, const sal_run_folder *f, const sal_run *run, int replace)
{
    sal_status st = SAL_OK;
    sal_run_description d = {.sign = SAL_RUN_UNSIGNED};
    char mark[SAL_DIGEST_SIZE];
    TRY(sal_run_fingerprint(mark, run->model_sha256, run->manifest_sha256, run->settings));
    TRY(sal_run_description_read(&d, f));
    *there = d.sign != SAL_RUN_UNSIGNED;
    *same = *there && strcmp(d.fingerprint, mark) == 0;
    if (d.sign == SAL_RUN_FOREIGN)
        st = sal_run_refuse(f->path, SAL_RUN_JSON);
    else if (*there && !*same && !replace)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s/" SAL_RUN_JSON
                      ": is of a run of another model, list of pictures or options; --restart throws its results "
                      "away, or choose another run folder",
                      f->path);
done:
    sal_run_description_clear(&d);
    return st;
}

sal_status sal_run_check(const char *folder, const sal_run *run)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    int there, same;
    TRY(sal_run_folder_open(&f, folder));
    TRY(check_json(&there, &same, &f, run, 0));
done:
    sal_run_folder_close(&f);
    return st;
}

/* Of two that begin at the same moment one makes it, and may take the other's unfinished file away: what counts is that
 * it is there, and of this run. */
static sal_status make_json(const sal_run_folder *f, const sal_run *run, const sal_dataset *dataset,
                            const char *const *inputs, size_t input_count)
{
    int made = 0, there = 0, same = 0;
    sal_status st = sal_run_description_write(&made, f, run, dataset, inputs, input_count);
    if (st == SAL_OK && !made)
        return check_json(&there, &same, f, run, 0);
    if (st == SAL_ERROR_IO) {
        char error[1024];
        snprintf(error, sizeof error, "%s", sal_last_error());
        if (check_json(&there, &same, f, run, 0) == SAL_OK && same)
            return SAL_OK;
        return sal_fail(st, "%s", error);
    }
    return st;
}

sal_status sal_run_describe(const char *folder, const sal_run *run, const sal_dataset *dataset,
                            const char *const *inputs, size_t input_count, int anew)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    int there, same, listed;
    TRY(sal_run_folder_open(&f, folder));
    TRY(check_json(&there, &same, &f, run, anew));
    const int replaced = there && anew && (!same || run->shards == 1);
    if (replaced)
        TRY(sal_run_description_write(NULL, &f, run, dataset, inputs, input_count));
    else if (!there)
        TRY(make_json(&f, run, dataset, inputs, input_count));
    if (replaced || !there)
        TRY(sal_run_sync(folder));
    TRY(sal_run_file_exists(&listed, &f, SAL_RUN_MANIFEST));
    if (!listed)
        TRY(write_manifest(&f, dataset));
done:
    sal_run_folder_close(&f);
    return st;
}

/* *differs: run.json is of another list, and of the same model and options. */
static sal_status is_of_other_list(int *differs, const sal_run_folder *f, const sal_run *run)
{
    sal_status st = SAL_OK;
    sal_run_description d = {.sign = SAL_RUN_UNSIGNED};
    char mark[SAL_DIGEST_SIZE];
    TRY(sal_run_description_read(&d, f));
    *differs = d.sign == SAL_RUN_SIGNED && strcmp(d.manifest_sha256, run->manifest_sha256) != 0;
    if (!*differs)
        goto done;
    TRY(sal_run_fingerprint(mark, run->model_sha256, d.manifest_sha256, run->settings));
    *differs = strcmp(mark, d.fingerprint) == 0;
done:
    sal_run_description_clear(&d);
    return st;
}

sal_status sal_run_extend(const char *folder, const sal_run *run, const sal_dataset *dataset, const char *const *inputs,
                          size_t input_count)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    int differs;
    TRY(sal_run_folder_open(&f, folder));
    TRY(is_of_other_list(&differs, &f, run));
    if (!differs) /* it is what it shall be, or sal_run_check says what it is */
        goto done;
    TRY(write_manifest(&f, dataset));
    TRY(sal_run_sync(folder));
    TRY(sal_run_description_write(NULL, &f, run, dataset, inputs, input_count));
    TRY(sal_run_sync(folder));
done:
    sal_run_folder_close(&f);
    return st;
}

/* The names of columns that the settings have. */
typedef struct columns {
    char *path;
    char *label;
} columns;

static sal_status take_column(void *context, const char *name, const char *value)
{
    columns *c = context;
    if (strcmp(name, SAL_SETTINGS_PATH_COLUMN) == 0 && !c->path)
        return sal_strdup(&c->path, value);
    if (strcmp(name, SAL_SETTINGS_LABEL_COLUMN) == 0 && !c->label)
        return sal_strdup(&c->label, value);
    return SAL_OK;
}

sal_status sal_run_list_open(sal_dataset **out, char sha256[SAL_DIGEST_SIZE], const sal_run_folder *folder,
                             const char *root, const char *settings)
{
    static const uint64_t max_bytes = (uint64_t)1 << 32;
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    char *path = NULL;
    columns names = {NULL, NULL};
    size_t size;
    *out = NULL;
    TRY(sal_run_path(&path, folder->path, SAL_RUN_MANIFEST));
    TRY(sal_run_file_read(&bytes, &size, folder, SAL_RUN_MANIFEST, max_bytes,
                          &(sal_file_judge){sal_dataset_judge_list, path}));
    if (!bytes)
        goto done;
    TRY(sal_run_hash(sha256, (const char *)bytes, size));
    TRY(sal_settings_each(settings, take_column, &names));
    const sal_dataset_options options = {
        .size = sizeof options, .root = root, .path_column = names.path, .label_column = names.label};
    st = sal_dataset_from_manifest(out, bytes, size, path, &options);
done:
    free(names.path);
    free(names.label);
    sal_free(bytes);
    free(path);
    return st;
}
