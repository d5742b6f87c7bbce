#include "figure/figure.h"
#include "test_map_support.h"

#include <locale.h>
#include <string.h>

static const uint8_t *pixel(const sal_picture *p, int64_t x, int64_t y)
{
    return (const uint8_t *)p->samples + 3 * (y * p->width + x);
}

static int is_color(const uint8_t *p, int r, int g, int b)
{
    return p[0] == r && p[1] == g && p[2] == b;
}

/* A figure of a picture of one colour, for a map that is 0 on the left and 1 on the right. */
static sal_picture figure_of(int64_t height, int64_t width, sal_figure_style options)
{
    size_t count = (size_t)(height * width);
    uint8_t *rgb = malloc(3 * count);
    cr_assert_not_null(rgb);
    for (size_t i = 0; i < count; i++)
        memcpy(rgb + 3 * i, (uint8_t[]){200, 40, 90}, 3);
    sal_picture picture = {.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb}, out;
    sal_placement p = stretch(8, 8, height, width);
    float map[64];
    for (int i = 0; i < 64; i++)
        map[i] = i % 8 < 4 ? 0.0f : 1.0f;
    const sal_figure_content content = {&picture, map, &p};
    cr_assert_eq(sal_figure_draw(&out, &content, &options), SAL_OK, "%s", sal_last_error());
    free(rgb);
    return out;
}

Test(figure, shows_picture_map_bar_and_overlay_in_this_order)
{
    sal_picture f = figure_of(
        100, 100, (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5}});
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
    sal_picture f = figure_of(
        100, 100, (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5}});
    int64_t top = 0;
    /* The first row of the panels is where the picture's colour starts. */
    while (top < f.height && !is_color(pixel(&f, 100, top), 200, 40, 90))
        top++;
    cr_assert_eq(bar_columns(&f, top, 448), 18);
    sal_free(f.samples);
}

/* A figure's measures by hand: from margins of 24, gaps of 28, captions of 28, panels 448 high and at most 896 wide,
 * slots of at least 140, and a bar that is 12 right of the map, 18 wide, and has ticks of 5, 6 more, and then labels:
 * "0.5" is 26 wide in DejaVu Sans of 16. */
typedef struct measures {
    int64_t height, width; /* of the figure */
    int64_t panel_height, panel_width;
    int64_t left[3], top; /* of the panels */
} measures;

static void check_measures(int64_t height, int64_t width, sal_figure_style options, const measures *m)
{
    options.style = (sal_overlay_style){.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5};
    sal_picture f = figure_of(height, width, options);
    cr_assert(f.height == m->height && f.width == m->width, "%ldx%ld: figure of %ld x %ld", (long)height, (long)width,
              (long)f.width, (long)f.height);
    for (int k = 0; k < 3; k++) {
        const int64_t x = m->left[k], y = m->top, bottom = y + m->panel_height, right = x + m->panel_width;
        const struct {
            int64_t x, y;
            int r;
        } corners[] = {{x - 1, y - 1, 150}, {right, bottom, 150}, {x - 2, y, 255}, {right + 1, bottom - 1, 255}};
        for (size_t c = 0; c < sizeof corners / sizeof *corners; c++)
            cr_expect_eq(pixel(&f, corners[c].x, corners[c].y)[0], corners[c].r, "%ldx%ld: panel %d, corner %zu: %d",
                         (long)height, (long)width, k, c, pixel(&f, corners[c].x, corners[c].y)[0]);
        cr_expect(!is_color(pixel(&f, x, y), 255, 255, 255) &&
                  !is_color(pixel(&f, right - 1, bottom - 1), 150, 150, 150));
    }
    sal_free(f.samples);
}

Test(figure, has_everything_in_its_place)
{
    const measures plain = {524, 1515, 448, 448, {24, 500, 1043}, 52};
    check_measures(100, 100, (sal_figure_style){0}, &plain);
    const measures full = {600, 1541, 448, 448, {24, 500, 1069}, 88};
    check_measures(100, 100, (sal_figure_style){.title = "a title", .note = "a note", .bar_label = "what it counts"},
                   &full);
    const measures small = {176, 591, 100, 100, {44, 212, 447}, 52};
    check_measures(100, 100, (sal_figure_style){.panel = 100}, &small);
    const measures wide = {434, 2859, 358, 896, {24, 948, 1939}, 52};
    check_measures(120, 300, (sal_figure_style){0}, &wide);
    /* A panel of 16 rows, beside a bar of 72. */
    const measures flat = {148, 2859, 16, 896, {24, 948, 1939}, 52};
    check_measures(1, 100, (sal_figure_style){0}, &flat);
    const measures narrow = {524, 591, 448, 45, {71, 239, 474}, 52};
    check_measures(300, 30, (sal_figure_style){0}, &narrow);
}

/* One of the panels, or the bar: a level apart where a value of the map lies on the border of two colours. */
static void expect_pixels(const sal_picture *f, int64_t left, int64_t top, const sal_picture *expected,
                          const char *what)
{
    for (int64_t i = 0; i < expected->height * expected->width; i++) {
        const uint8_t *a = pixel(f, left + i % expected->width, top + i / expected->width);
        const uint8_t *b = (const uint8_t *)expected->samples + 3 * i;
        for (int c = 0; c < 3; c++)
            cr_assert(abs(a[c] - b[c]) <= 1, "%s, at %ld, %ld: %d %d %d, expected %d %d %d", what,
                      (long)(i % expected->width), (long)(i / expected->width), a[0], a[1], a[2], b[0], b[1], b[2]);
    }
}

Test(figure, has_every_pixel_of_picture_map_overlay_and_bar)
{
    enum { SIDE = 448, TOP = 52, BAR = 960 };
    static const int64_t left[3] = {24, 500, 1043};
    uint8_t *rgb = hashed_levels(77, 90 * 90 * 3), ramp[SIDE * 18 * 3];
    float *map = uniform_floats(78, 12);
    const sal_picture picture = {.height = 90, .width = 90, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    /* The network saw three quarters of the picture. */
    const sal_placement p = {90, 90, 3, 4, 90 / 4.0, 90 / 8.0, 90 / 5.0, 90 / 10.0};
    const sal_placement panel = {SIDE, SIDE, 3, 4, SIDE / 4.0, SIDE / 8.0, SIDE / 5.0, SIDE / 10.0};
    for (int blend = 0; blend < 2; blend++) {
        const sal_figure_style style = {
            .style = {.colormap = SAL_COLORMAP_INFERNO, .blend = (sal_blend)blend, .alpha = 0.7}};
        sal_picture panels[3], f;
        cr_assert_eq(sal_figure_draw(&f, &(sal_figure_content){&picture, map, &p}, &style), SAL_OK, "%s",
                     sal_last_error());
        cr_assert_eq(sal_resize_rgb(&panels[0], &picture, SIDE, SIDE), SAL_OK);
        cr_assert_eq(sal_overlay_draw(&panels[1], NULL, map, &panel, &style.style), SAL_OK);
        cr_assert_eq(sal_overlay_draw(&panels[2], &panels[0], map, &panel, &style.style), SAL_OK);
        for (int k = 0; k < 3; k++)
            expect_pixels(&f, left[k], TOP, &panels[k], k == 0 ? "picture" : k == 1 ? "map" : "overlay");
        const uint8_t(*table)[3] = sal_colormap_table(SAL_COLORMAP_INFERNO);
        for (int i = 0; i < SIDE * 18; i++) {
            const int row = i / 18;
            memcpy(ramp + 3L * i, table[sal_color_index(1.0f - (float)row / (float)(SIDE - 1))], 3);
        }
        const sal_picture bar = {.height = SIDE, .width = 18, .channels = 3, .type = SAL_SAMPLE_U8, .samples = ramp};
        expect_pixels(&f, BAR, TOP, &bar, "bar");
        for (int k = 0; k < 3; k++)
            sal_free(panels[k].samples);
        sal_free(f.samples);
    }
    free(rgb);
    free(map);
}

Test(figure, gives_long_labels_their_room)
{
    sal_picture plain = figure_of(64, 64, (sal_figure_style){0});
    sal_picture longer = figure_of(64, 64, (sal_figure_style){.bar_low = -1.23e-5, .bar_high = 1.23e-5});
    /* "-1.23e-05" has six letters more than "0.5". */
    cr_expect(longer.width >= plain.width + 45 && longer.width <= plain.width + 65, "%ld and %ld", (long)plain.width,
              (long)longer.width);
    sal_free(plain.samples);
    sal_free(longer.samples);
}

Test(figure, is_svg_and_pdf_as_well)
{
    uint8_t rgb[12] = {0};
    const float map[1] = {1};
    const sal_picture picture = {.height = 2, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const sal_placement p = stretch(1, 1, 2, 2);
    const sal_figure_content content = {&picture, map, &p};
    const sal_figure_style style = {.title = "\xcf\x83 < 3 & \xe9\xb1\x97", .bar_low = 0.5, .bar_high = 1.5};
    char *bytes, *again;
    size_t size, again_size;
    cr_assert_eq(sal_figure_put((void **)&bytes, &size, SAL_PAGE_SVG, &content, &style), SAL_OK, "%s",
                 sal_last_error());
    bytes[size - 1] = '\0'; /* the last line's end */
    cr_expect_not_null(strstr(bytes, ">\xcf\x83 &lt; 3 &amp; \xe9\xb1\x97</text>"));
    cr_expect_not_null(strstr(bytes, ">1.5</text>"));
    free(bytes);
    cr_assert_eq(sal_figure_put((void **)&bytes, &size, SAL_PAGE_PDF, &content, &style), SAL_OK, "%s",
                 sal_last_error());
    cr_expect(size > 1000 && memcmp(bytes, "%PDF-", 5) == 0);
    cr_assert_eq(sal_figure_put((void **)&again, &again_size, SAL_PAGE_PDF, &content, &style), SAL_OK);
    cr_expect(again_size == size && memcmp(bytes, again, size) == 0, "two files of one figure differ");
    free(bytes);
    free(again);
    cr_assert_eq(sal_figure_put((void **)&bytes, &size, SAL_PAGE_PNG, &content, &style), SAL_OK);
    cr_expect(memcmp(bytes, "\x89PNG", 4) == 0);
    free(bytes);
}

/* Numbers have points in files of any locale. */
Test(figure, has_points_in_a_locale_with_commas)
{
    uint8_t rgb[12] = {0};
    const float map[1] = {1};
    const sal_picture picture = {.height = 2, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const sal_placement p = stretch(1, 1, 2, 2);
    const sal_figure_content content = {&picture, map, &p};
    char *bytes;
    size_t size;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        cr_skip_test("no locale with a decimal comma is installed");
    cr_assert_eq(sal_figure_put((void **)&bytes, &size, SAL_PAGE_SVG, &content, &(sal_figure_style){0}), SAL_OK);
    bytes[size - 1] = '\0';
    cr_expect_not_null(strstr(bytes, "x=\"24.00\""));
    cr_expect_not_null(strstr(bytes, ">0.5</text>"));
    free(bytes);
}

Test(figure, is_made_for_any_shape)
{
    static const int64_t shapes[][2] = {{1, 1}, {1, 3000}, {3000, 1}, {20, 2000}, {700, 90}, {448, 448}, {3, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        sal_figure_style options = {.style = {.colormap = SAL_COLORMAP_VIRIDIS, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                                    .note = "a note that is quite long"};
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
    sal_figure_style options = {.captions = {text, "", "\xff\x01 caf\xc3\xa9"}, .note = text};
    sal_picture longer = figure_of(30, 30, options), plain = figure_of(30, 30, (sal_figure_style){.note = "n"});
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
    sal_picture picture = {.height = 2, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb},
                out = picture;
    sal_placement p = stretch(1, 1, 2, 2), other = stretch(1, 1, 3, 2), third = stretch(1, 1, 2, 3);
    sal_figure_style options = {.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5}};
    cr_assert_eq(sal_figure_draw(&out, &(sal_figure_content){&picture, map, &third}, &options), SAL_ERROR_ARGUMENT);
    cr_assert_str_eq(sal_last_error(), "picture of 2 x 2 pixels, but its placement says 3 x 2");
    for (int k = 0; k < 2; k++) {
        const sal_picture none = {.height = k, .width = !k, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
        const sal_placement nowhere = {k, !k, 1, 1, 1.0, 0.0, 1.0, 0.0};
        cr_assert_eq(sal_figure_draw(&out, &(sal_figure_content){&none, map, &nowhere}, &options), SAL_ERROR_ARGUMENT);
        cr_assert_not_null(strstr(sal_last_error(), "picture of"), "%s", sal_last_error());
    }
    cr_assert_eq(sal_figure_draw(&out, &(sal_figure_content){&picture, map, &other}, &options), SAL_ERROR_ARGUMENT);
    options.style.colormap = (sal_colormap)99;
    cr_assert_eq(sal_figure_draw(&out, &(sal_figure_content){&picture, map, &p}, &options), SAL_ERROR_ARGUMENT);
    options.style.colormap = SAL_COLORMAP_GRAY;
    for (int64_t panel = 63; panel <= 4097; panel += 4097 - 63) {
        options.panel = panel;
        cr_assert_eq(sal_figure_draw(&out, &(sal_figure_content){&picture, map, &p}, &options), SAL_ERROR_ARGUMENT);
        cr_assert_not_null(strstr(sal_last_error(), "give 64 to 4096"), "%s", sal_last_error());
    }
    cr_assert(!out.samples && out.height == 0);
}
