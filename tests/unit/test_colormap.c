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
    cr_assert_eq(map, 6);
}

Test(colormap, unknown_ones_have_neither_table_nor_name)
{
    cr_assert_null(sal_colormap_table((sal_colormap)6));
    cr_assert_null(sal_colormap_table((sal_colormap)-1));
    cr_assert_null(sal_colormap_name((sal_colormap)6));
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
    cr_assert_eq(sal_map_colorize(&picture, map, 1, 1, (sal_colormap)6), SAL_ERROR_ARGUMENT);
}
