#include "test_map_support.h"

#include <string.h>

Test(resize, is_within_one_level_of_pillow)
{
    FILE *f = open_golden("resize.txt");
    long height, width, h, w, samples;
    unsigned seed;
    int cases = 0;
    while (fscanf(f, "%ld %ld %ld %ld %u", &height, &width, &h, &w, &seed) == 5) {
        uint8_t *rgb = hashed_levels(seed, (size_t)(height * width * 3));
        sal_picture picture = {height, width, 3, SAL_SAMPLE_U8, rgb}, out;
        cr_assert_eq(sal_resize_rgb(&out, &picture, h, w), SAL_OK);
        cr_assert(out.height == h && out.width == w && out.channels == 3);
        cr_assert_eq(fscanf(f, "%ld", &samples), 1);
        for (long s = 0; s < samples; s++) {
            long i;
            double expected;
            cr_assert(fscanf(f, "%ld %lf", &i, &expected) == 2 && i < h * w * 3);
            double got = ((uint8_t *)out.samples)[i];
            cr_assert(is_near(got, expected, 1.0), "%ldx%ld to %ldx%ld index %ld: %g, expected %g", height, width, h, w,
                      i, got, expected);
        }
        sal_free(out.samples);
        free(rgb);
        cases++;
    }
    cr_assert(feof(f));
    fclose(f);
    cr_assert_eq(cases, 6);
}

static const uint8_t *pixel(const sal_picture *p, int64_t x, int64_t y)
{
    return (const uint8_t *)p->samples + 3 * (y * p->width + x);
}

static int is_color(const uint8_t *p, int r, int g, int b)
{
    return p[0] == r && p[1] == g && p[2] == b;
}

/* A figure of a picture of one colour, for a map that is 0 on the left and 1 on the right. */
static sal_picture figure_of(int64_t height, int64_t width, sal_figure_options options)
{
    size_t count = (size_t)(height * width);
    uint8_t *rgb = malloc(3 * count);
    cr_assert_not_null(rgb);
    for (size_t i = 0; i < count; i++)
        memcpy(rgb + 3 * i, (uint8_t[]){200, 40, 90}, 3);
    sal_picture picture = {height, width, 3, SAL_SAMPLE_U8, rgb}, out;
    sal_placement p = stretch(8, 8, height, width);
    float map[64];
    for (int i = 0; i < 64; i++)
        map[i] = i % 8 < 4 ? 0.0f : 1.0f;
    cr_assert_eq(sal_figure_make(&out, &picture, map, &p, &options), SAL_OK, "%s", sal_last_error());
    free(rgb);
    return out;
}

Test(figure, shows_picture_map_bar_and_overlay_in_this_order)
{
    sal_picture f = figure_of(100, 100, (sal_figure_options){.style = {SAL_COLORMAP_GRAY, 0.5}});
    int64_t y = f.height / 2, x = 0;
    /* Walk along the middle row and note the order of what appears. */
    static const uint8_t order[][3] = {{200, 40, 90}, {0, 0, 0}, {255, 255, 255}, {100, 20, 45}, {228, 148, 173}};
    size_t found = 0;
    for (; x < f.width && found < 5; x++)
        if (is_color(pixel(&f, x, y), order[found][0], order[found][1], order[found][2]))
            found++;
    cr_assert_eq(found, 5, "only %zu of the panels' colours in order", found);
    cr_assert(is_color(pixel(&f, 0, 0), 255, 255, 255));
    cr_assert(is_color(pixel(&f, f.width - 1, f.height - 1), 255, 255, 255));
    sal_free(f.samples);
}

/* Columns of the figure that hold the whole ramp of the gray table, from white at the top to black. */
static int64_t bar_columns(const sal_picture *f, int64_t top, int64_t height)
{
    int64_t columns = 0;
    for (int64_t x = 0; x < f->width; x++) {
        int ramp = 1;
        for (int64_t y = 0; y < height && ramp; y++) {
            const uint8_t *p = pixel(f, x, top + y), *above = y ? pixel(f, x, top + y - 1) : p;
            ramp = p[0] == p[1] && p[1] == p[2] && p[0] <= above[0];
        }
        columns += ramp && pixel(f, x, top)[0] == 255 && pixel(f, x, top + height - 1)[0] == 0;
    }
    return columns;
}

Test(figure, has_a_colour_bar_from_0_at_the_foot_to_1_at_the_top)
{
    sal_picture f = figure_of(100, 100, (sal_figure_options){.style = {SAL_COLORMAP_GRAY, 0.5}});
    int64_t top = 0;
    /* The first row of the panels is where the picture's colour starts. */
    while (top < f.height && !is_color(pixel(&f, 100, top), 200, 40, 90))
        top++;
    cr_assert_eq(bar_columns(&f, top, 448), 18);
    sal_free(f.samples);
}

Test(figure, is_made_for_any_shape)
{
    static const int64_t shapes[][2] = {{1, 1}, {1, 3000}, {3000, 1}, {20, 2000}, {700, 90}, {448, 448}, {3, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        sal_figure_options options = {.style = {SAL_COLORMAP_VIRIDIS, 0.5}, .note = "a note that is quite long"};
        sal_picture f = figure_of(shapes[i][0], shapes[i][1], options);
        cr_assert(f.height >= 448 / 4 && f.height < 600 && f.width < 3200, "%ld x %ld", (long)f.width, (long)f.height);
        cr_assert(f.channels == 3 && f.type == SAL_SAMPLE_U8);
        sal_free(f.samples);
    }
}

Test(figure, cuts_captions_that_are_too_long_and_takes_any_bytes)
{
    char text[3000];
    memset(text, 'W', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sal_figure_options options = {.captions = {text, "", "\xff\x01 caf\xc3\xa9"}, .note = text};
    sal_picture longer = figure_of(30, 30, options), plain = figure_of(30, 30, (sal_figure_options){.note = "n"});
    cr_assert(longer.width == plain.width && longer.height == plain.height);
    int64_t margin = 20;
    for (int64_t y = 0; y < longer.height; y++)
        for (int64_t x = 0; x < margin; x++) {
            cr_assert(is_color(pixel(&longer, x, y), 255, 255, 255));
            cr_assert(is_color(pixel(&longer, longer.width - 1 - x, y), 255, 255, 255));
        }
    sal_free(longer.samples);
    sal_free(plain.samples);
}

Test(figure, refuses_pictures_of_another_size_and_wrong_styles)
{
    uint8_t rgb[12] = {0};
    float map[1] = {0};
    sal_picture picture = {2, 2, 3, SAL_SAMPLE_U8, rgb}, out;
    sal_placement p = stretch(1, 1, 2, 2), other = stretch(1, 1, 3, 2);
    sal_figure_options options = {.style = {SAL_COLORMAP_GRAY, 0.5}};
    cr_assert_eq(sal_figure_make(&out, &picture, map, &other, &options), SAL_ERROR_ARGUMENT);
    options.style.colormap = (sal_colormap)99;
    cr_assert_eq(sal_figure_make(&out, &picture, map, &p, &options), SAL_ERROR_ARGUMENT);
    cr_assert_null(out.samples);
}

Test(text, is_clipped_at_every_border)
{
    uint8_t rgb[10 * 8 * 3] = {0};
    static const uint8_t white[3] = {255, 255, 255};
    sal_picture canvas = {8, 10, 3, SAL_SAMPLE_U8, rgb};
    for (int64_t y = -20; y < 12; y += 3)
        for (int64_t x = -40; x < 14; x += 3)
            sal_text_draw(&canvas, x, y, "Wgj@", 2, white);
    cr_assert_eq(rgb[0], 255);
}

Test(text, every_letter_has_its_own_shape)
{
    uint8_t cells[95][9 * 5 * 3] = {{0}};
    static const uint8_t white[3] = {255, 255, 255};
    for (int i = 0; i < 95; i++) {
        sal_picture canvas = {9, 5, 3, SAL_SAMPLE_U8, cells[i]};
        sal_text_draw(&canvas, 0, 0, (char[]){(char)(' ' + i), '\0'}, 1, white);
        for (int j = 0; j < i; j++)
            cr_assert_neq(memcmp(cells[i], cells[j], sizeof cells[i]), 0, "'%c' looks like '%c'", ' ' + i, ' ' + j);
    }
}

Test(text, width_counts_characters_not_bytes)
{
    cr_assert_eq(sal_text_width("", 2), 0);
    cr_assert_eq(sal_text_width("a", 1), 5);
    cr_assert_eq(sal_text_width("ab", 2), 22);
    cr_assert_eq(sal_text_width("caf\xc3\xa9", 1), sal_text_width("cafe", 1));
}
