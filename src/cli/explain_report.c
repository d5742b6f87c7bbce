#include "cli/explain_report.h"

#include "cli/json.h"
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAME_WIDTH = 48, MAX_CLASS = 80, LINE_SIZE = 128 };

/* What tells it from the others: where it lies in its input, or its name. */
static const char *name_of(const explain_report *r, size_t row)
{
    return sal_dataset_place(r->pictures, row);
}

void explain_report_begin(explain_report *r, const sal_model_info *info, const sal_explain_options *o)
{
    r->outputs = info->outputs;
    r->target = o->target;
    r->top = o->top;
    r->out_dir = o->out_dir;
    r->origin = o->preprocess_origin;
    if (sal_preprocess_describe(r->preprocess, sizeof r->preprocess, &o->preprocess) != SAL_OK)
        r->preprocess[0] = '\0';
    r->classes = info->outputs > 1 ? o->classes : NULL;
    r->terminal = isatty(STDERR_FILENO) && !r->json && !r->quiet;
    for (size_t i = 0; i < sal_dataset_count(r->pictures); i++) {
        const size_t length = text_width(name_of(r, i));
        if (length > (size_t)r->name_width)
            r->name_width = length < MAX_NAME_WIDTH ? (int)length : MAX_NAME_WIDTH;
    }
    clock_gettime(CLOCK_MONOTONIC, &r->begin);
}

/* "age_6 (output 6)", or "output 6" with so many digits or blanks; "the mean" of -1. Returns text. */
static const char *output_text(char text[LINE_SIZE], const explain_report *r, int64_t output, int width)
{
    const char *name = sal_classes_name(r->classes, output);
    if (output < 0)
        snprintf(text, LINE_SIZE, "the mean");
    else if (name)
        snprintf(text, LINE_SIZE, "%.*s (output %" PRId64 ")", text_head(name, MAX_CLASS), name, output);
    else
        snprintf(text, LINE_SIZE, "output %-*" PRId64, width, output);
    return text;
}

/* ---- Lines -------------------------------------------------------------- */

static void print_target(const explain_report *r, const sal_explain_map *m, size_t i)
{
    const char *name = sal_classes_name(r->classes, m->target);
    if (name)
        text_print(stdout, "%s %.*s (%.5g)", i ? "," : "", text_head(name, MAX_CLASS), name, (double)m->score);
    else
        printf("%s %" PRId64 " (%.5g)", i ? "," : "", m->target, (double)m->score);
}

static void print_explained(const explain_report *r, const sal_explain_result *result)
{
    if (r->target.kind == SAL_TARGET_MEAN && r->outputs > 1) {
        printf("  explained: mean %.5g", (double)result->maps[0]->score);
    } else if (r->target.kind == SAL_TARGET_MARGIN) {
        printf("  explained: margin %.5g", (double)result->maps[0]->score);
    } else if (r->top > 0 || (r->outputs > 1 && result->maps[0]->target != result->predicted)) {
        printf("  explained:");
        for (size_t i = 0; i < result->map_count; i++)
            print_target(r, result->maps[i], i);
    }
}

/* Maps that show nothing, or show it badly. */
static void print_weak(const explain_report *r, const sal_explain_result *result)
{
    const char *what = r->is_gradient ? "gradient" : "attribution";
    for (size_t i = 0; i < result->map_count; i++) {
        const sal_explain_map *m = result->maps[i];
        char output[LINE_SIZE];
        (void)output_text(output, r, m->target, 0);
        if (m->stats.flat && m->stats.peak == 0.0f && r->target.score == SAL_SCORE_PROBABILITY && m->target >= 0)
            text_print(stdout,
                       "  flat: the probability of %s is so sure that its %s is 0 in float32: explain the "
                       "logit (--score logit)",
                       output, what);
        else if (m->stats.flat)
            text_print(stdout, "  flat: the %s of %s is the same everywhere", what, output);
        if (sal_map_is_faint(&m->stats))
            text_print(stdout, "  faint: the %s of %s is at most %.2g, where float32 has few digits left%s", what,
                       output, (double)m->stats.peak,
                       r->target.score == SAL_SCORE_PROBABILITY ? ": explain the logit (--score logit)" : "");
    }
}

static void print_line(const explain_report *r, const sal_explain_result *result)
{
    char text[LINE_SIZE];
    text_print_padded(stdout, name_of(r, r->told), (size_t)r->name_width);
    if (r->outputs == 1) {
        printf("  value %-9.5g", (double)result->predicted_score);
    } else {
        text_print(stdout, "  %s  logit %-8.5g", output_text(text, r, result->predicted, 4),
                   (double)result->predicted_score);
    }
    if (isfinite(result->predicted_probability))
        printf("  probability %-7.4f", (double)result->predicted_probability);
    printf("  %8.1f ms", result->milliseconds);
    print_explained(r, result);
    for (size_t i = 0; i < result->map_count; i++)
        if (!isnan(result->maps[i]->gap))
            printf("  gap %.2g", result->maps[i]->gap);
    print_weak(r, result);
    putchar('\n');
}

static void print_picture(const explain_report *r, const sal_explain_result *result)
{
    print_line(r, result);
    for (size_t i = 0; i < result->map_count; i++)
        cli_show_file(&r->show, result->maps[i]->overlay_path);
}

/* ---- JSON --------------------------------------------------------------- */

static void print_map_json(cli_json *j, const explain_report *r, const sal_explain_map *m)
{
    cli_json_begin(j, NULL, '{');
    cli_json_integer(j, "target", m->target);
    if (r->classes)
        cli_json_text(j, "target_class", sal_classes_name(r->classes, m->target));
    cli_json_real(j, "score", (double)m->score);
    cli_json_real(j, "probability", (double)m->probability);
    cli_json_real(j, "peak", (double)m->stats.peak);
    cli_json_real(j, "mean", (double)m->stats.mean);
    cli_json_boolean(j, "flat", m->stats.flat);
    cli_json_boolean(j, "faint", sal_map_is_faint(&m->stats));
    if (!isnan(m->gap))
        cli_json_real(j, "completeness_gap", m->gap);
    cli_json_text(j, "saliency", m->map_path);
    cli_json_text(j, "overlay", m->overlay_path);
    cli_json_text(j, "npy", m->npy_path);
    if (m->figure_path)
        cli_json_text(j, "figure", m->figure_path);
    if (m->gradient_path)
        cli_json_text(j, "gradient", m->gradient_path);
    cli_json_end(j);
}

static void print_notes_json(cli_json *j, const sal_explain_result *result)
{
    const char *text = result->note;
    char line[SAL_NOTE_SIZE_MAX];
    cli_json_begin(j, "notes", '[');
    for (int bit = 0; text && bit < CLI_NOTE_KINDS; bit++) {
        if (!(result->notes >> bit & 1))
            continue;
        const size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        cli_json_begin(j, NULL, '{');
        cli_json_text(j, "kind", cli_notes_word(bit));
        cli_json_text(j, "text", line);
        cli_json_end(j);
        text += length + (text[length] == '\n');
    }
    cli_json_end(j);
}

static void print_json(const explain_report *r, const sal_explain_result *result)
{
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    cli_json_text(&j, "picture", result->path);
    if (sal_dataset_label(r->pictures, r->told))
        cli_json_text(&j, "label", sal_dataset_label(r->pictures, r->told));
    cli_json_text(&j, "status", sal_status_name(result->status));
    if (result->status != SAL_OK) {
        cli_json_text(&j, "error", result->error);
    } else {
        cli_json_integer(&j, "predicted", result->predicted);
        if (r->classes)
            cli_json_text(&j, "predicted_class", sal_classes_name(r->classes, result->predicted));
        cli_json_real(&j, "score", (double)result->predicted_score);
        cli_json_real(&j, "probability", (double)result->predicted_probability);
        cli_json_real(&j, "milliseconds", result->milliseconds);
        cli_json_text(&j, "preprocess", r->preprocess);
        cli_json_text(&j, "preprocess_origin", r->origin);
        cli_json_begin(&j, "maps", '[');
        for (size_t i = 0; i < result->map_count; i++)
            print_map_json(&j, r, result->maps[i]);
        cli_json_end(&j);
        if (result->notes)
            print_notes_json(&j, result);
    }
    cli_json_print(&j);
}

/* ---- The run ------------------------------------------------------------ */

void explain_report_clear(explain_report *r)
{
    cli_bar_clear(&r->bar);
}

void explain_report_progress(explain_report *r, const sal_sweep_progress *p)
{
    if (!r->terminal || (p->seconds - r->drawn_at < cli_bar_seconds && p->done < p->pictures))
        return;
    r->drawn_at = p->seconds;
    cli_bar_draw(&r->bar, p);
}

/* One at a time, so that a long run can be followed through a pipe. Whoever stops reading lines, as "| head", wants the
 * files all the same; of objects, nobody has the rest. */
static int flush_picture(explain_report *r)
{
    const int reason = cli_flush();
    r->left = reason == EPIPE && !r->json;
    return reason && !r->left;
}

int explain_report_picture(void *context, const sal_explain_result *result)
{
    explain_report *r = context;
    char *note = result->status == SAL_OK ? cli_notes_add(&r->notes, result->notes, result->note) : NULL;
    explain_report_clear(r);
    if (result->status != SAL_OK && !r->json)
        cli_fail(&cli_explain_command, 0, "%s", result->error);
    if (r->json)
        print_json(r, result);
    else if (!r->quiet && !r->left && result->status == SAL_OK)
        print_picture(r, result);
    if (note && !r->json && !r->quiet)
        cli_notes_tell(&cli_explain_command, result->path, note);
    free(note);
    r->told++;
    return r->left ? 0 : flush_picture(r);
}

void explain_report_end(const explain_report *r, size_t count, size_t failed)
{
    struct timespec now;
    char text[64] = "";
    if (r->json || r->quiet)
        return;
    cli_notes_end(&r->notes, &cli_explain_command);
    if (r->left) {
        cli_forget_output();
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - r->begin.tv_sec) + (double)(now.tv_nsec - r->begin.tv_nsec) * 1e-9;
    if (failed)
        snprintf(text, sizeof text, " done, %zu failed,", failed);
    text_print(stdout, "%zu of %zu picture%s%s in %.2f s (%.1f per second) -> %s\n", count - failed, count,
               count == 1 ? "" : "s", text, seconds, seconds > 0.0 ? (double)(count - failed) / seconds : 0.0,
               r->out_dir);
}
