/* The process that reads HDF5 files, looked at from outside while it waits for questions. */
#include "import/hdf5/weight_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const path = SAL_TEST_SOURCE_DIR "/tests/fuzz/crashers/hdf5/nan_weights.h5";

/* The one child of this process; 0 where the kernel does not tell. */
static long child(void)
{
    long found = 0;
    FILE *f = fopen("/proc/thread-self/children", "r");
    if (f && fscanf(f, "%ld", &found) != 1)
        found = 0;
    if (f)
        fclose(f);
    return found;
}

/* A line of a file of the child's that begins like this; "" where there is none. */
static const char *line_of(long process, const char *file, const char *begin)
{
    static char line[256];
    char name[64];
    snprintf(name, sizeof name, "/proc/%ld/%s", process, file);
    FILE *f = fopen(name, "r");
    int found = 0;
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, begin, strlen(begin)) == 0;
    if (f)
        fclose(f);
    return found ? line + strlen(begin) : "";
}

static size_t descriptors(long process)
{
    char name[64];
    size_t count = 0;
    snprintf(name, sizeof name, "/proc/%ld/fd", process);
    DIR *folder = opendir(name);
    for (struct dirent *e; folder && (e = readdir(folder)) != NULL;)
        count += e->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return count;
}

Test(keras_hdf5, the_reader_has_given_up_everything_but_its_file)
{
    keras_hdf5 *f = NULL;
    FILE *own = fopen(SAL_TEST_SOURCE_DIR "/README.md", "r"); /* which is none of the reader's business */
    char *text = NULL;
    cr_assert_eq(keras_hdf5_open(&f, path, NULL), SAL_OK, "%s", sal_last_error());
    const long process = child();
    const char *preloaded = getenv("LD_PRELOAD");
    if (process == 0 || (preloaded && strstr(preloaded, "vgpreload")))
        cr_skip_test("the process cannot be looked at here");
    cr_expect_eq(strtol(line_of(process, "limits", "Max cpu time"), NULL, 10), 4);
    cr_expect_eq(strtol(line_of(process, "limits", "Max core file size"), NULL, 10), 0);
    cr_expect_leq(descriptors(process), 5, "beside the standard ones a socket and the file");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    cr_expect_eq(strtol(line_of(process, "limits", "Max open files"), NULL, 10), 0);
    const uint64_t most = strtoull(line_of(process, "limits", "Max address space"), NULL, 10);
    cr_expect(most > 0 && most < (uint64_t)3 << 30, "%llu bytes", (unsigned long long)most);
    if (*line_of(process, "status", "Seccomp:"))
        cr_expect_eq(strtol(line_of(process, "status", "Seccomp:"), NULL, 10), 2);
#endif
    cr_expect_eq(keras_hdf5_text(&text, f, "/", "keras_version"), SAL_OK, "%s", sal_last_error());
    cr_expect_str_eq(text, "2.15.0");
    free(text);
    keras_hdf5_close(f);
    fclose(own);
}
