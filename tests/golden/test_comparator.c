/* The distances that other tests rely on. */
#include "golden/compare.h"

#include <criterion/criterion.h>

Test(comparator, refuses_nan_and_infinity)
{
    const double want[] = {1, 2, 3, 4};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++)
        for (int at = 0; at < 4; at++) {
            float got[] = {1, 2, 3, 4};
            got[at] = bad[i];
            cr_expect_not(within(relative_max(got, want, 4), 1e30));
            cr_expect_not(within(relative_l2(got, want, 4), 1e30));
            cr_expect_not(within(cosine_distance(got, want, 4), 1e30));
        }
    const float map[] = {0, 1};
    const float hole[] = {NAN, 1};
    cr_expect_not(within(map_levels(map, hole, 2), 255));
    cr_expect_not(within(worse(worse(0, NAN), 1), 1e30));
}

Test(comparator, measures_what_it_says)
{
    const double want[] = {3, -4};
    const float got[] = {3, -4.5F};
    const float turned[] = {4, 3};
    const float black[] = {0.0F, 0.5F};
    const float white[] = {1.0F, 0.5F};
    cr_expect(fabs(relative_max(got, want, 2) - 0.125) < 1e-12);
    cr_expect(fabs(relative_l2(got, want, 2) - 0.1) < 1e-12);
    cr_expect(fabs(cosine_distance(turned, want, 2) - 1) < 1e-12);
    cr_expect(map_levels(black, white, 2) == 255);
    cr_expect(within(0.5, 0.5) && !within(0.6, 0.5) && !within(-1, 0.5));
}
