/* Overlays, figures and baselines in memory: their options and what they refuse. That they have the bytes of the files
 * of `salmap explain` is what tests/package/memory_job.c compares. */
#include "base/digest.h"
#include "image/image.h"
#include "map/map.h"
#include "salmap/salmap.h"
#include "sweep/draw.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NET = 8, HEIGHT = 30, WIDTH = 50 };

static float map[NET * NET];
static sal_picture picture;
/* Stretched onto the input. */
static const sal_placement placement = {.source_height = HEIGHT,
                                        .source_width = WIDTH,
                                        .net_height = NET,
                                        .net_width = NET,
                                        .scale_y = (double)HEIGHT / NET,
                                        .scale_x = (double)WIDTH / NET};

static void make_all(void)
{
    for (int i = 0; i < NET * NET; i++)
        map[i] = (float)i / (NET * NET - 1);
    cr_assert_eq(sal_picture_new(&picture, HEIGHT, WIDTH, 3, SAL_SAMPLE_U8), SAL_OK);
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++)
        ((unsigned char *)picture.samples)[i] = (unsigned char)(i * 31);
}

static void clear_all(void)
{
    sal_picture_clear(&picture);
}

TestSuite(draw, .init = make_all, .fini = clear_all);

static sal_overlay_options defaults(void)
{
    const sal_overlay_options o = SAL_OVERLAY_OPTIONS_INIT;
    return o;
}

static sal_picture overlay(const sal_picture *under, const float *values, const sal_overlay_options *options)
{
    sal_picture out;
    cr_assert_eq(sal_overlay_make(&out, under, values, &placement, options), SAL_OK, "%s", sal_last_error());
    return out;
}

/* Both are cleared. */
static void expect_same(sal_picture a, sal_picture b, int same)
{
    cr_assert(a.height == b.height && a.width == b.width && a.channels == 3 && b.channels == 3);
    cr_expect_eq(memcmp(a.samples, b.samples, (size_t)(a.height * a.width * 3)) == 0, same);
    sal_picture_clear(&a);
    sal_picture_clear(&b);
}

Test(draw, inferno_as_opaque_as_the_map_is_high_unless_told_otherwise)
{
    sal_overlay_options asked = defaults(), none = defaults(), all = defaults();
    sal_picture copy;
    asked.alpha = 0.9;
    asked.colormap = SAL_COLORMAP_INFERNO;
    asked.blend = SAL_BLEND_MAP;
    none.alpha = 0.0;
    all.alpha = 1.0;
    all.blend = SAL_BLEND_FLAT;
    expect_same(overlay(&picture, map, NULL), overlay(&picture, map, &asked), 1);
    cr_assert_eq(sal_picture_to_rgb8(&copy, &picture, NULL), SAL_OK);
    expect_same(overlay(&picture, map, &none), copy, 1);
    expect_same(overlay(&picture, map, &all), overlay(NULL, map, NULL), 1);
    asked.colormap = SAL_COLORMAP_VIRIDIS;
    expect_same(overlay(NULL, map, NULL), overlay(NULL, map, &asked), 1);
}

/* Of the pictures of versions before SAL_BLEND_FLAT had a name. */
static void expect_digest(sal_picture drawn, const char *expected)
{
    sal_digest *digest;
    char text[SAL_DIGEST_SIZE];
    cr_assert_eq(sal_digest_open(&digest), SAL_OK);
    cr_assert_eq(sal_digest_add(digest, drawn.samples, (size_t)(drawn.height * drawn.width * 3)), SAL_OK);
    cr_assert_eq(sal_digest_finish(text, digest), SAL_OK);
    cr_expect_str_eq(text, expected);
    sal_digest_close(digest);
    sal_picture_clear(&drawn);
}

Test(draw, flat_overlays_have_the_bytes_that_overlays_had)
{
    sal_overlay_options flat = defaults(), spelled = defaults();
    spelled.blend = flat.blend = SAL_BLEND_FLAT;
    spelled.alpha = 0.5;
    spelled.colormap = SAL_COLORMAP_VIRIDIS;
    expect_digest(overlay(&picture, map, &flat), "254e4f1e243bb030ec36069a71d40f2d4430bd259a5c12b8211fb615a8f38237");
    expect_digest(overlay(&picture, map, &spelled), "254e4f1e243bb030ec36069a71d40f2d4430bd259a5c12b8211fb615a8f38237");
    spelled.normalize = SAL_NORMALIZE_SIGNED;
    spelled.colormap = SAL_COLORMAP_COOLWARM;
    spelled.alpha = 0.3;
    expect_digest(overlay(&picture, map, &spelled), "3e04350d57073bff4de93e80c3ebf71a42353d97917f3e6e084166bd2b4ca955");
    expect_digest(overlay(NULL, map, NULL), "7bc1cea1482e7ac3d9ae02f05c4a430a0b42ab33f13c6db00b00410591efa8f1");
}

Test(draw, contours_are_drawn_over_the_picture)
{
    const double levels[] = {0.25, 0.5};
    sal_overlay_options o = defaults(), few = defaults();
    o.contours = few.contours = levels;
    o.contour_count = 2;
    expect_same(overlay(&picture, map, &o), overlay(&picture, map, NULL), 0);
    expect_same(overlay(&picture, map, &few), overlay(&picture, map, NULL), 1);
    expect_same(overlay(NULL, map, &o), overlay(NULL, map, NULL), 1);
    o.contours = NULL;
    expect_same(overlay(&picture, map, &o), overlay(&picture, map, NULL), 1);
}

Test(draw, the_options_of_an_older_caller_are_read_as_far_as_they_go)
{
    sal_overlay_options newer = defaults(), older = defaults();
    newer.blend = older.blend = SAL_BLEND_FLAT;
    older.size = offsetof(sal_overlay_options, blend); /* it does not have one yet */
    expect_same(overlay(&picture, map, &older), overlay(&picture, map, NULL), 1);
    expect_same(overlay(&picture, map, &newer), overlay(&picture, map, NULL), 0);
}

/* Signed maps have their 0 in the middle; maps as they are span the colours with their own range. */
Test(draw, colours_stand_for_the_values_that_normalising_gave)
{
    sal_overlay_options minmax = defaults(), as_is = defaults(), is_signed = defaults();
    float large[NET * NET], shifted[NET * NET];
    as_is.normalize = SAL_NORMALIZE_NONE;
    is_signed.normalize = SAL_NORMALIZE_SIGNED;
    is_signed.colormap = SAL_COLORMAP_VIRIDIS;
    for (int i = 0; i < NET * NET; i++) {
        large[i] = 512.0f * map[i] - 64.0f;
        shifted[i] = 2.0f * map[i] - 1.0f;
    }
    expect_same(overlay(NULL, large, &as_is), overlay(NULL, map, &minmax), 1);
    expect_same(overlay(NULL, large, &minmax), overlay(NULL, map, &minmax), 0);
    expect_same(overlay(NULL, shifted, &is_signed), overlay(NULL, map, &minmax), 1);
    expect_same(overlay(NULL, shifted, &minmax), overlay(NULL, map, &minmax), 0);
}

Test(draw, an_overlay_is_no_larger_than_asked_for)
{
    sal_overlay_options small = defaults(), large = defaults(), thin = defaults();
    small.longest = 20;
    large.longest = WIDTH;
    thin.longest = 1;
    sal_picture out = overlay(&picture, map, &small), alone = overlay(NULL, map, &small),
                least = overlay(NULL, map, &thin);
    cr_expect(out.height == 12 && out.width == 20, "%lld x %lld", (long long)out.width, (long long)out.height);
    cr_expect(alone.height == 12 && alone.width == 20);
    cr_expect(least.height == 1 && least.width == 1);
    expect_same(overlay(&picture, map, &large), overlay(&picture, map, NULL), 1);
    sal_picture_clear(&out);
    sal_picture_clear(&alone);
    sal_picture_clear(&least);
}

static void expect_refused(sal_status expected, const char *words, const sal_picture *under, const sal_placement *where,
                           const sal_overlay_options *options)
{
    sal_picture out = {.height = 1};
    cr_expect_eq(sal_overlay_make(&out, under, map, where, options), expected, "no '%s'", words);
    cr_expect_not_null(strstr(sal_last_error(), words), "'%s' lacks '%s'", sal_last_error(), words);
    cr_expect(!out.samples && out.height == 0);
}

Test(draw, contradictions_are_refused)
{
    sal_overlay_options o = defaults();
    sal_placement where = placement;
    o.alpha = 1.5;
    expect_refused(SAL_ERROR_ARGUMENT, "alpha 1.5", &picture, &placement, &o);
    o.alpha = NAN;
    expect_refused(SAL_ERROR_ARGUMENT, "alpha", &picture, &placement, &o);
    o = defaults();
    o.colormap = (sal_colormap)10;
    expect_refused(SAL_ERROR_ARGUMENT, "colour map 10", &picture, &placement, &o);
    o = defaults();
    o.blend = (sal_blend)2;
    expect_refused(SAL_ERROR_ARGUMENT, "blend 2", &picture, &placement, &o);
    o = defaults();
    o.contours = (const double[]){0.5, 1.0};
    o.contour_count = 2;
    expect_refused(SAL_ERROR_ARGUMENT, "contour 1 ", &picture, &placement, &o);
    o.contours = (const double[]){1e-300, 0.5};
    expect_refused(SAL_ERROR_ARGUMENT, "contour 1e-300 ", &picture, &placement, &o);
    o.contour_count = SAL_CONTOURS_MAX + 1;
    expect_refused(SAL_ERROR_ARGUMENT, "9 contours", &picture, &placement, &o);
    o = defaults();
    o.normalize = (sal_normalize)4;
    expect_refused(SAL_ERROR_ARGUMENT, "normalisation 4", &picture, &placement, &o);
    o = defaults();
    o.longest = -2;
    expect_refused(SAL_ERROR_ARGUMENT, "-2 pixels", &picture, &placement, &o);
    where.source_width = WIDTH - 1;
    expect_refused(SAL_ERROR_ARGUMENT, "49 x 30", &picture, &where, NULL);
    where = placement;
    where.scale_x = 0.0;
    expect_refused(SAL_ERROR_ARGUMENT, "is no placement", NULL, &where, NULL);
    map[19] = NAN;
    expect_refused(SAL_ERROR_NUMERIC, "row 2, column 3", &picture, &placement, NULL);
    map[19] = -INFINITY;
    expect_refused(SAL_ERROR_NUMERIC, "row 2, column 3", NULL, &placement, NULL);
}

Test(draw, pictures_of_any_kind_are_shown_as_explain_shows_them)
{
    sal_picture deep, shown, rgb;
    cr_assert_eq(sal_picture_new(&deep, HEIGHT, WIDTH, 2, SAL_SAMPLE_U16), SAL_OK);
    for (int i = 0; i < HEIGHT * WIDTH * 2; i++)
        ((uint16_t *)deep.samples)[i] = (uint16_t)(i * 977);
    cr_assert_eq(sal_picture_to_rgb8(&rgb, &deep, NULL), SAL_OK);
    expect_same(overlay(&deep, map, NULL), overlay(&rgb, map, NULL), 1);
    cr_assert_eq(sal_shown_make(&shown, &rgb, &placement, NULL), SAL_OK);
    cr_expect_null(shown.samples, "8-bit RGB is drawn on as it is");
    sal_picture_clear(&rgb);
    sal_picture_clear(&deep);
}

Test(draw, figures_have_a_size_of_their_own)
{
    sal_overlay_options longest = defaults();
    sal_figure_options o = SAL_FIGURE_OPTIONS_INIT;
    sal_picture out;
    o.overlay = &longest;
    longest.longest = 100;
    cr_expect_eq(sal_figure_make(&out, &picture, map, &placement, &o), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "longest is 100"), "%s", sal_last_error());
    cr_expect_null(out.samples);
    cr_assert_eq(sal_figure_make(&out, &picture, map, &placement, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect(out.height > HEIGHT && out.width > 3 * WIDTH && out.channels == 3);
    sal_picture_clear(&out);
}

/* ---- The note ------------------------------------------------------------ */

static const char *note_of(sal_figure_facts facts, int64_t outputs, const char *method)
{
    static char note[SAL_NOTE_SIZE];
    facts.size = sizeof facts;
    cr_assert_eq(sal_note_write(note, sizeof note, &facts, outputs, method), SAL_OK);
    return note;
}

Test(note, says_what_was_explained)
{
    const sal_target margin = {.kind = SAL_TARGET_MARGIN}, likely = {.score = SAL_SCORE_PROBABILITY};
    sal_figure_facts f = {.target = 4, .score = 1.25f, .probability = NAN, .stats = {.peak = 0.5f}};
    cr_expect_str_eq(note_of(f, 10, "gradient"), "output 4   logit 1.25   peak gradient 0.5");
    f.probability = 0.75f;
    cr_expect_str_eq(note_of(f, 10, "grad-cam"), "output 4   logit 1.25   probability 0.75   peak grad-cam 0.5");
    f.asked = margin;
    cr_expect_str_eq(note_of(f, 10, "gradient"),
                     "output 4 ahead by   logit 1.25   probability 0.75   peak gradient 0.5");
    f.asked = likely;
    f.stats.flat = 1;
    cr_expect_str_eq(note_of(f, 10, "gradient"), "output 4   probability 1.25   flat map");
    f = (sal_figure_facts){.target = -1, .score = 2.0f, .probability = NAN};
    cr_expect_str_eq(note_of(f, 10, "gradient"), "mean of 10 outputs  2   peak gradient 0");
    f.target = 0;
    cr_expect_str_eq(note_of(f, 1, "gradient"), "value 2   peak gradient 0");
}

Test(note, is_cut_where_there_is_no_room)
{
    const sal_figure_facts f = {.size = sizeof f, .target = 4, .score = 1.25f, .probability = NAN};
    char note[12], one[1] = {'x'};
    cr_assert_eq(sal_note_write(note, sizeof note, &f, 10, "gradient"), SAL_OK);
    cr_expect_str_eq(note, "output 4   ");
    cr_assert_eq(sal_note_write(one, sizeof one, &f, 10, "gradient"), SAL_OK);
    cr_expect_eq(one[0], '\0');
}

/* A character of three bytes is left out whole. */
Test(note, cuts_no_character)
{
    char name[8 * 3 * 10 + 3] = "", note[32];
    sal_figure_facts f = {.size = sizeof f, .target = 4, .score = 1.25f, .probability = NAN};
    for (size_t begin = 0; begin < 3; begin++) {
        memset(name, 'x', begin);
        for (size_t i = 0; i < 40; i++)
            memcpy(name + begin + 3 * i, "\xe9\xb1\x97", 4);
        const int kept = (int)(80 - begin) / 3 * 3 + (int)begin;
        char expected[SAL_NOTE_SIZE];
        f.class_name = name;
        f.label = NULL;
        snprintf(expected, sizeof expected, "%.*s (output 4)   logit 1.25   peak gradient 0", kept, name);
        cr_expect_str_eq(note_of(f, 10, "gradient"), expected);
        f.class_name = NULL;
        f.label = name;
        snprintf(expected, sizeof expected, "output 4   logit 1.25   label %.*s   peak gradient 0", kept, name);
        cr_expect_str_eq(note_of(f, 10, "gradient"), expected);
        /* Where there is no room for the rest, nothing comes behind the cut. */
        f.class_name = name;
        cr_assert_eq(sal_note_write(note, sizeof note, &f, 10, "gradient"), SAL_OK);
        snprintf(expected, sizeof expected, "%.*s", (int)(31 - begin) / 3 * 3 + (int)begin, name);
        cr_expect_str_eq(note, expected);
    }
}

Test(note, has_the_label_behind_the_score)
{
    const sal_figure_facts f = {.target = 4, .score = 1.25f, .probability = NAN, .label = "trout"};
    cr_expect_str_eq(note_of(f, 10, "gradient"), "output 4   logit 1.25   label trout   peak gradient 0");
}

Test(title, names_picture_model_method_and_sigma)
{
    char title[80];
    sal_attribution_info info = {.size = sizeof info, .method = "gradient"};
    cr_assert_eq(sal_title_write(title, sizeof title, "a.png", "m.onnx", &info, 3.84), SAL_OK);
    cr_expect_str_eq(title, "a.png: m.onnx, gradient, \xcf\x83 3.84 px");
    info.method = "grad-cam";
    info.layer = "conv5";
    cr_assert_eq(sal_title_write(title, sizeof title, "a.png", "m.onnx", &info, 0.0), SAL_OK);
    cr_expect_str_eq(title, "a.png: m.onnx, grad-cam at conv5");
}

/* Figures have points, whatever the caller's locale. */
Test(note, has_points_in_a_locale_with_commas)
{
    const sal_figure_facts f = {.target = 4, .score = 1.25f, .probability = NAN};
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        cr_skip_test("no locale with a decimal comma is installed");
    cr_expect_str_eq(note_of(f, 10, "gradient"), "output 4   logit 1.25   peak gradient 0");
}

/* ---- Baselines ------------------------------------------------------------ */

/* Letterboxed: rows 2 to 5 of the input show the picture. */
static const sal_placement boxed = {.source_height = 4,
                                    .source_width = 8,
                                    .net_height = NET,
                                    .net_width = NET,
                                    .scale_y = 1.0,
                                    .offset_y = -2.0,
                                    .scale_x = 1.0};

Test(draw, baselines_change_what_the_picture_covers)
{
    const sal_preprocess p = {.scale = 1.0F, .value_count = 1, .mean = {10.0f}, .std = {2.0f}};
    const struct {
        sal_baseline kind;
        float inside;
        float outside;
    } cases[] = {{SAL_BASELINE_ZERO, 0.0f, 0.0f},
                 {SAL_BASELINE_BLACK, -5.0f, 9.0f},
                 {SAL_BASELINE_WHITE, 122.5f, 9.0f},
                 {SAL_BASELINE_MEAN, 3.0f, 9.0f},
                 {SAL_BASELINE_BLUR, 3.0f, 9.0f}};
    float input[NET * NET], out[NET * NET];
    for (int i = 0; i < NET * NET; i++)
        input[i] = i / NET >= 2 && i / NET < 6 ? 3.0f : 9.0f;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cr_assert_eq(sal_baseline_make(out, input, 1, &boxed, cases[k].kind, &p), SAL_OK, "%s", sal_last_error());
        for (int i = 0; i < NET * NET; i++)
            cr_expect(fabsf(out[i] - (input[i] == 3.0f ? cases[k].inside : cases[k].outside)) <= 1e-6f,
                      "kind %d has %g at %d", (int)cases[k].kind, (double)out[i], i);
    }
}
