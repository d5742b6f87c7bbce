#include "test_map_support.h"

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
    cr_assert_eq(sal_figure_draw(&out, &picture, map, &p, &options), SAL_OK, "%s", sal_last_error());
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

/* A figure's measures by hand: from margins of 24, gaps of 28, panels 448 high and at most 896 wide, text at twice its
 * size, and a bar of 18 that stands 12 beside the map, 5 of tick and 6 of space before its labels. */
typedef struct measures {
    int64_t height, width;             /* of the figure */
    int64_t panel_height, panel_width; /* of picture, map and overlay */
    int64_t left[3];
    int64_t slot, slots[3]; /* what captions are centred in */
    int64_t bar, bar_height;
    const char *labels[3];
    const char *captions[3];
    const char *note;
} measures;

enum { TOP = 24 + 18 + 8 };
static const uint8_t text_color[3] = {38, 38, 38}, line_color[3] = {150, 150, 150};

static void box(sal_picture *f, int64_t x, int64_t y, int64_t width, int64_t height, const uint8_t *color)
{
    for (int64_t i = 0; i < width * height; i++)
        memcpy((uint8_t *)f->samples + 3 * ((y + i / width) * f->width + x + i % width), color, 3);
}

static void centred(sal_picture *f, int64_t x, int64_t y, int64_t room, const char *text)
{
    sal_text_draw(f, x + (room - sal_text_width(text, 2)) / 2, y, text, 2, text_color);
}

static sal_picture drawn_by_hand(const measures *m, const sal_picture *panels, const uint8_t (*table)[3])
{
    sal_picture f = {.height = m->height,
                     .width = m->width,
                     .channels = 3,
                     .type = SAL_SAMPLE_U8,
                     .samples = malloc((size_t)(m->height * m->width) * 3)};
    cr_assert_not_null(f.samples);
    memset(f.samples, 255, (size_t)(m->height * m->width) * 3);
    for (int k = 0; k < 3; k++) {
        box(&f, m->left[k] - 1, TOP - 1, m->panel_width + 2, m->panel_height + 2, line_color);
        for (int64_t i = 0; i < m->panel_height * m->panel_width; i++)
            box(&f, m->left[k] + i % m->panel_width, TOP + i / m->panel_width, 1, 1,
                (const uint8_t *)panels[k].samples + 3 * i);
        centred(&f, m->slots[k], 24, m->slot, m->captions[k]);
    }
    box(&f, m->bar - 1, TOP - 1, 20, m->bar_height + 2, line_color);
    for (int64_t y = 0; y < m->bar_height; y++)
        box(&f, m->bar, TOP + y, 18, 1, table[sal_color_index(1.0f - (float)y / (float)(m->bar_height - 1))]);
    for (int k = 0; k < 3; k++) {
        int64_t y = TOP + (m->bar_height - 1) * (2 - k) / 2;
        box(&f, m->bar + 18, y, 5, 1, text_color);
        sal_text_draw(&f, m->bar + 18 + 5 + 6, y - 7, m->labels[k], 2, text_color);
    }
    if (m->note)
        centred(&f, 24, TOP + m->bar_height + 20, m->width - 48, m->note);
    return f;
}

static void check_figure(int64_t height, int64_t width, sal_figure_style options, const measures *m)
{
    uint8_t *rgb = hashed_levels(77, (size_t)(height * width * 3));
    float *map = uniform_floats(78, 12);
    sal_picture picture = {.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb},
                panels[3], out;
    /* The network saw three quarters of the picture. */
    sal_placement p = {
        height, width, 3, 4, (double)height / 4.0, (double)height / 8.0, (double)width / 5.0, (double)width / 10.0};
    sal_placement panel = {m->panel_height,
                           m->panel_width,
                           3,
                           4,
                           (double)m->panel_height / 4.0,
                           (double)m->panel_height / 8.0,
                           (double)m->panel_width / 5.0,
                           (double)m->panel_width / 10.0};
    cr_assert_eq(sal_figure_draw(&out, &picture, map, &p, &options), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_resize_rgb(&panels[0], &picture, m->panel_height, m->panel_width), SAL_OK);
    cr_assert_eq(sal_overlay_draw(&panels[1], NULL, map, &panel, &options.style), SAL_OK);
    cr_assert_eq(sal_overlay_draw(&panels[2], &panels[0], map, &panel, &options.style), SAL_OK);
    sal_picture expected = drawn_by_hand(m, panels, sal_colormap_table(options.style.colormap));
    cr_assert(out.height == m->height && out.width == m->width, "%ldx%ld: figure of %ld x %ld", (long)height,
              (long)width, (long)out.width, (long)out.height);
    for (int64_t i = 0; i < m->height * m->width; i++) {
        const uint8_t *a = (const uint8_t *)out.samples + 3 * i, *b = (const uint8_t *)expected.samples + 3 * i;
        /* A level apart where a value of the map lies on the border of two colours. */
        for (int c = 0; c < 3; c++)
            cr_assert(abs(a[c] - b[c]) <= 1, "%ldx%ld, at %ld, %ld: %d %d %d, expected %d %d %d", (long)height,
                      (long)width, (long)(i % m->width), (long)(i / m->width), a[0], a[1], a[2], b[0], b[1], b[2]);
    }
    for (int k = 0; k < 3; k++)
        sal_free(panels[k].samples);
    sal_free(out.samples);
    free(expected.samples);
    free(rgb);
    free(map);
}

Test(figure, of_a_square_has_everything_in_its_place)
{
    measures m = {522,
                  1523,
                  448,
                  448,
                  {24, 500, 1051},
                  448,
                  {24, 500, 1051},
                  960,
                  448,
                  {"0", "0.5", "1"},
                  {"picture", "map", "overlay"},
                  NULL};
    check_figure(100, 100,
                 (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5}},
                 &m);
    m.height += 20 + 14;
    m.note = "a note";
    m.captions[1] = "why";
    sal_figure_style options = {.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.25},
                                .captions = {NULL, "why", NULL},
                                .note = "a note"};
    check_figure(30, 30, options, &m);
    options.note = "";
    m.note = NULL;
    m.height = 522;
    check_figure(448, 448, options, &m);
}

Test(figure, of_a_wide_picture_is_lower_and_its_bar_still_has_room_for_labels)
{
    static const struct {
        int64_t height, width, figure_height, panel_height, bar_height;
    } cases[] = {{20, 2000, 146, 16, 72}, {50, 100, 522, 448, 448}, {20, 60, 373, 299, 299}};
    measures m = {.width = 2867,
                  .panel_width = 896,
                  .left = {24, 948, 1947},
                  .slot = 896,
                  .slots = {24, 948, 1947},
                  .bar = 1856,
                  .labels = {"0", "0.5", "1"},
                  .captions = {"picture", "map", "overlay"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m.height = cases[i].figure_height;
        m.panel_height = cases[i].panel_height;
        m.bar_height = cases[i].bar_height;
        check_figure(
            cases[i].height, cases[i].width,
            (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5}}, &m);
    }
}

Test(figure, of_a_narrow_picture_has_slots_as_wide_as_a_caption)
{
    const measures m = {556,
                        413,
                        448,
                        45,
                        {42, 152, 325},
                        82,
                        {24, 134, 307},
                        209,
                        448,
                        {"-2", "2", "6"},
                        {"picture", "map", "overlay"},
                        "of"};
    sal_figure_style options = {.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                                .note = "of",
                                .bar_low = -2.0,
                                .bar_high = 6.0};
    check_figure(300, 30, options, &m);
}

Test(figure, panels_are_as_large_as_the_nearest_pixel_says)
{
    /* Panels 93.4957 wide and 93.4957 high. */
    static const int64_t shapes[2][4] = {{115, 24, 522, 24 + 93 + 28 + 93 + 75 + 28 + 93 + 24}, {12, 115, 167, 2867}};
    for (int k = 0; k < 2; k++) {
        sal_picture f = figure_of(
            shapes[k][0], shapes[k][1],
            (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5}});
        cr_expect(f.height == shapes[k][2] && f.width == shapes[k][3], "%ld x %ld", (long)f.width, (long)f.height);
        sal_free(f.samples);
    }
}

Test(figure, bar_ends_may_be_any_two_numbers)
{
    measures m = {522,
                  1523 + 2 * 12,
                  448,
                  448,
                  {24, 500, 1075},
                  448,
                  {24, 500, 1075},
                  960,
                  448,
                  {"0", "0.002", "0.004"},
                  {"picture", "map", "overlay"},
                  NULL};
    check_figure(64, 64,
                 (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                                    .bar_high = 0.004},
                 &m);
    m = (measures){522,
                   1523 + 2 * 12,
                   448,
                   448,
                   {24, 500, 1075},
                   448,
                   {24, 500, 1075},
                   960,
                   448,
                   {"-0.01", "-0.005", "0"},
                   {"picture", "map", "overlay"},
                   NULL};
    m.width += 12;
    m.left[2] += 12;
    m.slots[2] += 12;
    check_figure(64, 64,
                 (sal_figure_style){.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                                    .bar_low = -0.01},
                 &m);
}

Test(figure, captions_of_37_letters_fit_a_square_panel_and_longer_ones_end_in_dots)
{
    char whole[38], longer[39], cut[38];
    memset(whole, 'n', 37);
    memset(longer, 'n', 38);
    whole[37] = longer[38] = '\0';
    memcpy(cut, longer, 34);
    memcpy(cut + 34, "...", 4);
    measures m = {
        522, 1523, 448, 448, {24, 500, 1051}, 448, {24, 500, 1051}, 960, 448, {"0", "0.5", "1"}, {whole, cut, "...."},
        NULL};
    sal_figure_style options = {.style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                                .captions = {whole, longer, "...."}};
    check_figure(64, 64, options, &m);
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
    cr_assert_eq(sal_figure_draw(&out, &picture, map, &third, &options), SAL_ERROR_ARGUMENT);
    cr_assert_str_eq(sal_last_error(), "picture of 2 x 2 pixels, but its placement says 3 x 2");
    for (int k = 0; k < 2; k++) {
        const sal_picture none = {.height = k, .width = !k, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
        const sal_placement nowhere = {k, !k, 1, 1, 1.0, 0.0, 1.0, 0.0};
        cr_assert_eq(sal_figure_draw(&out, &none, map, &nowhere, &options), SAL_ERROR_ARGUMENT);
        cr_assert_not_null(strstr(sal_last_error(), "picture of"), "%s", sal_last_error());
    }
    cr_assert_eq(sal_figure_draw(&out, &picture, map, &other, &options), SAL_ERROR_ARGUMENT);
    options.style.colormap = (sal_colormap)99;
    cr_assert_eq(sal_figure_draw(&out, &picture, map, &p, &options), SAL_ERROR_ARGUMENT);
    cr_assert(!out.samples && out.height == 0);
}
