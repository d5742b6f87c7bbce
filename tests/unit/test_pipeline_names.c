/* Names of output files. */
#include "results/names.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_output_layout layout = {.files = SAL_FILE_BIT(SAL_FILE_MAP) | SAL_FILE_BIT(SAL_FILE_OVERLAY) |
                                            SAL_FILE_BIT(SAL_FILE_NPY),
                                   .out_dir = "no/such/folder"};

static void check_stems(const char *const *paths, const char *const *stems, size_t count)
{
    sal_names names;
    cr_assert_eq(sal_names_make(&names, paths, count, &layout), SAL_OK);
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(names.stems[i], stems[i], "%s: %s, not %s", paths[i], names.stems[i], stems[i]);
    sal_names_clear(&names);
}

Test(names, are_what_is_before_the_last_dot)
{
    const char *paths[] = {"a.png", "dir.d/b.tar.gz", "c", "/x/.hidden", "d.", "e/f.JPEG"};
    const char *stems[] = {"a", "b.tar", "c", ".hidden", "d", "f"};
    check_stems(paths, stems, 6);
}

Test(names, get_numbers_where_equal)
{
    const char *paths[] = {"a.png", "b/a.png", "a.jpg", "a-2.png", "c/a.tif", "a.png"};
    const char *stems[] = {"a", "a-2", "a-3", "a-2-2", "a-4", "a-5"};
    check_stems(paths, stems, 6);
}

Test(names, differ_in_every_file_they_make)
{
    const char *paths[] = {"a.gradient.png", "a.png", "b.png", "b.gradient.png"};
    const char *plain[] = {"a.gradient", "a", "b", "b.gradient"};
    const char *careful[] = {"a.gradient", "a-2", "b", "b.gradient-2"};
    check_stems(paths, plain, 4);
    layout.files |= SAL_FILE_BIT(SAL_FILE_GRADIENT);
    check_stems(paths, careful, 4);
}

Test(names, of_ranks_differ_too)
{
    const char *paths[] = {"a.png", "a.top1.png", "a.png"};
    const char *stems[] = {"a", "a.top1", "a-2"};
    layout.top = 2;
    check_stems(paths, stems, 3);
    char *path;
    cr_assert_eq(sal_names_path(&path, "a", SAL_FILE_OVERLAY, 0, 1, &layout), SAL_OK);
    cr_expect_str_eq(path, "no/such/folder/a.top2.overlay.png");
    free(path);
}

/* With places: sub-folders, and extensions where they alone tell two apart. */
static void check_places(const char *const *places, const char *const *stems, size_t count)
{
    sal_output_layout placed = layout;
    placed.places = places;
    placed.place_count = count;
    sal_names names;
    cr_assert_eq(sal_names_make(&names, places, count, &placed), SAL_OK);
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(names.stems[i], stems[i], "%s: %s, not %s", places[i], names.stems[i], stems[i]);
    sal_names_clear(&names);
}

Test(names, keep_their_folders)
{
    const char *places[] = {"a.png", "s/a.png", "s/t/a.png", "s.d/b", "t/.hidden"};
    const char *stems[] = {"a", "s/a", "s/t/a", "s.d/b", "t/.hidden"};
    check_places(places, stems, 5);
}

Test(names, keep_extensions_that_tell_them_apart)
{
    const char *places[] = {"s/a.png", "s/a.tif", "t/a.tif", "s/b.png",  "s/b.png",
                            "s/a.png", "s/a",     "c.png",   "c.png.png"};
    const char *stems[] = {"s/a.png", "s/a.tif", "t/a", "s/b", "s/b-2", "s/a-2.png", "s/a", "c", "c.png"};
    check_places(places, stems, 9);
}

Test(names, with_extensions_differ_in_every_file_they_make)
{
    const char *places[] = {"a.png.png", "a.png", "a.tif", "a-2.png"};
    const char *stems[] = {"a.png", "a-2.png", "a.tif", "a-2"};
    check_places(places, stems, 4);
}

Test(names, of_many_equal_pictures_are_found_fast)
{
    enum { COUNT = 50000 };
    static const char *paths[COUNT];
    sal_names names;
    for (int i = 0; i < COUNT; i++)
        paths[i] = "folder/image.png";
    cr_assert_eq(sal_names_make(&names, paths, COUNT, &layout), SAL_OK);
    cr_expect_str_eq(names.stems[0], "image");
    cr_expect_str_eq(names.stems[COUNT - 1], "image-50000");
    sal_names_clear(&names);
}

Test(names, spare_pictures_that_lie_in_the_output_folder)
{
    const char *paths[] = {"./a.npy", "other/a.png", "b.png", "a.overlay.png"};
    const char *stems[] = {"a-2", "a-3", "b", "a.overlay"};
    layout.out_dir = ".";
    check_stems(paths, stems, 4);
}

Test(names, of_sweeps_are_spread_by_kind_and_by_thousands)
{
    char *path;
    layout.spread = 1;
    cr_assert_eq(sal_names_path(&path, "a", SAL_FILE_NPY, 12345, 0, &layout), SAL_OK);
    cr_expect_str_eq(path, "no/such/folder/maps/012/a.npy");
    cr_expect_str_eq(sal_names_below(path, &layout), "maps/012/a.npy");
    free(path);
    cr_assert_eq(sal_names_path(&path, "a", SAL_FILE_OVERLAY_JPEG, 999, 0, &layout), SAL_OK);
    cr_expect_str_eq(path, "no/such/folder/overlays/000/a.overlay.jpg");
    free(path);
}

/* A million ranks of thousands of pictures: names are not counted out. */
Test(names, of_sweeps_take_no_longer_for_many_ranks, .timeout = 20)
{
    enum { COUNT = 3000 };
    static char storage[COUNT][24];
    static const char *paths[COUNT];
    sal_names names;
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(storage[i], sizeof storage[i], "%zu/p%zu.png", i, i / 2);
        paths[i] = storage[i];
    }
    layout.spread = 1;
    layout.top = 1 << 20;
    cr_assert_eq(sal_names_make(&names, paths, COUNT, &layout), SAL_OK);
    cr_expect_str_eq(names.stems[2998], "p1499");
    cr_expect_str_eq(names.stems[2999], "p1499-2");
    sal_names_clear(&names);
}

/* A file name has 255 bytes, and its temporary one takes some of them. */
Test(names, of_sweeps_are_cut_where_files_could_not_have_them)
{
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *paths[] = {name, name};
    sal_names names;
    layout.spread = 1;
    cr_assert_eq(sal_names_make(&names, paths, 2, &layout), SAL_OK);
    cr_expect_eq(strlen(names.stems[0]), 180);
    cr_expect_eq(strlen(names.stems[1]), 182);
    sal_names_clear(&names);
    /* Not within a character: 179 bytes and one of two. */
    memcpy(name + 179, "\xC3\xA4", 2);
    cr_assert_eq(sal_names_make(&names, paths, 1, &layout), SAL_OK);
    cr_expect_eq(strlen(names.stems[0]), 179);
    sal_names_clear(&names);
    /* What is no UTF-8 is cut somewhere, and not to nothing. */
    memset(name, 0xB0, sizeof name - 1);
    cr_assert_eq(sal_names_make(&names, paths, 1, &layout), SAL_OK);
    cr_expect_eq(strlen(names.stems[0]), 180);
    sal_names_clear(&names);
}
