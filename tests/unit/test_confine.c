/* What a process that confined itself can still do, and what it cannot: each in a child, whose exit status says so. */
#define _GNU_SOURCE /* prlimit() */
#include "base/confine.h"
#include "base/memory_copy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const ours = SAL_TEST_SOURCE_DIR "/README.md";
static const char *const another = SAL_TEST_SOURCE_DIR "/LICENSE";

enum { SKIPPED = 77 };

/* What happened to a child that did this: its exit status, or minus the signal that ended it. */
static int in_child(int (*act)(void))
{
    int how = 0;
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(act());
    cr_assert_eq(waitpid(child, &how, 0), child);
    if (WIFEXITED(how) && WEXITSTATUS(how) == SKIPPED)
        cr_skip_test("nothing is confined here: a kernel without it, or a sanitizer");
    return WIFSIGNALED(how) ? -WTERMSIG(how) : WEXITSTATUS(how);
}

/* How many bits say what else than expected could be done. */
static int can(int fd_or_status, int bit)
{
    return fd_or_status >= 0 ? 1 << bit : 0;
}

static int reads_alone(const char *own)
{
    char byte;
    const int fd = open(own, O_RDONLY);
    if (fd < 0 || read(fd, &byte, 1) != 1)
        return 1;
    return can(open(another, O_RDONLY), 1) | can(open(own, O_RDWR), 2) |
           can(open("/tmp/salmap-confine-test", O_CREAT | O_WRONLY, 0600), 3) |
           can(socket(AF_INET, SOCK_STREAM, 0), 4) | can(socket(AF_UNIX, SOCK_STREAM, 0), 5) |
           can(unlink("/tmp/salmap-confine-test"), 6);
}

static int only_reads_one_file(void)
{
    return sal_confine_to_file(ours) ? reads_alone(ours) : SKIPPED;
}

/* No folder has it, and no rule of Landlock can name it. */
static int only_reads_a_copy(void)
{
    sal_memory_copy copy;
    if (sal_memory_copy_make(&copy, "x", 1) != SAL_OK || !sal_confine_to_file(copy.path))
        return 1;
    return reads_alone(copy.path);
}

Test(confine, to_a_file_leaves_that_file_alone)
{
    cr_expect_eq(in_child(only_reads_one_file), 0);
    cr_expect_eq(in_child(only_reads_a_copy), 0);
}

static int opens_nothing(void)
{
    const int fd = open(ours, O_RDONLY);
    char byte;
    if (!sal_confine_to_open())
        return SKIPPED;
    void *memory = malloc(1 << 24);
    if (!memory || read(fd, &byte, 1) != 1 || lseek(fd, 0, SEEK_SET) != 0)
        return 1;
    memset(memory, 1, 1 << 24);
    const int opened = open(ours, O_RDONLY);
    const int refused = errno == EPERM ? 0 : 1 << 2;
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    return can(opened, 1) | refused | can(socket(AF_INET, SOCK_STREAM, 0), 3) | can(child, 4) |
           can(execl("/bin/true", "true", (char *)NULL), 5);
}

Test(confine, to_what_is_open_leaves_reading_and_memory)
{
    cr_expect_eq(in_child(opens_nothing), 0);
}

static void note(int signal)
{
    (void)signal;
}

/* Signal 0 and asking for a limit do no harm where they get through. */
static int reaches_no_other_process(void)
{
    const pid_t master = getppid();
    const int fd = open(ours, O_RDONLY);
    struct rlimit limit;
    signal(SIGUSR1, note);
    if (!sal_confine_to_open())
        return SKIPPED;
    if (raise(SIGUSR1) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0 || prlimit(getpid(), RLIMIT_CPU, NULL, &limit) != 0 ||
        fcntl(fd, F_GETFL) < 0)
        return 1;
    return can((int)syscall(SYS_tgkill, master, master, 0), 1) | can(kill(master, 0), 2) |
           can(prlimit(master, RLIMIT_CPU, NULL, &limit), 3) | can(fcntl(fd, F_SETOWN, master), 4) |
           can(fcntl(fd, F_SETSIG, SIGUSR1), 5);
}

Test(confine, to_what_is_open_leaves_other_processes_alone)
{
    cr_expect_eq(in_child(reaches_no_other_process), 0);
}

static int aborts(void)
{
    if (!sal_confine_to_open())
        return SKIPPED;
    signal(SIGABRT, SIG_DFL);
    abort();
}

Test(confine, to_what_is_open_leaves_abort)
{
    cr_expect_eq(in_child(aborts), -SIGABRT);
}

static int keeps_one_descriptor(void)
{
    const int kept = open(ours, O_RDONLY), other = open(another, O_RDONLY);
    char byte;
    sal_confine_descriptors(kept, kept);
    return (read(kept, &byte, 1) == 1 ? 0 : 1) | (read(other, &byte, 1) == 1 ? 2 : 0);
}

Test(confine, descriptors_leaves_the_one_that_is_named)
{
    cr_expect_eq(in_child(keeps_one_descriptor), 0);
}

/* Compilers leave out a malloc() whose memory nobody uses. */
static void *take(size_t bytes)
{
    static void *volatile taken;
    taken = malloc(bytes);
    return taken;
}

static int asks_for_memory(void)
{
    const size_t megabyte = (size_t)1 << 20;
    const uint64_t own = sal_own_memory();
    sal_confine_memory(own + 64 * megabyte);
    void *much = take(256 * megabyte), *little = take(32 * megabyte);
    sal_confine_memory(own + 512 * megabyte);
    void *later = take(256 * megabyte);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return SKIPPED;
#endif
    return own == 0 || much || !little || !later;
}

Test(confine, memory_is_refused_beyond_the_limit_until_it_is_raised)
{
    cr_expect_eq(in_child(asks_for_memory), 0);
}

static int has_unknown_memory(void)
{
    const size_t megabyte = (size_t)1 << 20;
    sal_confine_memory_above(0, megabyte);
    void *unlimited = take(256 * megabyte);
    sal_confine_memory_above(sal_own_memory(), 64 * megabyte);
    void *much = take(256 * megabyte), *little = take(32 * megabyte);
    sal_confine_memory_above(sal_own_memory(), UINT64_MAX);
    void *later = take(256 * megabyte);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return SKIPPED;
#endif
    return !unlimited || much || !little || !later;
}

Test(confine, memory_is_not_limited_where_its_own_is_not_known)
{
    cr_expect_eq(in_child(has_unknown_memory), 0);
}

static int goes_in_circles(void)
{
    volatile unsigned turns = 1;
    signal(SIGXCPU, SIG_DFL);
    sal_confine_time(1);
    while (turns != 0)
        turns |= 1;
    return 1;
}

Test(confine, time_ends_what_does_not_end)
{
    cr_expect_eq(in_child(goes_in_circles), -SIGXCPU);
}
