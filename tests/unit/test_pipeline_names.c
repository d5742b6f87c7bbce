/* Names of output files. */
#include "sweep/names.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_explain_options options = {.out_dir = "no/such/folder"};

static void check_stems(const char *const *paths, const char *const *stems, size_t count)
{
    sal_names names;
    cr_assert_eq(sal_names_make(&names, paths, count, &options), SAL_OK);
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
    options.save_gradient = 1;
    check_stems(paths, careful, 4);
}

Test(names, of_ranks_differ_too)
{
    const char *paths[] = {"a.png", "a.top1.png", "a.png"};
    const char *stems[] = {"a", "a.top1", "a-2"};
    options.top = 2;
    check_stems(paths, stems, 3);
    char *path;
    cr_assert_eq(sal_names_path(&path, "a", SAL_FILE_OVERLAY, 1, &options), SAL_OK);
    cr_expect_str_eq(path, "no/such/folder/a.top2.overlay.png");
    free(path);
}

Test(names, of_many_equal_pictures_are_found_fast)
{
    enum { COUNT = 50000 };
    static const char *paths[COUNT];
    sal_names names;
    for (int i = 0; i < COUNT; i++)
        paths[i] = "folder/image.png";
    cr_assert_eq(sal_names_make(&names, paths, COUNT, &options), SAL_OK);
    cr_expect_str_eq(names.stems[0], "image");
    cr_expect_str_eq(names.stems[COUNT - 1], "image-50000");
    sal_names_clear(&names);
}

Test(names, spare_pictures_that_lie_in_the_output_folder)
{
    const char *paths[] = {"./a.npy", "other/a.png", "b.png", "a.overlay.png"};
    const char *stems[] = {"a-2", "a-3", "b", "a.overlay"};
    options.out_dir = ".";
    check_stems(paths, stems, 4);
}
