#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(utf8, reads_characters_of_every_length)
{
    static const struct {
        const char *text;
        size_t size;
        uint32_t character;
    } cases[] = {{"", 1, 0},
                 {"a", 1, 'a'},
                 {"\x7f", 1, 0x7f},
                 {"\xc2\x80", 2, 0x80},
                 {"\xdf\xbf", 2, 0x7ff},
                 {"\xe0\xa0\x80", 3, 0x800},
                 {"\xed\x9f\xbf", 3, 0xd7ff},
                 {"\xee\x80\x80", 3, 0xe000},
                 {"\xef\xbf\xbf", 3, 0xffff},
                 {"\xf0\x90\x80\x80", 4, 0x10000},
                 {"\xf4\x8f\xbf\xbf", 4, 0x10ffff}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t character = 1;
        cr_expect_eq(sal_utf8_read(&character, cases[i].text), cases[i].size, "case %zu", i);
        cr_expect_eq(character, cases[i].character, "case %zu: %x", i, (unsigned)character);
        cr_expect_eq(sal_utf8_read(NULL, cases[i].text), cases[i].size, "case %zu", i);
    }
}

Test(utf8, is_nothing_else)
{
    static const char *const texts[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xc2",
                                        "\xc2 ",
                                        "\xc3\xc3",
                                        "\xe0\x9f\xbf",
                                        "\xe0\xa0",
                                        "\xe1\x80 ",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf0\x90\x80",
                                        "\xf1\x80\x80 ",
                                        "\xf1 ",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xfe",
                                        "\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_eq(sal_utf8_read(NULL, texts[i]), 0, "text %zu", i);
}

Test(utf8, heads_end_with_a_whole_character)
{
    static const struct {
        const char *text;
        size_t most;
        int head;
    } cases[] = {{"", 0, 0},
                 {"", 5, 0},
                 {"abc", 5, 3},
                 {"abc", 3, 3},
                 {"abc", 2, 2},
                 {"a\xc3\xa9z", 3, 3},
                 {"a\xc3\xa9z", 2, 1},
                 {"\xe9\xb1\x97", 3, 3},
                 {"\xe9\xb1\x97\xe9\xb1\x97", 5, 3},
                 {"\xe9\xb1\x97\xe9\xb1\x97", 4, 3},
                 {"\xe9\xb1\x97", 2, 0},
                 {"\xe9\xb1\x97", 1, 0},
                 {"x\xf0\x9f\x90\x9f", 4, 1},
                 {"x\xf0\x9f\x90\x9f", 5, 5},
                 {"\x80\x80\x80\x80\x80\x80\x80", 6, 6}}; /* no UTF-8 at all */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(sal_utf8_head(cases[i].text, cases[i].most), cases[i].head, "case %zu: %d", i,
                     sal_utf8_head(cases[i].text, cases[i].most));
}

Test(utf8, trims_half_a_character)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"abc", "abc"},
                                           {"a\xc3\xa9", "a\xc3\xa9"},
                                           {"a\xc3", "a"},
                                           {"\xe9\xb1\x97\xe9\xb1", "\xe9\xb1\x97"},
                                           {"\xe9\xb1\x97\xe9", "\xe9\xb1\x97"},
                                           {"\xe9\xb1\x97", "\xe9\xb1\x97"},
                                           {"x\xf0\x9f\x90", "x"},
                                           {"x\xf0\x9f\x90\x9f", "x\xf0\x9f\x90\x9f"},
                                           {"\xf0\x9f", ""},
                                           {"a\x80\x80\x80\x80", "a\x80\x80\x80\x80"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        sal_utf8_trim(text);
        cr_expect_str_eq(text, cases[i][1], "case %zu", i);
    }
}
