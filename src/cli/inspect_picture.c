#include "cli/inspect_picture.h"

#include "cli/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const presets[] = {"imagenet", "unit", "caffe", "tf", "raw"};

typedef struct inspection {
    const cli_command *command;
    sal_model_info info;
    sal_engine *engine; /* NULL: the network cannot be run */
    const char *path;   /* of the picture */
    float *input;       /* (channels, height, width), of the last row */
    float *scores;
    size_t values;
} inspection;

static void measure(inspected_row *row, const float *input, size_t values)
{
    double sum = 0.0, squares = 0.0;
    row->low = row->high = (double)input[0];
    for (size_t i = 0; i < values; i++) {
        const double x = (double)input[i];
        row->low = fmin(row->low, x);
        row->high = fmax(row->high, x);
        sum += x;
        squares += x * x;
    }
    row->mean = sum / (double)values;
    row->deviation = sqrt(fmax(squares / (double)values - row->mean * row->mean, 0.0));
}

static void predict(inspected_row *row, const inspection *x, const sal_model *model)
{
    const int64_t outputs = x->info.outputs;
    row->predicted = -1;
    row->score = row->probability = (double)NAN;
    if (!x->engine || sal_engine_forward(x->engine, x->scores, x->input, 1) != SAL_OK)
        return;
    row->predicted = 0;
    for (int64_t i = 1; i < outputs; i++)
        if (x->scores[i] > x->scores[row->predicted])
            row->predicted = i;
    row->score = (double)x->scores[row->predicted];
    if (sal_model_probabilities(x->scores, model, x->scores, 1) == SAL_OK)
        row->probability = (double)x->scores[row->predicted];
}

/* A preset that does not suit the network, as one of three means for one channel, is a row as well. */
static void fill_row(inspected_row *row, const inspection *x, const sal_model *model, const sal_preprocess *p)
{
    const sal_model_info *m = &x->info;
    sal_picture picture = {0};
    row->predicted = -1;
    if (sal_preprocess_describe(row->how, sizeof row->how, p) != SAL_OK ||
        sal_picture_read_for(&picture, x->path, p, m->channels, NULL) != SAL_OK ||
        sal_preprocess_apply(x->input, NULL, &picture, p, m->channels, m->height, m->width) != SAL_OK) {
        snprintf(row->problem, sizeof row->problem, "%s", sal_last_error());
    } else {
        measure(row, x->input, x->values);
        predict(row, x, model);
    }
    sal_picture_clear(&picture);
}

/* The input as gray or as its first three channels, in their order, from its least value to its greatest. */
static int write_input(const inspection *x, const inspected_row *row, const char *png)
{
    const sal_model_info *m = &x->info;
    const size_t pixels = (size_t)m->height * (size_t)m->width, channels = m->channels < 3 ? 1 : 3;
    const double range = row->high > row->low ? row->high - row->low : 1.0;
    unsigned char *samples = calloc(pixels, channels);
    if (!samples)
        return cli_fail(x->command, CLI_FAILED, "out of memory for a picture of %zu pixels", pixels);
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < channels; c++)
            samples[i * channels + c] =
                (unsigned char)(((double)x->input[c * pixels + i] - row->low) / range * 255.0 + 0.5);
    const sal_picture shown = {.height = m->height,
                               .width = m->width,
                               .channels = (int64_t)channels,
                               .type = SAL_SAMPLE_U8,
                               .samples = samples};
    const int code = sal_picture_write_png(png, &shown) == SAL_OK ? CLI_OK : cli_fail_library(x->command);
    free(samples);
    return code;
}

static int inspect_own(inspected_picture *out, inspection *x, const cli_job *job, const sal_model *model,
                       const char *png)
{
    cli_run_options run;
    int code = cli_job_options(&run, x->command, job);
    /* Where nobody says it, a picture can be looked at all the same, but not as what explain would do. */
    if (code != CLI_OK || (!png && !cli_job_says_values(job) && !cli_job_is_prepared(job, &x->info)))
        return code;
    code = cli_job_preprocess(&run, x->command, job, model, out->path);
    if (code != CLI_OK)
        return code;
    inspected_row *row = &out->rows[out->count++];
    out->own = 1;
    snprintf(row->name, sizeof row->name, "%s", run.origin);
    fill_row(row, x, model, &run.explain.preprocess);
    if (row->problem[0])
        return cli_fail(x->command, CLI_USAGE, "%s: %s", out->path, row->problem);
    return png ? write_input(x, row, png) : CLI_OK;
}

static int open_inspection(inspection *x, sal_model *model)
{
    const sal_engine_options forward = {.size = sizeof forward, .device = "cpu", .batch = 1, .forward_only = 1};
    if (sal_model_get_info(&x->info, model) != SAL_OK)
        return cli_fail_library(x->command);
    x->values = (size_t)x->info.channels * (size_t)x->info.height * (size_t)x->info.width;
    x->input = calloc(x->values, sizeof *x->input);
    x->scores = calloc((size_t)x->info.outputs, sizeof *x->scores);
    if (!x->input || !x->scores)
        return cli_fail(x->command, CLI_FAILED, "out of memory for an input of %zu values", x->values);
    if (x->info.supported && sal_engine_open(&x->engine, model, &forward) != SAL_OK)
        cli_note(x->command, "no predictions: %s", sal_last_error());
    return CLI_OK;
}

/* What no preset could read is an error. */
static int check_picture(const inspection *x, const cli_job *job)
{
    sal_preprocess samples = {0};
    sal_picture picture = {0};
    int code = cli_job_samples(&samples, x->command, job);
    if (code == CLI_OK && sal_picture_read_for(&picture, x->path, &samples, x->info.channels, NULL) != SAL_OK)
        code = cli_fail_library(x->command);
    sal_picture_clear(&picture);
    return code;
}

static int inspect_other(inspected_picture *out, const inspection *x, const cli_job *job, const sal_model *model,
                         const char *key, const char *value)
{
    sal_preprocess p = {0};
    if (sal_preprocess_set(&p, key, value) != SAL_OK)
        return cli_fail_library(x->command);
    int code = cli_job_samples(&p, x->command, job);
    if (code != CLI_OK || out->count == INSPECTED_ROWS)
        return code;
    inspected_row *row = &out->rows[out->count++];
    snprintf(row->name, sizeof row->name, "--%s %s", key, value);
    fill_row(row, x, model, &p);
    return CLI_OK;
}

/* Presets, and recipes that say the values, too, but for those of single networks. */
static int inspect_others(inspected_picture *out, const inspection *x, const cli_job *job, const sal_model *model)
{
    int code = CLI_OK;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0] && code == CLI_OK; i++)
        code = inspect_other(out, x, job, model, "preset", presets[i]);
    for (size_t i = 0; i < sal_recipe_count() && code == CLI_OK; i++) {
        sal_recipe_info recipe = SAL_RECIPE_INFO_INIT;
        if (sal_recipe_get_info(&recipe, i) == SAL_OK && recipe.says_values && !strchr(recipe.name, ':'))
            code = inspect_other(out, x, job, model, "recipe", recipe.name);
    }
    return code;
}

int inspect_picture(inspected_picture *out, const cli_command *command, const cli_job *job, sal_model *model,
                    const char *path, const char *png)
{
    inspection x = {.command = command, .info = SAL_MODEL_INFO_INIT, .path = path};
    memset(out, 0, sizeof *out);
    out->path = path;
    int code = open_inspection(&x, model);
    if (code == CLI_OK)
        code = inspect_own(out, &x, job, model, png);
    if (code == CLI_OK && !out->own)
        code = check_picture(&x, job);
    if (code == CLI_OK)
        code = inspect_others(out, &x, job, model);
    sal_engine_close(x.engine);
    free(x.input);
    free(x.scores);
    return code;
}

void inspect_picture_print(const inspected_picture *picture, const sal_model_info *info)
{
    enum { NAME = 34 };
    char name[4 * NAME + 1];
    text_print(stdout, "%s\n", picture->path);
    text_print(stdout, "  %-*s  %9s %9s %9s %9s  %s\n", NAME, "prepared by", "least", "greatest", "mean", "std",
               "prediction");
    for (size_t i = 0; i < picture->count; i++) {
        const inspected_row *r = &picture->rows[i];
        text_print(stdout, "%s %s", picture->own && i == 0 ? ">" : " ", text_fit(name, sizeof name, r->name, NAME));
        if (r->problem[0]) {
            text_print(stdout, "  %s\n", r->problem);
            continue;
        }
        text_print(stdout, "  %9.4g %9.4g %9.4g %9.4g", r->low, r->high, r->mean, r->deviation);
        if (r->predicted >= 0 && info->outputs == 1)
            text_print(stdout, "  value %.5g", r->score);
        else if (r->predicted >= 0)
            text_print(stdout, "  output %" PRId64 ", logit %.5g", r->predicted, r->score);
        if (isfinite(r->probability))
            text_print(stdout, ", probability %.4f", r->probability);
        text_print(stdout, "\n");
    }
    if (!picture->own)
        text_print(stdout,
                   "Nobody says yet which of them is right: give explain what training did, not what is surest.\n");
    text_print(stdout, "\n");
}

void inspect_picture_json(cli_json *j, const inspected_picture *picture)
{
    cli_json_text(j, "picture", picture->path);
    cli_json_begin(j, "preparations", '[');
    for (size_t i = 0; i < picture->count; i++) {
        const inspected_row *r = &picture->rows[i];
        cli_json_begin(j, NULL, '{');
        cli_json_text(j, "origin", r->name);
        cli_json_boolean(j, "own", picture->own && i == 0);
        cli_json_text(j, "preprocess", r->how);
        cli_json_text(j, "problem", r->problem[0] ? r->problem : NULL);
        if (!r->problem[0]) {
            cli_json_real(j, "least", r->low);
            cli_json_real(j, "greatest", r->high);
            cli_json_real(j, "mean", r->mean);
            cli_json_real(j, "std", r->deviation);
            cli_json_integer(j, "predicted", r->predicted);
            cli_json_real(j, "score", r->score);
            cli_json_real(j, "probability", r->probability);
        }
        cli_json_end(j);
    }
    cli_json_end(j);
}
