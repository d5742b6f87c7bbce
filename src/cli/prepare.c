/* How pictures become input: what is said of it, by whom, and what is not guessed. */
#include "cli/job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 1024, WHOLE = 8192 }; /* WHOLE: of SAL_MAX_CHANNELS, too */

typedef struct given_option {
    const char *key;
    const char *value;
} given_option;

/* In the order in which they count. */
enum { RECIPE, PRESET, VALUES, SAMPLES = 15, GIVEN = 20 }; /* SAMPLES: what the samples of a file are */

static void list_given(given_option given[GIVEN], const cli_job *s)
{
    const given_option all[GIVEN] = {
        {"recipe", s->recipe},
        {"preset", s->preset},
        {"fit", s->fit},
        {"order", s->order},
        {"scale", s->scale},
        {"mean", s->mean},
        {"std", s->std},
        {"fill", s->fill},
        {"crop-resize", s->crop_resize},
        {"crop-share", s->crop_share},
        {"crop-round", s->crop_round},
        {"resample", s->resample},
        {"antialias", s->antialias},
        {"round", s->round},
        {"grid", s->grid},
        {"alpha-over", s->alpha_over},
        {"exif", s->exif},
        {"jpeg-dct", s->jpeg_dct},
        {"pages", s->pages},
        {"depth", s->depth},
    };
    memcpy(given, all, sizeof all);
}

/* The layers' suggestion is said, not taken: the network's file does not say how it was trained. */
static int refuse_to_guess(const cli_command *self, const cli_job *s, const sal_model_info *m)
{
    char suggested[512] = "";
    if (s->recipe)
        return cli_fail(self, CLI_USAGE,
                        "--recipe %s leaves the values open, and %s.salmap is not there: add --preset imagenet, unit, "
                        "caffe, tf or raw, or --scale, or --mean and --std",
                        s->recipe, m->path);
    if (m->preset)
        snprintf(suggested, sizeof suggested, "; suggested: --preset %s (%.300s)", m->preset, m->preset_reason);
    else if (m->preset_reason)
        snprintf(suggested, sizeof suggested, "; %.300s", m->preset_reason);
    return cli_fail(self, CLI_USAGE,
                    "%s: nobody says how its pictures become input, and %s.salmap is not there%s. Give --recipe with "
                    "the loader of the training, or --preset imagenet, unit, caffe, tf or raw, or --scale, or --mean "
                    "and --std; --save-preprocess writes it down for the next time",
                    m->path, m->path, suggested);
}

/* --scale says how samples go in, and so do --mean and --std together, which are of 0..1 then; one of those two does
 * not. */
static int is_said(const cli_job *s)
{
    return s->preset || s->scale || (s->mean && s->std);
}

/* ---- Where it comes from ----------------------------------------------------- */

static void add_text(char *text, size_t size, const char *more)
{
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", more);
}

static void describe_origin(char *origin, size_t size, const given_option given[GIVEN])
{
    for (int i = 0; i < GIVEN; i++) {
        char option[96];
        if (!given[i].value)
            continue;
        snprintf(option, sizeof option, "--%s %.64s", given[i].key, given[i].value);
        add_text(origin, size, option);
    }
}

/* ---- Values that cannot be meant --------------------------------------------- */

static int is_float_picture(const char *path, const sal_preprocess *p, int64_t channels, const sal_limits *limits)
{
    sal_picture picture;
    if (!path || sal_picture_read_for(&picture, path, p, channels, limits) != SAL_OK)
        return 0;
    const int is_float = picture.type == SAL_SAMPLE_F32;
    sal_picture_clear(&picture);
    return is_float;
}

static const char *list_text(char *text, size_t size, const char *given, const float *values, int count)
{
    size_t used = 0;
    if (given)
        return given;
    text[0] = '\0';
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ",%.6g" : "%.6g", (double)values[i]);
    return text;
}

/* Mean and deviation of samples that lie within 0..span have to lie there, too. */
static int lie_beyond(const sal_preprocess *p, double span)
{
    static const double room = 1.01;
    const double full = 255.0 * (double)p->scale;
    const double low = full < 0.0 ? full : 0.0, high = full < 0.0 ? 0.0 : full;
    for (int i = 0; i < p->value_count; i++)
        if ((double)p->mean[i] > high + (room - 1.0) * span || (double)p->mean[i] < low - (room - 1.0) * span ||
            (double)p->std[i] > room * span)
            return 1;
    return 0;
}

/* Those of 0..1 beside samples of 0..255: the picture would go in hundreds of deviations wide. */
static int are_of_unit(const sal_preprocess *p, double span)
{
    int divided = 0;
    for (int i = 0; i < p->value_count; i++) {
        if (fabs((double)p->mean[i]) > 1.0 || p->std[i] > 1.0F)
            return 0;
        divided |= p->std[i] < 1.0F;
    }
    return divided && span > 100.0;
}

/* Where options contradict each other, the line that is probably meant is said. Float pictures have a range of their
 * own: who gives every number is believed. */
static int check_values(const cli_command *self, const cli_job *s, const sal_preprocess *p, int64_t channels,
                        const char *picture, const sal_limits *limits)
{
    char means[LINE], stds[LINE];
    const double span = fabs(255.0 * (double)p->scale);
    if (p->value_count == 0 || (p->value_count > 1 && p->value_count != channels) || !(s->mean || s->std || s->scale))
        return CLI_OK;
    const int beyond = lie_beyond(p, span), of_unit = are_of_unit(p, span);
    if ((!beyond && !of_unit) || (s->scale && is_float_picture(picture, p, channels, limits)))
        return CLI_OK;
    sal_preprocess meant = *p;
    meant.scale = 1.0F;
    const char *scale = of_unit ? "1/255" : "1";
    const char *mean = list_text(means, sizeof means, s->mean, p->mean, p->value_count);
    const char *std = list_text(stds, sizeof stds, s->std, p->std, p->value_count);
    if (beyond && lie_beyond(&meant, 255.0))
        return cli_fail(self, CLI_USAGE,
                        "--mean %s --std %s: lie beyond 0..255; of float pictures with such values say --scale 1 as "
                        "well, of others leave them within 0..1 or 0..255",
                        mean, std);
    return cli_fail(
        self, CLI_USAGE,
        "--mean %s --std %s: do not suit samples that are brought to 0..%.6g first; probably meant: --scale "
        "%s --mean %s --std %s",
        mean, std, span, scale, mean, std);
}

/* ---- The sidecar -------------------------------------------------------------- */

/* A sidecar that says something else than this run does: worth a word, and never overwritten unasked. */
static int meet_sidecar(const cli_command *self, const cli_job *s, const sal_model_info *m, const sal_preprocess *p)
{
    char there[WHOLE] = "", here[WHOLE] = "";
    sal_preprocess kept;
    int found = 0;
    const int readable = sal_preprocess_load(&kept, &found, m->path) == SAL_OK;
    if (readable && !found)
        return CLI_OK;
    if (readable && (sal_preprocess_describe(there, sizeof there, &kept) != SAL_OK ||
                     sal_preprocess_describe(here, sizeof here, p) != SAL_OK))
        return cli_fail_library(self);
    if (readable && strcmp(there, here) == 0)
        return CLI_OK;
    if (s->save_preprocess && !s->force)
        return cli_fail(self, CLI_USAGE,
                        "--save-preprocess: %s.salmap is there and says otherwise (%s); --force replaces it", m->path,
                        readable ? there : "it cannot be read");
    if ((s->preset || s->recipe) && !s->save_preprocess)
        cli_note(self, "--%s %s counts, though %s.salmap says otherwise (%s)", s->preset ? "preset" : "recipe",
                 s->preset ? s->preset : s->recipe, m->path, readable ? there : "it cannot be read");
    return CLI_OK;
}

/* ---- All of it ------------------------------------------------------------------ */

static int refuse_recipe(const cli_command *self, const char *recipe)
{
    enum { MOST = 64 };
    const char *names[MOST];
    size_t count = 0;
    for (size_t i = 0; i < sal_recipe_count() && count < MOST; i++) {
        sal_recipe_info info = SAL_RECIPE_INFO_INIT;
        if (sal_recipe_get_info(&info, i) == SAL_OK && !strchr(info.name, '*'))
            names[count++] = info.name;
    }
    const char *closest = cli_closest(recipe, names, count);
    if (closest)
        return cli_fail(self, CLI_USAGE, "--recipe: '%s' is no recipe, and there is no such file; did you mean '%s'?",
                        recipe, closest);
    return cli_fail(self, CLI_USAGE, "--recipe: %s, and there is no file of that name", sal_last_error());
}

/* A name, or else a file that came with the network. *says_values 1: nothing else need be said. */
static int read_recipe(sal_preprocess *p, int *says_values, const cli_command *self, const char *recipe,
                       const sal_model_info *m)
{
    sal_recipe_file file = SAL_RECIPE_FILE_INIT;
    if (sal_preprocess_recipe(p, says_values, recipe) == SAL_OK)
        return CLI_OK;
    if (access(recipe, F_OK) != 0)
        return refuse_recipe(self, recipe);
    if (sal_preprocess_read_recipe(p, &file, recipe) != SAL_OK)
        return cli_fail_library(self);
    *says_values = 1;
    if (file.height && (file.height != m->height || file.width != m->width))
        return cli_fail(
            self, CLI_USAGE, "--recipe: %s makes inputs of %lld x %lld (height, width), and %s takes %lld x %lld",
            recipe, (long long)file.height, (long long)file.width, m->path, (long long)m->height, (long long)m->width);
    if (p->value_count > 0 && lie_beyond(p, fabs(255.0 * (double)p->scale)))
        cli_note(self,
                 "%s: its mean or deviation lies beyond the samples, which it brings to 0..%.6g: are they of 0..255?",
                 recipe, fabs(255.0 * (double)p->scale));
    if (file.ignored[0])
        cli_note(self, "%s: without meaning for a picture: %s", recipe, file.ignored);
    return CLI_OK;
}

/* Where no recipe says it: the sidecar, what options say alone, or what the network certainly wants. */
static int begin_values(sal_preprocess *p, char *origin, size_t size, const cli_command *self, const cli_job *s,
                        const sal_model_info *m)
{
    int found = 0;
    memset(p, 0, sizeof *p);
    if (s->preset)
        return CLI_OK;
    if (sal_preprocess_load(p, &found, m->path) != SAL_OK)
        return cli_fail_library(self);
    if (found) {
        snprintf(origin, size, "%.200s.salmap", m->path);
        return CLI_OK;
    }
    if (is_said(s)) {
        memset(p, 0, sizeof *p);
        return CLI_OK;
    }
    if (!m->rescales)
        return refuse_to_guess(self, s, m);
    if (sal_preprocess_preset(p, "raw") != SAL_OK)
        return cli_fail_library(self);
    snprintf(origin, size, "preset raw, since layer %.100s takes 0..255", m->rescales);
    cli_note(self, "%s: its layer %s rescales, so samples go in as 0..255 (preset raw)%s", m->path, m->rescales,
             s->recipe ? ""
                       : "; how its pictures were resized is not known: --recipe keras-image-dataset, or that of your "
                         "loader, makes them as in training");
    return CLI_OK;
}

/* Recipe, then preset; a recipe that leaves the values open lies over what else says them. */
static int begin(sal_preprocess *p, char *origin, size_t size, const cli_command *self, const cli_job *s,
                 const sal_model_info *m)
{
    sal_preprocess recipe = {0};
    int says_values = 0, code = CLI_OK;
    if (s->recipe)
        code = read_recipe(&recipe, &says_values, self, s->recipe, m);
    if (code == CLI_OK && !says_values)
        code = begin_values(p, origin, size, self, s, m);
    if (code != CLI_OK)
        return code;
    if (says_values)
        *p = recipe;
    else if (s->recipe && sal_preprocess_recipe(p, NULL, s->recipe) != SAL_OK)
        return cli_fail_library(self);
    if (s->preset && sal_preprocess_set(p, "preset", s->preset) != SAL_OK)
        return cli_fail(self, CLI_USAGE, "--preset: %s", sal_last_error());
    if (s->recipe && !says_values && p->order == SAL_ORDER_AUTO) /* opencv's, which no preset knows */
        p->order = recipe.order;
    return CLI_OK;
}

static int is_any_given(const cli_job *s, int end)
{
    given_option given[GIVEN];
    int some = s->save_preprocess || s->force;
    list_given(given, s);
    for (int i = 0; i < end; i++)
        some |= given[i].value != NULL;
    return some;
}

int cli_job_says_input(const cli_job *s)
{
    return is_any_given(s, GIVEN);
}

int cli_job_says_values(const cli_job *s)
{
    return is_any_given(s, SAMPLES);
}

int cli_job_is_prepared(const cli_job *s, const sal_model_info *m)
{
    sal_preprocess kept = {0};
    int found = 0;
    int says_values = s->recipe != NULL; /* a file does */
    if (s->recipe && sal_preprocess_recipe(&kept, &says_values, s->recipe) != SAL_OK)
        says_values = 1;
    return says_values || is_said(s) || m->rescales || sal_preprocess_load(&kept, &found, m->path) != SAL_OK || found;
}

static int set_given(sal_preprocess *p, const cli_command *self, const given_option *given, int count)
{
    for (int i = 0; i < count; i++)
        if (given[i].value && sal_preprocess_set(p, given[i].key, given[i].value) != SAL_OK)
            return cli_fail(self, CLI_USAGE, "--%s: %s", given[i].key, sal_last_error());
    return CLI_OK;
}

int cli_job_samples(sal_preprocess *p, const cli_command *self, const cli_job *s)
{
    given_option given[GIVEN];
    list_given(given, s);
    return set_given(p, self, given + SAMPLES, GIVEN - SAMPLES);
}

int cli_job_preprocess(cli_run_options *run, const cli_command *self, const cli_job *s, const sal_model *model,
                       const char *picture)
{
    sal_explain_options *o = &run->explain;
    sal_preprocess *p = &o->preprocess;
    given_option given[GIVEN];
    sal_model_info info = SAL_MODEL_INFO_INIT;
    if (sal_model_get_info(&info, model) != SAL_OK)
        return cli_fail_library(self);
    run->origin[0] = '\0';
    int code = begin(p, run->origin, sizeof run->origin, self, s, &info);
    if (code != CLI_OK)
        return code;
    list_given(given, s);
    code = set_given(p, self, given + VALUES, GIVEN - VALUES);
    if (code != CLI_OK)
        return code;
    describe_origin(run->origin, sizeof run->origin, given);
    o->preprocess_origin = run->origin;
    code = check_values(self, s, p, info.channels, picture, o->limits);
    if (code == CLI_OK)
        code = meet_sidecar(self, s, &info, p);
    if (code != CLI_OK)
        return code;
    if (info.rescales && (s->preset || s->recipe) && (p->scale != 1.0F || p->value_count > 0))
        cli_note(self, "%s: its layer %s takes samples of 0..255, and --%s %s changes them before it", info.path,
                 info.rescales, s->preset ? "preset" : "recipe", s->preset ? s->preset : s->recipe);
    if (s->save_preprocess && !s->dry_run && sal_preprocess_save(info.path, p) != SAL_OK)
        return cli_fail_library(self);
    return CLI_OK;
}
