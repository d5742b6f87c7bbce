/* Resizing as other libraries do it, against what they made of one small picture. */
#include "image/preprocess.h"
#include "test_image_support.h"

#include <stdlib.h>

#define RESIZED SAL_TEST_SOURCE_DIR "/tests/golden/resize/"

enum { RESIZE_CASES = 79 }; /* lines of cases.txt */

static const int sizes[][2] = {{16, 16}, {20, 60}, {50, 9}}; /* as in make_resize_references.py */

static sal_picture read_resized(const char *name)
{
    char path[512];
    sal_picture p;
    snprintf(path, sizeof path, "%s%.200s.npy", RESIZED, name);
    cr_assert_eq(sal_picture_read(&p, path, NULL), SAL_OK, "%s: %s", name, sal_last_error());
    return p;
}

/* "key=value key=value" */
static void set_all(sal_preprocess *p, char *options)
{
    for (char *word = strtok(options, " \n"); word; word = strtok(NULL, " \n")) {
        char *value = strchr(word, '=');
        cr_assert_not_null(value);
        *value++ = '\0';
        cr_assert_eq(sal_preprocess_set(p, word, value), SAL_OK, "%s", sal_last_error());
    }
}

static double compare(const sal_picture *source, const sal_picture *wanted, const sal_preprocess *p)
{
    double worst = 0.0;
    size_t at = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t pixels = (size_t)sizes[s][0] * (size_t)sizes[s][1], channels = (size_t)source->channels;
        float *out = malloc(pixels * channels * sizeof *out);
        cr_assert_eq(sal_preprocess_apply(out, NULL, source, p, source->channels, sizes[s][0], sizes[s][1]), SAL_OK,
                     "%s", sal_last_error());
        for (size_t i = 0; i < pixels; i++)
            for (size_t c = 0; c < channels; c++, at++) {
                const double d = fabs((double)out[c * pixels + i] - sample_at(wanted, at));
                worst = d <= worst ? worst : isnan(d) ? INFINITY : d;
            }
        free(out);
    }
    cr_assert_eq(at, sample_count(wanted));
    return worst;
}

Test(resample, equals_pillow_tensorflow_keras_torchvision_and_opencv)
{
    FILE *f = fopen(RESIZED "cases.txt", "r");
    cr_assert_not_null(f);
    sal_picture colour = read_resized("source");
    sal_picture gray;
    cr_assert_eq(sal_picture_new(&gray, colour.height, colour.width, 1, SAL_SAMPLE_U8), SAL_OK);
    for (size_t i = 0; i < sample_count(&gray); i++)
        ((unsigned char *)gray.samples)[i] = ((unsigned char *)colour.samples)[3 * i];
    char name[64], options[256];
    int channels, n = 0;
    double tolerance;
    while (fscanf(f, "%63s %d %lf %255[^\n]", name, &channels, &tolerance, options) == 4) {
        sal_preprocess p;
        sal_preprocess_preset(&p, "raw");
        set_all(&p, options);
        sal_picture wanted = read_resized(name);
        const double worst = compare(channels == 3 ? &colour : &gray, &wanted, &p);
        cr_expect(worst <= tolerance, "%s is %g levels off", name, worst);
        sal_picture_clear(&wanted);
        n++;
    }
    fclose(f);
    sal_picture_clear(&colour);
    sal_picture_clear(&gray);
    cr_assert_eq(n, RESIZE_CASES, "%d cases", n);
}

static sal_preprocess options_of(const char *text)
{
    char copy[256];
    sal_preprocess p;
    snprintf(copy, sizeof copy, "%s", text);
    sal_preprocess_preset(&p, "raw");
    set_all(&p, copy);
    return p;
}

static sal_status try_options(const char *text)
{
    unsigned char sample = 7;
    float out[16];
    const sal_picture pixel = {.height = 1, .width = 1, .channels = 1, .type = SAL_SAMPLE_U8, .samples = &sample};
    sal_preprocess p = options_of(text);
    return sal_preprocess_apply(out, NULL, &pixel, &p, 1, 4, 4);
}

Test(resample, refuses_what_no_library_does)
{
    static const char *const bad[] = {
        "resample=box antialias=off",
        "resample=hamming antialias=off",
        "resample=cubic75",
        "resample=area round=passes",
        "resample=area round=torch",
        "grid=align-corners",
        "grid=asymmetric resample=bicubic antialias=off",
        "grid=align-corners resample=lanczos antialias=off",
        "grid=asymmetric resample=area",
        "round=opencv",
        "resample=area round=opencv grid=asymmetric",
        "round=opencv antialias=off grid=align-corners",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(try_options(bad[i]), SAL_ERROR_ARGUMENT, "%s was taken", bad[i]);
        cr_expect(strlen(sal_last_error()) > 20);
    }
    static const char *const good[] = {"round=opencv antialias=off",
                                       "resample=bicubic round=torch",
                                       "resample=area antialias=off",
                                       "resample=area",
                                       "grid=align-corners resample=nearest",
                                       "resample=nearest antialias=off round=torch",
                                       "grid=asymmetric antialias=off round=passes"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_eq(try_options(good[i]), SAL_OK, "%s: %s", good[i], sal_last_error());
}

/* Kernels that have the name of another library's. */
Test(resample, refuses_what_is_another_librarys_and_names_the_right_word)
{
    static const struct {
        const char *options;
        const char *named;
    } bad[] = {
        {"resample=nearest round=opencv antialias=off", "add grid asymmetric"},
        {"resample=nearest round=opencv grid=align-corners", "add grid asymmetric"},
        {"resample=bicubic round=opencv antialias=off", "resample cubic75"},
        {"resample=bicubic round=opencv", "resample cubic75"},
        {"resample=lanczos round=opencv antialias=off", "INTER_LANCZOS4"},
        {"resample=box round=opencv", "round passes"},
        {"resample=hamming round=opencv", "round passes"},
        {"resample=bilinear round=opencv", "antialias off"},
        {"round=opencv antialias=off grid=asymmetric", "grid half-pixel"},
        {"resample=bicubic round=torch antialias=off", "resample cubic75"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(try_options(bad[i].options), SAL_ERROR_ARGUMENT, "%s was taken", bad[i].options);
        cr_expect_not_null(strstr(sal_last_error(), bad[i].named), "%s: %s", bad[i].options, sal_last_error());
    }
    sal_preprocess p = options_of("recipe=opencv preset=unit resample=bicubic");
    cr_expect_eq(sal_preprocess_save("/tmp/salmap-never", &p), SAL_ERROR_ARGUMENT);
}

Test(resample, refuses_values_out_of_range)
{
    unsigned char sample = 7;
    float out[16];
    const sal_picture pixel = {.height = 1, .width = 1, .channels = 1, .type = SAL_SAMPLE_U8, .samples = &sample};
    const sal_preprocess bad[] = {
        {.resample = (sal_resample)8},
        {.antialias = (sal_antialias)2},
        {.rounding = (sal_rounding)6},
        {.grid = (sal_grid)3},
        {.grid = (sal_grid)-1},
        {.crop_round = (sal_crop_round)2},
        {.fit = (sal_fit)5},
        {.crop_share = 1.5F},
        {.crop_share = -0.1F},
        {.crop_share = NAN},
        {.crop_share = 1e-9F, .fit = SAL_FIT_CENTER_CROP},
        {.crop_share = 9e-4F, .fit = SAL_FIT_STRETCH_CROP},
        {.crop_resize = (1 << 20) + 1, .fit = SAL_FIT_CENTER_CROP},
        {.crop_resize = -1},
        {.resample = (sal_resample)-1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(sal_preprocess_apply(out, NULL, &pixel, &bad[i], 1, 4, 4), SAL_ERROR_ARGUMENT, "%zu", i);
}

/* ---- Eight bits ---------------------------------------------------------- */

Test(round, cuts_16_bits_to_the_upper_8_and_refuses_floats)
{
    static const uint16_t samples[] = {255, 256, 65535, 0x80FF};
    float out[4];
    sal_picture picture = {.height = 2, .width = 2, .channels = 1, .type = SAL_SAMPLE_U16};
    const void *from = samples;
    memcpy(&picture.samples, &from, sizeof from);
    static const char *const words[] = {"round=passes", "round=once", "round=opencv antialias=off", "round=torch",
                                        "round=pillow13"};
    for (int w = 0; w < 5; w++) {
        sal_preprocess p = options_of(words[w]);
        picture.type = SAL_SAMPLE_U16;
        cr_assert_eq(sal_preprocess_apply(out, NULL, &picture, &p, 1, 2, 2), SAL_OK, "%s", sal_last_error());
        cr_expect(out[0] == 0.0F && out[1] == 1.0F && out[2] == 255.0F && out[3] == 128.0F, "%s", words[w]);
        picture.type = SAL_SAMPLE_F32;
        cr_expect_eq(sal_preprocess_apply(out, NULL, &picture, &p, 1, 1, 2), SAL_ERROR_ARGUMENT);
        cr_expect_not_null(strstr(sal_last_error(), "round none"));
    }
}

/* Pillow's convert("L"), which comes before it resizes. */
Test(round, makes_gray_before_it_resizes_as_pillow_does)
{
    sal_picture source = read_golden("resize-source.npy"), wanted = read_golden("resize-luma.npy");
    sal_preprocess p = options_of("order=gray round=passes");
    float *out = malloc((size_t)(source.height * source.width) * sizeof *out);
    cr_assert_eq(sal_preprocess_apply(out, NULL, &source, &p, 1, source.height, source.width), SAL_OK);
    size_t off = 0;
    for (size_t i = 0; i < sample_count(&wanted); i++)
        off += (double)out[i] != sample_at(&wanted, i);
    cr_expect_eq(off, 0);
    free(out);
    sal_picture_clear(&source);
    sal_picture_clear(&wanted);
}

/* ---- Fits ---------------------------------------------------------------- */

/* A ramp of columns shows which of them came in. */
static float first_column(const char *options, int64_t width, int64_t side)
{
    unsigned char row[64];
    float out[64 * 64];
    sal_picture picture = {.height = 1, .width = width, .channels = 1, .type = SAL_SAMPLE_U8, .samples = row};
    for (int i = 0; i < 64; i++)
        row[i] = (unsigned char)i;
    sal_preprocess p = options_of(options);
    cr_assert_eq(sal_preprocess_apply(out, NULL, &picture, &p, 1, 1, side), SAL_OK, "%s", sal_last_error());
    return out[0];
}

Test(crop, rounds_the_odd_pixel_as_asked)
{
    /* 1 of 2, 3 and 5 pixels too many; torchvision rounds 1.5 to 2 and 2.5 to 2, x[(h - n) // 2:] cuts. */
    cr_expect_eq(first_column("fit=center-crop crop-resize=1", 13, 10), 2.0F);
    cr_expect_eq(first_column("fit=center-crop crop-resize=1 crop-round=down", 13, 10), 1.0F);
    cr_expect_eq(first_column("fit=center-crop crop-resize=1", 15, 10), 2.0F);
    cr_expect_eq(first_column("fit=center-crop crop-resize=1 crop-round=down", 15, 10), 2.0F);
}

Test(crop, share_is_timms_crop_pct)
{
    /* 224 of 256, 299 / 0.875 = 341.7, 224 / 0.95 = 235.8, 288 / 0.9 = 320 exactly. */
    static const struct {
        const char *share;
        int side;
        int resized;
    } wanted[] = {{"0.875", 224, 256}, {"0.875", 299, 341}, {"0.95", 224, 235}, {"0.9", 288, 320}, {"1", 224, 224}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char text[64];
        static unsigned char samples[3];
        const sal_picture pixel = {.height = 1, .width = 1, .channels = 1, .type = SAL_SAMPLE_U8, .samples = samples};
        float *out = malloc((size_t)(wanted[i].side * wanted[i].side) * sizeof *out);
        sal_placement at;
        snprintf(text, sizeof text, "fit=center-crop crop-share=%s", wanted[i].share);
        sal_preprocess p = options_of(text);
        cr_assert_eq(sal_preprocess_apply(out, &at, &pixel, &p, 1, wanted[i].side, wanted[i].side), SAL_OK);
        cr_expect(fabs(1.0 / at.scale_x - wanted[i].resized) < 1e-9, "%s of %d: %g", wanted[i].share, wanted[i].side,
                  1.0 / at.scale_x);
        cr_expect_eq(sal_preprocess_apply(out, &at, &pixel, &p, 1, wanted[i].side, 7), SAL_ERROR_ARGUMENT);
        cr_expect_not_null(strstr(sal_last_error(), "crop-resize"));
        free(out);
    }
}

/* What is cut off costs nothing: a strip of which the middle of millions of pixels is kept. */
Test(crop, takes_time_for_what_is_left_alone, .timeout = 20)
{
    enum { LONG = 1500 };
    static const char *const rounds[] = {"torch", "passes", "none"};
    unsigned char row[LONG];
    float out[64];
    sal_picture strip = {.height = 1, .width = LONG, .channels = 1, .type = SAL_SAMPLE_U8, .samples = row};
    memset(row, 9, sizeof row);
    for (int i = 0; i < 3; i++) {
        char text[128];
        snprintf(text, sizeof text, "fit=center-crop crop-resize=1048576 round=%s", rounds[i]);
        sal_preprocess p = options_of(text);
        cr_assert_eq(sal_preprocess_apply(out, NULL, &strip, &p, 1, 8, 8), SAL_OK, "%s", sal_last_error());
        cr_expect(out[0] > 8.99F && out[0] < 9.01F, "%s: %g", rounds[i], (double)out[0]);
    }
    static unsigned char longer[4096];
    strip.width = sizeof longer;
    strip.samples = longer;
    sal_preprocess p = options_of("fit=center-crop crop-resize=1048576 round=passes resample=nearest");
    cr_expect_eq(sal_preprocess_apply(out, NULL, &strip, &p, 1, 8, 8), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "4096 x 1"), "%s", sal_last_error());
}

/* A network of 2000 pixels and a share of which 1000 pixels would be within the range. */
Test(crop, share_makes_no_side_that_is_out_of_range)
{
    unsigned char sample = 1;
    static float out[2000 * 2000];
    const sal_picture pixel = {.height = 1, .width = 1, .channels = 1, .type = SAL_SAMPLE_U8, .samples = &sample};
    sal_preprocess p = options_of("fit=stretch-crop crop-share=0.001");
    cr_expect_eq(sal_preprocess_apply(out, NULL, &pixel, &p, 1, 2000, 2000), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "crop-share"), "%s", sal_last_error());
}

/* Away from borders, a resized ramp shows where it was taken from: what the placement says. */
Test(placement, follows_grids_and_crops)
{
    static const char *const options[] = {
        "antialias=off grid=align-corners",
        "antialias=off grid=asymmetric",
        "antialias=off fit=crop-aspect",
        "round=passes fit=crop-aspect",
        "antialias=off",
        "fit=stretch-crop crop-resize=50",
        "fit=stretch-crop crop-share=0.8",
    };
    sal_picture ramp;
    cr_assert_eq(sal_picture_new(&ramp, 90, 140, 2, SAL_SAMPLE_U8), SAL_OK);
    for (int y = 0; y < 90; y++)
        for (int x = 0; x < 140; x++) {
            ((unsigned char *)ramp.samples)[(y * 140 + x) * 2] = (unsigned char)y;
            ((unsigned char *)ramp.samples)[(y * 140 + x) * 2 + 1] = (unsigned char)x;
        }
    for (size_t o = 0; o < sizeof options / sizeof *options; o++) {
        enum { SIDE = 40 };
        static float out[2 * SIDE * SIDE];
        sal_placement at;
        sal_preprocess p = options_of(options[o]);
        cr_assert_eq(sal_preprocess_apply(out, &at, &ramp, &p, 2, SIDE, SIDE), SAL_OK, "%s", sal_last_error());
        for (int y = 4; y < SIDE - 4; y++)
            for (int x = 4; x < SIDE - 4; x++) {
                const double sy = at.scale_y * (y + 0.5) + at.offset_y, sx = at.scale_x * (x + 0.5) + at.offset_x;
                cr_expect(fabs((double)out[y * SIDE + x] + 0.5 - sy) < 0.52, "%s: row %d", options[o], y);
                cr_expect(fabs((double)out[(SIDE + y) * SIDE + x] + 0.5 - sx) < 0.52, "%s: column %d", options[o], x);
            }
    }
    sal_picture_clear(&ramp);
}

/* ---- Text ---------------------------------------------------------------- */

static void print(char *text, size_t size, const sal_preprocess *p)
{
    FILE *f = fmemopen(text, size, "w");
    sal_preprocess_print(f, p);
    fclose(f);
}

Test(text, has_no_line_for_what_is_as_it_always_was)
{
    char text[1024];
    sal_preprocess p;
    sal_preprocess_preset(&p, "unit");
    print(text, sizeof text, &p);
    cr_expect_str_eq(text, "fit stretch\norder auto\ncrop-resize 0\nfill 0\nscale 0.00392156886\n");
    p = options_of("resample=bicubic antialias=off round=once crop-round=down crop-share=0.875 fit=center-crop");
    print(text, sizeof text, &p);
    cr_expect_str_eq(text, "fit center-crop\norder auto\ncrop-resize 0\nfill 0\nscale 1\nresample bicubic\n"
                           "antialias off\nround once\ncrop-share 0.875\ncrop-round down\n");
}

Test(text, of_every_word_is_read_back)
{
    static const char *const lines[] = {"resample=nearest round=passes grid=align-corners",
                                        "resample=lanczos",
                                        "resample=cubic75 antialias=off grid=asymmetric round=torch",
                                        "resample=area round=opencv",
                                        "resample=box",
                                        "resample=hamming",
                                        "fit=crop-aspect",
                                        "fit=stretch-crop crop-share=0.95"};
    char path[] = "/tmp/salmap-resample-XXXXXX.salmap";
    const int fd = mkstemps(path, 7);
    cr_assert_geq(fd, 0);
    char model[64];
    snprintf(model, sizeof model, "%.*s", (int)(strlen(path) - 7), path);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int found = 0;
        sal_preprocess p = options_of(lines[i]), back;
        cr_assert_eq(sal_preprocess_save(model, &p), SAL_OK, "%s", sal_last_error());
        cr_assert_eq(sal_preprocess_load(&back, &found, model), SAL_OK, "%s", sal_last_error());
        cr_expect_eq(memcmp(&p, &back, sizeof p), 0, "%s", lines[i]);
    }
    sal_preprocess contradiction = options_of("resample=box antialias=off");
    cr_expect_eq(sal_preprocess_save(model, &contradiction), SAL_ERROR_ARGUMENT);
    remove(path);
}

Test(text, names_the_words_of_a_key)
{
    static const struct {
        const char *key;
        const char *words;
    } wanted[] = {{"resample", "nearest, bicubic, cubic75, lanczos, area, box"},
                  {"antialias", "on"},
                  {"round", "passes, once, opencv"},
                  {"grid", "half-pixel, align-corners"},
                  {"crop-round", "even"}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        sal_preprocess p = {0};
        cr_expect_eq(sal_preprocess_set(&p, wanted[i].key, "sharp"), SAL_ERROR_ARGUMENT);
        cr_expect_not_null(strstr(sal_last_error(), wanted[i].words), "%s", sal_last_error());
    }
    sal_preprocess p = {0};
    static const char *const shares[] = {"1.1", "-1", "x", "nan", "224", "1e-9", "0.0009"};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        cr_expect_eq(sal_preprocess_set(&p, "crop-share", shares[i]), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_preprocess_set(&p, "crop-resize", "1048577"), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_preprocess_set(&p, "crop-resize", "1048576"), SAL_OK);
    cr_expect_eq(sal_preprocess_set(&p, "crop-share", "0.001"), SAL_OK);
    p.crop_resize = 1 << 30;
    p.scale = 1.0F;
    cr_expect_eq(sal_preprocess_save("/tmp/salmap-never", &p), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "crop-resize"), "%s", sal_last_error());
}
