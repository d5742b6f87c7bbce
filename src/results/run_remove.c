/* Taking a run's files away: all of them, or what is left over. Only what the run can have made goes: files of its
 * fixed names, and those that its list and settings say are of its pictures. What the rows of its results name counts
 * for nothing: they may come from anywhere. */
#include "results/in_flight.h"
#include "results/run.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {SAL_RUN_MAPS, SAL_RUN_OVERLAYS};

/* A run that goes. */
typedef struct removal {
    sal_run_folder folder;
    sal_run_description description;
    sal_dataset *list;    /* of its manifest.csv; NULL: there is none, and no file of a picture either */
    sal_run_names *names; /* with its settings, and with others that its results were begun with: shards may differ */
    size_t names_count;
    size_t names_room;
    int64_t shard; /* whose files are meant */
    int64_t shards;
} removal;

/* ---- What is there --------------------------------------------------------- */

/* The files that its pictures have with these settings. */
static sal_status add_names(removal *r, const char *settings)
{
    sal_status st = SAL_OK;
    sal_output_layout layout;
    TRY(sal_run_layout(&layout, settings));
    for (size_t i = 0; i < r->names_count; i++)
        if (r->names[i].layout.files == layout.files && r->names[i].layout.top == layout.top)
            goto done;
    TRY(sal_grow(&r->names, &r->names_room, r->names_count + 1, sizeof *r->names, "names"));
    TRY(sal_run_names_make(&r->names[r->names_count], r->list, settings));
    r->names_count++;
done:
    return st;
}

/* Its manifest.csv is the one that run.json tells of, or it is somebody's own. */
static sal_status open_list(removal *r)
{
    char sha256[SAL_DIGEST_SIZE];
    sal_status st = sal_run_list_open(&r->list, sha256, &r->folder, NULL, r->description.settings);
    if (st == SAL_OK && !r->list)
        return SAL_OK;
    if (st == SAL_ERROR_FORMAT || (st == SAL_OK && strcmp(sha256, r->description.manifest_sha256) != 0))
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s/" SAL_RUN_MANIFEST ": is not the list that the run was begun with: move it away, or choose "
                      "another run folder",
                      r->folder.path);
    if (st == SAL_OK)
        st = add_names(r, r->description.settings);
    return st;
}

static size_t picture_count(const removal *r)
{
    return r->list ? r->list->count : 0;
}

/* *is_run: 0, there is none, and nothing to remove. */
static sal_status open_removal(int *is_run, removal *r, const char *folder)
{
    sal_status st = SAL_OK;
    *r = (removal){.folder.fd = -1, .shards = 1};
    *is_run = 0;
    TRY(sal_run_folder_open(&r->folder, folder));
    TRY(sal_run_description_read(&r->description, &r->folder));
    *is_run = r->description.sign == SAL_RUN_SIGNED;
    if (!*is_run)
        goto done;
    TRY(open_list(r));
    /* A link is found before the first file is gone. */
    TRY(sal_run_refuse_foreign(folder, picture_count(r)));
done:
    return st;
}

static void close_removal(removal *r)
{
    for (size_t i = 0; i < r->names_count; i++)
        sal_run_names_clear(&r->names[i]);
    free(r->names);
    sal_dataset_close(r->list);
    sal_run_description_clear(&r->description);
    sal_run_folder_close(&r->folder);
}

/* A file of one of the pictures meant, finished or not. The first names are those of the run as it is now: what is
 * another picture's by them is not by older ones. */
static int is_ours(const removal *r, const char *name)
{
    for (size_t i = 0; i < r->names_count; i++) {
        const int64_t finished = sal_run_names_find(&r->names[i], name);
        const int64_t row = finished >= 0 ? finished : sal_run_names_find_unfinished(&r->names[i], name);
        if (row >= 0)
            return sal_dataset_in_shard(r->list, (size_t)row, r->shard, r->shards);
    }
    return 0;
}

/* Opens a result file that is to go; sql->db NULL: it is so damaged that there is nothing to open.
 * Errors: ARGUMENT (a link or no file), MEMORY, IO. */
static sal_status open_doomed(sal_sql *sql, const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    int there;
    memset(sql, 0, sizeof *sql);
    TRY(sal_run_file_exists(&there, folder, name));
    if (!there)
        goto done;
    TRY(sal_run_path(&path, folder->path, name));
    st = sal_sql_open(sql, path, SQLITE_OPEN_READWRITE);
    st = st == SAL_ERROR_MEMORY || st == SAL_ERROR_ARGUMENT ? st : SAL_OK;
done:
    free(path);
    return st;
}

/* The settings of results that say which files there are. */
static sal_status read_settings(char **out, sal_sql *sql)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    sal_text text;
    int row = 1;
    *out = NULL;
    TRY(sal_text_open(&text));
    st = sal_sql_prepare(&select, sql,
                         "SELECT substr(key, 8), value FROM run WHERE key IN"
                         " ('option.maps', 'option.overlays', 'option.overlay-format', 'option.target')");
    while (st == SAL_OK && row) {
        st = sal_sql_step(&row, sql, select);
        const char *value = st == SAL_OK && row ? sal_sql_text(select, 1) : NULL;
        if (value && !strchr(value, '\n'))
            fprintf(text.stream, "%s %s\n", sal_sql_text(select, 0), value);
    }
    st = sal_text_close(out, NULL, &text, st, "settings");
done:
    sqlite3_finalize(select);
    return st;
}

/* A shard's results may be of other options than run.json is: another one was begun anew with those. Damaged ones say
 * nothing. */
static sal_status take_settings(removal *r, const char *store)
{
    sal_status st = SAL_OK;
    sal_sql sql;
    char *settings = NULL;
    TRY(open_doomed(&sql, &r->folder, store));
    if (sql.db && r->list)
        st = sal_store_check_tables(&sql, "main");
    if (sql.db && r->list && st == SAL_OK)
        st = read_settings(&settings, &sql);
    if (settings)
        st = add_names(r, settings);
    st = st == SAL_ERROR_MEMORY ? st : SAL_OK;
done:
    free(settings);
    sal_sql_close(&sql);
    return st;
}

/* ---- Result files ---------------------------------------------------------- */

/* Damaged results are no reason to keep them; results that are being written are, and those of somebody else. */
static sal_status check_unused(const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    sal_sql sql;
    TRY(open_doomed(&sql, folder, name));
    if (sql.db)
        st = sal_sql_run(&sql, "BEGIN IMMEDIATE; ROLLBACK");
    if (sql.db && st == SAL_OK)
        st = sal_store_refuse_foreign(&sql);
    st = st == SAL_ERROR_FORMAT ? SAL_OK : st;
done:
    sal_sql_close(&sql);
    return st;
}

sal_status sal_run_remove_beside(const sal_run_folder *folder, const char *name)
{
    static const char *const endings[] = {SAL_IN_FLIGHT_ENDING, "-shm", "-wal", "-journal"};
    sal_status st = SAL_OK;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char file[SAL_RUN_STORE_NAME + 16];
        snprintf(file, sizeof file, "%s%s", name, endings[i]);
        TRY(sal_run_file_remove(folder, file));
    }
done:
    return st;
}

/* Results with what lies beside them, which is found by their name: they go last. */
static sal_status remove_store(const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    TRY(check_unused(folder, name));
    TRY(sal_run_remove_beside(folder, name));
    TRY(sal_run_file_remove(folder, name));
done:
    return st;
}

/* Beside shards a table that stands alone is somebody's own, and a run's goes before what it was made of. */
static sal_status remove_table(const sal_run_folder *folder)
{
    sal_status st = SAL_OK;
    int there;
    TRY(sal_run_file_exists(&there, folder, SAL_STORE_WHOLE));
    if (there)
        TRY(sal_run_file_remove(folder, SAL_RUN_CSV));
done:
    return st;
}

static sal_status remove_merged(const sal_run_folder *folder)
{
    sal_status st = SAL_OK;
    TRY(check_unused(folder, SAL_STORE_WHOLE));
    TRY(remove_table(folder));
    TRY(remove_store(folder, SAL_STORE_WHOLE));
done:
    return st;
}

static int is_shard(const char *name)
{
    int64_t index, count;
    return sal_run_parse_shard(&index, &count, name + strlen(SAL_STORE_SHARDS "/"));
}

static sal_status check_shard(void *context, const sal_run_folder *folder, const char *name)
{
    (void)context;
    return is_shard(name) ? check_unused(folder, name) : SAL_OK;
}

static sal_status take_shard_settings(void *context, const sal_run_folder *folder, const char *name)
{
    (void)folder;
    return is_shard(name) ? take_settings(context, name) : SAL_OK;
}

static sal_status remove_shard(void *context, const sal_run_folder *folder, const char *name)
{
    (void)context;
    return is_shard(name) ? remove_store(folder, name) : SAL_OK;
}

/* All of them or none: looks first whether one is in use, and what files they may have. */
static sal_status check_stores(removal *r)
{
    sal_status st = SAL_OK;
    TRY(sal_run_files_each(&r->folder, SAL_STORE_SHARDS, check_shard, NULL));
    TRY(check_unused(&r->folder, SAL_STORE_WHOLE));
    TRY(sal_run_files_each(&r->folder, SAL_STORE_SHARDS, take_shard_settings, r));
done:
    return st;
}

static sal_status remove_stores(const removal *r)
{
    sal_status st = SAL_OK;
    int in_shards;
    TRY(sal_run_file_exists(&in_shards, &r->folder, SAL_STORE_SHARDS));
    TRY(in_shards ? remove_table(&r->folder) : sal_run_file_remove(&r->folder, SAL_RUN_CSV));
    TRY(sal_run_files_each(&r->folder, SAL_STORE_SHARDS, remove_shard, NULL));
    TRY(sal_run_folder_remove(&r->folder, SAL_STORE_SHARDS));
    TRY(remove_store(&r->folder, SAL_STORE_WHOLE));
done:
    return st;
}

/* ---- Files of pictures ------------------------------------------------------ */

/* Visits every file of maps/NNN and overlays/NNN, as far as the run goes. */
static sal_status each_file(const sal_run_folder *folder, size_t pictures, size_t first_kind,
                            sal_status (*visit)(void *context, const sal_run_folder *folder, const char *name),
                            void *context)
{
    sal_status st = SAL_OK;
    for (size_t k = first_kind; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t n = 0; n * SAL_NAMES_OF_A_FOLDER < pictures; n++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%03zu", kinds[k], n);
            TRY(sal_run_files_each(folder, name, visit, context));
        }
done:
    return st;
}

/* Folders that are empty now. */
static sal_status remove_folders(const sal_run_folder *folder, size_t pictures, size_t first_kind)
{
    sal_status st = SAL_OK;
    for (size_t k = first_kind; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t n = 0; n * SAL_NAMES_OF_A_FOLDER < pictures; n++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%03zu", kinds[k], n);
            TRY(sal_run_folder_remove(folder, name));
        }
        TRY(sal_run_folder_remove(folder, kinds[k]));
    }
done:
    return st;
}

static sal_status remove_output(void *context, const sal_run_folder *folder, const char *name)
{
    if (!is_ours(context, name))
        return SAL_OK;
    return sal_run_temporary_suffix(name) ? sal_run_file_discard(folder, name) : sal_run_file_remove(folder, name);
}

/* A folder of a file's name is somebody's own, and would stop the removal half way. */
static sal_status check_output(void *context, const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    int is_folder;
    if (!is_ours(context, name) || sal_run_temporary_suffix(name))
        return SAL_OK;
    TRY(sal_run_file_is_folder(&is_folder, folder, name));
    if (is_folder)
        st = sal_fail(
            SAL_ERROR_ARGUMENT,
            "%s/%s: is a folder where a file of the run's should be: move it away, or choose another run folder",
            folder->path, name);
done:
    return st;
}

static sal_status check_outputs(removal *r)
{
    return each_file(&r->folder, picture_count(r), 0, check_output, r);
}

static sal_status remove_outputs(removal *r)
{
    return each_file(&r->folder, picture_count(r), 0, remove_output, r);
}

/* ---- The whole and its parts ------------------------------------------------ */

static sal_status remove_own_temporary(void *context, const sal_run_folder *folder, const char *name)
{
    static const char *const names[] = {SAL_STORE_WHOLE, SAL_RUN_CSV, SAL_RUN_JSON, SAL_RUN_MANIFEST};
    const char *suffix = sal_run_temporary_suffix(name);
    (void)context;
    for (size_t i = 0; suffix && i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == (size_t)(suffix - name) && strncmp(name, names[i], strlen(names[i])) == 0)
            return sal_run_file_discard(folder, name);
    return SAL_OK;
}

sal_status sal_run_remove_own_temporaries(const char *folder)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    TRY(sal_run_folder_open(&f, folder));
    TRY(sal_run_files_each(&f, "", remove_own_temporary, NULL));
done:
    sal_run_folder_close(&f);
    return st;
}

sal_status sal_run_remove(const char *folder)
{
    sal_status st = SAL_OK;
    removal r;
    int is_run;
    TRY(open_removal(&is_run, &r, folder));
    if (!is_run)
        goto done;
    TRY(check_stores(&r));
    TRY(check_outputs(&r));
    TRY(remove_stores(&r));
    TRY(remove_outputs(&r));
    TRY(remove_folders(&r.folder, picture_count(&r), 0));
    TRY(sal_run_files_each(&r.folder, "", remove_own_temporary, NULL));
    TRY(sal_run_file_remove(&r.folder, SAL_RUN_MANIFEST));
done:
    close_removal(&r);
    return st;
}

sal_status sal_run_remove_merged(const char *folder)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    TRY(sal_run_folder_open(&f, folder));
    TRY(remove_merged(&f));
done:
    sal_run_folder_close(&f);
    return st;
}

sal_status sal_run_remove_shard(const char *folder, const sal_run *run)
{
    sal_status st = SAL_OK;
    removal r;
    char name[SAL_RUN_STORE_NAME], mark[SAL_DIGEST_SIZE];
    int is_run;
    TRY(open_removal(&is_run, &r, folder));
    if (!is_run)
        goto done;
    r.shard = run->shard;
    r.shards = run->shards;
    sal_run_store_name(name, run->shard, run->shards);
    TRY(check_unused(&r.folder, name));
    TRY(check_unused(&r.folder, SAL_STORE_WHOLE));
    TRY(take_settings(&r, name));
    TRY(check_outputs(&r));
    TRY(remove_store(&r.folder, name));
    TRY(remove_merged(&r.folder));
    TRY(remove_outputs(&r));
    TRY(sal_run_fingerprint(mark, run->model_sha256, run->manifest_sha256, run->settings));
    if (strcmp(mark, r.description.fingerprint) != 0)
        TRY(sal_run_file_remove(&r.folder, SAL_RUN_MANIFEST));
done:
    close_removal(&r);
    return st;
}

/* ---- What is left over ------------------------------------------------------ */

typedef struct leftovers {
    const sal_run_names *names;
    const char *of_shards;
    int64_t shards;
    sal_sql *sql;
    sqlite3_stmt *find;
} leftovers;

static sal_status remove_temporary(void *context, const sal_run_folder *folder, const char *name)
{
    const leftovers *l = context;
    const int64_t row = sal_run_names_find_unfinished(l->names, name);
    if (row < 0 || !l->of_shards[sal_dataset_shard(l->names->dataset, (size_t)row, l->shards)])
        return SAL_OK;
    return sal_run_file_discard(folder, name);
}

sal_status sal_run_remove_temporaries(const char *folder, const char *of_shards, int64_t shards,
                                      const sal_run_names *names)
{
    sal_status st = SAL_OK;
    leftovers l = {.names = names, .of_shards = of_shards, .shards = shards};
    sal_run_folder f = {.fd = -1};
    TRY(sal_run_folder_open(&f, folder));
    TRY(each_file(&f, names->names.count, 0, remove_temporary, &l));
done:
    sal_run_folder_close(&f);
    return st;
}

static sal_status remove_orphan(void *context, const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    const leftovers *l = context;
    int row;
    if (sal_run_names_find(l->names, name) < 0)
        return SAL_OK;
    TRY(sal_sql_bind_text(l->sql, l->find, 1, name));
    TRY(sal_sql_step(&row, l->sql, l->find));
    TRY(sal_sql_check(l->sql, sqlite3_reset(l->find)));
    if (!row)
        TRY(sal_run_file_remove(folder, name));
done:
    return st;
}

sal_status sal_run_remove_overlays(const char *folder, sal_sql *sql, const sal_run_names *names)
{
    enum { OVERLAYS = 1 };
    sal_status st = SAL_OK;
    leftovers l = {.names = names, .sql = sql};
    sal_run_folder f = {.fd = -1};
    TRY(sal_run_folder_open(&f, folder));
    TRY(sal_sql_run(sql, "DROP TABLE IF EXISTS temp.named; CREATE TEMP TABLE named AS SELECT overlay_file FROM maps"
                         " WHERE overlay_file IS NOT NULL; CREATE INDEX temp.by_name ON named(overlay_file)"));
    TRY(sal_sql_prepare(&l.find, sql, "SELECT 1 FROM named WHERE overlay_file = ?1"));
    TRY(each_file(&f, names->names.count, OVERLAYS, remove_orphan, &l));
    TRY(remove_folders(&f, names->names.count, OVERLAYS));
done:
    sqlite3_finalize(l.find);
    sal_run_folder_close(&f);
    return st;
}
