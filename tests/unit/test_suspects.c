/* A sweep whose process dies over one picture, again and again: sweeps run in children, which end at the moment that
 * the picture is opened (--wrap=open). The program that reads it alone is a fork of the sweep, for which the same
 * holds, but where a test says otherwise. */
#include "base/confine.h"
#include "base/helper/start.h"
#include "sweep/pipeline.h"
#include "sweep/suspect_reader/read_suspect.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATA SAL_TEST_SOURCE_DIR "/data/"

enum { SCALES = 24, SOME_ERROR = 100, IS_STOPPED = 101, IS_REFUSED = 102 };

static char folder[64], run[96], pictures_folder[128];
static size_t all;

/* Who dies of it. */
static struct {
    const char *ending; /* of the picture's name, or NULL: nobody dies */
    int by;             /* a signal */
    pid_t only;         /* 0: whoever opens it; else this process, and no helper of it */
    int is_of_parent;   /* 1: the parent of who opens it */
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
        kill(death.is_of_parent ? getppid() : getpid(), death.by);
    return __real_open(path, flags, mode);
}

/* What the system does, and what is asked of a sweep. */
static struct {
    double jump; /* seconds that go by each time that somebody looks at the clock */
    int no_process;
    int last_process;    /* so many; who asks for one more dies of SIGABRT. 0: any number, -1: none */
    int no_memory;       /* to read a picture with, in a process of its own */
    int own_is_unknown;  /* 1: how much memory a process has */
    uint64_t max_memory; /* 0: 1 GiB */
    int is_stopped;      /* 1: once nothing comes of it any more */
    int is_real;         /* 1: the program salmap-picture, or what the environment names, reads pictures alone */
} world;

double __wrap_sal_pipeline_now(void);
double __real_sal_pipeline_now(void);
double __wrap_sal_pipeline_now(void)
{
    static _Atomic int calls;
    return __real_sal_pipeline_now() + world.jump * ++calls;
}

/* One more process that reads a picture. 0: there is none to be had. */
static int count_process(void)
{
    static int calls;
    if (world.last_process != 0 && (world.last_process < 0 || calls++ == world.last_process))
        kill(getpid(), SIGABRT);
    return !world.no_process;
}

/* What salmap-picture does once it has begun. */
static void read_in_a_fork(pid_t sweep, int socket, const char *path)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != sweep)
        _exit(0);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
    _exit(sal_suspect_read(socket, path));
}

sal_status __wrap_sal_helper_start(sal_helper_process *out, const sal_helper *helper, const char *path,
                                   const char *const *more);
sal_status __real_sal_helper_start(sal_helper_process *out, const sal_helper *helper, const char *path,
                                   const char *const *more);
sal_status __wrap_sal_helper_start(sal_helper_process *out, const sal_helper *helper, const char *path,
                                   const char *const *more)
{
    const pid_t sweep = getpid();
    int sockets[2];
    if (!count_process())
        return sal_fail(SAL_ERROR_MEMORY, "no process");
    if (world.is_real)
        return __real_sal_helper_start(out, helper, path, more);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        abort();
    *out = (sal_helper_process){.program = "a fork", .process = fork(), .socket = sockets[0]};
    if (out->process == 0)
        read_in_a_fork(sweep, sockets[1], path);
    close(sockets[1]);
    return SAL_OK;
}

sal_status __wrap_sal_picture_read_for(sal_picture *out, const char *path, const sal_preprocess *how, int64_t channels,
                                       const sal_limits *limits);
sal_status __real_sal_picture_read_for(sal_picture *out, const char *path, const sal_preprocess *how, int64_t channels,
                                       const sal_limits *limits);
sal_status __wrap_sal_picture_read_for(sal_picture *out, const char *path, const sal_preprocess *how, int64_t channels,
                                       const sal_limits *limits)
{
    return world.no_memory ? sal_fail(SAL_ERROR_MEMORY, "none left")
                           : __real_sal_picture_read_for(out, path, how, channels, limits);
}

static const uint64_t own_memory = (uint64_t)1 << 42;

uint64_t __wrap_sal_own_memory(void);
uint64_t __wrap_sal_own_memory(void)
{
    return world.own_is_unknown ? 0 : own_memory;
}

static uint64_t max_memory(void)
{
    return world.max_memory ? world.max_memory : (uint64_t)1 << 30;
}

/* The process has 64 MiB, the network's input and a picture more, or no limit. */
void __wrap_sal_confine_memory(uint64_t bytes);
void __wrap_sal_confine_memory(uint64_t bytes)
{
    if (world.own_is_unknown || bytes <= own_memory + ((uint64_t)64 << 20) + max_memory())
        abort();
}

/* Of the record of pictures in flight: nobody else may have the results meanwhile, whose journal is there. */
int __wrap_unlinkat(int at, const char *name, int flags);
int __real_unlinkat(int at, const char *name, int flags);
int __wrap_unlinkat(int at, const char *name, int flags)
{
    if (strcmp(name, "results.sqlite-in-flight") == 0 && faccessat(at, "results.sqlite-wal", F_OK, 0) != 0)
        abort();
    return __real_unlinkat(at, name, flags);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/salmap-suspects-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(pictures_folder, sizeof pictures_folder, "%s", DATA "scales");
    all = SCALES;
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    AT_END(system(command) == 0);
}

TestSuite(suspects, .init = make_folder, .fini = remove_folder);

static int tell(void *context, const sal_sweep_progress *p)
{
    enum { PATIENCE = 5 };
    static size_t done;
    static int calls;
    (void)context;
    calls = p->done == done ? calls + 1 : 0;
    done = p->done;
    return world.is_stopped && calls > PATIENCE;
}

/* The text of the last error, for the test that forked this process. */
static void write_error(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/error", folder);
    FILE *f = fopen(path, "w");
    if (!f || fputs(sal_last_error(), f) < 0 || fclose(f) != 0)
        abort();
}

/* How many failed, of a sweep that does all of its pictures, or that it was stopped and left no process. */
static int sweep(void)
{
    const char *const inputs[] = {pictures_folder};
    const sal_engine_options engine_options = {.size = sizeof(sal_engine_options), .batch = 2, .threads = 1};
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    sal_dataset *pictures = NULL;
    sal_sweep_progress last = SAL_SWEEP_PROGRESS_INIT;
    const sal_limits limits = {.size = sizeof limits, .max_memory = max_memory()};
    sal_explain_options how = {.size = sizeof how, .alpha = SAL_DEFAULT, .out_dir = run, .limits = &limits};
    sal_sweep_options o = {.size = sizeof(sal_sweep_options),
                           .max_failures = SAL_UNLIMITED,
                           .explain = &how,
                           .overlays = SAL_OVERLAYS_NONE,
                           .progress = tell};
    if (sal_model_open(&model, SAL_TEST_BINARY_DIR "/small_classifier.onnx", NULL) != SAL_OK ||
        sal_engine_open(&engine, model, &engine_options) != SAL_OK ||
        sal_dataset_open(&pictures, inputs, 1, NULL) != SAL_OK ||
        sal_preprocess_preset(&how.preprocess, "unit") != SAL_OK)
        return SOME_ERROR;
    const sal_status st = sal_sweep(&last, &engine, 1, pictures, &o);
    if (st == SAL_ERROR_IO) {
        write_error();
        return IS_REFUSED;
    }
    if (st == SAL_ERROR_CANCELLED)
        return waitpid(-1, NULL, WNOHANG) < 0 ? IS_STOPPED : SOME_ERROR;
    return st == SAL_OK && last.done == all ? (int)last.failed : SOME_ERROR;
}

/* Exit status of a sweep in a child, or minus the signal that ended it. */
static int sweep_beside(const char *ending, int by, int helpers_too)
{
    int how;
    const pid_t child = fork();
    if (child == 0) {
        /* One that was stopped does not outlive a test that fails. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
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
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sweep_beside("scale_09.png", SIGKILL, 0), -SIGKILL);
    cr_assert(is_recorded());
    cr_assert_eq(sweep_beside(NULL, 0, 0), 0);
    cr_expect_not(is_recorded());
}

static const char *const suspect = "scale_09.png";

/* And of those that were in flight beside it. */
static void make_suspect(void)
{
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sweep_beside(suspect, SIGKILL, 0), -SIGKILL);
}

static int some_fail(int failed)
{
    return failed > 0 && failed < SCALES;
}

/* However often: somebody may kill salmap for other reasons. */
Test(suspects, that_salmap_dies_over_alone_do_not_fail, .timeout = 200)
{
    make_suspect();
    for (int i = 0; i < 4; i++)
        cr_assert_eq(sweep_beside(suspect, SIGKILL, 0), -SIGKILL);
    cr_assert_eq(sweep_beside(NULL, 0, 0), 0);
    cr_expect_not(is_recorded());
}

/* Links to a scale, so many. */
static void make_pictures(size_t count)
{
    snprintf(pictures_folder, sizeof pictures_folder, "%s/pictures", folder);
    cr_assert_eq(mkdir(pictures_folder, 0777), 0);
    for (size_t i = 0; i < count; i++) {
        char link[160];
        snprintf(link, sizeof link, "%s/%02zu.png", pictures_folder, i);
        cr_assert_eq(symlink(DATA "scales/scale_00.png", link), 0);
    }
    all = count;
}

/* Those that are done do not wait until all others have been read alone. */
Test(suspects, get_done_although_the_process_is_killed_again_and_again, .timeout = 200)
{
    enum { MANY = 40, AT_A_TIME = 32, SESSIONS = 200 };
    int sessions = 0, how;
    make_pictures(MANY);
    world.last_process = -1; /* dies as soon as there is nothing but suspects */
    do
        how = sweep_beside(".png", SIGKILL, 0);
    while (how == -SIGKILL && ++sessions < SESSIONS);
    cr_assert_eq(how, -SIGABRT, "%d after %d sweeps", how, sessions);
    world.last_process = AT_A_TIME + 2;
    cr_assert_eq(sweep_beside(NULL, 0, 0), -SIGABRT);
    world.last_process = MANY - AT_A_TIME;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

/* And one in the midst of them fails alone. */
Test(suspects, fail_alone_in_the_midst_of_others, .timeout = 200)
{
    enum { MANY = 40 };
    static const char *const culprit = "/05.png";
    make_pictures(MANY);
    world.last_process = -1;
    while (sweep_beside(".png", SIGKILL, 0) == -SIGKILL)
        ;
    world.last_process = 0;
    cr_assert_eq(sweep_beside(culprit, SIGKILL, 1), 1);
    cr_expect(strstr(line_with("05.png,"), "a process that read it alone") != NULL, "'%s'", line_with("05.png,"));
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

/* Who kills salmap, but not the process that reads it, comes last in the end: those behind it in the list, which were
 * in flight at three deaths as well, do not wait for it. */
Test(suspects, that_kill_salmap_again_and_again_come_last, .timeout = 200)
{
    enum { FEW = 8, SESSIONS = 16 };
    make_pictures(FEW);
    world.last_process = -1;
    while (sweep_beside(".png", SIGKILL, 0) == -SIGKILL)
        ;
    world.last_process = 0;
    for (int i = 1; i < FEW; i++)
        cr_assert_eq(sweep_beside(".png", SIGKILL, 0), -SIGKILL);
    for (int i = 0; i < SESSIONS; i++)
        cr_assert_eq(sweep_beside("/02.png", SIGKILL, 0), -SIGKILL);
    world.last_process = 1;
    cr_assert_eq(sweep_beside(NULL, 0, 0), 0, "more than one picture was left");
}

/* As where the system ends both processes at once. */
Test(suspects, whose_process_ends_together_with_salmap_do_not_fail, .timeout = 200)
{
    make_suspect();
    death.is_of_parent = 1;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sweep_beside(suspect, SIGKILL, 1), -SIGKILL);
    death.is_of_parent = 0;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, can_be_stopped_while_they_are_read, .timeout = 20)
{
    make_suspect();
    world.is_stopped = 1;
    cr_assert_eq(sweep_beside(suspect, SIGSTOP, 1), IS_STOPPED);
    world.is_stopped = 0;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, whose_process_does_not_end_are_tried_again, .timeout = 60)
{
    make_suspect();
    world.jump = 100;
    cr_assert_eq(sweep_beside(suspect, SIGSTOP, 1), 1);
    cr_expect(strstr(line_with(suspect), "did not end within an hour") != NULL, "'%s'", line_with(suspect));
    cr_expect(is_recorded());
    world.jump = 0;
    cr_expect_eq(sweep_beside(suspect, SIGKILL, 1), 1, "it is read alone again");
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, wait_where_no_process_can_be_started, .timeout = 60)
{
    make_suspect();
    world.no_process = 1;
    cr_assert(some_fail(sweep_beside(NULL, 0, 0)));
    cr_expect(strstr(line_with(suspect), "no process was to be had") != NULL, "'%s'", line_with(suspect));
    world.no_process = 0;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, exceed_a_limit_that_they_had_for_themselves, .timeout = 60)
{
    make_suspect();
    world.no_memory = 1;
    const int failed = sweep_beside(NULL, 0, 0);
    cr_assert(some_fail(failed));
    cr_expect(strstr(line_with(suspect), "had not enough memory") != NULL, "'%s'", line_with(suspect));
    world.no_memory = 0;
    cr_expect_eq(sweep_beside(NULL, 0, 0), failed, "the limit is the same");
    world.max_memory = (uint64_t)1 << 31;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, have_no_limit_where_their_memory_is_not_known, .timeout = 60)
{
    make_suspect();
    world.own_is_unknown = 1;
    world.no_memory = 1;
    cr_assert(some_fail(sweep_beside(NULL, 0, 0)));
    world.no_memory = 0;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0, "tried again: who knows what there was");
}

/* ---- The program itself ---------------------------------------------------- */

/* A script in the place of salmap-picture. greets: 1: as that one does. */
static void put_script(int greets, const char *then)
{
    const sal_helper_greeting greeting = sal_helper_greet(&sal_suspect_helper);
    char greeting_path[128], script[128];
    snprintf(greeting_path, sizeof greeting_path, "%s/greeting", folder);
    snprintf(script, sizeof script, "%s/script", folder);
    FILE *f = fopen(greeting_path, "w");
    cr_assert(f && fwrite(&greeting, sizeof greeting, 1, f) == 1 && fclose(f) == 0);
    f = fopen(script, "w");
    cr_assert(f && fprintf(f, "#!/bin/sh\n%s '%s' >&3\n%s\n", greets ? "cat" : "test -e", greeting_path, then) > 0 &&
              fclose(f) == 0);
    cr_assert_eq(chmod(script, 0755), 0);
    cr_assert_eq(setenv("SAL_PICTURE_READER", script, 1), 0);
}

/* The sweep ends with that error; nothing is recorded of any suspect, and once the program is there all are done. */
static void expect_refusal(const char *said)
{
    char path[128], text[2048] = "";
    snprintf(path, sizeof path, "%s/error", folder);
    cr_assert_eq(sweep_beside(NULL, 0, 0), IS_REFUSED);
    FILE *f = fopen(path, "r");
    cr_assert(f && fgets(text, sizeof text, f) && fclose(f) == 0);
    /* It names whichever suspect came first: one has the extension .jpg. */
    cr_expect_eq(strncmp(text, DATA "scales/scale_", sizeof DATA "scales/scale_" - 1), 0, "'%s'", text);
    cr_expect_not_null(strstr(text, "g: cannot be read: "), "'%s'", text);
    cr_expect_not_null(strstr(text, said), "'%s' does not say '%s'", text, said);
    cr_expect(is_recorded());
    cr_assert_eq(unsetenv("SAL_PICTURE_READER"), 0);
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
    cr_expect_not(is_recorded());
}

Test(suspects, are_read_by_a_program_of_its_own, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
    cr_expect_not(is_recorded());
}

Test(suspects, whose_program_is_killed_fail, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    put_script(1, "kill -KILL $$");
    cr_assert(some_fail(sweep_beside(NULL, 0, 0)));
    cr_expect(strstr(line_with(suspect), "was killed too") != NULL, "'%s'", line_with(suspect));
}

Test(suspects, whose_program_crashes_are_damaged, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    put_script(1, "kill -SEGV $$");
    cr_assert(some_fail(sweep_beside(NULL, 0, 0)));
    cr_expect(strstr(line_with(suspect), "crashed too (signal 11)") != NULL, "'%s'", line_with(suspect));
}

/* By a signal that others send: that says nothing of the picture either. */
Test(suspects, whose_program_is_stopped_by_others_are_tried_again, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    put_script(1, "kill -XFSZ $$");
    cr_assert(some_fail(sweep_beside(NULL, 0, 0)));
    cr_expect(strstr(line_with(suspect), "was stopped by signal 25: run again") != NULL, "'%s'", line_with(suspect));
    cr_assert_eq(unsetenv("SAL_PICTURE_READER"), 0);
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

/* As where the system takes the process while its libraries are loaded: that says nothing of the picture. */
Test(suspects, whose_program_is_killed_before_it_begins_are_tried_again, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    put_script(0, "kill -KILL $$");
    cr_assert(some_fail(sweep_beside(NULL, 0, 0)));
    cr_expect(strstr(line_with(suspect), "no process was to be had") != NULL, "'%s'", line_with(suspect));
    cr_assert_eq(unsetenv("SAL_PICTURE_READER"), 0);
    cr_expect_eq(sweep_beside(NULL, 0, 0), 0);
}

Test(suspects, wait_where_there_is_no_program, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    cr_assert_eq(setenv("SAL_PICTURE_READER", "/nowhere/salmap-picture", 1), 0);
    expect_refusal("the program salmap-picture, which reads pictures that salmap was killed over, is not at "
                   "/nowhere/salmap-picture: install it with libsalmap, or set SAL_PICTURE_READER to its path");
}

/* Its exit status, that of a fine picture, is not believed. */
Test(suspects, wait_where_the_program_is_another, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    put_script(0, "exit 0");
    expect_refusal("/script, perhaps because memory ran out: run it with --version");
}

Test(suspects, wait_where_the_program_is_of_another_version, .timeout = 60)
{
    make_suspect();
    world.is_real = 1;
    put_script(0, "printf 'salmap-picture 9.9.9%064d' 0 >&3; exit 0");
    expect_refusal("/script is not of this version of libsalmap");
}
