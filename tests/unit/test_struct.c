/* Callers' structs of other versions: shorter ones, longer ones, and those whose size was never set. */
#include "base/struct.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct full {
    size_t size;
    int64_t first;
    int64_t second;
} full;

/* What a caller has of another version, and a byte pattern where it has nothing. */
typedef struct room {
    size_t size;
    int64_t values[6];
} room;

enum { GUARD = 0x5a5a5a5a };

static room made(size_t size)
{
    room r = {.size = size, .values = {11, 22, GUARD, GUARD, GUARD, GUARD}};
    return r;
}

Test(structs, of_this_version_are_read_as_they_are)
{
    full f = {1, 2, 3};
    const room given = made(sizeof f);
    cr_assert_eq(sal_struct_read(&f, sizeof f, &given, "sal_thing"), SAL_OK);
    cr_expect(f.size == sizeof f && f.first == 11 && f.second == 22);
}

Test(structs, that_are_not_given_leave_the_defaults)
{
    full f = {sizeof f, 2, 3};
    cr_assert_eq(sal_struct_read(&f, sizeof f, NULL, "sal_thing"), SAL_OK);
    cr_expect(f.size == sizeof f && f.first == 2 && f.second == 3);
}

Test(structs, of_older_callers_count_as_zero_beyond_their_end)
{
    full f = {1, 2, 3};
    const room given = made(2 * sizeof(size_t));
    cr_assert_eq(sal_struct_read(&f, sizeof f, &given, "sal_thing"), SAL_OK);
    cr_expect(f.size == sizeof f && f.first == 11 && f.second == 0);
}

Test(structs, of_newer_callers_are_read_where_what_is_unknown_is_zero)
{
    full f = {1, 2, 3};
    room given = {.size = sizeof given, .values = {11, 22}};
    cr_assert_eq(sal_struct_read(&f, sizeof f, &given, "sal_thing"), SAL_OK);
    cr_expect(f.size == sizeof f && f.first == 11 && f.second == 22);
    ((unsigned char *)&given)[sizeof given - 1] = 1;
    f = (full){1, 2, 3};
    cr_expect_eq(sal_struct_read(&f, sizeof f, &given, "sal_thing"), SAL_ERROR_ARGUMENT);
    cr_expect(strstr(sal_last_error(), "sal_thing has fields that this library, version ") == sal_last_error(), "%s",
              sal_last_error());
    cr_expect(f.size == 1 && f.first == 2 && f.second == 3, "what was refused was read");
}

/* The smallest has a field; a multiple of a word; and no garbage, which would be looked at, or cleared, to its end. */
static const size_t odd_sizes[] = {1, sizeof(size_t), sizeof(full) + 1, sizeof(full) + 264, 4096, SIZE_MAX - 7};

Test(structs, of_a_size_that_no_version_has_are_refused)
{
    char text[128];
    full f = {1, 2, 3};
    room given = made(0);
    cr_expect_eq(sal_struct_read(&f, sizeof f, &given, "sal_thing"), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "sal_thing.size is 0: begin with SAL_THING_INIT");
    for (size_t k = 0; k < sizeof odd_sizes / sizeof *odd_sizes; k++) {
        given = made(odd_sizes[k]);
        snprintf(text, sizeof text,
                 "sal_thing.size is %zu, which no version of the struct has: begin with SAL_THING_INIT", odd_sizes[k]);
        cr_expect_eq(sal_struct_read(&f, sizeof f, &given, "sal_thing"), SAL_ERROR_ARGUMENT, "%s", text);
        cr_expect_str_eq(sal_last_error(), text);
        cr_expect_eq(sal_struct_write(&given, &f, sizeof f, "sal_thing"), SAL_ERROR_ARGUMENT);
        cr_expect(given.size == odd_sizes[k] && given.values[0] == 11, "what was refused was written");
    }
    cr_expect(f.size == 1 && f.first == 2 && f.second == 3, "what was refused was read");
}

Test(structs, are_filled_as_far_as_they_go)
{
    const full f = {sizeof f, 7, 8};
    for (size_t size = 2 * sizeof(size_t); size <= sizeof(room); size += sizeof(size_t)) {
        room out = made(size);
        const size_t fields = size / sizeof(size_t) - 1;
        cr_assert_eq(sal_struct_write(&out, &f, sizeof f, "sal_thing"), SAL_OK);
        cr_expect(out.size == size && out.values[0] == 7);
        cr_expect_eq(out.values[1], fields >= 2 ? 8 : 22);
        for (size_t k = 2; k < 6; k++)
            cr_expect_eq(out.values[k], k < fields ? 0 : GUARD, "size %zu, value %zu", size, k);
    }
}
