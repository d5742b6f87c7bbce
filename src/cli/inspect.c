/* salmap inspect: what is in a model file. */
#include "cli/inspect_picture.h"
#include "cli/json.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct settings {
    cli_job job;
    const char *picture;
    const char *out;
    int json;
} settings;

static const cli_option options[] = {
    CLI_NETWORK_OPTIONS(job.network),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object"),
    CLI_OPTION(CLI_TEXT, 0, "picture", "FILE", picture, "its range as input, and what the presets would make of it"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "PNG", out, "of --picture: the input as a picture"),
    CLI_PREPROCESS_OPTIONS,
};

const cli_command cli_inspect_command = {
    .name = "inspect",
    .operands = "MODEL",
    .summary = "What is in a model: input, head, layers, and whether every layer can be run.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 1,
    .max_operands = 1,
};
static const cli_command *const self = &cli_inspect_command;

enum { NAME_WIDTH = 36, DETAIL_WIDTH = 40, TEXT = 4 * DETAIL_WIDTH + 1 };

static void print_header(const sal_model_info *m, int sidecar)
{
    char a[TEXT], b[TEXT];
    text_print(stdout, "%s\n", m->path);
    text_print(stdout, "  format         %s\n", m->format);
    text_print(stdout, "  input          %" PRId64 " x %" PRId64 " x %" PRId64 " (channels, height, width)%s\n",
               m->channels, m->height, m->width, m->channels_last ? ", channels last in the file" : "");
    text_print(stdout, "  outputs        %" PRId64, m->outputs);
    if (m->output)
        text_print(stdout, ", of %s; other outputs (--output): %s", m->output,
                   m->other_outputs ? m->other_outputs : "none");
    text_print(stdout, "\n");
    text_print(stdout, "  head           %s\n", m->head);
    text_print(stdout, "  detached       %s\n",
               m->detached ? m->detached
               : m->made   ? "nothing"
                           : "nothing: the outputs are the scores");
    if (m->made)
        text_print(stdout, "  score          %s\n", m->made);
    if (m->dropped)
        text_print(stdout, "  dropped        %s: for training only\n", m->dropped);
    text_print(stdout, "  parameters     %s\n", text_count(a, sizeof a, m->parameters));
    text_print(stdout, "  forward        %sFLOP per picture\n", text_count(b, sizeof b, m->flops));
    if (sidecar)
        text_print(stdout, "  preprocessing  %s.salmap\n", m->path);
    else if (m->rescales)
        text_print(
            stdout,
            "  preprocessing  raw, since layer %s rescales; how pictures were resized is not known: give explain a "
            "--recipe, and --save-preprocess\n",
            m->rescales);
    else if (m->preset)
        text_print(stdout, "  preprocessing  %s.salmap is not there; suggested: --preset %s --save-preprocess (%s)\n",
                   m->path, m->preset, m->preset_reason);
    else
        text_print(stdout,
                   "  preprocessing  %s.salmap is not there%s%s: give explain a --preset, and --save-preprocess\n",
                   m->path, m->preset_reason ? "; " : "", m->preset_reason ? m->preset_reason : "");
    text_print(stdout, "  supported      %s\n\n", m->supported ? "yes, every layer" : "NO, see the marked layers");
}

static int print_layers(const sal_model *model, const sal_model_info *m)
{
    char name[TEXT], detail[TEXT], shape[TEXT], parameters[TEXT], flops[TEXT];
    text_print(stdout, "%4s  %-*s  %-11s  %-*s  %-14s %8s %8s\n", "", NAME_WIDTH, "layer", "op", DETAIL_WIDTH, "detail",
               "output", "weights", "FLOP");
    for (size_t i = 0; i < m->layers; i++) {
        sal_layer_info l = SAL_LAYER_INFO_INIT;
        if (sal_model_get_layer(&l, model, i) != SAL_OK)
            return cli_fail_library(self);
        text_print(stdout, "%4zu  %s  %-11s  %s  %-14s %8s %8s\n", i, text_fit(name, sizeof name, l.name, NAME_WIDTH),
                   l.op, text_fit(detail, sizeof detail, l.detail, DETAIL_WIDTH),
                   text_shape(shape, sizeof shape, l.shape, l.rank),
                   l.parameters ? text_count(parameters, sizeof parameters, l.parameters) : "",
                   l.flops ? text_count(flops, sizeof flops, l.flops) : "");
        if (l.problem)
            text_print(stdout, "      ^ %s\n", l.problem);
    }
    return CLI_OK;
}

static int print_json(const sal_model *model, const sal_model_info *m, const inspected_picture *picture, int sidecar)
{
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    cli_json_text(&j, "model", m->path);
    cli_json_text(&j, "format", m->format);
    cli_json_integer(&j, "channels", m->channels);
    cli_json_integer(&j, "height", m->height);
    cli_json_integer(&j, "width", m->width);
    cli_json_boolean(&j, "channels_last", m->channels_last);
    cli_json_integer(&j, "outputs", m->outputs);
    cli_json_text(&j, "head", m->head);
    cli_json_text(&j, "detached", m->detached);
    cli_json_text(&j, "score", m->made);
    cli_json_text(&j, "output", m->output);
    cli_json_text(&j, "other_outputs", m->other_outputs);
    cli_json_text(&j, "dropped", m->dropped);
    cli_json_text(&j, "preset", m->preset);
    cli_json_text(&j, "preset_reason", m->preset_reason);
    cli_json_text(&j, "rescales", m->rescales);
    cli_json_count(&j, "parameters", m->parameters);
    cli_json_count(&j, "flops", m->flops);
    cli_json_boolean(&j, "preprocessing_found", sidecar);
    cli_json_boolean(&j, "supported", m->supported);
    if (picture)
        inspect_picture_json(&j, picture);
    cli_json_begin(&j, "layers", '[');
    for (size_t i = 0; i < m->layers; i++) {
        sal_layer_info l = SAL_LAYER_INFO_INIT;
        if (sal_model_get_layer(&l, model, i) != SAL_OK) {
            cli_json_drop(&j);
            return cli_fail_library(self);
        }
        cli_json_begin(&j, NULL, '{');
        cli_json_text(&j, "name", l.name);
        cli_json_text(&j, "op", l.op);
        cli_json_text(&j, "detail", l.detail);
        cli_json_begin(&j, "shape", '[');
        for (int k = 0; k < l.rank; k++)
            cli_json_integer(&j, NULL, l.shape[k]);
        cli_json_end(&j);
        cli_json_count(&j, "parameters", l.parameters);
        cli_json_count(&j, "flops", l.flops);
        cli_json_text(&j, "problem", l.problem);
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_print(&j);
    return CLI_OK;
}

static int inspect(const settings *s, sal_model *model, const char *path)
{
    sal_model_info info = SAL_MODEL_INFO_INIT;
    sal_preprocess preprocess;
    inspected_picture picture;
    int sidecar = 0, code = CLI_OK;
    if (sal_model_get_info(&info, model) != SAL_OK || sal_preprocess_load(&preprocess, &sidecar, path) != SAL_OK)
        return cli_fail_library(self);
    if (s->picture)
        code = inspect_picture(&picture, self, &s->job, model, s->picture, s->out);
    if (code != CLI_OK)
        return code;
    if (s->json)
        return print_json(model, &info, s->picture ? &picture : NULL, sidecar);
    print_header(&info, sidecar);
    if (s->picture)
        inspect_picture_print(&picture, &info);
    return print_layers(model, &info);
}

/* What is read is never overwritten, whatever path leads to it. */
static int is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int is_png_name(const char *path)
{
    const size_t length = strlen(path);
    return length > 4 && strcasecmp(path + length - 4, ".png") == 0;
}

int cli_inspect(int argc, char **argv)
{
    int first;
    settings s = {0};
    cli_job_defaults(&s.job);
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (!s.picture && (s.out || cli_job_says_input(&s.job)))
        return cli_fail(self, CLI_USAGE, "--out and options of preprocessing are for --picture FILE: give that, too");
    if (s.out && (is_same_file(s.out, s.picture) || is_same_file(s.out, argv[first]) || !is_png_name(s.out)))
        return cli_fail(self, CLI_USAGE, "-o %s: name a PNG that is neither the picture nor the model", s.out);
    sal_model *model;
    int code = cli_network_open(&model, self, &s.job.network, argv[first], NULL);
    if (code != CLI_OK)
        return code;
    code = inspect(&s, model, argv[first]);
    sal_model_close(model);
    return cli_finish(self, code);
}
