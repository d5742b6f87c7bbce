/* Where NVIDIA's libraries are looked for, in a tree of our own. */
#include "nvidia_folders.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 4096 };

static char top[] = "/tmp/salmap-folders-XXXXXX";
static char values[4][2][PATH]; /* of the environment */
static int value_count;
static cuda_folders found;

static void make_top(void)
{
    char real[PATH];
    cr_assert_not_null(mkdtemp(top));
    cr_assert_not_null(realpath(top, real));
    cr_assert_str_eq(real, top);
}

static void remove_top(void)
{
    char command[PATH];
    cuda_folders_free(&found);
    snprintf(command, sizeof command, "rm -r '%s'", top);
    AT_END(system(command) == 0);
}

TestSuite(nvidia_folders, .init = make_top, .fini = remove_top);

static const char *inside(const char *path)
{
    static char text[PATH];
    snprintf(text, sizeof text, "%s/%s", top, path);
    return text;
}

static void make(const char *path)
{
    char command[PATH];
    snprintf(command, sizeof command, "mkdir -p '%s/%s'", top, path);
    cr_assert_eq(system(command), 0);
}

static void set(const char *name, const char *value)
{
    snprintf(values[value_count][0], PATH, "%s", name);
    snprintf(values[value_count++][1], PATH, "%s", value);
}

static char *environment(const char *name)
{
    for (int i = 0; i < value_count; i++)
        if (strcmp(values[i][0], name) == 0)
            return values[i][1];
    return NULL;
}

/* These folders of the tree, in this order; what this machine has elsewhere does not count. */
static void expect(const char *const *expected, size_t count)
{
    size_t next = 0;
    for (size_t i = 0; i < found.count; i++) {
        if (strncmp(found.path[i], top, strlen(top)) != 0)
            continue;
        cr_assert_lt(next, count, "%s as well", found.path[i]);
        cr_expect_str_eq(found.path[i], inside(expected[next]));
        next++;
    }
    cr_expect_eq(next, count, "%zu folders of %zu", next, count);
}

Test(nvidia_folders, given_ones_are_taken_with_lib_and_the_packages_of_pip)
{
    static const char *const expected[] = {"a", "a/lib", "b", "b/nvidia/cu13/lib", "b/nvidia/cudnn/lib"};
    char list[PATH];
    make("a/lib/python3");
    make("b/nvidia/cudnn/lib");
    make("b/nvidia/cu13/lib");
    make("b/torch/more");
    snprintf(list, sizeof list, ":%s/a:%s/nowhere::%s/b:%s/a/lib", top, top, top, top);
    cuda_folders_given(&found, list);
    expect(expected, sizeof expected / sizeof *expected);
}

Test(nvidia_folders, none_given_is_none)
{
    cuda_folders_given(&found, NULL);
    cuda_folders_given(&found, "");
    cuda_folders_given(&found, ":::");
    cr_expect_eq(found.count, 0);
}

Test(nvidia_folders, usual_ones_begin_where_salmap_was_built_and_end_in_the_users_packages)
{
    static const char *const expected[] = {"built", "toolkit/lib64",
                                           "venv/lib/python3.12/site-packages/nvidia/cudnn/lib",
                                           "conda/lib/python3.11/site-packages/nvidia/cublas/lib",
                                           "home/.local/lib/python3.13/site-packages/nvidia/cu13/lib"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        make(expected[i]);
    make("elsewhere/lib/python3.12/site-packages/nvidia/cudnn/lib");
    set("CUDA_HOME", inside("toolkit"));
    set("VIRTUAL_ENV", inside("venv"));
    set("CONDA_PREFIX", inside("conda"));
    set("HOME", inside("home"));
    cuda_folders_usual(&found, inside("built"), environment);
    expect(expected, sizeof expected / sizeof *expected);
}

Test(nvidia_folders, packages_beside_the_pythons_on_path_are_found_through_links)
{
    static const char *const expected[] = {"one/lib/python3.12/site-packages/nvidia/cudnn/lib",
                                           "two/lib/python3.12/dist-packages/nvidia/cudnn/lib"};
    char path[PATH], link[PATH];
    make("one/bin");
    make("two/bin");
    make("three/bin");
    make(expected[0]);
    make(expected[1]);
    make("three/lib/python3.12/site-packages/nvidia/cudnn/lib"); /* no python3 there */
    FILE *python = fopen(inside("two/bin/python3.12"), "w");
    cr_assert_not_null(python);
    fclose(python);
    snprintf(link, sizeof link, "%s/one/bin/python3", top);
    cr_assert_eq(symlink(inside("two/bin/python3.12"), link), 0);
    snprintf(path, sizeof path, "%s/three/bin::%s/one/bin", top, top);
    set("PATH", path);
    cuda_folders_usual(&found, NULL, environment);
    expect(expected, sizeof expected / sizeof *expected);
}

Test(nvidia_folders, more_than_there_is_room_for_are_left_out)
{
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "p/nvidia/%03d/lib", i);
        make(name);
    }
    cuda_folders_given(&found, inside("p"));
    cr_assert_eq(found.count, CUDA_MAX_FOLDERS);
    cr_expect_str_eq(found.path[CUDA_MAX_FOLDERS - 1], inside("p/nvidia/062/lib"));
}
