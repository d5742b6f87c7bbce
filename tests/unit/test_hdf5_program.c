/* The program salmap-hdf5 as its host sees it: what it inherits, who may end it, and what is said where it is not
 * there. */
#define _GNU_SOURCE /* environ */
#include "import/hdf5/questions.h"
#include "import/hdf5/weight_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const char *const path = SAL_TEST_SOURCE_DIR "/tests/fuzz/crashers/hdf5/nan_weights.h5";

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

/* A program that greets as salmap-hdf5 does and then ends by a signal. */
static void expect_crash(const char *signal, const char *said)
{
    char text[2 * PATH_MAX], greeting[PATH_MAX];
    const sal_helper_greeting bytes = sal_helper_greet(&hdf5_helper);
    keras_hdf5 *f = NULL;
    snprintf(greeting, sizeof greeting, "%s/hdf5_greeting-%ld", SAL_TEST_BINARY_DIR, (long)getpid());
    FILE *file = fopen(greeting, "we");
    cr_assert(file && fwrite(&bytes, sizeof bytes, 1, file) == 1 && fclose(file) == 0);
    snprintf(text, sizeof text, "#!/bin/sh\ncat '%s' >&3\nkill -%s $$\n", greeting, signal);
    setenv("SAL_HDF5_READER", make_script(signal, text), 1);
    cr_expect_eq(keras_hdf5_open(&f, path, NULL), SAL_ERROR_FORMAT, "%s", sal_last_error());
    cr_expect_null(f);
    cr_expect_not_null(strstr(sal_last_error(), path), "%s", sal_last_error());
    cr_expect_not_null(strstr(sal_last_error(), said), "%s", sal_last_error());
    unlink(greeting);
    unlink(getenv("SAL_HDF5_READER"));
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
    const uint64_t ended_by_host = 1U << (SIGINT - 1) | 1U << (SIGTERM - 1) | 1U << (SIGHUP - 1) | 1U << (SIGUSR1 - 1);
    sigset_t all;
    sigfillset(&all);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    keras_hdf5 *f = open_file();
    const long process = child();
    cr_expect_eq(mask_of(process, "SigBlk:"), 0);
    /* glibc has 32 and 33 for itself, and leaves them ignored. */
    const uint64_t ignored = mask_of(process, "SigIgn:") & ~((uint64_t)3 << 31);
    cr_expect_eq(ignored, ended_by_host, "ignores %llx", (unsigned long long)ignored);
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
