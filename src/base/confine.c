#define _GNU_SOURCE /* O_PATH */
#include "base/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__has_include)
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- Resource limits ----------------------------------------------------- */

uint64_t sal_own_memory(void)
{
    unsigned long pages = 0;
    FILE *own = fopen("/proc/self/statm", "re");
    const int known = own && fscanf(own, "%lu", &pages) == 1;
    if (own)
        fclose(own);
    return known ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void sal_confine_memory(uint64_t bytes)
{
    struct rlimit limit;
    if (SANITIZED || getrlimit(RLIMIT_AS, &limit) != 0)
        return;
    /* The hard limit stays: the next call may ask for more. */
    limit.rlim_cur = bytes > limit.rlim_max ? limit.rlim_max : bytes;
    (void)setrlimit(RLIMIT_AS, &limit);
}

void sal_confine_memory_above(uint64_t own, uint64_t bytes)
{
    if (own > 0)
        sal_confine_memory(bytes > UINT64_MAX - own ? UINT64_MAX : own + bytes);
}

void sal_confine_time(uint64_t seconds)
{
    static const struct rlimit none = {0, 0};
    const struct rlimit time = {seconds, seconds + 1};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)setrlimit(RLIMIT_CPU, &time);
    if (!SANITIZED) {
        /* A write kills the process even where the parent ignores the signal: else a library goes on after EFBIG, and
         * errno no longer names its first failure. */
        signal(SIGXFSZ, SIG_DFL);
        (void)setrlimit(RLIMIT_FSIZE, &none);
    }
}

/* Where the kernel has no call for it, or valgrind does not know that. */
static void close_one_by_one(int first, int last)
{
    DIR *open_ones = opendir("/proc/self/fd");
    if (!open_ones)
        return;
    for (struct dirent *e; (e = readdir(open_ones)) != NULL;) {
        const int fd = atoi(e->d_name);
        if (fd > 2 && (fd < first || fd > last) && fd != dirfd(open_ones))
            close(fd);
    }
    closedir(open_ones);
}

void sal_confine_descriptors(int first, int last)
{
#ifdef __NR_close_range
    const unsigned least = 3, most = ~0U, from = (unsigned)first, to = (unsigned)last;
    if ((from <= least || syscall(__NR_close_range, least, from - 1, 0) == 0) &&
        syscall(__NR_close_range, to < least ? least : to + 1, most, 0) == 0)
        return;
#endif
    close_one_by_one(first, last);
}

/* valgrind is a program of its own in this process, with calls of its own. */
static int is_watched(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return SANITIZED || (preloaded && strstr(preloaded, "vgpreload"));
}

int sal_confine_streams(void)
{
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC), last = is_watched() ? 1 : 2;
    int fine = nowhere >= 0;
    for (int stream = 0; fine && stream <= last; stream++)
        fine = dup2(nowhere, stream) >= 0;
    if (nowhere > last)
        close(nowhere);
    return fine;
}

/* ---- Landlock ------------------------------------------------------------ */

#ifdef __NR_landlock_create_ruleset

static int landlock_to_file(const char *path)
{
    /* Everything that the first version knows of; what later ones add is for seccomp. */
    static const struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    const int rules = (int)syscall(__NR_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
    if (rules < 0)
        return 0;
    struct landlock_path_beneath_attr file = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    /* A copy in memory lies in no folder: there can be no rule for it, and it is opened without one. */
    const int known =
        file.parent_fd >= 0 &&
        (syscall(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &file, 0) == 0 || errno == EBADFD);
    const int fine = syscall(__NR_landlock_restrict_self, rules, 0) == 0 && known;
    if (file.parent_fd >= 0)
        close(file.parent_fd);
    close(rules);
    return fine;
}

#else

static int landlock_to_file(const char *path)
{
    (void)path;
    return 0;
}

#endif

/* ---- seccomp ------------------------------------------------------------- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE

/* What it takes to read a file that is open, to compute and to answer. Anything else is refused with EPERM, which
 * libraries know how to handle. */
static const uint32_t always[] = {
    __NR_read,           __NR_pread64,       __NR_readv,        __NR_lseek,     __NR_fstat,       __NR_newfstatat,
    __NR_close,          __NR_flock,         __NR_sendto,       __NR_recvfrom,  __NR_mmap,        __NR_munmap,
    __NR_mremap,         __NR_mprotect,      __NR_madvise,      __NR_brk,       __NR_futex,       __NR_rt_sigaction,
    __NR_rt_sigprocmask, __NR_rt_sigreturn,  __NR_sigaltstack,  __NR_getpid,    __NR_gettid,      __NR_getrlimit,
    __NR_setrlimit,      __NR_clock_gettime, __NR_gettimeofday, __NR_getrandom, __NR_sched_yield, __NR_restart_syscall,
    __NR_exit,           __NR_exit_group,
};

/* Only on the process itself: it neither ends others nor changes their limits. */
static const uint32_t on_itself[] = {__NR_tgkill, __NR_prlimit64};

/* What goes with opening one, and with giving this up. */
static const uint32_t before[] = {
    __NR_faccessat, __NR_readlinkat, __NR_getcwd, __NR_prctl,
#ifdef __NR_stat
    __NR_stat,      __NR_lstat,      __NR_access, __NR_readlink,
#endif
#ifdef __NR_statx
    __NR_statx,
#endif
};

enum { MOST_RULES = 128 };

typedef struct rules {
    struct sock_filter code[MOST_RULES];
    unsigned short count;
} rules;

static void add(rules *r, uint16_t code, uint32_t value, uint8_t if_so, uint8_t if_not)
{
    r->code[r->count++] = (struct sock_filter)BPF_JUMP(code, value, if_so, if_not);
}

static void allow(rules *r, const uint32_t *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(r, BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
        add(r, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    }
}

/* The process is the first argument, an int; 0 is the one that calls, or nobody. */
static void allow_on_itself(rules *r)
{
    for (size_t i = 0; i < sizeof on_itself / sizeof *on_itself; i++) {
        add(r, BPF_JMP | BPF_JEQ | BPF_K, on_itself[i], 0, 5);
        add(r, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]), 0, 0);
        add(r, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        add(r, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1);
        add(r, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
        add(r, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    }
}

/* fcntl(), but for the commands that make the kernel send another process a signal. */
static void allow_fcntl(rules *r)
{
    static const uint32_t refused[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG};
    enum { COUNT = sizeof refused / sizeof *refused };
    add(r, BPF_JMP | BPF_JEQ | BPF_K, __NR_fcntl, 0, COUNT + 3);
    add(r, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]), 0, 0);
    for (int i = 0; i < COUNT; i++)
        add(r, BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(COUNT - i), 0);
    add(r, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    add(r, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
}

/* openat() to read. The flags are its third argument, whose lower half comes first. */
static void allow_reading(rules *r)
{
    add(r, BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 4);
    add(r, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]), 0, 0);
    add(r, BPF_JMP | BPF_JSET | BPF_K, O_ACCMODE | O_CREAT | O_TRUNC, 1, 0);
    add(r, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    add(r, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
}

static int filter_calls(int may_open)
{
    rules r = {.count = 0};
    add(&r, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    add(&r, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    add(&r, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    add(&r, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    allow(&r, always, sizeof always / sizeof *always);
    allow_on_itself(&r);
    allow_fcntl(&r);
    if (may_open) {
        allow(&r, before, sizeof before / sizeof *before);
        allow_reading(&r);
    }
    add(&r, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    const struct sock_fprog program = {r.count, r.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else

static int filter_calls(int may_open)
{
    (void)may_open;
    return 0;
}

#endif

int sal_confine_to_file(const char *path)
{
    if (is_watched() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 0;
    const int files = landlock_to_file(path);
    return filter_calls(1) && files;
}

int sal_confine_to_open(void)
{
    static const struct rlimit none = {0, 0};
    if (is_watched())
        return 0;
    /* Where there is no seccomp: no further descriptor, and so no file and no socket. */
    (void)setrlimit(RLIMIT_NOFILE, &none);
    return filter_calls(0);
}
