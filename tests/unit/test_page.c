/* Lines of text on pages: what is shown of which bytes, and how long texts are cut. */
#include "figure/line.h"
#include "figure/page.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static sal_fonts *fonts;

static void open_fonts(void)
{
    cr_assert_eq(sal_fonts_open(&fonts), SAL_OK, "%s", sal_last_error());
}

static void close_fonts(void)
{
    sal_fonts_close(fonts);
}

TestSuite(page, .init = open_fonts, .fini = close_fonts);

static sal_line line_of(const char *text, double room)
{
    sal_line line;
    cr_assert_eq(sal_line_make(&line, fonts, text, 16, 0, room), SAL_OK, "%s", sal_last_error());
    return line;
}

static void expect_text(const char *given, const char *shown)
{
    sal_line line = line_of(given, 0);
    cr_expect_str_eq(line.text, shown, "'%s' became '%s'", given, line.text);
    sal_line_clear(&line);
}

#define NONE "\xef\xbf\xbd" /* U+FFFD */

Test(page, shows_every_character_of_utf8_and_a_sign_for_all_else)
{
    static const char *const good[] = {"plain", "caf\xc3\xa9", "\xe9\xb1\x97", "\xf0\x9f\x90\x9f", "\xcf\x83 < 3 & \"",
                                       ""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        expect_text(good[i], good[i]);
    expect_text("a\nb\tc\x7f", "a" NONE "b" NONE "c" NONE);
    expect_text("caf\xe9.png", "caf" NONE ".png");
    expect_text("\xc3", NONE);                            /* cut off */
    expect_text("\xe9\xb1", NONE NONE);                   /* likewise */
    expect_text("\xc0\x80", NONE NONE);                   /* zero in two bytes */
    expect_text("\xe0\x80\xaf", NONE NONE NONE);          /* a slash in three */
    expect_text("\xed\xa0\x80", NONE NONE NONE);          /* half of a pair of UTF-16 */
    expect_text("\xf4\x90\x80\x80", NONE NONE NONE NONE); /* beyond Unicode */
    expect_text("\xff\xfe", NONE NONE);
    expect_text("\xef\xb7\x8f\xef\xb7\xb0", "\xef\xb7\x8f\xef\xb7\xb0");
    expect_text("\xef\xb7\x90", NONE NONE NONE); /* U+FDD0 and these are no characters, and cairo refuses them */
    expect_text("\xef\xb7\xaf", NONE NONE NONE);
    expect_text("\xef\xbf\xbe\xef\xbf\xbf", NONE NONE NONE NONE NONE NONE);
    expect_text("\xf0\x9f\xbf\xbe", NONE NONE NONE NONE);
    /* What follows would run to the left. */
    expect_text((char[]){'g', 'n', 'p', '.', (char)0xe2, (char)0x80, (char)0xae, 'e', 'x', 'e', 0},
                "gnp." NONE NONE NONE "exe");
    expect_text("\xc2\x9b"
                "31m",
                NONE NONE "31m"); /* a terminal's CSI */
}

Test(page, texts_are_as_wide_as_their_letters)
{
    double one, two, both, bold;
    cr_assert_eq(sal_page_measure(&one, fonts, "scale", 20, 0), SAL_OK);
    cr_assert_eq(sal_page_measure(&two, fonts, "_04.png", 20, 0), SAL_OK);
    cr_assert_eq(sal_page_measure(&both, fonts, "scale_04.png", 20, 0), SAL_OK);
    cr_assert_eq(sal_page_measure(&bold, fonts, "scale_04.png", 20, 1), SAL_OK);
    cr_expect_float_eq(one + two, both, 1e-6, "%g and %g are not %g", one, two, both);
    cr_expect(bold > both, "bold letters are wider: %g, %g", bold, both);
    cr_assert_eq(sal_page_measure(&one, fonts, "", 20, 0), SAL_OK);
    cr_expect_eq(one, 0.0);
}

Test(page, long_texts_are_cut_in_their_middle)
{
    const char *name = "a_rather_long_name_of_a_picture_0123456789.png";
    sal_line whole = line_of(name, 0), fits = line_of(name, whole.width), cut = line_of(name, whole.width - 1);
    cr_expect_str_eq(fits.text, name);
    const char *dots = strstr(cut.text, "\xe2\x80\xa6");
    cr_assert_not_null(dots, "%s", cut.text);
    cr_expect(cut.width <= whole.width - 1 && cut.width > whole.width - 30, "%g of %g", cut.width, whole.width);
    cr_expect_eq(strncmp(cut.text, name, (size_t)(dots - cut.text)), 0, "%s", cut.text);
    cr_expect_str_eq(name + strlen(name) - strlen(dots + 3), dots + 3);
    sal_line_clear(&whole);
    sal_line_clear(&fits);
    sal_line_clear(&cut);
    cut = line_of(name, 1); /* room for nothing */
    cr_expect_str_eq(cut.text, "\xe2\x80\xa6");
    sal_line_clear(&cut);
    cut = line_of("\xe9\xb1\x97\xe9\xb1\x97\xe9\xb1\x97\xe9\xb1\x97\xe9\xb1\x97\xe9\xb1\x97", 50);
    cr_expect(strlen(cut.text) % 3 == 0 && strlen(cut.text) < 18, "no character is cut: %s", cut.text);
    sal_line_clear(&cut);
}

Test(page, is_as_large_as_cairo_draws)
{
    static const int64_t sides[][2] = {{0, 1}, {1, 0}, {32768, 1}, {1, 32768}};
    sal_page *page;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        cr_expect_eq(sal_page_open(&page, SAL_PAGE_PNG, fonts, sides[i][0], sides[i][1], ""), SAL_ERROR_LIMIT);
        cr_expect_null(page);
    }
    cr_assert_eq(sal_page_open(&page, SAL_PAGE_PNG, fonts, 32767, 1, ""), SAL_OK, "%s", sal_last_error());
    sal_page_close(page);
}

/* A page that is not ended leaves nothing behind: the address sanitizer looks. */
Test(page, may_be_given_up)
{
    sal_page *page;
    for (int format = SAL_PAGE_PNG; format <= SAL_PAGE_PDF; format++) {
        cr_assert_eq(sal_page_open(&page, (sal_page_format)format, fonts, 10, 10, "t"), SAL_OK);
        cr_expect_eq(sal_page_box(page, 1, 1, 5, 5, (uint8_t[]){1, 2, 3}), SAL_OK);
        sal_page_close(page);
    }
    sal_page_close(NULL);
}

Test(page, takes_pictures_and_boxes_as_they_are)
{
    uint8_t rgb[6] = {10, 20, 30, 200, 100, 50};
    const sal_picture picture = {.height = 1, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const uint8_t expected[12] = {255, 255, 255, 10, 20, 30, 200, 100, 50, 7, 8, 9};
    sal_picture out;
    sal_page *page;
    cr_assert_eq(sal_page_open(&page, SAL_PAGE_PNG, fonts, 4, 1, ""), SAL_OK);
    cr_assert_eq(sal_page_picture(page, 1, 0, &picture), SAL_OK);
    cr_assert_eq(sal_page_box(page, 3, 0, 1, 1, (uint8_t[]){7, 8, 9}), SAL_OK);
    cr_assert_eq(sal_page_take(&out, page), SAL_OK);
    cr_expect_arr_eq((uint8_t *)out.samples, expected, sizeof expected);
    sal_picture_clear(&out);
    sal_page_close(page);
}
