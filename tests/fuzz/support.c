#define _GNU_SOURCE /* memfd_create, nftw */
#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, PATHS = 8 };

/* ---- Files --------------------------------------------------------------- */

static void write_all(int fd, const void *bytes, size_t size)
{
    FUZZ_REQUIRE(fd >= 0);
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, (off_t)done);
        FUZZ_REQUIRE(n > 0);
        done += (size_t)n;
    }
}

const char *fuzz_file(const uint8_t *bytes, size_t size)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_REQUIRE(ftruncate(fd, 0) == 0);
    write_all(fd, bytes, size);
    return path;
}

/* ---- The folder ---------------------------------------------------------- */

static char own_folder[PATH_SIZE];
static pid_t own_process;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void fuzz_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Not of a process that was forked off. */
static void remove_folder(void)
{
    if (getpid() == own_process)
        fuzz_remove(own_folder);
}

const char *fuzz_folder(void)
{
    if (!own_folder[0]) {
        const char *below = getenv("TMPDIR");
        snprintf(own_folder, sizeof own_folder, "%s/salmap-fuzz-XXXXXX",
                 below                           ? below
                 : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                 : "/tmp");
        FUZZ_REQUIRE(mkdtemp(own_folder) != NULL);
        own_process = getpid();
        atexit(remove_folder);
    }
    return own_folder;
}

const char *fuzz_path(const char *format, ...)
{
    static char paths[PATHS][PATH_SIZE];
    static unsigned next;
    char name[PATH_SIZE / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    char *path = paths[next++ % PATHS];
    const int length = snprintf(path, PATH_SIZE, "%s/%s", fuzz_folder(), name);
    FUZZ_REQUIRE(length > 0 && length < PATH_SIZE);
    return path;
}

void fuzz_write(const char *path, const void *bytes, size_t size)
{
    if (!bytes) {
        FUZZ_REQUIRE(mkdir(path, 0777) == 0);
        return;
    }
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
    write_all(fd, bytes, size);
    close(fd);
}

/* ---- Findings ------------------------------------------------------------ */

void fuzz_require(int condition, const char *text, const char *file, int line)
{
    if (condition)
        return;
    fprintf(stderr, "%s:%d: not true: %s (last error: %s)\n", file, line, text, sal_last_error());
    remove_folder();
    abort();
}

int fuzz_is_ok(sal_status st)
{
    FUZZ_REQUIRE(strcmp(sal_status_name(st), "unknown") != 0);
    FUZZ_REQUIRE(st == SAL_OK || sal_last_error()[0] != '\0');
    return st == SAL_OK;
}
