#include "cli/sweep_report.h"

#include "cli/json.h"
#include "cli/sweep_list.h"
#include "cli/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILURES_TOLD = 20 };
static const double line_seconds = 10.0, event_seconds = 1.0;

void sweep_report_clear(sweep_report *r)
{
    cli_bar_clear(&r->bar);
}

/* ---- Without a bar ------------------------------------------------------- */

static void print_line(const sal_sweep_progress *p)
{
    char left[32], bound[64];
    fprintf(stderr, "%zu of %zu pictures, %.1f per second, %s left, %zu failed, %s\n", p->done, p->pictures,
            cli_rate(p), cli_time_left(left, sizeof left, p), p->failed, cli_bound(bound, sizeof bound, p));
}

static void put_progress(cli_json *j, const sal_sweep_progress *p)
{
    cli_json_count(j, "pictures", p->pictures);
    cli_json_count(j, "done", p->done);
    cli_json_count(j, "failed", p->failed);
    cli_json_count(j, "done_now", p->done_now);
    cli_json_count(j, "failed_now", p->failed_now);
    cli_json_real(j, "seconds", p->seconds);
    cli_json_real(j, "per_second", cli_rate(p));
    cli_json_text(j, "bound", p->bound);
    cli_json_real(j, "processor", p->processor);
    cli_json_begin(j, "stages", '[');
    for (int k = 0; k < SAL_STAGES && p->stages[k].name; k++) {
        cli_json_begin(j, NULL, '{');
        cli_json_text(j, "name", p->stages[k].name);
        cli_json_count(j, "threads", p->stages[k].threads);
        cli_json_real(j, "milliseconds", p->stages[k].milliseconds);
        cli_json_real(j, "busy", p->stages[k].busy);
        cli_json_end(j);
    }
    cli_json_end(j);
}

static cli_json begin_event(const char *name)
{
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    cli_json_text(&j, "event", name);
    return j;
}

static void end_event(cli_json *j)
{
    cli_json_print(j);
    (void)cli_flush();
}

static void put_classes(cli_json *j, const sal_classes *classes)
{
    if (!classes)
        return;
    cli_json_begin(j, "classes", '[');
    for (size_t i = 0; i < sal_classes_count(classes); i++)
        cli_json_text(j, NULL, sal_classes_name(classes, (int64_t)i));
    cli_json_end(j);
}

/* ---- The run ------------------------------------------------------------- */

void sweep_report_begin(sweep_report *r, const sal_model_info *info, const sal_explain_options *how, const char *device,
                        size_t pictures, const cli_shard *shard)
{
    r->terminal = isatty(STDERR_FILENO) && !r->json && !r->quiet;
    if (r->json) {
        cli_json j = begin_event("start");
        cli_json_text(&j, "model", info->path);
        cli_json_text(&j, "device", device);
        cli_json_text(&j, "out", r->folder);
        char preprocess[1024];
        if (sal_preprocess_describe(preprocess, sizeof preprocess, &how->preprocess) != SAL_OK)
            preprocess[0] = '\0';
        cli_json_text(&j, "preprocess", preprocess);
        cli_json_text(&j, "preprocess_origin", how->preprocess_origin);
        cli_json_count(&j, "listed", pictures);
        cli_json_integer(&j, "shard", shard->index);
        cli_json_integer(&j, "shards", shard->count);
        cli_json_text(&j, "shard_from", shard->source[0] ? shard->source : NULL);
        put_classes(&j, r->classes);
        end_event(&j);
    } else if (!r->quiet && !r->dry_run && shard->source[0]) {
        fprintf(stderr, "shard %lld/%lld, from %s\n", (long long)shard->index, (long long)shard->count, shard->source);
    }
}

void sweep_report_progress(sweep_report *r, const sal_sweep_progress *p)
{
    const double every = r->json ? event_seconds : r->terminal ? cli_bar_seconds : line_seconds;
    const int last = p->done == p->pictures;
    if (r->quiet || r->told_last || (p->seconds - r->told < every && !last))
        return;
    r->told_last = last;
    r->told = p->seconds;
    if (r->json) {
        cli_json j = begin_event("progress");
        put_progress(&j, p);
        end_event(&j);
    } else if (r->terminal) {
        cli_bar_draw(&r->bar, p);
    } else if (p->seconds >= line_seconds) {
        print_line(p);
    }
}

void sweep_report_labels(sweep_report *r, const sal_label_counts *c)
{
    (void)sweep_list_labels(r->labels, sizeof r->labels, c);
    if (!r->regression && !r->as_output)
        sweep_list_advise(r->labels, sizeof r->labels, c, r->pictures, r->classes);
    if (r->json) {
        cli_json j = begin_event("labels");
        cli_json_count(&j, "pictures", c->pictures);
        cli_json_count(&j, "good", c->good);
        cli_json_count(&j, "missing", c->missing);
        cli_json_count(&j, "no_number", c->words);
        cli_json_count(&j, "no_output", c->outside);
        cli_json_boolean(&j, "by_name", c->by_name != 0);
        cli_json_text(&j, "first_no_number", c->word_path);
        cli_json_text(&j, "first_no_output", c->number_path);
        end_event(&j);
    } else if (!r->quiet && !r->dry_run && c->good < c->pictures) {
        cli_note(&cli_sweep_command, "labels: %s", r->labels);
    }
}

void sweep_report_failure(sweep_report *r, const char *path, const char *error)
{
    if (r->json) {
        cli_json j = begin_event("failed");
        cli_json_text(&j, "path", path);
        cli_json_text(&j, "error", error);
        end_event(&j);
        return;
    }
    if (r->failures++ >= FAILURES_TOLD)
        return;
    sweep_report_clear(r);
    cli_fail(&cli_sweep_command, 0, "%s", error);
    if (r->failures == FAILURES_TOLD)
        cli_note(&cli_sweep_command, "further failures are not printed; the results have them all");
}

static void tell_note(sweep_report *r, const char *path, int bit, const char *line)
{
    char *fresh = cli_notes_add(&r->notes, (int64_t)1 << bit, line);
    if (fresh && r->json) {
        cli_json j = begin_event("note");
        cli_json_text(&j, "path", path);
        cli_json_text(&j, "kind", cli_notes_word(bit));
        cli_json_text(&j, "text", fresh);
        end_event(&j);
    } else if (fresh && !r->quiet) {
        sweep_report_clear(r);
        cli_notes_tell(&cli_sweep_command, path, fresh);
    }
    free(fresh);
}

/* The lines of text are in the order of the bits. */
void sweep_report_note(sweep_report *r, const char *path, int64_t notes, const char *text)
{
    char line[SAL_NOTE_SIZE_MAX];
    for (int bit = 0; bit < CLI_NOTE_KINDS; bit++) {
        if (!(notes >> bit & 1))
            continue;
        const size_t length = text ? strcspn(text, "\n") : 0;
        snprintf(line, sizeof line, "%.*s", (int)length, text ? text : "");
        tell_note(r, path, bit, line);
        if (text)
            text += length + (text[length] == '\n');
    }
}

static void put_notes(cli_json *j, const cli_notes *n)
{
    cli_json_begin(j, "notes", '{');
    for (int bit = 0; bit < CLI_NOTE_KINDS; bit++)
        if (n->count[bit])
            cli_json_count(j, cli_notes_word(bit), n->count[bit]);
    cli_json_end(j);
}

static void print_stages(const sal_sweep_progress *p)
{
    printf("\n  stage     threads  ms/picture   busy\n");
    for (int k = 0; k < SAL_STAGES; k++)
        printf("  %-8s %8zu %11.2f %5.0f %%\n", p->stages[k].name, p->stages[k].threads, p->stages[k].milliseconds,
               100.0 * p->stages[k].busy);
    printf("  all cores of the processor: %.0f %% busy; the speed hangs on: %s\n", 100.0 * p->processor, p->bound);
}

/* Nothing was counted where the run failed. */
static void put_right(cli_json *j, const sweep_report *r, const sal_sweep_progress *p, const char *outcome)
{
    if (!r->labels[0] || strcmp(outcome, "failed") == 0)
        return;
    cli_json_count(j, "compared", p->compared);
    cli_json_count(j, "right", p->right);
    if (r->regression)
        cli_json_real(j, "mean_absolute_error", p->compared ? p->mean_absolute_error : (double)NAN);
}

/* All are only 100 % where they are all. */
static void print_right(const sweep_report *r, const sal_sweep_progress *p)
{
    if (!r->labels[0] || p->compared == 0)
        return;
    const double percent = 100.0 * (double)p->right / (double)p->compared;
    const double shown = p->right < p->compared && percent > 99.0 ? 99.0 : percent;
    printf("%zu compared with their labels: ", p->compared);
    if (r->regression)
        printf("mean absolute error %.4g, %zu within %.6g (%.0f %%)\n", p->mean_absolute_error, p->right, r->tolerance,
               shown);
    else
        printf("%zu right (%.0f %%)\n", p->right, shown);
}

void sweep_report_end(sweep_report *r, const sal_sweep_progress *p, const char *outcome)
{
    if (r->json) {
        cli_json j = begin_event("end");
        cli_json_text(&j, "outcome", outcome);
        put_progress(&j, p);
        put_right(&j, r, p, outcome);
        put_notes(&j, &r->notes);
        end_event(&j);
        return;
    }
    sweep_report_clear(r);
    if (r->quiet)
        return;
    cli_notes_end(&r->notes, &cli_sweep_command);
    if (p->failed > p->failed_now)
        cli_note(&cli_sweep_command,
                 "%zu picture%s failed before and %s not tried again as long as %s unchanged: --retry-failed does so",
                 p->failed - p->failed_now, p->failed - p->failed_now == 1 ? "" : "s",
                 p->failed - p->failed_now == 1 ? "is" : "are",
                 p->failed - p->failed_now == 1 ? "its file is" : "their files are");
    if (p->done_now == 0 && p->done == p->pictures) {
        text_print(stdout, "nothing is left to do: %zu of %zu pictures done, %zu failed -> %s\n", p->done - p->failed,
                   p->pictures, p->failed, r->folder);
        print_right(r, p);
        return;
    }
    text_print(stdout, "%zu of %zu pictures done, %zu failed; %zu now, in %.2f s (%.1f per second) -> %s\n",
               p->done - p->failed, p->pictures, p->failed, p->done_now, p->seconds, cli_rate(p), r->folder);
    print_right(r, p);
    if (p->done_now > 0)
        print_stages(p);
}

/* ---- A dry run ------------------------------------------------------------- */

static int ends_in_journal(const char *folder)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/results.sqlite-wal", folder);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

static void print_state(const sweep_report *r, const sal_sweep_progress *p)
{
    if (p->done > 0)
        text_print(stdout, "results   %s: goes on, %zu of %zu pictures done, %zu failed\n", r->folder,
                   p->done - p->failed, p->pictures, p->failed);
    else if (ends_in_journal(r->folder))
        text_print(stdout, "results   %s: goes on where it was killed, or is running\n", r->folder);
    else
        text_print(stdout, "results   %s\n", r->folder);
}

static void print_pictures(const sal_dataset *pictures, size_t missing)
{
    size_t first = 0;
    printf("pictures  %zu", sal_dataset_count(pictures));
    while (missing > 0 && first + 1 < sal_dataset_count(pictures) &&
           access(sal_dataset_file(pictures, first), F_OK) == 0)
        first++;
    if (missing > 0)
        text_print(stdout, "; %zu of them %s not there, such as %s", missing, missing == 1 ? "is" : "are",
                   sal_dataset_path(pictures, first));
    printf("\n");
}

void sweep_report_plan(sweep_report *r, const sal_model_info *info, const sal_plan_info *plan,
                       const sal_dataset *pictures, const cli_shard *shard, const sal_sweep_progress *p)
{
    char text[2048];
    if (r->json) {
        cli_json j = begin_event("plan");
        cli_json_count(&j, "pictures", p->pictures);
        cli_json_count(&j, "done", p->done);
        cli_json_count(&j, "failed", p->failed);
        cli_json_count(&j, "missing", p->missing);
        cli_json_integer(&j, "batch", plan->batch);
        end_event(&j);
        return;
    }
    text_print(stdout, "model     %s: %lld x %lld x %lld, %lld output%s\n", info->path, (long long)info->channels,
               (long long)info->height, (long long)info->width, (long long)info->outputs,
               info->outputs == 1 ? "" : "s");
    printf("device    %s, %lld at a time\n", plan->device, (long long)plan->batch);
    print_pictures(pictures, p->missing);
    if (r->labels[0])
        text_print(stdout, "labels    %s\n", r->labels);
    if (r->classes)
        text_print(stdout, "classes   %s\n", cli_classes_text(text, sizeof text, r->classes));
    if (shard->source[0])
        printf("shard     %lld/%lld, from %s: %zu pictures\n", (long long)shard->index, (long long)shard->count,
               shard->source, p->pictures);
    print_state(r, p);
}
