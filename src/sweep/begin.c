/* The beginning of a sweep, or its going on: the list, the run folder, and what is left to do. */
#include "sweep/sweep.h"

#include "api/identity.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "results/settings_lines.h"
#include "salmap/plan.h"
#include "sweep/settings.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The run folder ------------------------------------------------------ */

typedef struct shard_search {
    int64_t shards; /* that this run is in */
    size_t count;   /* of result files of shards */
} shard_search;

/* Shards of one run are all of the same number. */
static sal_status check_shard(void *context, const sal_run_folder *folder, const char *name)
{
    shard_search *s = context;
    const char *file = sal_names_base(name);
    int64_t index, count;
    if (!sal_run_parse_shard(&index, &count, file))
        return SAL_OK;
    s->count++;
    if (s->shards == 1 || count == s->shards)
        return SAL_OK;
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "%s/" SAL_STORE_SHARDS
                    ": holds %s, a shard of %lld, and this one is of %lld: choose another folder, or remove it",
                    folder->path, file, (long long)count, (long long)s->shards);
}

/* Parts and a whole do not mix in one folder. */
static sal_status check_kind(const sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_run_folder folder = {.fd = -1};
    shard_search found = {.shards = s->options.shards};
    int has_whole;
    TRY(sal_run_folder_open(&folder, s->folder));
    TRY(sal_run_files_each(&folder, SAL_STORE_SHARDS, check_shard, &found));
    TRY(sal_run_file_exists(&has_whole, &folder, SAL_STORE_WHOLE));
    if (s->options.shards == 1 && found.count > 0)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: holds a run in shards: go on with --shard, or 'salmap merge' it; --restart throws its "
                      "results away",
                      s->folder);
    else if (s->options.shards > 1 && has_whole && found.count == 0)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: holds a run that is not in shards: choose another folder, or --restart throws its results "
                      "away",
                      s->folder);
done:
    sal_run_folder_close(&folder);
    return st;
}

/* A folder that results of pictures go to. */
typedef struct result_folder {
    dev_t device;
    ino_t inode;
} result_folder;

typedef struct result_folders {
    result_folder *list;
    size_t count;
} result_folders;

/* Those that are there: of whatever run, since --restart removes what an earlier one made. */
static sal_status find_in(result_folders *out, size_t *room, const char *folder)
{
    sal_status st = SAL_OK;
    DIR *entries = opendir(folder);
    struct stat info;
    for (struct dirent *e; entries && (e = readdir(entries)) != NULL;)
        if (isdigit((unsigned char)e->d_name[0]) && fstatat(dirfd(entries), e->d_name, &info, 0) == 0 &&
            S_ISDIR(info.st_mode)) {
            TRY(sal_grow(&out->list, room, out->count + 1, sizeof *out->list, "folders"));
            out->list[out->count++] = (result_folder){info.st_dev, info.st_ino};
        }
done:
    if (entries)
        closedir(entries);
    return st;
}

static sal_status find_result_folders(result_folders *out, const sal_sweep_state *s)
{
    static const char *const kinds[] = {SAL_RUN_MAPS, SAL_RUN_OVERLAYS};
    sal_status st = SAL_OK;
    char *path = NULL;
    size_t room = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        free(path);
        TRY(sal_run_path(&path, s->folder, kinds[k]));
        TRY(find_in(out, &room, path));
    }
done:
    free(path);
    return st;
}

/* A list that is made anew: the table with all pictures done, the manifest by --restart. */
static sal_status check_list(const sal_sweep_state *s)
{
    static const char *const names[] = {SAL_RUN_MANIFEST, SAL_RUN_CSV};
    sal_status st = SAL_OK;
    struct stat list, own;
    char *path = NULL;
    if (!s->dataset->manifest || s->options.input_count == 0 || stat(s->options.inputs[0], &list) != 0)
        return SAL_OK;
    for (size_t i = s->options.restart ? 0 : 1; i < sizeof names / sizeof *names; i++) {
        free(path);
        TRY(sal_run_path(&path, s->folder, names[i]));
        if (stat(path, &own) == 0 && own.st_dev == list.st_dev && own.st_ino == list.st_ino) {
            st = sal_fail(SAL_ERROR_ARGUMENT,
                          "%s: is a file of the run itself, which is made anew: put a copy of "
                          "it elsewhere",
                          s->options.inputs[0]);
            goto done;
        }
    }
done:
    free(path);
    return st;
}

/* The folder of the path before, as that spells it, free(), and whether results go there: pictures mostly come folder
 * by folder. */
typedef struct verdict {
    char *folder;
    int is_of_results;
} verdict;

static sal_status judge(verdict *v, const result_folders *folders, const char *path)
{
    sal_status st = SAL_OK;
    struct stat info;
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (v->folder && strlen(v->folder) == length && strncmp(v->folder, path, length) == 0)
        goto done;
    free(v->folder);
    v->folder = NULL;
    v->is_of_results = 0;
    TRY(sal_strdup(&v->folder, path));
    v->folder[length] = '\0';
    if (stat(length ? v->folder : ".", &info) == 0)
        for (size_t k = 0; k < folders->count; k++)
            v->is_of_results |= folders->list[k].device == info.st_dev && folders->list[k].inode == info.st_ino;
done:
    return st;
}

/* File i of those that are read; NULL behind the last. */
static const char *file_read(const sal_sweep_state *s, const sal_model *model, size_t i)
{
    if (i < s->dataset->count)
        return sal_dataset_file(s->dataset, i);
    i -= s->dataset->count;
    if (s->baseline && i == 0)
        return s->baseline;
    return sal_model_file_path(model, i - (s->baseline != NULL));
}

/* Pictures that lie where results go would be overwritten, however their paths are spelled; links to pictures, and
 * pictures that links lead to, likewise; the picture that paths begin at, and the files of the model. */
static sal_status check_inputs(const sal_sweep_state *s, const sal_model *model)
{
    const char *file;
    sal_status st = SAL_OK;
    result_folders folders = {NULL, 0};
    verdict own = {NULL, 0}, linked = {NULL, 0};
    char *real = NULL;
    struct stat info;
    TRY(find_result_folders(&folders, s));
    for (size_t i = 0; folders.count > 0 && (file = file_read(s, model, i)) != NULL; i++) {
        TRY(judge(&own, &folders, file));
        free(real);
        real = lstat(file, &info) == 0 && S_ISLNK(info.st_mode) ? realpath(file, NULL) : NULL;
        if (real)
            TRY(judge(&linked, &folders, real));
        if (own.is_of_results || (real && linked.is_of_results)) {
            st = sal_fail(SAL_ERROR_ARGUMENT, "%s: lies where results go: choose another run folder", file);
            goto done;
        }
    }
done:
    free(real);
    free(own.folder);
    free(linked.folder);
    free(folders.list);
    return st;
}

static sal_status take_baseline(void *context, const char *name, const char *value)
{
    sal_sweep_state *s = context;
    if (strcmp(name, SAL_SETTINGS_BASELINE_SHA256) == 0)
        snprintf(s->baseline_sha256, sizeof s->baseline_sha256, "%s", value);
    return SAL_OK;
}

sal_status sal_sweep_read_command(sal_sweep_state *s, sal_engine *engine)
{
    sal_status st = SAL_OK;
    TRY(sal_sweep_choose_classes(s));
    TRY(sal_sweep_read_labels(s));
    TRY(sal_model_hash(s->model_sha256, s->model));
    s->baseline = sal_engine_get_options(engine)->method->baseline_file;
    TRY(sal_settings_make(&s->settings, &s->options, engine));
    TRY(sal_sweep_list_settings(s));
    TRY(sal_settings_each(s->settings, take_baseline, s));
    TRY(sal_run_layout(&s->layout, s->settings));
    s->layout.out_dir = s->folder;
    TRY(sal_sweep_hash_list(s->manifest_sha256, s->dataset));
    TRY(sal_run_store_path(&s->store_path, s->folder, s->options.shard, s->options.shards));
done:
    return st;
}

/* A run of before has another word for keras-vis: what it is of is said as it says it. */
static sal_status take_words(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_run_folder folder = {.fd = -1};
    sal_run_description then = {.sign = SAL_RUN_UNSIGNED};
    char *as_before = NULL;
    TRY(sal_settings_as_before(&as_before, s->settings));
    if (!as_before)
        goto done;
    TRY(sal_run_folder_open(&folder, s->folder));
    TRY(sal_run_description_read(&then, &folder));
    if (then.sign == SAL_RUN_SIGNED && sal_settings_mean_keras_vis(then.settings)) {
        char *const settings = s->settings;
        s->settings = as_before;
        as_before = settings;
    }
done:
    free(as_before);
    sal_run_description_clear(&then);
    sal_run_folder_close(&folder);
    return st;
}

sal_status sal_sweep_check_folder(sal_sweep_state *s, const sal_model *model)
{
    sal_status st = SAL_OK;
    int in_shards;
    TRY(sal_run_refuse_foreign(s->folder, s->dataset->count));
    TRY(check_inputs(s, model));
    TRY(check_list(s));
    TRY(sal_run_exists(&in_shards, s->folder, SAL_STORE_SHARDS));
    if (in_shards && s->options.shards == 1)
        TRY(sal_run_refuse_table(s->folder));
    if (!s->options.restart || s->options.shards > 1)
        TRY(check_kind(s));
    if (!s->options.restart) {
        TRY(sal_sweep_reconcile_list(s));
        TRY(take_words(s));
    }
    s->run = (sal_run){.model = s->info.path,
                       .model_sha256 = s->model_sha256,
                       .manifest_sha256 = s->manifest_sha256,
                       .settings = s->settings,
                       .shard = s->options.shard,
                       .shards = s->options.shards,
                       .preprocess_origin = s->how.explain.preprocess_origin,
                       .classes = s->options.classes_from,
                       .outputs = s->info.outputs,
                       .extend = s->options.extend};
done:
    return st;
}

static sal_status describe(sal_sweep_state *s, int anew)
{
    return sal_run_describe(s->folder, &s->run, s->dataset, s->options.inputs, s->options.input_count, anew);
}

/* What damaged results leave to do. */
static sal_status or_anew(sal_status st)
{
    return st == SAL_ERROR_FORMAT ? sal_fail(st, "%s; --restart begins anew", sal_last_error()) : st;
}

static sal_status open_store(sal_sweep_state *s, sal_engine *engine)
{
    sal_status st = SAL_OK;
    sal_plan_info plan = SAL_PLAN_INFO_INIT;
    TRY(sal_directory_make_for(s->store_path));
    TRY(sal_engine_get_plan(&plan, engine));
    TRY(sal_store_open(&s->store, s->store_path, s->folder, &s->run, s->dataset, plan.device));
    TRY(sal_store_check_files(s->store));
done:
    return or_anew(st);
}

/* While this process has the folder. */
static sal_status open_run(sal_sweep_state *s, sal_engine *engine)
{
    sal_status st = SAL_OK;
    char name[SAL_RUN_STORE_NAME];
    int was_run, known;
    sal_run_store_name(name, s->options.shard, s->options.shards);
    TRY(sal_sweep_check_folder(s, sal_engine_model(engine)));
    TRY(sal_run_is_one(&was_run, s->folder));
    if (s->options.restart)
        TRY(s->options.shards > 1 ? sal_run_remove_shard(s->folder, &s->run) : sal_run_remove(s->folder));
    /* Results that are there say best what differs; before there are any, the folder is to be a run. */
    TRY(sal_run_exists(&known, s->folder, name));
    const int extends = s->options.extend && was_run;
    if (!known && extends)
        TRY(sal_run_extend(s->folder, &s->run, s->dataset, s->options.inputs, s->options.input_count));
    if (!known)
        TRY(describe(s, s->options.restart));
    TRY(open_store(s, engine));
    if (extends) {
        TRY(sal_run_extend(s->folder, &s->run, s->dataset, s->options.inputs, s->options.input_count));
        TRY(sal_store_extend(s->store, &s->run));
    }
    TRY(describe(s, 0));
    if (s->options.shards == 1 && was_run)
        TRY(sal_run_remove_own_temporaries(s->folder));
done:
    return st;
}

/* Asks the caller meanwhile: nothing is done, and no time counts. */
static int is_stopped(void *context)
{
    sal_sweep_state *s = context;
    s->began = sal_pipeline_now();
    return sal_sweep_look(s);
}

sal_status sal_sweep_lock(int *lock, sal_sweep_state *s)
{
    return sal_run_lock(lock, s->folder, SAL_RUN_WAIT, is_stopped, s);
}

/* The results are open, and nobody else's: so are the files of its pictures. */
static sal_status look_around(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    char *own = NULL;
    TRY(sal_run_names_make(&s->names, s->dataset, s->settings));
    TRY(sal_run_sync(s->folder));
    TRY(sal_alloc(&own, (size_t)s->options.shards, 1, "shards"));
    own[s->options.shard] = 1;
    TRY(sal_run_remove_temporaries(s->folder, own, s->options.shards, &s->names));
    s->has_root = stat(s->dataset->root[0] ? s->dataset->root : ".", &s->root) == 0;
    TRY(or_anew(sal_sweep_list_pending(s)));
    if (s->count > 0 && !sal_sweep_is_any_there(s->dataset))
        TRY(sal_sweep_fail_missing(s));
done:
    sal_free(own);
    return st;
}

static void count_pictures(sal_sweep_state *s)
{
    for (size_t i = 0; i < s->dataset->count; i++)
        s->progress.pictures += (size_t)sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards);
}

/* Before anything is written. A run that is there may be done already: see look_around. */
static sal_status check_files(const sal_sweep_state *s)
{
    int is_run;
    if (sal_sweep_is_any_there(s->dataset))
        return SAL_OK;
    if (!s->options.restart && sal_run_is_one(&is_run, s->folder) == SAL_OK && is_run)
        return SAL_OK;
    return sal_sweep_fail_missing(s);
}

sal_status sal_sweep_begin(sal_sweep_state *s, sal_engine *engine)
{
    sal_status st = SAL_OK;
    int lock = -1;
    if (!s->options.dry_run)
        TRY(check_files(s));
    if (!s->options.dry_run)
        TRY(sal_output_folder(s->folder, SAL_RUN_JSON));
    TRY(sal_sweep_read_command(s, engine));
    if (s->options.dry_run)
        return sal_sweep_look_at_run(s);
    count_pictures(s);
    st = sal_sweep_lock(&lock, s);
    if (st != SAL_OK) {
        s->progress.pictures = 0; /* how many are done is not known */
        goto done;
    }
    TRY(open_run(s, engine));
    sal_run_unlock(&lock);
    TRY(look_around(s));
    /* What shards were merged into is no longer what they are. */
    if (s->options.shards > 1 && s->count > 0) {
        TRY(sal_sweep_lock(&lock, s));
        TRY(sal_run_remove_merged(s->folder));
    }
done:
    sal_run_unlock(&lock);
    return st;
}
