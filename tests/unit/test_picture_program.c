/* The program salmap-picture by itself: what it inherits and gives up, and what its exit status says of a picture. */
#include "base/helper/start.h"
#include "sweep/suspect_task.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const char *const picture = SAL_TEST_SOURCE_DIR "/data/scales/scale_00.png";

/* That of a small network. */
static sal_suspect_task small_task(void)
{
    return (sal_suspect_task){.limits = {.size = sizeof(sal_limits), .max_memory = (uint64_t)1 << 30},
                              .channels = 3,
                              .height = 64,
                              .width = 64};
}

/* A process that has greeted and waits for its task. */
static sal_helper_process start(const char *path)
{
    sal_helper_process p;
    const char *const words[] = {path, NULL};
    cr_assert_eq(sal_helper_start(&p, &sal_suspect_helper, path, words), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_helper_meet(&p, &sal_suspect_helper, path), SAL_OK, "%s", sal_last_error());
    return p;
}

static int end_of(const sal_helper_process *p)
{
    int how = -1;
    cr_assert_eq(waitpid(p->process, &how, 0), p->process);
    close(p->socket);
    return how;
}

static int status_for(const char *path, const sal_suspect_task *task)
{
    const sal_helper_process p = start(path);
    cr_assert(sal_helper_send(p.socket, task, sizeof *task));
    const int how = end_of(&p);
    cr_assert(WIFEXITED(how), "ended by signal %d", WTERMSIG(how));
    return WEXITSTATUS(how);
}

/* The line of a file of /proc that begins so; "" where there is none. */
static const char *line_of(const sal_helper_process *p, const char *name, const char *begin)
{
    static char line[512];
    char file[64];
    int found = 0;
    snprintf(file, sizeof file, "/proc/%ld/%s", (long)p->process, name);
    FILE *f = fopen(file, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, begin, strlen(begin)) == 0;
    if (f)
        fclose(f);
    return found ? line : "";
}

Test(picture_program, is_fine_with_a_picture)
{
    const sal_suspect_task task = small_task();
    cr_expect_eq(status_for(picture, &task), SAL_SUSPECT_FINE);
}

/* Whoever computes it says what is wrong. */
Test(picture_program, is_fine_with_what_is_no_picture)
{
    const sal_suspect_task task = small_task();
    cr_expect_eq(status_for(SAL_TEST_SOURCE_DIR "/README.md", &task), SAL_SUSPECT_FINE);
    cr_expect_eq(status_for("/nowhere/picture.png", &task), SAL_SUSPECT_FINE);
}

Test(picture_program, says_that_memory_did_not_suffice)
{
    sal_suspect_task task = small_task();
    /* Sanitizers end a process that asks for so much, unless they are told. */
    setenv("ASAN_OPTIONS", "allocator_may_return_null=1", 1);
    setenv("TSAN_OPTIONS", "allocator_may_return_null=1", 1);
    task.height = task.width = (int64_t)1 << 22; /* more bytes than there are addresses */
    cr_expect_eq(status_for(picture, &task), SAL_SUSPECT_OVER_LIMIT);
    task.limits.max_memory = UINT64_MAX;
    cr_expect_eq(status_for(picture, &task), SAL_SUSPECT_NO_MEMORY);
    task.height = task.width = (int64_t)1 << 31; /* more bytes than there are numbers */
    cr_expect_eq(status_for(picture, &task), SAL_SUSPECT_NO_MEMORY);
}

Test(picture_program, is_taken_first_and_has_limits)
{
    const sal_helper_process p = start(picture);
    const sal_suspect_task task = small_task();
    cr_expect_not_null(strstr(line_of(&p, "oom_score_adj", ""), "1000"));
    cr_expect_not_null(strstr(line_of(&p, "limits", "Max cpu time"), " 3600 "), "%s",
                       line_of(&p, "limits", "Max cpu time"));
    cr_expect_not_null(strstr(line_of(&p, "limits", "Max core file"), " 0 "));
    cr_assert(sal_helper_send(p.socket, &task, sizeof task));
    cr_expect_eq(end_of(&p), 0);
}

/* A terminal and a batch system send these to all processes of a job. */
Test(picture_program, ignores_what_is_meant_for_the_sweep)
{
    const int signals[] = {SIGINT,  SIGTERM,   SIGHUP, SIGUSR1, SIGUSR2,  SIGQUIT, SIGALRM,
                           SIGPROF, SIGVTALRM, SIGIO,  SIGPWR,  SIGRTMIN, SIGRTMAX};
    const sal_suspect_task task = small_task();
    const sal_helper_process p = start(picture);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        cr_assert_eq(kill(p.process, signals[i]), 0);
    cr_assert(sal_helper_send(p.socket, &task, sizeof task));
    cr_expect_eq(end_of(&p), 0);
}

/* Also in the moment before it can ignore them. */
Test(picture_program, ignores_it_from_its_first_moment_on)
{
    const char *const words[] = {picture, NULL};
    const sal_suspect_task task = small_task();
    sal_helper_process p;
    cr_assert_eq(sal_helper_start(&p, &sal_suspect_helper, picture, words), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(kill(p.process, SIGINT), 0);
    cr_assert_eq(sal_helper_meet(&p, &sal_suspect_helper, picture), SAL_OK, "%s", sal_last_error());
    cr_assert(sal_helper_send(p.socket, &task, sizeof task));
    cr_expect_eq(end_of(&p), 0);
}

Test(picture_program, has_a_socket_and_no_other_descriptor)
{
    const int leak = open(SAL_TEST_SOURCE_DIR "/README.md", O_RDONLY);
    cr_assert_geq(fcntl(leak, F_DUPFD, 50), 50);
    const sal_helper_process p = start(picture);
    for (int fd = 0; fd < 64; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof link, "/proc/%ld/fd/%d", (long)p.process, fd);
        const ssize_t n = readlink(link, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (fd < (SANITIZED ? 2 : 3))
            cr_expect_str_eq(target, "/dev/null", "descriptor %d is %s", fd, target);
        else if (fd == SAL_HELPER_SOCKET)
            cr_expect_eq(strncmp(target, "socket:", 7), 0, "descriptor 3 is %s", target);
        else if (fd > SAL_HELPER_SOCKET)
            cr_expect_eq(n, -1, "descriptor %d is %s", fd, target);
    }
    kill(p.process, SIGKILL);
    cr_expect(WIFSIGNALED(end_of(&p)));
}

/* Its task never comes. */
Test(picture_program, ends_with_the_other_side)
{
    const sal_helper_process p = start(picture);
    shutdown(p.socket, SHUT_RDWR);
    cr_expect_eq(end_of(&p), 0);
}

/* Who is not started by the process that it is told does nothing. */
Test(picture_program, is_of_no_use_to_others)
{
    char program[PATH_MAX], command[2 * PATH_MAX];
    cr_assert_eq(sal_helper_find(program, &sal_suspect_helper, picture), SAL_OK, "%s", sal_last_error());
    snprintf(command, sizeof command, "'%s' 1 '%s'", program, picture);
    cr_expect_eq(WEXITSTATUS(system(command)), 1);
    snprintf(command, sizeof command, "'%s' '%s' 2>&1 | grep -q 'libsalmap starts this program, which reads pictures'",
             program, picture);
    cr_expect_eq(system(command), 0);
    snprintf(command, sizeof command, "test \"$('%s' --version)\" = 'salmap-picture %s'", program, sal_version());
    cr_expect_eq(system(command), 0);
}
