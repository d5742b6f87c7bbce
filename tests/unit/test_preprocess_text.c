/* Presets, options as text and the sidecar file. */
#include "test_image_support.h"

#include <locale.h>
#include <unistd.h>

static void expect_set(sal_preprocess *p, const char *key, const char *value)
{
    sal_status st = sal_preprocess_set(p, key, value);
    cr_expect_eq(st, SAL_OK, "%s %s: %s", key, value, sal_last_error());
}

static void expect_refused(const char *key, const char *value)
{
    sal_preprocess p = {.scale = 3.0F, .value_count = 1, .std = {2.0F}};
    sal_preprocess before = p;
    cr_expect_eq(sal_preprocess_set(&p, key, value), SAL_ERROR_ARGUMENT, "%s \"%s\" was taken", key, value);
    cr_expect_not_null(strstr(sal_last_error(), key), "\"%s\" does not name %s", sal_last_error(), key);
    cr_expect_eq(memcmp(&p, &before, sizeof p), 0, "%s \"%s\" was refused but left a trace", key, value);
}

Test(preset, scale_black_and_white_as_promised)
{
    static const struct {
        const char *name;
        sal_channel_order order;
        double black[3];
        double white[3];
    } wanted[] = {
        {"imagenet",
         SAL_ORDER_AUTO,
         {-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225},
         {(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225}},
        {"unit", SAL_ORDER_AUTO, {0, 0, 0}, {1, 1, 1}},
        {"caffe", SAL_ORDER_BGR, {-103.939, -116.779, -123.68}, {255 - 103.939, 255 - 116.779, 255 - 123.68}},
        {"tf", SAL_ORDER_AUTO, {-1, -1, -1}, {1, 1, 1}},
        {"raw", SAL_ORDER_AUTO, {0, 0, 0}, {255, 255, 255}},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        sal_preprocess p;
        cr_assert_eq(sal_preprocess_preset(&p, wanted[i].name), SAL_OK);
        cr_expect_eq(p.order, wanted[i].order, "%s", wanted[i].name);
        for (int c = 0; c < 3; c++) {
            double mean = p.value_count ? p.mean[p.value_count > 1 ? c : 0] : 0.0;
            double std = p.value_count ? p.std[p.value_count > 1 ? c : 0] : 1.0;
            cr_expect(fabs(-mean / std - wanted[i].black[c]) < 1e-4, "%s black %d", wanted[i].name, c);
            cr_expect(fabs((255.0 * p.scale - mean) / std - wanted[i].white[c]) < 1e-4, "%s white %d", wanted[i].name,
                      c);
        }
    }
}

Test(preset, names_all_when_one_is_unknown)
{
    sal_preprocess p;
    cr_expect_eq(sal_preprocess_preset(&p, "alexnet"), SAL_ERROR_ARGUMENT);
    static const char *const names[] = {"alexnet", "imagenet", "unit", "caffe", "tf", "raw"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_not_null(strstr(sal_last_error(), names[i]));
}

Test(set, takes_every_word_and_number)
{
    sal_preprocess p = {0};
    expect_set(&p, "fit", "stretch");
    cr_expect_eq(p.fit, SAL_FIT_STRETCH);
    expect_set(&p, "fit", "letterbox");
    cr_expect_eq(p.fit, SAL_FIT_LETTERBOX);
    expect_set(&p, "fit", "center-crop");
    cr_expect_eq(p.fit, SAL_FIT_CENTER_CROP);
    static const char *const orders[] = {"auto", "rgb", "bgr", "gray", "asis"};
    for (int i = 0; i < 5; i++) {
        expect_set(&p, "order", orders[i]);
        cr_expect_eq((int)p.order, i);
    }
    expect_set(&p, "crop-resize", "256");
    cr_expect_eq(p.crop_resize, 256);
    expect_set(&p, "fill", "127.5");
    cr_expect_eq(p.fill, 127.5F);
    expect_set(&p, "scale", "1/255");
    cr_expect_eq(p.scale, 1.0F / 255.0F);
    expect_set(&p, "mean", "1,2.5,3e1");
    cr_expect_eq(p.value_count, 3);
    cr_expect_eq(p.mean[2], 30.0F);
    cr_expect_eq(p.std[2], 1.0F);
    expect_set(&p, "std", "4");
    cr_expect_eq(p.value_count, 3);
    cr_expect_eq(p.std[2], 4.0F);
    expect_set(&p, "mean", "7");
    cr_expect_eq(p.mean[0], 7.0F);
    expect_set(&p, "std", "1,2,3,4,5,6,7,8,9");
    cr_expect_eq(p.value_count, 9);
    cr_expect_eq(p.mean[8], 7.0F);
    cr_expect_eq(p.std[8], 9.0F);
}

Test(set, a_preset_keeps_how_the_picture_is_fitted)
{
    sal_preprocess p = {.fit = SAL_FIT_LETTERBOX, .fill = 9.0F, .crop_resize = 5};
    expect_set(&p, "preset", "caffe");
    cr_expect_eq(p.fit, SAL_FIT_LETTERBOX);
    cr_expect_eq(p.fill, 9.0F);
    cr_expect_eq(p.crop_resize, 5);
    cr_expect_eq(p.order, SAL_ORDER_BGR);
}

Test(set, refuses_nonsense_and_names_the_key)
{
    expect_refused("fit", "squeeze");
    expect_refused("fit", "");
    expect_refused("order", "rbg");
    expect_refused("crop-resize", "-1");
    expect_refused("crop-resize", "12px");
    expect_refused("crop-resize", "99999999999999999999");
    expect_refused("fill", "white");
    expect_refused("fill", "nan");
    expect_refused("scale", "0");
    expect_refused("scale", "1/0");
    expect_refused("scale", "1e99");
    expect_refused("scale", "1 2");
    expect_refused("mean", "");
    expect_refused("mean", "1,,2");
    expect_refused("mean", "1,2,");
    expect_refused("mean", "inf");
    expect_refused("std", "0");
    expect_refused("std", "-1");
    expect_refused("std", "1e-60");
    expect_refused("preset", "alexnet");
    expect_refused("colour", "red");
    char many[SAL_MAX_CHANNELS * 2 + 4] = "1";
    for (int i = 0; i < SAL_MAX_CHANNELS; i++)
        strcat(many, ",1");
    expect_refused("mean", many);
}

Test(set, lists_of_different_lengths_are_refused)
{
    sal_preprocess p;
    cr_assert_eq(sal_preprocess_preset(&p, "imagenet"), SAL_OK);
    cr_expect_eq(sal_preprocess_set(&p, "mean", "1,2,3,4"), SAL_ERROR_ARGUMENT);
    expect_set(&p, "preset", "raw");
    expect_set(&p, "mean", "1,2,3,4");
}

/* ---- The sidecar -------------------------------------------------------- */

/* Each test is a process, and two run at a time. */
static const char *model_path(void)
{
    static char name[64];
    snprintf(name, sizeof name, "test_preprocess_model_%ld.onnx", (long)getpid());
    return scratch_path(name);
}

static const char *sidecar(void)
{
    static char name[64];
    snprintf(name, sizeof name, "test_preprocess_model_%ld.onnx.salmap", (long)getpid());
    return scratch_path(name);
}

static void expect_equal(const sal_preprocess *a, const sal_preprocess *b)
{
    cr_expect_eq(a->fit, b->fit);
    cr_expect_eq(a->order, b->order);
    cr_expect_eq(a->crop_resize, b->crop_resize);
    cr_expect_eq(a->fill, b->fill);
    cr_expect_eq(a->scale, b->scale);
    cr_expect_eq(a->value_count, b->value_count);
    for (int i = 0; i < a->value_count; i++) {
        cr_expect_eq(a->mean[i], b->mean[i]);
        cr_expect_eq(a->std[i], b->std[i]);
    }
}

static void round_trip(const sal_preprocess *p)
{
    sal_preprocess q;
    int found = 0;
    char path[512];
    strcpy(path, model_path());
    cr_assert_eq(sal_preprocess_save(path, p), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_preprocess_load(&q, &found, path), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(found, 1);
    expect_equal(p, &q);
    unlink(sidecar());
}

Test(sidecar, gives_every_field_back_exactly)
{
    static const char *const presets[] = {"imagenet", "unit", "caffe", "tf", "raw"};
    sal_preprocess p;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        cr_assert_eq(sal_preprocess_preset(&p, presets[i]), SAL_OK);
        round_trip(&p);
    }
    p = (sal_preprocess){.fit = SAL_FIT_CENTER_CROP,
                         .order = SAL_ORDER_ASIS,
                         .crop_resize = 1234,
                         .fill = 0.1F,
                         .scale = 1.0F / 3.0F,
                         .value_count = SAL_MAX_CHANNELS};
    for (int i = 0; i < SAL_MAX_CHANNELS; i++) {
        p.mean[i] = (float)(i - 20) / 7.0F;
        p.std[i] = (float)(i + 1) * 1e-3F / 3.0F;
    }
    round_trip(&p);
}

Test(sidecar, is_the_same_where_the_decimal_point_is_a_comma)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    const char *set = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !set; i++)
        set = setlocale(LC_ALL, names[i]);
    if (!set)
        cr_skip_test("no locale with a decimal comma is installed");
    sal_preprocess p;
    cr_assert_eq(sal_preprocess_preset(&p, "imagenet"), SAL_OK);
    round_trip(&p);
}

/* What is not said is not written, so that files and runs of before mean what they meant. */
Test(sidecar, has_what_samples_are_as_far_as_it_is_said)
{
    static const struct {
        const char *key, *value, *line;
    } cases[] = {
        {"alpha-over", "auto", NULL},
        {"alpha-over", "white", "alpha-over white\n"},
        {"alpha-over", "black", "alpha-over black\n"},
        {"alpha-over", "drop", "alpha-over drop\n"},
        {"alpha-over", "#Fe8001", "alpha-over #fe8001\n"},
        {"exif", "auto", NULL},
        {"exif", "apply", "exif apply\n"},
        {"exif", "ignore", "exif ignore\n"},
        {"pages", "auto", NULL},
        {"pages", "1", "pages first\n"},
        {"pages", "first", "pages first\n"},
        {"pages", "2147483647", "pages 2147483647\n"},
        {"pages", "channels", "pages channels\n"},
        {"pages", "max", "pages max\n"},
        {"depth", "stored", NULL},
        {"depth", "1", "depth 1\n"},
        {"depth", "16", "depth 16\n"},
        {"depth", "auto", "depth auto\n"},
        {"depth", "unit", "depth unit\n"},
        {"depth", "pillow", "depth pillow\n"},
        {"depth", "pillow-noted", "depth pillow-noted\n"},
    };
    const char *path = scratch_path("test_samples.onnx");
    char sidecar[600], text[1024];
    snprintf(sidecar, sizeof sidecar, "%s.salmap", path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sal_preprocess p, back;
        int found;
        cr_assert_eq(sal_preprocess_preset(&p, "unit"), SAL_OK);
        expect_set(&p, cases[i].key, cases[i].value);
        cr_assert_eq(sal_preprocess_save(path, &p), SAL_OK, "%s", sal_last_error());
        FILE *f = fopen(sidecar, "r");
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        cr_expect(cases[i].line ? strstr(text, cases[i].line) != NULL : strstr(text, cases[i].key) == NULL, "%s %s: %s",
                  cases[i].key, cases[i].value, text);
        cr_assert_eq(sal_preprocess_load(&back, &found, path), SAL_OK, "%s", sal_last_error());
        cr_expect_eq(memcmp(&p, &back, sizeof p), 0, "%s %s came back as another", cases[i].key, cases[i].value);
    }
    unlink(sidecar);
}

Test(set, refuses_what_samples_cannot_be)
{
    static const char *const alphas[] = {"", "White", "red", "#", "#12345", "#1234567", "#12345g", "#-12345", "12ff00"};
    static const char *const pages[] = {"", "0", "-1", "+1", "1.5", "2147483648", "last", "1 "};
    static const char *const depths[] = {"", "0", "-1", "17", "12.0", "12bit", "AUTO"};
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++)
        expect_refused("alpha-over", alphas[i]);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        expect_refused("pages", pages[i]);
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        expect_refused("depth", depths[i]);
    expect_refused("exif", "yes");
}

Test(sidecar, is_not_found_without_being_an_error)
{
    sal_preprocess p = {.fill = 3.0F};
    int found = 1;
    cr_expect_eq(sal_preprocess_load(&p, &found, scratch_path("there-is-no-such.onnx")), SAL_OK);
    cr_expect_eq(found, 0);
    cr_expect_eq(p.fill, 0.0F);
}

static void expect_sidecar_refused(const char *text, size_t size, const char *clue)
{
    sal_preprocess p;
    int found;
    write_file(sidecar(), text, size);
    cr_expect_eq(sal_preprocess_load(&p, &found, model_path()), SAL_ERROR_FORMAT, "%s", text);
    cr_expect_not_null(strstr(sal_last_error(), clue), "\"%s\" has no \"%s\"", sal_last_error(), clue);
    cr_expect_eq(found, 0);
    unlink(sidecar());
}

Test(sidecar, written_by_hand_may_have_comments_blanks_and_a_preset)
{
    static const char text[] = "# scales of fish\r\n\r\n  preset\timagenet  \n\tfit letterbox\n\nfill 127.5";
    sal_preprocess p;
    int found;
    write_file(sidecar(), text, sizeof text - 1);
    cr_assert_eq(sal_preprocess_load(&p, &found, model_path()), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(found, 1);
    cr_expect_eq(p.value_count, 3);
    cr_expect_eq(p.fit, SAL_FIT_LETTERBOX);
    cr_expect_eq(p.fill, 127.5F);
    unlink(sidecar());
}

Test(sidecar, without_a_scale_means_1_as_ever)
{
    static const char *const texts[] = {"fit letterbox\n", "mean 0.5\nstd 0.5\n"};
    for (size_t k = 0; k < 2; k++) {
        sal_preprocess p;
        int found;
        write_file(sidecar(), texts[k], strlen(texts[k]));
        cr_assert_eq(sal_preprocess_load(&p, &found, model_path()), SAL_OK, "%s", sal_last_error());
        cr_expect(found && p.scale == 1.0F);
        unlink(sidecar());
    }
}

Test(set, mean_and_std_without_a_scale_are_of_0_to_1)
{
    sal_preprocess p = {0};
    expect_set(&p, "mean", "0.5");
    cr_expect_eq(p.scale, 1.0F / 255.0F);
    p = (sal_preprocess){.scale = 2.0F};
    expect_set(&p, "std", "0.5");
    cr_expect_eq(p.scale, 2.0F);
    p = (sal_preprocess){0};
    expect_set(&p, "fit", "letterbox");
    cr_expect_eq(p.scale, 0.0F);
}

Test(describe, is_the_sidecar_in_one_line)
{
    sal_preprocess p;
    char text[512], few[9];
    cr_assert_eq(sal_preprocess_preset(&p, "tf"), SAL_OK);
    cr_assert_eq(sal_preprocess_describe(text, sizeof text, &p), SAL_OK, "%s", sal_last_error());
    static const char begin[] = "fit stretch, order auto, crop-resize 0, fill 0, scale 0.00784313772, mean 1, std 1";
    cr_expect_eq(strncmp(text, begin, sizeof begin - 1), 0, "%s", text);
    cr_assert_eq(sal_preprocess_describe(few, sizeof few, &p), SAL_OK);
    cr_expect_str_eq(few, "fit stre");
}

Test(sidecar, with_a_mistake_is_refused_with_its_line)
{
    static const char unknown[] = "fit stretch\ncolour red\n";
    static const char bad[] = "fit stretch\n\nmean 1,a\n";
    static const char binary[] = "fit stretch\0\n";
    expect_sidecar_refused(unknown, sizeof unknown - 1, "line 2");
    expect_sidecar_refused(bad, sizeof bad - 1, "line 3");
    expect_sidecar_refused(binary, sizeof binary - 1, ".salmap");
}

Test(sidecar, is_not_written_with_values_that_cannot_be_read)
{
    sal_preprocess p = {.scale = 1.0F, .value_count = 1, .std = {0.0F}};
    cr_expect_eq(sal_preprocess_save(model_path(), &p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .fill = NAN};
    cr_expect_eq(sal_preprocess_save(model_path(), &p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){0};
    cr_expect_eq(sal_preprocess_save(model_path(), &p), SAL_ERROR_ARGUMENT);
    cr_expect_neq(access(sidecar(), F_OK), 0);
}
