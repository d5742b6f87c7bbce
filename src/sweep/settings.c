#include "sweep/settings.h"

#include "sweep/baseline.h"

#include "api/attribute.h"
#include "api/identity.h"
#include "base/plain_locale.h"
#include "base/text.h"
#include "base/words.h"
#include "image/preprocess.h"
#include "map/map.h"
#include "results/settings_lines.h"
#include "sweep/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 40 };

static void print_word(FILE *to, const char *name, const char *word, int *bad)
{
    *bad |= word == NULL;
    fprintf(to, "%s %s\n", name, word ? word : "?");
}

static void print_choice(FILE *to, const char *name, const char *words, int value, int *bad)
{
    char word[SAL_WORD_SIZE];
    print_word(to, name, sal_word_of(word, words, value), bad);
}

/* The fewest digits that give the number back as it was. */
static const char *number_text(char text[NUMBER_SIZE], double value)
{
    snprintf(text, NUMBER_SIZE, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, NUMBER_SIZE, "%.17g", value);
    return text;
}

static void print_number(FILE *to, const char *name, double value)
{
    char text[NUMBER_SIZE];
    fprintf(to, "%s %s\n", name, number_text(text, value));
}

static void print_target(FILE *to, const sal_explain_options *o, int *bad)
{
    switch (o->target.kind) {
    case SAL_TARGET_PREDICTED:
        if (o->top > 0)
            fprintf(to, "target top:%lld\n", (long long)o->top);
        else
            fputs("target predicted\n", to);
        break;
    case SAL_TARGET_INDEX: fprintf(to, "target index:%lld\n", (long long)o->target.index); break;
    case SAL_TARGET_MEAN: fputs("target mean\n", to); break;
    case SAL_TARGET_LABEL: fputs("target label\n", to); break;
    case SAL_TARGET_MARGIN: fputs("target margin\n", to); break;
    default: *bad = 1;
    }
}

/* Where none is drawn the defaults are all the same: as of runs of before, which had no --blend. */
static void print_look(FILE *to, const sal_sweep_options *o, int *bad)
{
    char text[NUMBER_SIZE];
    sal_explain_options e = *o->explain;
    if (o->overlays == SAL_OVERLAYS_NONE) {
        e.blend = SAL_BLEND_FLAT;
        e.contour_count = 0;
    }
    const sal_overlay_style style = sal_output_style(&e, 1);
    if (style.blend != SAL_BLEND_FLAT)
        print_choice(to, "blend", SAL_WORDS_BLEND, (int)style.blend, bad);
    print_choice(to, "colormap", SAL_WORDS_COLORMAP, (int)style.colormap, bad);
    print_number(to, "alpha", style.alpha);
    for (int i = 0; i < style.contour_count; i++)
        fprintf(to, "%s%s%s", i == 0 ? "contour " : ",", number_text(text, e.contours[i]),
                i + 1 == style.contour_count ? "\n" : "");
}

static void print_overlays(FILE *to, const sal_sweep_options *o, int *bad)
{
    switch (o->overlays) {
    case SAL_OVERLAYS_ALL: fputs("overlays all\n", to); break;
    case SAL_OVERLAYS_NONE: fputs("overlays none\n", to); break;
    case SAL_OVERLAYS_WRONG: fputs("overlays wrong\n", to); break;
    case SAL_OVERLAYS_TOP: fprintf(to, "overlays top:%lld\n", (long long)o->overlay_count); break;
    default: *bad = 1;
    }
    *bad |= (unsigned)o->overlay_format > SAL_OVERLAY_PNG;
    /* Where none is drawn it is all the same; see sal_settings_unsaid. */
    const int none = o->overlays == SAL_OVERLAYS_NONE;
    fprintf(to, "overlay-format %s\n", o->overlay_format == SAL_OVERLAY_PNG || none ? "png" : "jpeg");
    if (o->overlay_size != SAL_OVERLAY_FULL && !none)
        fprintf(to, "overlay-size %lld\n", (long long)o->overlay_size);
}

/* Given or not at all: most networks have one output and a fixed size. */
static void print_network(FILE *to, const sal_model_options *o, int *bad)
{
    if (o->output)
        print_word(to, "output", o->output, bad);
    if (o->layer)
        print_word(to, "layer", o->layer, bad);
    if (o->at)
        print_word(to, "at", o->at, bad);
    if (o->coral)
        print_number(to, "coral", o->first_age);
    if (o->height > 0 || o->width > 0)
        fprintf(to, "input-size %lldx%lld\n", (long long)o->height, (long long)o->width);
}

/* A path may be of another picture tomorrow: what it holds is said, too. */
static void print_baseline(FILE *to, const sal_method_options *o, const char *sha256, int *bad)
{
    if (o->baseline != SAL_BASELINE_FILE) {
        print_choice(to, "baseline", SAL_WORDS_BASELINE, (int)o->baseline, bad);
        return;
    }
    print_word(to, "baseline", o->baseline_file, bad);
    print_word(to, SAL_SETTINGS_BASELINE_SHA256, sha256, bad);
}

/* Plain gradients have no line: see sal_settings_unsaid. */
static void print_method(FILE *to, const sal_engine *engine, const char *baseline, int *bad)
{
    const sal_method_options *o = sal_engine_get_method(engine);
    sal_attribution_info info = SAL_ATTRIBUTION_INFO_INIT;
    const unsigned has = sal_engine_method_has(engine);
    *bad |= sal_engine_get_attribution(&info, engine) != SAL_OK;
    if (*bad || strcmp(info.method, sal_settings_unsaid("method")) == 0)
        return;
    print_word(to, "method", info.method, bad);
    if (has & SAL_METHOD_SAMPLES) {
        fprintf(to, "samples %lld\n", (long long)o->samples);
        print_number(to, "noise", o->noise);
        fprintf(to, "seed %llu\n", (unsigned long long)o->seed);
    }
    if (has & SAL_METHOD_PATH) {
        fprintf(to, "steps %lld\n", (long long)o->steps);
        print_choice(to, "quadrature", SAL_WORDS_QUADRATURE, (int)o->quadrature, bad);
        print_baseline(to, sal_engine_get_options(engine)->method, baseline, bad);
    }
    if (has & SAL_METHOD_LAYER)
        print_word(to, "cam-layer", info.layer, bad);
}

/* The last lines: of several differences, one in an option tells more. */
static void print_arithmetic(FILE *to, const sal_engine *engine, sal_normalize normalize)
{
    int arithmetic = SAL_ARITHMETIC;
    if (normalize != SAL_NORMALIZE_KERAS_VIS)
        fprintf(to, SAL_SETTINGS_MAP_ARITHMETIC " %d\n", SAL_MAP_ARITHMETIC);
    if (!sal_engine_get_options(engine)->exact) {
        if (sal_engine_method_has(engine) & SAL_METHOD_MANY_PASSES)
            arithmetic = SAL_ARITHMETIC_MANY_PASSES;
        if (sal_engine_has_ties(engine))
            arithmetic = SAL_ARITHMETIC_TIES;
    }
    if (arithmetic > 1)
        fprintf(to, SAL_SETTINGS_ARITHMETIC " %d\n", arithmetic);
}

static void print_all(FILE *to, const sal_sweep_options *o, const sal_engine *engine, const char *baseline, int *bad)
{
    sal_map_options map = *o->explain->map;
    const sal_map_options *m = &map;
    sal_attribution_info attribution = SAL_ATTRIBUTION_INFO_INIT;
    const sal_engine_options *e = sal_engine_get_options(engine);
    sal_model_info info = SAL_MODEL_INFO_INIT;
    *bad |= sal_model_get_info(&info, sal_engine_model(engine)) != SAL_OK;
    *bad |= sal_engine_get_attribution(&attribution, engine) != SAL_OK;
    if (!*bad)
        sal_map_options_resolve(&map, &attribution, info.height, info.width);
    print_network(to, sal_model_get_options(sal_engine_model(engine)), bad);
    print_target(to, o->explain, bad);
    print_choice(to, "score", SAL_WORDS_SCORE, (int)o->explain->target.score, bad);
    print_method(to, engine, baseline, bad);
    print_choice(to, "rule", SAL_WORDS_RULE, (int)e->rule, bad);
    print_choice(to, "precision", SAL_WORDS_PRECISION, (int)e->precision, bad);
    print_word(to, "exact", e->exact ? "yes" : "no", bad);
    print_choice(to, "modifier", SAL_WORDS_MODIFIER, (int)m->modifier, bad);
    print_choice(to, "reduce", SAL_WORDS_REDUCE, (int)m->reduce, bad);
    print_number(to, "sigma", m->sigma);
    print_choice(to, "normalize", SAL_WORDS_NORMALIZE, (int)m->normalize, bad);
    if (m->common_scale > 0.0)
        print_number(to, "common-scale", m->common_scale);
    if (o->explain->raw_map)
        print_word(to, "raw-map", "yes", bad);
    print_look(to, o, bad);
    print_choice(to, "maps", SAL_WORDS_MAPS, (int)o->maps, bad);
    print_overlays(to, o, bad);
    fprintf(to, "top-k %lld\n", (long long)o->predictions);
    print_number(to, "tolerance", o->tolerance);
    sal_preprocess_print(to, &o->explain->preprocess);
    if (o->explain->strict)
        print_word(to, "strict", "yes", bad);
    print_arithmetic(to, engine, m->normalize);
}

/* A name that the file or the user chose; settings have a line for each. */
static sal_status check_line(const char *what, const char *name)
{
    return name && strchr(name, '\n')
               ? sal_fail(SAL_ERROR_ARGUMENT, "the name of %s has a line break: no run can be made with it", what)
               : SAL_OK;
}

static sal_status check_lines(const sal_engine *engine)
{
    sal_status st = SAL_OK;
    sal_attribution_info info = SAL_ATTRIBUTION_INFO_INIT;
    const sal_model_options *model = sal_model_get_options(sal_engine_model(engine));
    TRY(sal_engine_get_attribution(&info, engine));
    TRY(check_line("an output", model->output));
    TRY(check_line("a layer", model->layer));
    TRY(check_line("an element", model->at));
    TRY(check_line("a layer", info.layer));
    if (sal_engine_get_options(engine)->method->baseline == SAL_BASELINE_FILE)
        TRY(check_line("a baseline", sal_engine_get_options(engine)->method->baseline_file));
done:
    return st;
}

sal_status sal_settings_make(char **out, const sal_sweep_options *options, const sal_engine *engine)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    sal_text text;
    char baseline[SAL_DIGEST_SIZE];
    int bad = 0;
    *out = NULL;
    TRY(check_lines(engine));
    const sal_method_options *method = sal_engine_get_options(engine)->method;
    baseline[0] = '\0';
    if (method->baseline == SAL_BASELINE_FILE)
        TRY(sal_baseline_hash(baseline, method->baseline_file));
    TRY(sal_text_open(&text));
    st = sal_plain_locale_enter(&plain);
    if (st == SAL_OK) {
        print_all(text.stream, options, engine, baseline, &bad);
        sal_plain_locale_leave(&plain);
    }
    if (st == SAL_OK && bad)
        st = sal_fail(SAL_ERROR_ARGUMENT, "an option of the sweep has a value that is none of its values");
    st = sal_text_close(out, NULL, &text, st, "settings");
done:
    return st;
}
