/* The program salmap-hdf5 as its host sees it: what it inherits, who may end it, and what is said where it is not
 * there. */
#define _GNU_SOURCE /* environ */
#include "base/file.h"
#include "base/memory.h"
#include "base/memory_copy.h"
#include "import/hdf5/questions.h"
#include "import/hdf5/weight_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const char *const path = SAL_TEST_SOURCE_DIR "/tests/fuzz/crashers/hdf5/nan_weights.h5";

/* 1: a minute is a second. */
static int shorten;

int __wrap_setsockopt(int socket, int level, int name, const void *value, socklen_t size);
int __real_setsockopt(int socket, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int socket, int level, int name, const void *value, socklen_t size)
{
    struct timeval most;
    if (!shorten || name != SO_RCVTIMEO)
        return __real_setsockopt(socket, level, name, value, size);
    memcpy(&most, value, sizeof most);
    most.tv_sec /= 60;
    return __real_setsockopt(socket, level, name, &most, sizeof most);
}

static keras_hdf5 *open_file(void)
{
    keras_hdf5 *f = NULL;
    cr_assert_eq(keras_hdf5_open(&f, path, NULL), SAL_OK, "%s", sal_last_error());
    return f;
}

static int answers(keras_hdf5 *f)
{
    char *text = NULL;
    const int fine = keras_hdf5_text(&text, f, "/", "keras_version") == SAL_OK && strcmp(text, "2.15.0") == 0;
    free(text);
    return fine;
}

/* The one child of this thread; the test is skipped where the kernel does not tell. */
static long child(void)
{
    long found = 0;
    FILE *f = fopen("/proc/thread-self/children", "re");
    const int told = f && fscanf(f, "%ld", &found) == 1;
    if (f)
        fclose(f);
    if (!told)
        cr_skip_test("this kernel does not tell the children of a process");
    return found;
}

/* What a link of /proc leads to; "" where there is none. */
static const char *link_of(long process, const char *name)
{
    static char target[PATH_MAX];
    char link[400];
    snprintf(link, sizeof link, "/proc/%ld/%s", process, name);
    const ssize_t n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return target;
}

static uint64_t mask_of(long process, const char *name)
{
    char file[64], line[256];
    uint64_t mask = UINT64_MAX;
    snprintf(file, sizeof file, "/proc/%ld/status", process);
    FILE *f = fopen(file, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            mask = strtoull(line + strlen(name) + 1, NULL, 16);
    if (f)
        fclose(f);
    return mask;
}

/* Within five seconds it is gone, or nothing but a record for whoever waits for it. */
static int has_ended(long process)
{
    char file[64], line[512];
    snprintf(file, sizeof file, "/proc/%ld/stat", process);
    for (int tries = 0; tries < 500; tries++, usleep(10000)) {
        FILE *f = fopen(file, "re");
        const char *state = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        const int ended = !state || state[2] == 'Z';
        if (f)
            fclose(f);
        if (ended)
            return 1;
    }
    return 0;
}

/* A script with this text. */
static const char *make_script(const char *name, const char *text)
{
    static char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/%s-%ld", SAL_TEST_BINARY_DIR, name, (long)getpid());
    FILE *f = fopen(file, "we");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    cr_assert_eq(chmod(file, 0755), 0);
    return file;
}

/* A script that greets as salmap-hdf5 does and then does something; the greeting lies in a file that is to be removed.
 */
static const char *make_greeter(char *greeting, const char *name, const char *then)
{
    char text[2 * PATH_MAX];
    const sal_helper_greeting bytes = sal_helper_greet(&hdf5_helper);
    snprintf(greeting, PATH_MAX, "%s/hdf5_greeting-%ld", SAL_TEST_BINARY_DIR, (long)getpid());
    FILE *file = fopen(greeting, "we");
    cr_assert(file && fwrite(&bytes, sizeof bytes, 1, file) == 1 && fclose(file) == 0);
    snprintf(text, sizeof text, "#!/bin/sh\ncat '%s' >&3\n%s\n", greeting, then);
    return make_script(name, text);
}

/* A program that greets as salmap-hdf5 does and then ends by a signal. */
static void expect_end(const char *signal, sal_status status, const char *said)
{
    char greeting[PATH_MAX], then[64];
    keras_hdf5 *f = NULL;
    snprintf(then, sizeof then, "kill -%s $$", signal);
    setenv("SAL_HDF5_READER", make_greeter(greeting, signal, then), 1);
    cr_expect_eq(keras_hdf5_open(&f, path, NULL), status, "%s", sal_last_error());
    cr_expect_null(f);
    cr_expect_not_null(strstr(sal_last_error(), path), "%s", sal_last_error());
    cr_expect_not_null(strstr(sal_last_error(), said), "%s", sal_last_error());
    unlink(greeting);
    unlink(getenv("SAL_HDF5_READER"));
}

static void expect_crash(const char *signal, const char *said)
{
    expect_end(signal, SAL_ERROR_FORMAT, said);
}

Test(hdf5_program, is_a_program_of_its_own)
{
    keras_hdf5 *f = open_file();
    const char *end = strrchr(link_of(child(), "exe"), '/');
    cr_assert_not_null(end);
    cr_expect_str_eq(end, "/salmap-hdf5");
    keras_hdf5_close(f);
}

/* The host has a file open that is not closed by exec. */
Test(hdf5_program, has_a_socket_and_the_file_and_nothing_else)
{
    const int leak = open(SAL_TEST_SOURCE_DIR "/README.md", O_RDONLY);
    cr_assert_geq(fcntl(leak, F_DUPFD, 50), 50);
    keras_hdf5 *f = open_file();
    const long process = child();
    int files = 0;
    char folder[64];
    snprintf(folder, sizeof folder, "/proc/%ld/fd", process);
    DIR *all = opendir(folder);
    cr_assert_not_null(all);
    for (struct dirent *e; (e = readdir(all)) != NULL;) {
        char name[300];
        const int fd = atoi(e->d_name);
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "fd/%s", e->d_name);
        const char *target = link_of(process, name);
        if (fd < (SANITIZED ? 2 : 3))
            cr_expect_str_eq(target, "/dev/null", "descriptor %d is %s", fd, target);
        else if (fd == 3)
            cr_expect_eq(strncmp(target, "socket:", 7), 0, "descriptor 3 is %s", target);
        else if (fd > 3) {
            cr_expect_not_null(strstr(target, "nan_weights.h5"), "descriptor %d is %s", fd, target);
            files++;
        }
    }
    closedir(all);
    cr_expect_eq(files, 1);
    cr_expect(answers(f));
    keras_hdf5_close(f);
}

Test(hdf5_program, has_none_of_the_hosts_signals)
{
    static const int kept[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,  SIGABRT, SIGSYS,  SIGTRAP, SIGXCPU, SIGXFSZ,
                               SIGCHLD, SIGCONT, SIGURG, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH};
    const uint64_t of_glibc = (uint64_t)3 << 31; /* 32 and 33, which it leaves ignored */
    uint64_t ended_by_others = ~of_glibc;
    sigset_t all;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        ended_by_others &= ~((uint64_t)1 << (kept[i] - 1));
    sigfillset(&all);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    keras_hdf5 *f = open_file();
    const long process = child();
    cr_expect_eq(mask_of(process, "SigBlk:"), 0);
    const uint64_t ignored = mask_of(process, "SigIgn:") & ~of_glibc;
    cr_expect_eq(ignored, ended_by_others, "ignores %llx", (unsigned long long)ignored);
    cr_expect(answers(f));
    keras_hdf5_close(f);
}

Test(hdf5_program, has_what_it_needs_of_the_environment)
{
    char file[64], text[4096];
    setenv("SALMAP_TEST_SECRET", "1", 1);
    setenv("HDF5_PLUGIN_PATH", "/nowhere", 1);
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    keras_hdf5 *f = open_file();
    snprintf(file, sizeof file, "/proc/%ld/environ", child());
    FILE *environment = fopen(file, "re");
    cr_assert_not_null(environment);
    const size_t size = fread(text, 1, sizeof text, environment);
    fclose(environment);
    cr_expect_null(memmem(text, size, "SALMAP_TEST", 11));
    cr_expect_null(memmem(text, size, "HDF5_PLUGIN", 11));
    cr_expect_not_null(memmem(text, size, "HDF5_USE_FILE_LOCKING=FALSE", 27));
    keras_hdf5_close(f);
}

/* The reader is stopped: it cannot see that its socket has been closed. */
Test(hdf5_program, ends_with_its_host)
{
    int told[2], how;
    long reader = 0;
    cr_assert_eq(pipe(told), 0);
    const pid_t host = fork();
    if (host == 0) {
        (void)open_file();
        const long process = child();
        kill((pid_t)process, SIGSTOP);
        if (write(told[1], &process, sizeof process) == sizeof process)
            pause();
        _exit(1);
    }
    close(told[1]);
    cr_assert_eq(read(told[0], &reader, sizeof reader), (ssize_t)sizeof reader);
    kill(host, SIGKILL);
    cr_assert_eq(waitpid(host, &how, 0), host);
    cr_expect(has_ended(reader));
}

Test(hdf5_program, leaves_no_process_behind)
{
    keras_hdf5 *f = open_file();
    keras_hdf5_close(f);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_expect_eq(errno, ECHILD);
}

/* Another child of the host's is for the host to wait for. */
Test(hdf5_program, leaves_the_hosts_children_alone)
{
    int how = 0;
    const pid_t other = fork();
    if (other == 0)
        _exit(7);
    keras_hdf5 *f = open_file();
    keras_hdf5_close(f);
    cr_assert_eq(waitpid(other, &how, 0), other);
    cr_expect_eq(WEXITSTATUS(how), 7);
}

Test(hdf5_program, can_be_used_where_the_host_ignores_its_children)
{
    signal(SIGCHLD, SIG_IGN);
    keras_hdf5 *f = open_file();
    cr_expect(answers(f));
    keras_hdf5_close(f);
    expect_crash("SEGV", "libhdf5 crashed reading it");
}

Test(hdf5_program, that_crashes_is_a_damaged_file)
{
    expect_crash("SEGV", "libhdf5 crashed reading it; the file is probably damaged");
}

Test(hdf5_program, that_is_out_of_time_is_a_damaged_file)
{
    expect_crash("XCPU", "the HDF5 library did not come to an end in 4 s");
}

/* As the system does where memory runs out. */
Test(hdf5_program, that_is_killed_says_nothing_of_the_file)
{
    expect_end("KILL", SAL_ERROR_IO, "was stopped by signal 9, perhaps because memory ran out: run it again");
}

/* It opens a file and answers a request for one number with none; then it sleeps, and is ended. */
Test(hdf5_program, whose_numbers_are_too_few_is_ended)
{
    char greeting[PATH_MAX], then[256];
    keras_hdf5 *f = NULL;
    float number = 1;
    snprintf(then, sizeof then,
             "head -c %zu /dev/zero >&3\nhead -c %zu <&3 >/dev/null\nhead -c %zu /dev/zero >&3\nexec sleep 100",
             sizeof(hdf5_answer), sizeof(hdf5_request), sizeof(hdf5_answer));
    setenv("SAL_HDF5_READER", make_greeter(greeting, "too_few", then), 1);
    cr_assert_eq(keras_hdf5_open(&f, path, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(keras_hdf5_read(&number, 1, f, 0), SAL_ERROR_FORMAT);
    cr_expect_not_null(strstr(sal_last_error(), "libhdf5 gave an impossible answer"), "%s", sal_last_error());
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
    keras_hdf5_close(f);
    unlink(greeting);
    unlink(getenv("SAL_HDF5_READER"));
}

static int opens_and_answers(const char *file)
{
    keras_hdf5 *f = NULL;
    const int fine = keras_hdf5_open(&f, file, NULL) == SAL_OK && answers(f);
    keras_hdf5_close(f);
    return fine;
}

/* Also where the host has it open as what the program's socket and file are. */
static int reads_copy(const sal_memory_copy *copy)
{
    return opens_and_answers(copy->path) && dup2(copy->fd, 3) == 3 && opens_and_answers("/proc/self/fd/3") &&
           dup2(copy->fd, 4) == 4 && opens_and_answers("/proc/self/fd/4");
}

/* A copy in memory, of a host whose files in /proc are not for others. In a child: Criterion has descriptors, too. */
Test(hdf5_program, reads_a_copy_in_memory)
{
    unsigned char *bytes = NULL;
    size_t size;
    int how = 0;
    sal_memory_copy copy;
    cr_assert_eq(sal_file_read(&bytes, &size, path, 1 << 24), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_memory_copy_make(&copy, bytes, size), SAL_OK, "%s", sal_last_error());
    sal_free(bytes);
    const pid_t host = fork();
    if (host == 0) {
        (void)prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0);
        _exit(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && reads_copy(&copy) ? 0 : 1);
    }
    cr_assert_eq(waitpid(host, &how, 0), host);
    cr_expect_eq(how, 0, "the child ended with %d", how);
    sal_memory_copy_clear(&copy);
}

static void *open_often(void *unused)
{
    size_t wrong = 0;
    for (int i = 0; i < 8; i++) {
        keras_hdf5 *f = NULL;
        wrong += keras_hdf5_open(&f, path, NULL) != SAL_OK || !answers(f);
        keras_hdf5_close(f);
    }
    (void)unused;
    return wrong ? "wrong" : NULL;
}

Test(hdf5_program, is_started_by_several_threads_at_once)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, open_often, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        cr_expect_null(wrong);
    }
}

/* ---- Where it is not there, or another ------------------------------------- */

static void expect_refusal(const char *program, const char *said)
{
    keras_hdf5 *f = NULL;
    setenv("SAL_HDF5_READER", program, 1);
    cr_expect_eq(keras_hdf5_open(&f, path, NULL), SAL_ERROR_IO, "%s", program);
    cr_expect_null(f);
    cr_expect_not_null(strstr(sal_last_error(), path), "%s", sal_last_error());
    cr_expect_not_null(strstr(sal_last_error(), said), "%s", sal_last_error());
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
}

/* Likewise, of a script that was written for it. */
static void expect_script_refused(const char *name, const char *text, const char *said)
{
    const char *script = make_script(name, text);
    expect_refusal(script, said);
    unlink(script);
}

Test(hdf5_program, that_is_not_there_is_named)
{
    expect_refusal("/nowhere/salmap-hdf5", "is not at /nowhere/salmap-hdf5: install it");
}

Test(hdf5_program, that_ends_at_once_is_named)
{
    expect_refusal("/bin/true", "/true, perhaps because memory ran out: run it with --version");
}

Test(hdf5_program, of_another_version_is_named)
{
    expect_script_refused("other_version", "#!/bin/sh\nprintf 'salmap-hdf5 9.9.9%064d' 0 >&3\nread -r _ <&3\n",
                          " is not of this version of libsalmap");
}

Test(hdf5_program, that_is_no_program_is_named)
{
    expect_script_refused("no_program",
                          "\x7f"
                          "ELF",
                          "cannot start");
}

/* It is ended, too: nothing else would end it. */
Test(hdf5_program, that_never_greets_is_ended, .timeout = 60)
{
    shorten = 1;
    expect_script_refused("never_greets", "#!/bin/sh\nexec sleep 100\n", " has not begun within 60 s: try again");
}

/* The host's input has no end. */
Test(hdf5_program, has_no_input_of_the_hosts, .timeout = 60)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[0], 0), 0);
    expect_script_refused("reads_input", "#!/bin/sh\nexec cat >&3\n", "run it with --version");
}

Test(hdf5_program, waits_for_better_times_where_descriptors_ran_out)
{
    keras_hdf5 *f = NULL;
    struct rlimit files;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = 3;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    cr_expect_eq(keras_hdf5_open(&f, path, NULL), SAL_ERROR_MEMORY, "%s", sal_last_error());
    files.rlim_cur = files.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
}
