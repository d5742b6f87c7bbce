/* A data set from the first picture to the last, however often it is interrupted. */
#include "api/identity.h"
#include "base/file.h"
#include "base/memory.h"
#include "results/run.h"
#include "sweep/pipeline.h"
#include "sweep/settings.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_PREDICTIONS = 5 };

typedef struct sweep {
    sal_sweep_options options; /* with defaults filled in */
    const char *folder;
    const sal_model *model;
    sal_model_info info;
    const sal_dataset *dataset;
    sal_dataset *frozen; /* the list as it was when the run began, where that is another one; owned */
    char *settings;
    char model_sha256[SAL_DIGEST_SIZE];
    char manifest_sha256[SAL_DIGEST_SIZE];
    sal_run run;
    sal_output_layout layout;
    sal_names names;
    sal_store *store;
    char *store_path;
    struct stat root; /* the folder of the pictures, when the run began */
    int has_root;
    /* The pictures that this call computes: */
    size_t *rows;
    const char **paths;
    const char **stems;
    sal_target *targets; /* with SAL_TARGET_LABEL */
    size_t count;
    /* How it goes: */
    sal_sweep_progress progress;
    sal_result_map *maps; /* of one picture */
    int stopped;
    float *top; /* scores of the best so far, the worst first: a heap */
    int64_t top_used;
    pthread_mutex_t top_lock;
} sweep;

/* ---- Options ------------------------------------------------------------- */

static sal_status check_options(sweep *s)
{
    sal_sweep_options *o = &s->options;
    if (o->shards < 1)
        o->shards = 1;
    if (o->predictions == 0)
        o->predictions = DEFAULT_PREDICTIONS;
    if (o->tolerance == 0.0)
        o->tolerance = 0.5;
    if (o->shard < 0 || o->shard >= o->shards)
        return sal_fail(SAL_ERROR_ARGUMENT, "shard %lld/%lld: shards are numbered from 0 to %lld", (long long)o->shard,
                        (long long)o->shards, (long long)o->shards - 1);
    if (o->predictions < 0 || o->max_failures < 0 || !(o->tolerance > 0.0))
        return sal_fail(SAL_ERROR_ARGUMENT, "predictions, failures and tolerance cannot be negative");
    if (o->explain.figure || o->explain.save_gradient)
        return sal_fail(SAL_ERROR_ARGUMENT, "figures and gradients are not for sweeps; use explain");
    if (o->maps == SAL_MAPS_PNG16 && o->explain.map.normalize != SAL_NORMALIZE_MINMAX)
        return sal_fail(SAL_ERROR_ARGUMENT, "maps as png16 hold 0 to 1, and maps that are not normalised are not "
                                            "bounded; use npy or npz");
    if (o->overlays == SAL_OVERLAYS_TOP && o->overlay_count < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "overlays top: at least one picture must be asked for");
    const int labelled = s->dataset->label_column >= 0;
    if (!labelled && (o->overlays == SAL_OVERLAYS_WRONG || o->explain.target.kind == SAL_TARGET_LABEL))
        return sal_fail(SAL_ERROR_ARGUMENT, "%s needs labels: a manifest with a column named label",
                        o->overlays == SAL_OVERLAYS_WRONG ? "overlays wrong" : "target label");
    if (o->explain.target.kind == SAL_TARGET_LABEL && o->explain.top > 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "target label and top exclude each other");
    return SAL_OK;
}

static void choose_files(sweep *s)
{
    static const unsigned formats[] = {[SAL_MAPS_NPY] = SAL_FILE_BIT(SAL_FILE_NPY),
                                       [SAL_MAPS_NONE] = 0,
                                       [SAL_MAPS_NPZ] = SAL_FILE_BIT(SAL_FILE_NPZ),
                                       [SAL_MAPS_PNG16] = SAL_FILE_BIT(SAL_FILE_PNG16)};
    const sal_sweep_options *o = &s->options;
    s->layout =
        (sal_output_layout){.files = formats[o->maps], .top = o->explain.top, .out_dir = s->folder, .spread = 1};
    if (o->overlays != SAL_OVERLAYS_NONE)
        s->layout.files |= SAL_FILE_BIT(o->overlay_jpeg ? SAL_FILE_OVERLAY_JPEG : SAL_FILE_OVERLAY);
}

/* ---- The list, now and then ---------------------------------------------- */

static sal_status hash_list(char sha256[SAL_DIGEST_SIZE], const sal_dataset *d)
{
    char *text = NULL;
    size_t size;
    sal_status st = sal_dataset_text(&text, &size, d);
    if (st == SAL_OK)
        st = sal_run_hash(sha256, text, size);
    free(text);
    return st;
}

static int is_sorted(const sal_dataset *d)
{
    for (size_t i = 1; i < d->count; i++)
        if (strcmp(sal_dataset_path(d, i - 1), sal_dataset_path(d, i)) > 0)
            return 0;
    return 1;
}

/* A picture of `now` that `then` does not have, or now->count; *count: how many there are. Lists of folders are sorted:
 * one pass; others are searched. */
static size_t find_new(size_t *count, const sal_dataset *now, const sal_dataset *then)
{
    size_t first = now->count, at = 0;
    const int sorted = is_sorted(now) && is_sorted(then);
    *count = 0;
    for (size_t i = 0; i < now->count; i++) {
        const char *path = sal_dataset_path(now, i);
        if (!sorted)
            at = sal_dataset_find(then, path);
        while (at < then->count && strcmp(sal_dataset_path(then, at), path) < 0)
            at++;
        if (at < then->count && strcmp(sal_dataset_path(then, at), path) == 0)
            continue;
        if ((*count)++ == 0)
            first = i;
    }
    return first;
}

/* The list of a run that was begun stays its list: pictures that went missing from a folder since are failures, new
 * ones are another run. A manifest is compared as a whole. */
static sal_status reconcile_list(sweep *s)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    sal_dataset *then = NULL;
    char sha256[SAL_DIGEST_SIZE];
    size_t added;
    TRY(hash_list(s->manifest_sha256, s->dataset));
    TRY(sal_run_path(&path, s->folder, SAL_RUN_MANIFEST));
    if (access(path, F_OK) != 0)
        goto done;
    const char *const inputs[] = {path};
    const sal_dataset_options options = {.root = s->dataset->root};
    TRY(sal_dataset_open(&then, inputs, 1, &options));
    TRY(hash_list(sha256, then));
    if (strcmp(sha256, s->manifest_sha256) == 0)
        goto done;
    const size_t first = find_new(&added, s->dataset, then);
    if (s->dataset->manifest || added > 0) {
        char what[256] = "other columns or labels";
        if (added > 0)
            snprintf(what, sizeof what, "%zu new, such as %.180s", added, sal_dataset_path(s->dataset, first));
        else if (s->dataset->count != then->count)
            snprintf(what, sizeof what, "%zu are gone", then->count - s->dataset->count);
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: the list of pictures has changed since the run began: %zu then, %zu now (%s); --restart "
                      "throws its results away, or choose another run folder",
                      path, then->count, s->dataset->count, what);
        goto done;
    }
    s->frozen = then;
    s->dataset = then;
    then = NULL;
    memcpy(s->manifest_sha256, sha256, sizeof sha256);
done:
    sal_dataset_close(then);
    free(path);
    return st;
}

/* ---- The run folder ------------------------------------------------------ */

/* Shards of one run are all of the same number. */
static sal_status check_shards(const sweep *s, const char *path)
{
    sal_status st = SAL_OK;
    int64_t index, count;
    DIR *directory = opendir(path);
    for (struct dirent *e; directory && st == SAL_OK && (e = readdir(directory)) != NULL;)
        if (sal_run_parse_shard(&index, &count, e->d_name) && count != s->options.shards)
            st = sal_fail(SAL_ERROR_ARGUMENT,
                          "%s: holds %s, a shard of %lld, and this one is of %lld: choose another folder, or remove it",
                          path, e->d_name, (long long)count, (long long)s->options.shards);
    if (directory)
        closedir(directory);
    return st;
}

/* Parts and a whole do not mix in one folder. */
static sal_status check_kind(const sweep *s)
{
    sal_status st = SAL_OK;
    char *shards = NULL, *whole = NULL;
    TRY(sal_run_path(&shards, s->folder, SAL_STORE_SHARDS));
    TRY(sal_run_store_path(&whole, s->folder, 0, 1));
    const int has_shards = access(shards, F_OK) == 0, has_whole = access(whole, F_OK) == 0;
    if (s->options.shards == 1 && has_shards)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: holds a run in shards: go on with --shard, or 'salmap merge' it; --restart throws its "
                      "results away",
                      s->folder);
    else if (s->options.shards > 1 && has_whole && !has_shards)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: holds a run that is not in shards: choose another folder, or --restart throws its results "
                      "away",
                      s->folder);
    else if (s->options.shards > 1)
        st = check_shards(s, shards);
done:
    free(shards);
    free(whole);
    return st;
}

static int is_ours(void *context, size_t first, const char *file)
{
    const sweep *s = context;
    for (size_t i = first; i < first + 1000 && i < s->dataset->count; i++) {
        const size_t length = strlen(s->names.stems[i]);
        if (sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards) &&
            strncmp(file, s->names.stems[i], length) == 0 && file[length] == '.')
            return 1;
    }
    return 0;
}

static sal_status open_run(sweep *s, sal_engine *engine)
{
    sal_status st = SAL_OK;
    sal_plan_info plan;
    TRY(sal_output_folder(s->folder));
    TRY(sal_run_store_path(&s->store_path, s->folder, s->options.shard, s->options.shards));
    if (s->options.restart)
        TRY(s->options.shards > 1 ? sal_run_remove_shard(s->folder, s->options.shard, s->options.shards)
                                  : sal_run_remove(s->folder));
    TRY(check_kind(s));
    TRY(reconcile_list(s));
    TRY(sal_model_hash(s->model_sha256, s->model));
    TRY(sal_settings_make(&s->settings, &s->options, engine));
    TRY(sal_names_make(&s->names, (const char *const *)s->dataset->files, s->dataset->count, &s->layout));
    s->run = (sal_run){.model = s->info.path,
                       .model_sha256 = s->model_sha256,
                       .manifest_sha256 = s->manifest_sha256,
                       .settings = s->settings,
                       .shard = s->options.shard,
                       .shards = s->options.shards};
    /* Results that are there say best what differs; without them, a refused command is to leave none. */
    if (access(s->store_path, F_OK) != 0)
        TRY(sal_run_check(s->folder, &s->run));
    TRY(sal_directory_make_for(s->store_path));
    TRY(sal_engine_get_plan(&plan, engine));
    st = sal_store_open(&s->store, s->store_path, s->folder, &s->run, s->dataset, plan.device);
    if (st == SAL_ERROR_FORMAT)
        st = sal_fail(st, "%s; --restart begins anew", sal_last_error());
    TRY(st);
    TRY(sal_run_describe(s->folder, &s->run, s->dataset, s->options.inputs, s->options.input_count));
    if (s->options.shards == 1)
        TRY(sal_run_remove_own_temporaries(s->folder));
    TRY(sal_run_remove_temporaries(s->folder, is_ours, s));
    s->has_root = stat(s->dataset->root[0] ? s->dataset->root : ".", &s->root) == 0;
done:
    return st;
}

/* ---- What is left to do -------------------------------------------------- */

/* The output that a label names, where there are several; -1: none. */
static int64_t output_of(const sweep *s, size_t row)
{
    const char *label = sal_dataset_label(s->dataset, row);
    char *end;
    if (!label || !*label)
        return -1;
    const long long output = strtoll(label, &end, 10);
    return *end || output < 0 || output >= s->info.outputs ? -1 : (int64_t)output;
}

/* What `wrong` compares with must be a number, or nothing. */
static sal_status check_label(const sweep *s, size_t row)
{
    const char *label = sal_dataset_label(s->dataset, row);
    char *end;
    if (!label || !*label)
        return SAL_OK;
    (void)strtod(label, &end);
    return *end ? sal_fail(SAL_ERROR_ARGUMENT,
                           "%s: its label '%s' is no number: with overlays wrong, labels are outputs or values",
                           sal_dataset_path(s->dataset, row), label)
                : SAL_OK;
}

static sal_status choose_target(sweep *s, size_t at, size_t row)
{
    const int64_t output = s->info.outputs == 1 ? 0 : output_of(s, row);
    if (output < 0)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: its label '%s' names no output: with target label, labels are numbers from 0 to %lld",
                        sal_dataset_path(s->dataset, row), sal_dataset_label(s->dataset, row),
                        (long long)s->info.outputs - 1);
    s->targets[at] = (sal_target){SAL_TARGET_INDEX, output, s->options.explain.target.score};
    return SAL_OK;
}

static sal_status list_pending(sweep *s)
{
    sal_status st = SAL_OK;
    const size_t all = s->dataset->count;
    unsigned char *known = NULL;
    TRY(sal_alloc(&known, all, 1, "the list of pictures"));
    TRY(sal_store_known(known, s->store));
    TRY(sal_alloc(&s->rows, all, sizeof *s->rows, "the list of pictures"));
    TRY(sal_alloc(&s->paths, all, sizeof *s->paths, "the list of pictures"));
    TRY(sal_alloc(&s->stems, all, sizeof *s->stems, "the list of pictures"));
    if (s->options.explain.target.kind == SAL_TARGET_LABEL)
        TRY(sal_alloc(&s->targets, all, sizeof *s->targets, "targets"));
    for (size_t i = 0; i < all; i++) {
        if (!sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards))
            continue;
        s->progress.pictures++;
        if (known[i] == SAL_KNOWN_DONE || (known[i] == SAL_KNOWN_FAILED && !s->options.retry_failed)) {
            s->progress.done++;
            s->progress.failed += known[i] != SAL_KNOWN_DONE;
            continue;
        }
        if (s->targets)
            TRY(choose_target(s, s->count, i));
        if (s->options.overlays == SAL_OVERLAYS_WRONG)
            TRY(check_label(s, i));
        s->rows[s->count] = i;
        s->paths[s->count] = sal_dataset_file(s->dataset, i);
        s->stems[s->count++] = s->names.stems[i];
    }
done:
    sal_free(known);
    return st;
}

/* ---- Right and wrong ----------------------------------------------------- */

/* Whether the prediction is the label: -1 where that cannot be said. */
static int is_correct(const sweep *s, size_t row, const sal_prediction *best)
{
    const char *label = sal_dataset_label(s->dataset, row);
    char *end;
    if (!label || !*label)
        return -1;
    const double number = strtod(label, &end);
    if (*end || !isfinite(number))
        return -1;
    if (s->info.outputs > 1)
        return number == (double)best->output;
    if (s->info.detached) /* one sigmoid: yes or no */
        return (number > 0.5) == (best->score > 0.0f);
    return fabs((double)best->score - number) <= s->options.tolerance;
}

/* ---- The highest scores -------------------------------------------------- */

/* Whether a score may be among the n highest: what is below the n-th of those before it never is. Ties are settled
 * in the end. */
static int may_be_top(sweep *s, float score)
{
    pthread_mutex_lock(&s->top_lock);
    const int may = s->top_used < s->options.overlay_count || score >= s->top[0];
    pthread_mutex_unlock(&s->top_lock);
    return may;
}

/* Into the heap of the n highest. */
static void add_top(void *context, float score)
{
    sweep *s = context;
    pthread_mutex_lock(&s->top_lock);
    int64_t at;
    if (s->top_used < s->options.overlay_count) {
        for (at = s->top_used++; at > 0 && s->top[(at - 1) / 2] > score; at = (at - 1) / 2)
            s->top[at] = s->top[(at - 1) / 2];
        s->top[at] = score;
    } else if (score > s->top[0]) {
        for (at = 0;;) {
            int64_t child = 2 * at + 1;
            if (child >= s->top_used)
                break;
            if (child + 1 < s->top_used && s->top[child + 1] < s->top[child])
                child++;
            if (s->top[child] >= score)
                break;
            s->top[at] = s->top[child];
            at = child;
        }
        s->top[at] = score;
    }
    pthread_mutex_unlock(&s->top_lock);
}

static sal_status begin_top(sweep *s)
{
    sal_status st = SAL_OK;
    if (s->options.overlays != SAL_OVERLAYS_TOP)
        return SAL_OK;
    if (s->options.overlay_count > (int64_t)s->dataset->count)
        s->options.overlay_count = (int64_t)s->dataset->count;
    TRY(sal_alloc(&s->top, (size_t)s->options.overlay_count, sizeof *s->top, "the highest scores"));
    TRY(sal_store_scores(s->store, s->options.overlay_count, add_top, s));
done:
    return st;
}

static int wants_overlay(void *context, size_t picture, const sal_slot *slot)
{
    sweep *s = context;
    if (s->options.overlays == SAL_OVERLAYS_WRONG)
        return is_correct(s, s->rows[picture], &slot->predictions[0]) == 0;
    return may_be_top(s, slot->outputs[0].map.score);
}

/* ---- Results ------------------------------------------------------------- */

/* A picture that cannot be read because its whole folder went away is no failed picture: nothing is. */
static sal_status check_root(const sweep *s, const sal_slot *slot)
{
    struct stat now;
    const char *root = s->dataset->root[0] ? s->dataset->root : ".";
    if (slot->status != SAL_ERROR_IO || !s->has_root)
        return SAL_OK;
    if (stat(root, &now) != 0)
        return sal_fail(SAL_ERROR_IO, "%s: the folder of the pictures is gone: %s; run again when it is back", root,
                        strerror(errno));
    if (now.st_dev != s->root.st_dev || now.st_ino != s->root.st_ino)
        return sal_fail(SAL_ERROR_IO,
                        "%s: the folder of the pictures is another one than before; run again when the "
                        "first is back",
                        root);
    return SAL_OK;
}

static sal_status fail_picture(sweep *s, sal_result *r, const sal_slot *slot)
{
    sal_status st = SAL_OK;
    /* A disk that is full, or a folder that is gone, would fail all of them. */
    if (slot->unwritten)
        return sal_fail(slot->status, "%s", slot->error);
    TRY(check_root(s, slot));
    r->status = slot->status;
    r->error = slot->error;
    s->progress.failed++;
    s->progress.failed_now++;
    TRY(sal_store_add(s->store, r));
    if (s->options.picture_failed)
        s->options.picture_failed(s->options.context, sal_dataset_path(s->dataset, r->picture), slot->error);
    if (s->options.max_failures_set && s->progress.failed > (size_t)s->options.max_failures)
        st = sal_fail(SAL_ERROR_LIMIT, "%zu pictures failed, at most %lld may; the last one: %s", s->progress.failed,
                      (long long)s->options.max_failures, slot->error);
done:
    return st;
}

static sal_result_map map_of(const sweep *s, const sal_output *out)
{
    const sal_explain_map *m = &out->map;
    static const sal_output_file formats[] = {SAL_FILE_NPY, SAL_FILE_NPZ, SAL_FILE_PNG16};
    sal_result_map map = {.target = m->target,
                          .score = m->score,
                          .probability = m->probability,
                          .stats = m->stats,
                          .summary = out->summary};
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++)
        if (out->paths[formats[k]])
            map.map_file = sal_names_below(out->paths[formats[k]], &s->layout);
    if (m->overlay_path)
        map.overlay_file = sal_names_below(m->overlay_path, &s->layout);
    return map;
}

static sal_status deliver(void *context, size_t picture, const sal_slot *slot)
{
    sal_status st = SAL_OK;
    sweep *s = context;
    const size_t row = s->rows[picture], maps = s->layout.top > 0 ? (size_t)s->layout.top : 1;
    sal_result r = {.picture = row,
                    .correct = -1,
                    .decode_ms = slot->decode_ms,
                    .compute_ms = slot->milliseconds,
                    .encode_ms = slot->encode_ms};
    if (slot->status != SAL_OK) {
        st = fail_picture(s, &r, slot);
        if (st != SAL_OK && st != SAL_ERROR_LIMIT)
            return st;
    } else {
        for (size_t k = 0; k < maps; k++)
            s->maps[k] = map_of(s, &slot->outputs[k]);
        r.width = slot->placement.source_width;
        r.height = slot->placement.source_height;
        r.correct = is_correct(s, row, &slot->predictions[0]);
        r.predictions = slot->predictions;
        r.prediction_count = (size_t)s->options.predictions;
        r.maps = s->maps;
        r.map_count = maps;
        TRY(sal_store_add(s->store, &r));
        if (s->top)
            add_top(s, s->maps[0].score);
    }
    s->progress.done++;
    s->progress.done_now++;
done:
    return st;
}

/* ---- How it goes --------------------------------------------------------- */

static void find_bound(sal_sweep_progress *p)
{
    const sal_stage_info *busiest = &p->stages[0];
    for (int k = 1; k < SAL_STAGES; k++)
        if (p->stages[k].busy > busiest->busy)
            busiest = &p->stages[k];
    /* Where threads share too few cores, each of them looks busy. */
    p->bound = p->processor > 0.9 ? "processor" : busiest->name;
}

static int look(void *context, const sal_pipeline_state *state)
{
    sweep *s = context;
    sal_sweep_progress *p = &s->progress;
    p->seconds = state->seconds;
    p->processor = state->processor;
    memcpy(p->stages, state->stages, sizeof p->stages);
    sal_stage_info *store = &p->stages[SAL_STAGE_STORE];
    const double busy = sal_store_busy(s->store);
    store->threads = 1;
    store->busy = state->seconds > 0.0 ? busy / state->seconds : 0.0;
    store->milliseconds = p->done_now ? busy * 1e3 / (double)p->done_now : 0.0;
    find_bound(p);
    if (!s->stopped && s->options.progress && s->options.progress(s->options.context, p) != 0)
        s->stopped = 1;
    return s->stopped;
}

/* ---- The end ------------------------------------------------------------- */

static sal_status finish(sweep *s)
{
    sal_status st = SAL_OK;
    char *csv = NULL;
    const char *outcome = "complete";
    TRY(sal_store_flush(s->store));
    if (s->progress.done < s->progress.pictures) {
        st = sal_fail(SAL_ERROR_CANCELLED, "stopped: %zu of %zu pictures are done; the same command goes on",
                      s->progress.done, s->progress.pictures);
        outcome = "stopped";
        goto done;
    }
    if (s->top)
        TRY(sal_store_keep_top(s->store, s->options.overlay_count, s->options.shards == 1 ? s->folder : NULL));
done:
    if (st == SAL_OK || st == SAL_ERROR_CANCELLED) {
        sal_status closed = sal_store_close(s->store, outcome);
        s->store = NULL;
        if (closed != SAL_OK)
            st = closed;
    }
    if (st == SAL_OK && s->options.shards == 1) {
        st = sal_run_path(&csv, s->folder, SAL_RUN_CSV);
        if (st == SAL_OK)
            st = sal_sweep_export(s->folder, csv, NULL, NULL, NULL);
    }
    free(csv);
    return st;
}

static sal_status run(sweep *s, sal_engine *const *engines, size_t engine_count)
{
    sal_status st = SAL_OK;
    if (s->options.max_failures_set && s->count > 0 && s->progress.failed > (size_t)s->options.max_failures)
        return sal_fail(SAL_ERROR_LIMIT, "%zu pictures have failed already, at most %lld may", s->progress.failed,
                        (long long)s->options.max_failures);
    sal_explain_options explain = s->options.explain;
    if (explain.target.kind == SAL_TARGET_LABEL)
        explain.target.kind = SAL_TARGET_PREDICTED; /* each picture has its own */
    const int few = s->options.overlays == SAL_OVERLAYS_WRONG || s->options.overlays == SAL_OVERLAYS_TOP;
    const sal_pipeline_job job = {.paths = s->paths,
                                  .stems = s->stems,
                                  .rows = s->rows,
                                  .count = s->count,
                                  .options = &explain,
                                  .targets = s->targets,
                                  .layout = s->layout,
                                  .predictions = (size_t)s->options.predictions,
                                  .wants_overlay = few ? wants_overlay : NULL,
                                  .deliver = deliver,
                                  .look = look,
                                  .context = s,
                                  .lost_context = s->options.context};
    const size_t maps = s->layout.top > 0 ? (size_t)s->layout.top : 1;
    TRY(sal_alloc(&s->maps, maps, sizeof *s->maps, "results"));
    TRY(begin_top(s));
    TRY(sal_pipeline_run(&job, engines, engine_count));
    TRY(finish(s));
done:
    return st;
}

static sal_status prepare(sweep *s, sal_engine *const *engines, size_t engine_count)
{
    sal_status st = SAL_OK;
    sal_explain_options explain = s->options.explain;
    if (explain.target.kind == SAL_TARGET_LABEL)
        explain.target.kind = SAL_TARGET_PREDICTED;
    TRY(check_options(s));
    TRY(sal_pipeline_check(engines, engine_count, &explain));
    s->folder = s->options.explain.out_dir;
    s->model = sal_engine_model(engines[0]);
    TRY(sal_model_get_info(&s->info, s->model));
    if (s->options.predictions > s->info.outputs)
        s->options.predictions = s->info.outputs;
    choose_files(s);
    TRY(open_run(s, engines[0]));
    TRY(list_pending(s));
done:
    return st;
}

static void release(sweep *s)
{
    sal_names_clear(&s->names);
    sal_dataset_close(s->frozen);
    free(s->settings);
    free(s->store_path);
    sal_free(s->rows);
    sal_free(s->paths);
    sal_free(s->stems);
    sal_free(s->targets);
    sal_free(s->maps);
    sal_free(s->top);
    pthread_mutex_destroy(&s->top_lock);
}

sal_status sal_sweep(sal_sweep_progress *last, sal_engine *const *engines, size_t engine_count,
                     const sal_dataset *dataset, const sal_sweep_options *options)
{
    sal_status st = SAL_OK;
    if (!dataset || !options)
        return sal_fail(SAL_ERROR_ARGUMENT, "a data set and options must be given");
    sweep s = {.options = *options, .dataset = dataset};
    pthread_mutex_init(&s.top_lock, NULL);
    TRY(prepare(&s, engines, engine_count));
    TRY(run(&s, engines, engine_count));
done:
    if (s.store) {
        /* What was found out before the error is kept, if it can be. */
        char error[1024];
        snprintf(error, sizeof error, "%s", sal_last_error());
        (void)sal_store_close(s.store, error);
        (void)sal_fail(st, "%s", error);
    }
    if (last)
        *last = s.progress;
    release(&s);
    return st;
}
