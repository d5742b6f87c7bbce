/* Where the library finds the programs that it starts, as seen from a file of its own that a test makes up. */
#include "base/helper/start.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const sal_helper helper = {.name = "salmap-test", .purpose = "does nothing", .variable = "SAL_TEST_PROGRAM"};

static char root[64], own_file[PATH_MAX];

int __wrap_sal_helper_own_file(char *out);
int __wrap_sal_helper_own_file(char *out)
{
    return realpath(own_file, out) != NULL;
}

static const char *in_root(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void make_program(const char *path)
{
    FILE *f = fopen(path, "we");
    cr_assert(f && fputs("#!/bin/sh\n", f) >= 0 && fclose(f) == 0);
    cr_assert_eq(chmod(path, 0755), 0);
}

static void put_own_file(const char *name)
{
    snprintf(own_file, sizeof own_file, "%s", in_root(name));
    make_program(own_file);
}

static void make_folders(void)
{
    static const char *const folders[] = {"bin", "build",   "build/libexec", "build/libexec/salmap",
                                          "lib", "libexec", "libexec/salmap"};
    char made[] = "/tmp/salmap-find-XXXXXX";
    cr_assert_not_null(mkdtemp(made));
    cr_assert_not_null(realpath(made, root));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        cr_assert_eq(mkdir(in_root(folders[i]), 0755), 0);
        cr_assert_eq(chmod(in_root(folders[i]), 0755), 0);
    }
    put_own_file("build/salmap");
}

static void remove_folders(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    AT_END(system(command) == 0);
}

TestSuite(find_program, .init = make_folders, .fini = remove_folders);

static void expect_found(const char *name)
{
    char found[PATH_MAX] = "";
    cr_expect_eq(sal_helper_find(found, &helper, "file"), SAL_OK, "%s", sal_last_error());
    cr_expect_str_eq(found, in_root(name));
}

static void expect_passed_over(const char *name, const char *why)
{
    char found[PATH_MAX], said[2 * PATH_MAX];
    snprintf(said, sizeof said, "%s (passed over: %s)", in_root(name), why);
    cr_expect_eq(sal_helper_find(found, &helper, "file"), SAL_ERROR_IO, "%s", found);
    cr_expect_not_null(strstr(sal_last_error(), said), "'%s' does not say '%s'", sal_last_error(), said);
}

static const char beside[] = "build/libexec/salmap/salmap-test", above[] = "libexec/salmap/salmap-test";

Test(find_program, lies_beside_the_own_file)
{
    make_program(in_root(beside));
    make_program(in_root(above));
    expect_found(beside);
}

/* Whoever can write to the folder above may have put it there: for /tmp/build that is anybody. */
Test(find_program, is_not_looked_for_above_any_folder)
{
    char found[PATH_MAX];
    make_program(in_root(above));
    cr_expect_eq(sal_helper_find(found, &helper, "file"), SAL_ERROR_IO, "%s", found);
    cr_expect_null(strstr(sal_last_error(), in_root(above)), "%s", sal_last_error());
}

Test(find_program, lies_above_an_installed_program)
{
    make_program(in_root(above));
    put_own_file("bin/salmap");
    expect_found(above);
}

Test(find_program, is_passed_over_where_others_may_write)
{
    make_program(in_root(beside));
    cr_assert_eq(chmod(in_root(beside), 0757), 0);
    expect_passed_over(beside, "others may write to it");
    cr_assert_eq(chmod(in_root(beside), 0755), 0);
    cr_assert_eq(chmod(in_root("build/libexec/salmap"), 01777), 0);
    expect_passed_over(beside, "others may write to it");
}

Test(find_program, may_be_written_to_by_the_own_files_group)
{
    make_program(in_root(beside));
    cr_assert_eq(chmod(in_root(beside), 0775), 0);
    expect_found(beside);
    if (geteuid() != 0)
        cr_skip_test("only root gives a file to another group");
    cr_assert_eq(chown(in_root(beside), 0, 12345), 0);
    expect_passed_over(beside, "others may write to it");
}

Test(find_program, of_another_user_is_passed_over)
{
    if (geteuid() != 0)
        cr_skip_test("only root gives a file to another user");
    make_program(in_root(beside));
    cr_assert_eq(chown(in_root("build/libexec/salmap"), 12345, 0), 0);
    expect_passed_over(beside, "it belongs to another user");
    cr_assert_eq(chown(own_file, 12345, 0), 0);
    expect_found(beside);
}

Test(find_program, is_no_folder)
{
    cr_assert_eq(mkdir(in_root(beside), 0755), 0);
    expect_passed_over(beside, "it is no program that this user may run");
}

Test(find_program, that_is_named_is_not_looked_for_elsewhere)
{
    char other[PATH_MAX];
    make_program(in_root(beside));
    snprintf(other, sizeof other, "%s", in_root("build/other"));
    cr_assert_eq(setenv(helper.variable, other, 1), 0);
    char found[PATH_MAX];
    cr_expect_eq(sal_helper_find(found, &helper, "file"), SAL_ERROR_IO);
    make_program(other);
    expect_found("build/other");
}
