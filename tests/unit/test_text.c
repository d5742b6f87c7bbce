/* The letters of figures. */
#include "test_map_support.h"

#include <string.h>

Test(text, is_clipped_at_every_border)
{
    uint8_t rgb[10 * 8 * 3] = {0};
    static const uint8_t white[3] = {255, 255, 255};
    sal_picture canvas = {.height = 8, .width = 10, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
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
        sal_picture canvas = {.height = 9, .width = 5, .channels = 3, .type = SAL_SAMPLE_U8, .samples = cells[i]};
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

/* Where the dot at (row, column) is lit, of letters at their own size. */
static void dots_of(int dots[11][7], char letter)
{
    uint8_t rgb[9 * 5 * 3] = {0};
    sal_picture canvas = {.height = 9, .width = 5, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    sal_text_draw(&canvas, 0, 0, (char[]){letter, '\0'}, 1, (uint8_t[]){255, 255, 255});
    memset(dots, 0, 11 * sizeof *dots);
    for (int i = 0; i < 45; i++)
        dots[1 + i / 5][1 + i % 5] = rgb[3 * i] == 255;
}

Test(text, letters_are_drawn_dot_by_dot)
{
    static const char *const g_and_A[9] = {".....  .###.", ".....  #...#", ".####  #...#",
                                           "#...#  #####", "#...#  #...#", "#...#  #...#",
                                           ".####  #...#", "....#  .....", ".###.  ....."};
    int g[11][7], a[11][7];
    dots_of(g, 'g');
    dots_of(a, 'A');
    for (int i = 0; i < 45; i++) {
        cr_expect_eq(g[1 + i / 5][1 + i % 5], g_and_A[i / 5][i % 5] == '#', "g, row %d column %d", i / 5, i % 5);
        cr_expect_eq(a[1 + i / 5][1 + i % 5], g_and_A[i / 5][7 + i % 5] == '#', "A, row %d column %d", i / 5, i % 5);
    }
}

/* The level of one quarter: half ink where the dots beside and above it agree and both differ from those across. */
static int quarter_level(int dots[11][7], int row, int column, int lower, int right)
{
    int y = row + 1, x = column + 1, beside = dots[y][right ? x + 1 : x - 1], above = dots[lower ? y + 1 : y - 1][x];
    int across_x = dots[y][right ? x - 1 : x + 1], across_y = dots[lower ? y - 1 : y + 1][x];
    if (beside == above && across_x == !beside && across_y == !above)
        return 60; /* of 100 and 20 */
    return dots[y][x] ? 20 : 100;
}

Test(text, enlarged_letters_have_half_ink_at_their_slants)
{
    for (int64_t magnify = 2; magnify <= 5; magnify++)
        for (int letter = ' '; letter <= '~'; letter++) {
            enum { SIDE = 9 * 5 };
            uint8_t rgb[SIDE * SIDE * 3];
            int dots[11][7];
            sal_picture canvas = {.height = SIDE, .width = SIDE, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
            memset(rgb, 100, sizeof rgb);
            dots_of(dots, (char)letter);
            sal_text_draw(&canvas, 0, 0, (char[]){(char)letter, '\0'}, magnify, (uint8_t[]){20, 20, 20});
            for (int i = 0; i < SIDE * SIDE; i++) {
                int64_t y = i / SIDE, x = i % SIDE;
                int expected = y / magnify < 9 && x / magnify < 5
                                   ? quarter_level(dots, (int)(y / magnify), (int)(x / magnify),
                                                   y % magnify >= magnify / 2, x % magnify >= magnify / 2)
                                   : 100;
                for (int c = 0; c < 3; c++)
                    cr_assert_eq(rgb[3 * i + c], expected, "'%c' times %ld at %ld, %ld: %d, expected %d", letter,
                                 (long)magnify, (long)x, (long)y, rgb[3 * i + c], expected);
            }
        }
}

Test(text, letters_follow_each_other_and_borders_only_cut)
{
    enum { H = 30, W = 60, SMALL_H = 14, SMALL_W = 19 };
    static const uint8_t color[3] = {10, 120, 250};
    for (int64_t magnify = 1; magnify <= 2; magnify++)
        for (int64_t y = -3; y <= 3; y++)
            for (int64_t x = -5; x <= 5; x++) {
                uint8_t whole[H * W * 3] = {0}, part[SMALL_H * SMALL_W * 3] = {0};
                sal_picture large = {.height = H, .width = W, .channels = 3, .type = SAL_SAMPLE_U8, .samples = whole},
                            small = {.height = SMALL_H,
                                     .width = SMALL_W,
                                     .channels = 3,
                                     .type = SAL_SAMPLE_U8,
                                     .samples = part};
                const char *text = "g\xc3\xa9j";
                sal_text_draw(&small, x, y, text, magnify, color);
                for (int64_t k = 0; k < 3; k++)
                    sal_text_draw(&large, x + 10 + 6 * magnify * k, y + 10, (const char *[]){"g", "?", "j"}[k], magnify,
                                  color);
                for (int64_t row = 0; row < SMALL_H; row++)
                    cr_assert_arr_eq(part + row * SMALL_W * 3, whole + 3 * ((row + 10) * W + 10), SMALL_W * 3,
                                     "magnified %ld at %ld, %ld: row %ld differs", (long)magnify, (long)x, (long)y,
                                     (long)row);
            }
}
