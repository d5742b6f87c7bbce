#include "test_map_support.h"

#include "base/words.h"

#include <string.h>

Test(colormap, tables_equal_matplotlib_in_every_entry)
{
    FILE *f = open_golden("colormaps.txt");
    char name[32];
    int map = 0;
    while (fscanf(f, "%31s", name) == 1) {
        const uint8_t(*table)[3] = sal_colormap_table((sal_colormap)map);
        cr_assert_not_null(table);
        cr_assert_str_eq(sal_colormap_name((sal_colormap)map), name);
        cr_assert_eq(sal_word_value(SAL_WORDS_COLORMAP, name), map);
        for (int i = 0; i < 256; i++) {
            int r, g, b;
            cr_assert_eq(fscanf(f, "%d %d %d", &r, &g, &b), 3);
            cr_assert(table[i][0] == r && table[i][1] == g && table[i][2] == b, "%s[%d]: %d %d %d, expected %d %d %d",
                      name, i, table[i][0], table[i][1], table[i][2], r, g, b);
        }
        map++;
    }
    fclose(f);
    cr_assert_eq(map, SAL_COLORMAPS);
}

Test(colormap, unknown_ones_have_neither_table_nor_name)
{
    cr_assert_null(sal_colormap_table((sal_colormap)SAL_COLORMAPS));
    cr_assert_null(sal_colormap_table(SAL_COLORMAP_AUTO));
    cr_assert_null(sal_colormap_name((sal_colormap)SAL_COLORMAPS));
}

Test(colormap, that_is_not_chosen_depends_on_what_is_drawn)
{
    static const struct {
        sal_blend blend;
        int over_picture;
        int is_signed;
        sal_colormap expected;
    } rows[] = {{SAL_BLEND_MAP, 0, 0, SAL_COLORMAP_VIRIDIS},   {SAL_BLEND_MAP, 1, 0, SAL_COLORMAP_INFERNO},
                {SAL_BLEND_MAP, 0, 1, SAL_COLORMAP_COOLWARM},  {SAL_BLEND_MAP, 1, 1, SAL_COLORMAP_SEISMIC},
                {SAL_BLEND_FLAT, 0, 0, SAL_COLORMAP_VIRIDIS},  {SAL_BLEND_FLAT, 1, 0, SAL_COLORMAP_VIRIDIS},
                {SAL_BLEND_FLAT, 0, 1, SAL_COLORMAP_COOLWARM}, {SAL_BLEND_FLAT, 1, 1, SAL_COLORMAP_COOLWARM}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(sal_colormap_choose(SAL_COLORMAP_AUTO, rows[i].blend, rows[i].over_picture, rows[i].is_signed),
                     rows[i].expected, "row %zu", i);
        for (int asked = 0; asked < SAL_COLORMAPS; asked++)
            cr_expect_eq(
                (int)sal_colormap_choose((sal_colormap)asked, rows[i].blend, rows[i].over_picture, rows[i].is_signed),
                asked);
    }
    cr_expect_eq(sal_alpha_choose(SAL_DEFAULT, SAL_BLEND_MAP), 0.9);
    cr_expect_eq(sal_alpha_choose(SAL_DEFAULT, SAL_BLEND_FLAT), 0.5);
    cr_expect_eq(sal_alpha_choose(0.0, SAL_BLEND_MAP), 0.0);
}

Test(colormap, index_cuts_0_to_1_into_256_equal_parts)
{
    for (int i = 0; i < 256; i++) {
        cr_assert_eq(sal_color_index((float)i / 256.0f), i);
        cr_assert_eq(sal_color_index(nextafterf((float)(i + 1) / 256.0f, 0.0f)), i);
    }
    cr_assert_eq(sal_color_index(1.0f), 255);
    cr_assert_eq(sal_color_index(1e30f), 255);
    cr_assert_eq(sal_color_index(INFINITY), 255);
    cr_assert_eq(sal_color_index(-0.5f), 0);
    cr_assert_eq(sal_color_index(-INFINITY), 0);
    cr_assert_eq(sal_color_index(NAN), 0);
}

Test(colorize, gives_an_rgb_picture_of_the_map)
{
    float map[6] = {0.0f, 0.25f, 0.5f, 0.75f, 1.0f, 2.0f};
    static const int rows[6] = {0, 64, 128, 192, 255, 255};
    sal_picture picture;
    cr_assert_eq(sal_map_colorize(&picture, map, 2, 3, SAL_COLORMAP_TURBO), SAL_OK);
    cr_assert(picture.height == 2 && picture.width == 3 && picture.channels == 3 && picture.type == SAL_SAMPLE_U8);
    for (int i = 0; i < 6; i++)
        cr_assert_arr_eq((uint8_t *)picture.samples + 3 * i, sal_colormap_table(SAL_COLORMAP_TURBO)[rows[i]], 3);
    sal_free(picture.samples);
    cr_assert_eq(sal_map_colorize(&picture, map, 2, 3, SAL_COLORMAP_AUTO), SAL_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_arr_eq((uint8_t *)picture.samples + 3 * i, sal_colormap_table(SAL_COLORMAP_VIRIDIS)[rows[i]], 3);
    sal_free(picture.samples);
}

Test(colorize, of_a_row_writes_three_bytes_a_value)
{
    const float values[3] = {0.0f, 1.0f, 0.5f};
    uint8_t rgb[9] = {7, 7, 7, 7, 7, 7, 7, 7, 7};
    sal_color_row(rgb, values, 2, sal_colormap_table(SAL_COLORMAP_GRAY));
    static const uint8_t expected[9] = {0, 0, 0, 255, 255, 255, 7, 7, 7};
    cr_assert_arr_eq(rgb, expected, 9);
}

Test(colorize, refuses_unknown_colour_maps_and_empty_maps)
{
    float map[1] = {0};
    sal_picture picture = {.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_U8, .samples = map};
    cr_assert_eq(sal_map_colorize(&picture, map, 1, 1, (sal_colormap)17), SAL_ERROR_ARGUMENT);
    cr_assert(!picture.samples && picture.height == 0);
    cr_assert_eq(sal_map_colorize(&picture, map, 0, 1, SAL_COLORMAP_GRAY), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_colorize(&picture, map, 1, 0, SAL_COLORMAP_GRAY), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_colorize(&picture, map, 1, 1, (sal_colormap)SAL_COLORMAPS), SAL_ERROR_ARGUMENT);
}
