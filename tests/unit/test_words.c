/* Words of enumerations: their values, and back. */
#include "base/words.h"

#include <criterion/criterion.h>
#include <string.h>

Test(words, have_a_value_and_values_have_a_word)
{
    static const char *const all[] = {
        SAL_WORDS_SCORE,    SAL_WORDS_RULE,   SAL_WORDS_PRECISION,      SAL_WORDS_QUADRATURE, SAL_WORDS_BASELINE,
        SAL_WORDS_MODIFIER, SAL_WORDS_REDUCE, SAL_WORDS_NORMALIZE,      SAL_WORDS_COLORMAP,   SAL_WORDS_FIT,
        SAL_WORDS_ORDER,    SAL_WORDS_MAPS,   SAL_WORDS_OVERLAY_FORMAT, SAL_WORDS_RESAMPLE,   SAL_WORDS_ANTIALIAS,
        SAL_WORDS_ROUND,    SAL_WORDS_GRID,   SAL_WORDS_CROP_ROUND,     SAL_WORDS_JPEG_DCT,   SAL_WORDS_BLEND};
    static const int counts[] = {2, 4, 5, 2, 5, 4, 4, 4, 10, 5, 5, 4, 2, 8, 2, 6, 3, 2, 2, 2};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        char word[SAL_WORD_SIZE];
        for (int value = 0; value < counts[k]; value++) {
            cr_assert_not_null(sal_word_of(word, all[k], value), "%s, %d", all[k], value);
            cr_expect_eq(sal_word_value(all[k], word), value, "%s", word);
        }
        cr_expect_null(sal_word_of(word, all[k], counts[k]));
        cr_expect_null(sal_word_of(word, all[k], -1));
    }
}

Test(words, are_known_whole_alone)
{
    static const char *const wrong[] = {"", "ab", "abs|relu", "|", "abs ", "ABS", "relus"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        cr_expect_eq(sal_word_value(SAL_WORDS_MODIFIER, wrong[k]), -1, "'%s'", wrong[k]);
    cr_expect_eq(sal_word_value(SAL_WORDS_MODIFIER, "none"), 3);
}

Test(words, are_listed_as_far_as_they_fit)
{
    char text[64], small[8];
    cr_expect_str_eq(sal_words_list(text, sizeof text, SAL_WORDS_REDUCE), "max, mean, sum, l2");
    cr_expect_str_eq(sal_words_list(small, sizeof small, SAL_WORDS_REDUCE), "max, me");
    cr_expect_str_eq(sal_words_list(text, sizeof text, "one"), "one");
}
