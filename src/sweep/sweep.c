/* A data set from the first picture to the last, however often it is interrupted. */
#include "sweep/sweep.h"

#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/struct.h"
#include "image/image.h"
#include "results/limits.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Right and wrong ----------------------------------------------------- */

/* Whether the prediction is the label: -1 where that cannot be said. */
static int is_correct(const sal_sweep_state *s, size_t row, const sal_prediction *best)
{
    double number;
    const sal_label_meaning meaning = sal_sweep_label(&number, &s->labels, row);
    if (meaning == SAL_LABEL_MISSING || meaning == SAL_LABEL_UNKNOWN)
        return -1;
    if (s->info.outputs > 1)
        return number == (double)best->output;
    if (s->info.detached) /* one sigmoid: yes or no */
        return (number > 0.5) == (best->score > 0.0f);
    return fabs((double)best->score - number) <= s->options.tolerance;
}

static void take_compared(void *context, size_t row, double score, int is_right)
{
    sal_sweep_state *s = context;
    double number;
    s->progress.compared++;
    s->progress.right += (size_t)is_right;
    if (s->info.outputs == 1 && !s->info.detached && sal_sweep_label(&number, &s->labels, row) == SAL_LABEL_GOOD)
        s->progress.mean_absolute_error += fabs(score - number);
}

/* Over all pictures that are done, those of earlier calls included. */
static sal_status count_right(sal_sweep_state *s)
{
    const sal_status st = sal_store_compared(s->store, take_compared, s);
    if (s->progress.compared > 0)
        s->progress.mean_absolute_error /= (double)s->progress.compared;
    return st;
}

static sal_status begin_top(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    if (s->options.overlays != SAL_OVERLAYS_TOP)
        return SAL_OK;
    if (s->options.overlay_count > (int64_t)s->dataset->count)
        s->options.overlay_count = (int64_t)s->dataset->count;
    TRY(sal_top_scores_init(&s->top, (size_t)s->options.overlay_count));
    TRY(sal_store_scores(s->store, s->options.overlay_count, sal_top_scores_add, &s->top));
done:
    return st;
}

static int wants_overlay(void *context, size_t picture, const sal_slot *slot)
{
    sal_sweep_state *s = context;
    if (s->options.overlays == SAL_OVERLAYS_WRONG)
        return is_correct(s, s->rows[s->first + picture], &slot->predictions[0]) == 0;
    return sal_top_scores_may(&s->top, slot->outputs[0].map.score);
}

/* ---- Results ------------------------------------------------------------- */

/* A picture that cannot be read because its whole folder went away is no failed picture: nothing is. */
static sal_status check_root(const sal_sweep_state *s, const sal_slot *slot)
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

static sal_status fail_picture(sal_sweep_state *s, sal_result *r, const sal_slot *slot)
{
    sal_status st = SAL_OK;
    /* A disk that is full, or a folder that is gone, would fail all of them. */
    if (slot->unwritten)
        return sal_fail(slot->status, "%s", slot->error);
    TRY(check_root(s, slot));
    r->status = slot->status;
    r->error = slot->error;
    sal_result_note_file(r, sal_dataset_file(s->dataset, r->picture));
    s->progress.failed++;
    s->progress.failed_now++;
    TRY(sal_store_add(s->store, r));
    if (s->options.picture_failed)
        s->options.picture_failed(s->options.context, sal_dataset_path(s->dataset, r->picture), slot->error);
    if (s->options.max_failures != SAL_UNLIMITED && s->progress.failed > (size_t)s->options.max_failures)
        st = sal_fail(SAL_ERROR_LIMIT, "%zu picture%s failed, more than the %lld of --max-failures; the last one: %s",
                      s->progress.failed, s->progress.failed == 1 ? "" : "s", (long long)s->options.max_failures,
                      slot->error);
done:
    return st;
}

static sal_result_map map_of(const sal_sweep_state *s, const sal_output *out)
{
    const sal_explain_map *m = &out->map;
    static const sal_output_file formats[] = {SAL_FILE_NPY, SAL_FILE_NPZ, SAL_FILE_PNG16};
    sal_result_map map = {.target = m->target,
                          .score = m->score,
                          .probability = m->probability,
                          .gap = m->gap,
                          .stats = m->stats,
                          .summary = out->summary};
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++)
        if (out->paths[formats[k]])
            map.map_file = sal_names_below(out->paths[formats[k]], &s->layout);
    if (m->overlay_path)
        map.overlay_file = sal_names_below(m->overlay_path, &s->layout);
    return map;
}

sal_status sal_sweep_fail_picture(sal_sweep_state *s, size_t row, const sal_slot *slot, int is_harmless)
{
    sal_result r = {.picture = row,
                    .correct = -1,
                    .decode_ms = slot->decode_ms,
                    .compute_ms = slot->milliseconds,
                    .encode_ms = slot->encode_ms};
    sal_status st = fail_picture(s, &r, slot);
    if (st == SAL_OK || st == SAL_ERROR_LIMIT) {
        s->progress.done++;
        s->progress.done_now++;
        if (is_harmless)
            sal_in_flight_done(s->in_flight, row);
        else
            sal_in_flight_leave(s->in_flight, row);
    }
    return st;
}

static void begin(void *context, size_t picture)
{
    sal_sweep_state *s = context;
    sal_in_flight_begin(s->in_flight, s->rows[s->first + picture]);
}

static sal_status deliver(void *context, size_t picture, const sal_slot *slot)
{
    sal_status st = SAL_OK;
    sal_sweep_state *s = context;
    const size_t row = s->rows[s->first + picture], maps = sal_maps_of(s->layout.top);
    if (slot->status != SAL_OK)
        return sal_sweep_fail_picture(s, row, slot, 1);
    for (size_t k = 0; k < maps; k++)
        s->maps[k] = map_of(s, &slot->outputs[k]);
    const sal_result r = {.picture = row,
                          .bytes = slot->file_bytes,
                          .width = slot->placement.source_width,
                          .height = slot->placement.source_height,
                          .correct = is_correct(s, row, &slot->predictions[0]),
                          .predictions = slot->predictions,
                          .prediction_count = (size_t)s->options.predictions,
                          .maps = s->maps,
                          .map_count = maps,
                          .decode_ms = slot->decode_ms,
                          .compute_ms = slot->milliseconds,
                          .encode_ms = slot->encode_ms};
    TRY(sal_store_add(s->store, &r));
    sal_in_flight_done(s->in_flight, row);
    if (s->top.heap)
        sal_top_scores_add(&s->top, s->maps[0].score);
    s->progress.done++;
    s->progress.done_now++;
    if (slot->notes && s->options.picture_noted)
        s->options.picture_noted(s->options.context, sal_dataset_path(s->dataset, row), slot->notes, slot->note);
done:
    return st;
}

/* ---- How it goes --------------------------------------------------------- */

static void find_bound(sal_sweep_progress *p)
{
    const sal_stage_info *s = p->stages;
    /* The threads that decode are those that encode. */
    double busy = s[SAL_STAGE_DECODE].busy + s[SAL_STAGE_ENCODE].busy;
    const sal_stage_info *busiest =
        &s[s[SAL_STAGE_DECODE].busy > s[SAL_STAGE_ENCODE].busy ? SAL_STAGE_DECODE : SAL_STAGE_ENCODE];
    for (int k = 0; k < SAL_STAGES; k++)
        if (k != SAL_STAGE_DECODE && k != SAL_STAGE_ENCODE && s[k].busy > busy) {
            busiest = &s[k];
            busy = s[k].busy;
        }
    /* Where threads share too few cores, each of them looks busy. */
    p->bound = p->processor > 0.9 ? "processor" : busiest->name;
}

int sal_sweep_look(sal_sweep_state *s)
{
    s->progress.seconds = sal_pipeline_now() - s->began;
    if (!s->stopped && s->options.progress && s->options.progress(s->options.context, &s->progress) != 0)
        s->stopped = 1;
    return s->stopped;
}

void sal_sweep_measure(sal_sweep_progress *p, double store_busy, const sal_pipeline_state *state)
{
    p->processor = state->processor;
    p->stage_count = SAL_STAGES;
    memcpy(p->stages, state->stages, sizeof state->stages);
    sal_stage_info *store = &p->stages[SAL_STAGE_STORE];
    store->threads = 1;
    store->busy = state->seconds > 0.0 ? store_busy / state->seconds : 0.0;
    store->milliseconds = p->done_now ? store_busy * 1e3 / (double)p->done_now : 0.0;
    find_bound(p);
}

static int look(void *context, const sal_pipeline_state *state)
{
    sal_sweep_state *s = context;
    /* The few suspects after the others say nothing of the speed. */
    if (s->first == 0)
        sal_sweep_measure(&s->progress, sal_store_busy(s->store), state);
    return sal_sweep_look(s);
}

/* ---- The end ------------------------------------------------------------- */

/* The result file's lock is what keeps others from the pictures in flight. */
static sal_status close_results(sal_sweep_state *s, const char *outcome)
{
    sal_in_flight_close(s->in_flight);
    s->in_flight = NULL;
    const sal_status st = sal_store_close(s->store, outcome);
    s->store = NULL;
    return st;
}

/* The table of a whole run. */
static sal_status export_table(const sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    char *csv = NULL;
    TRY(sal_run_path(&csv, s->folder, SAL_RUN_CSV));
    TRY(sal_sweep_export(s->folder, csv, NULL, NULL, NULL));
done:
    free(csv);
    return st;
}

static sal_status finish(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    int lock = -1;
    const char *outcome = "complete";
    TRY(sal_store_flush(s->store));
    TRY(count_right(s));
    if (s->progress.done < s->progress.pictures) {
        st = sal_fail(SAL_ERROR_CANCELLED, "stopped: %zu of %zu pictures are done; the same command goes on",
                      s->progress.done, s->progress.pictures);
        outcome = "stopped";
        goto done;
    }
    if (s->top.heap)
        TRY(sal_store_keep_top(s->store, s->options.overlay_count, s->options.shards == 1 ? s->folder : NULL,
                               &s->names));
    TRY(sal_store_keep_limits(s->store, &s->how.limits));
done:
    if (st == SAL_OK || st == SAL_ERROR_CANCELLED) {
        const int whole = st == SAL_OK && s->options.shards == 1;
        /* Between the results and their table nobody begins anew. */
        if (whole)
            st = sal_sweep_lock(&lock, s);
        const sal_status closed = close_results(s, outcome);
        st = closed != SAL_OK ? closed : st;
        if (whole && st == SAL_OK)
            st = export_table(s);
    }
    sal_run_unlock(&lock);
    return st;
}

/* `count` of the pictures from number `first` on, so many at once as fit, or one after the other. */
static sal_status compute(sal_sweep_state *s, sal_engine *const *engines, size_t engine_count, size_t first,
                          size_t count, int alone)
{
    sal_explain_options explain = s->how.explain;
    if (explain.target.kind == SAL_TARGET_LABEL)
        explain.target.kind = SAL_TARGET_PREDICTED; /* each picture has its own */
    const int few = s->options.overlays == SAL_OVERLAYS_WRONG || s->options.overlays == SAL_OVERLAYS_TOP;
    const sal_pipeline_job job = {.baseline_sha256 = s->baseline ? s->baseline_sha256 : NULL,
                                  .paths = s->paths + first,
                                  .stems = s->stems + first,
                                  .rows = s->rows + first,
                                  .count = count,
                                  .alone = alone ? count : 0,
                                  .options = &explain,
                                  .targets = s->targets ? s->targets + first : NULL,
                                  .layout = s->layout,
                                  .predictions = (size_t)s->options.predictions,
                                  .longest = s->options.overlay_size == SAL_OVERLAY_FULL ? 0 : s->options.overlay_size,
                                  .wants_overlay = few ? wants_overlay : NULL,
                                  .begin = begin,
                                  .deliver = deliver,
                                  .look = look,
                                  .context = s,
                                  .lost_context = s->options.context};
    s->first = first;
    return sal_pipeline_run(&job, engines, engine_count);
}

/* Few at a time, so that a process that is killed again and again gets on all the same. */
static sal_status compute_suspects(sal_sweep_state *s, sal_engine *const *engines, size_t engine_count, size_t first,
                                   size_t count, int alone)
{
    enum { AT_A_TIME = 32 };
    sal_status st = SAL_OK;
    for (size_t i = 0; i < count && !s->stopped; i += AT_A_TIME) {
        size_t fine;
        TRY(sal_sweep_try_suspects(&fine, s, first + i, count - i < AT_A_TIME ? count - i : AT_A_TIME));
        if (!s->stopped)
            TRY(compute(s, engines, engine_count, first + i, fine, alone));
    }
done:
    return st;
}

/* Until all is done again, it would tell of results that are no longer. */
static sal_status remove_table(const sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_run_folder folder = {.fd = -1};
    TRY(sal_run_folder_open(&folder, s->folder));
    TRY(sal_run_file_remove(&folder, SAL_RUN_CSV));
done:
    sal_run_folder_close(&folder);
    return st;
}

static sal_status run(sal_sweep_state *s, sal_engine *const *engines, size_t engine_count)
{
    sal_status st = SAL_OK;
    const size_t maps = sal_maps_of(s->layout.top), others = s->count - s->suspects - s->alone;
    if (s->options.max_failures != SAL_UNLIMITED && s->count > 0 &&
        s->progress.failed > (size_t)s->options.max_failures)
        return sal_fail(SAL_ERROR_LIMIT, "%zu picture%s failed already, more than the %lld of --max-failures",
                        s->progress.failed, s->progress.failed == 1 ? "" : "s", (long long)s->options.max_failures);
    TRY(sal_alloc(&s->maps, maps, sizeof *s->maps, "results"));
    TRY(begin_top(s)); /* reads results: before the first one is stored */
    if (s->options.shards == 1 && s->count > 0)
        TRY(remove_table(s));
    s->began = sal_pipeline_now();
    TRY(compute(s, engines, engine_count, 0, others, 0));
    /* What may kill the process comes when it can take nothing with it. */
    TRY(compute_suspects(s, engines, engine_count, others, s->suspects, 0));
    TRY(compute_suspects(s, engines, engine_count, s->count - s->alone, s->alone, 1));
    TRY(finish(s));
done:
    return st;
}

static sal_status prepare(sal_sweep_state *s, sal_engine *const *engines, size_t engine_count)
{
    sal_status st = SAL_OK;
    sal_explain_options explain = s->how.explain;
    if (explain.target.kind == SAL_TARGET_LABEL)
        explain.target.kind = SAL_TARGET_PREDICTED;
    TRY(sal_sweep_check_options(s));
    TRY(sal_pipeline_check(engines, engine_count, &explain));
    s->folder = s->how.explain.out_dir;
    s->model = sal_engine_model(engines[0]);
    TRY(sal_model_get_info(&s->info, s->model));
    if (s->options.predictions > s->info.outputs)
        s->options.predictions = s->info.outputs;
    if (s->how.limits.max_memory == 0)
        s->how.limits.max_memory = sal_picture_default_memory();
    s->began = sal_pipeline_now();
    TRY(sal_sweep_begin(s, engines[0]));
done:
    return st;
}

static void release(sal_sweep_state *s)
{
    sal_run_names_clear(&s->names);
    sal_dataset_close(s->frozen);
    free(s->settings);
    free(s->store_path);
    sal_free(s->rows);
    sal_free(s->paths);
    sal_free(s->stems);
    sal_free(s->targets);
    sal_free(s->maps);
    sal_top_scores_clear(&s->top);
}

/* With engines that were taken. */
static sal_status sweep(sal_sweep_state *s, sal_engine *const *engines, size_t engine_count)
{
    sal_status st = SAL_OK;
    TRY(prepare(s, engines, engine_count));
    if (!s->options.dry_run)
        TRY(run(s, engines, engine_count));
done:
    if (s->store) {
        /* What was found out before the error is kept, if it can be. */
        char error[1024];
        snprintf(error, sizeof error, "%s", sal_last_error());
        (void)close_results(s, error);
        (void)sal_fail(st, "%s", error);
    }
    release(s);
    return st;
}

/* Whatever version of the structs the caller has. */
static sal_status read_options(sal_sweep_state *s, const sal_sweep_options *given)
{
    sal_status st = SAL_OK;
    TRY(sal_struct_read(&s->options, sizeof s->options, given, "sal_sweep_options"));
    TRY(sal_require(s->options.explain, "options->explain", "sal_sweep"));
    TRY(sal_run_options_read(&s->how, s->options.explain));
    s->options.explain = &s->how.explain;
done:
    return st;
}

sal_status sal_sweep(sal_sweep_progress *last, sal_engine *const *engines, size_t engine_count,
                     const sal_dataset *dataset, const sal_sweep_options *options)
{
    sal_status st = SAL_OK;
    sal_sweep_state s = {.dataset = dataset, .info = SAL_MODEL_INFO_INIT, .progress = SAL_SWEEP_PROGRESS_INIT};
    if (last)
        TRY(sal_struct_write(last, &s.progress, sizeof s.progress, "sal_sweep_progress"));
    if (!dataset || !options)
        return sal_fail(SAL_ERROR_ARGUMENT, "a data set and options must be given");
    TRY(read_options(&s, options));
    TRY(sal_engines_take(engines, engine_count));
    st = sweep(&s, engines, engine_count);
    if (last)
        (void)sal_struct_write(last, &s.progress, sizeof s.progress, "sal_sweep_progress");
    sal_engines_give_back(engines, engine_count);
done:
    return st;
}
