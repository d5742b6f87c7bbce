/* A sweep whose process dies over one picture, again and again: sweeps run in children, which end at the moment that
 * the picture is opened (--wrap=open). */
#include "salmap/salmap.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATA SAL_TEST_SOURCE_DIR "/data/"

enum { ALL = 24, SOME_ERROR = 100 };

static char folder[64], run[96];

/* Who dies of it. */
static struct {
    const char *ending; /* of the picture's name, or NULL: nobody dies */
    int by;             /* a signal */
    pid_t only;         /* 0: whoever opens it; else this process, and no helper of it */
} death;

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const unsigned mode = flags & O_CREAT ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    const size_t length = strlen(path), ending = death.ending ? strlen(death.ending) : 0;
    if (ending > 0 && length > ending && strcmp(path + length - ending, death.ending) == 0 &&
        (death.only == 0 || death.only == getpid()))
        kill(getpid(), death.by);
    return __real_open(path, flags, mode);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/salmap-suspects-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(run, sizeof run, "%s/run", folder);
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(suspects, .init = make_folder, .fini = remove_folder);

/* How many failed, of a sweep that does all of its pictures. */
static int sweep(void)
{
    static const char *const inputs[] = {DATA "scales"};
    const sal_engine_options engine_options = {.batch = 2, .threads = 1};
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    sal_dataset *pictures = NULL;
    sal_sweep_progress last;
    sal_sweep_options o = {.explain = {.out_dir = run}, .overlays = SAL_OVERLAYS_NONE};
    if (sal_model_open(&model, DATA "models/scale_age_honest.onnx", NULL) != SAL_OK ||
        sal_engine_open(&engine, model, &engine_options) != SAL_OK ||
        sal_dataset_open(&pictures, inputs, 1, NULL) != SAL_OK ||
        sal_preprocess_preset(&o.explain.preprocess, "unit") != SAL_OK ||
        sal_sweep(&last, &engine, 1, pictures, &o) != SAL_OK || last.done != ALL)
        return SOME_ERROR;
    return (int)last.failed;
}

/* Exit status of a sweep in a child, or minus the signal that ended it. */
static int sweep_beside(const char *ending, int by, int helpers_too)
{
    int how;
    const pid_t child = fork();
    if (child == 0) {
        death.ending = ending;
        death.by = by;
        death.only = helpers_too ? 0 : getpid();
        _exit(sweep());
    }
    cr_assert_eq(waitpid(child, &how, 0), child);
    return WIFSIGNALED(how) ? -WTERMSIG(how) : WEXITSTATUS(how);
}

/* The line of results.csv that has a text; "" where none has. */
static const char *line_with(const char *text)
{
    static char line[2048];
    char path[128];
    int found = 0;
    snprintf(path, sizeof path, "%s/results.csv", run);
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f))
        found = strstr(line, text) != NULL;
    if (f)
        fclose(f);
    return found ? line : "";
}

static int is_recorded(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/results.sqlite-in-flight", run);
    return access(path, F_OK) == 0;
}

Test(suspects, a_picture_that_kills_fails_and_all_others_are_done, .timeout = 200)
{
    static const char *const culprit = "scale_09.png";
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sweep_beside(culprit, SIGKILL, 1), -SIGKILL);
    cr_assert(is_recorded());
    cr_assert_eq(sweep_beside(culprit, SIGKILL, 1), 1);
    cr_expect(strstr(line_with(culprit), "a process that read it alone") != NULL, "'%s'", line_with(culprit));
    cr_expect(strstr(line_with(culprit), "memory") != NULL, "'%s'", line_with(culprit));
    cr_expect_not(is_recorded());
    /* It is tried again, alone again; and once it does no harm, it is done. */
    cr_expect_eq(sweep_beside(culprit, SIGKILL, 1), 1);
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, a_picture_that_crashes_the_reader_is_damaged_for_good, .timeout = 200)
{
    static const char *const culprit = "scale_00.png";
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sweep_beside(culprit, SIGABRT, 1), -SIGABRT);
    cr_assert_eq(sweep_beside(culprit, SIGABRT, 1), 1);
    cr_expect(strstr(line_with(culprit), "crashed too (signal 6)") != NULL, "'%s'", line_with(culprit));
    cr_expect_eq(sweep_beside(NULL, 0, 0), 1);
}

Test(suspects, who_was_beside_at_two_deaths_does_not_fail, .timeout = 200)
{
    for (int i = 0; i < 4; i++)
        cr_assert_eq(sweep_beside("scale_09.png", SIGKILL, 0), -SIGKILL);
    cr_assert(is_recorded());
    cr_assert_eq(sweep_beside(NULL, 0, 0), 0);
    cr_expect_not(is_recorded());
}
