/* Preloaded into salmap: fails the N-th allocation, thread or system call. The program is started once; from the
 * beginning of its main() a process is forked for each request: thousands of faults cost no thousands of starts.
 *
 * SAL_FAULTS=REQUESTS,REPLIES,STDOUT,STDERR,WHERE are file descriptors. A request is "KIND N ERRNO\n"; the replies are
 * "pid P\n" when the process runs, and "end STATUS CALLS\n": what waitpid() says, and how many calls of that kind there
 * were. N = 0 fails nothing. Of the kind "limit", N is how many KiB of addresses there are beyond those in use. What
 * the process prints lies in the files STDOUT and STDERR; WHERE says who made the call that failed.
 *
 * A program that the process starts (salmap-hdf5, salmap-picture) is preloaded as well: its calls count, and fail, like
 * the process's own. SAL_FAULTS_PROGRAM has what it must know. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

/* ---- What fails ------------------------------------------------------------ */

/* Kinds of calls, and the system calls that they are. */
static const struct {
    const char *name;
    int calls[4]; /* up to a 0 that is not the first: read() is number 0 */
} kinds[] = {
    {"memory", {-1}},
    {"thread", {-1}},
    {"limit", {-1}},
    {"read", {SYS_read, SYS_pread64}},
    {"write", {SYS_write, SYS_pwrite64, SYS_writev}},
    {"sync", {SYS_fsync, SYS_fdatasync, SYS_syncfs}},
    {"rename", {SYS_rename, SYS_renameat, SYS_renameat2}},
    {"open", {SYS_open, SYS_openat}},
    {"mmap", {SYS_mmap}},
    {"mkdir", {SYS_mkdir, SYS_mkdirat}},
    {"truncate", {SYS_ftruncate}},
    {"unlink", {SYS_unlink, SYS_unlinkat}},
    {"list", {SYS_getdents64}},
    {"stat", {SYS_newfstatat, SYS_fstat, SYS_stat, SYS_lstat}},
    {"seek", {SYS_lseek}},
    {"lock", {SYS_fcntl, SYS_flock}},
    {"close", {SYS_close}},
};
enum { MEMORY, THREAD, LIMIT, FIRST_SYSTEM_CALL, KINDS = sizeof kinds / sizeof *kinds, DEPTH = 40 };

/* Shared with the server, in a file without a name: it tells how often. */
static struct {
    atomic_long hits;
} * shared;
static int kind = -1, error, where = -1, shared_at = -1;
static long server;
static long chosen;
static _Thread_local int inside; /* our own calls do not count */

/* A system call that the filter lets pass, since it is made here. */
long raw_call(long number, long a, long b, long c, long d, long e, long f);
__asm__(".text\n"
        ".type raw_call, @function\n"
        "raw_call:\n"
        "    movq %rdi, %rax\n"
        "    movq %rsi, %rdi\n"
        "    movq %rdx, %rsi\n"
        "    movq %rcx, %rdx\n"
        "    movq %r8, %r10\n"
        "    movq %r9, %r8\n"
        "    movq 8(%rsp), %r9\n"
        "    syscall\n"
        "    ret\n"
        ".size raw_call, . - raw_call\n");

/* "libtiff.so.6!TIFFClientOpen < salmap!? < ..." */
static void tell_where(void)
{
    void *frames[DEPTH];
    char text[4096];
    size_t used = 0;
    const int count = backtrace(frames, DEPTH);
    for (int i = 0; i < count && used + 300 < sizeof text; i++) {
        Dl_info info = {0};
        if (!dladdr(frames[i], &info) || !info.dli_fname || strstr(info.dli_fname, "sal_faults"))
            continue;
        const char *slash = strrchr(info.dli_fname, '/');
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.60s!%.120s+%lx", used ? " < " : "",
                                 slash ? slash + 1 : info.dli_fname, info.dli_sname ? info.dli_sname : "?",
                                 (long)((char *)frames[i] - (char *)info.dli_fbase));
    }
    (void)raw_call(SYS_write, where, (long)text, (long)used, 0, 0, 0);
}

static int is_hit(int of)
{
    if (of != kind || inside)
        return 0;
    const long n = atomic_fetch_add(&shared->hits, 1) + 1;
    if (n != chosen)
        return 0;
    inside = 1;
    tell_where();
    inside = 0;
    return 1;
}

/* The next definition of a function, into a pointer to one: C knows no conversion. */
static void find_real(void *pointer, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(pointer, &found, sizeof found);
}

/* ---- Memory and threads ------------------------------------------------------ */

static int no_memory(void)
{
    if (!is_hit(MEMORY))
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return no_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return no_memory() ? NULL : __libc_realloc(p, size);
}

void *memalign(size_t alignment, size_t size)
{
    return no_memory() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *p = memalign(alignment, size);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (is_hit(THREAD))
        return EAGAIN;
    find_real(&real, "pthread_create");
    return real(thread, attributes, body, argument);
}

/* ---- System calls ------------------------------------------------------------- */

/* The kernel sends SIGSYS in the place of a call of the kind: it is made here, or fails. */
static void on_call(int signal, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const int before = errno;
    (void)signal;
    r[REG_RAX] = is_hit(kind)
                     ? -error
                     : raw_call(info->si_syscall, r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]);
    errno = before;
}

/* The code of one object. */
typedef struct code {
    unsigned long begin, end;
} code;

enum { LIBC, LOADER, CALLERS };

static int note_code(struct dl_phdr_info *object, size_t size, void *callers)
{
    const char *slash = strrchr(object->dlpi_name, '/'), *name = slash ? slash + 1 : object->dlpi_name;
    const int which = strncmp(name, "libc.so", 7) == 0 ? LIBC : strncmp(name, "ld-linux", 8) == 0 ? LOADER : CALLERS;
    (void)size;
    for (int i = 0; which < CALLERS && i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        const unsigned long begin = object->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X))
            ((code *)callers)[which] = (code){begin, begin + part->p_memsz};
    }
    return 0;
}

static struct sock_filter load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset);
}

static struct sock_filter jump(int how, unsigned long value, unsigned char if_so, unsigned char if_not)
{
    return (struct sock_filter)BPF_JUMP((unsigned short)(BPF_JMP | how | BPF_K), (unsigned)value, if_so, if_not);
}

/* The calls of the C library and of the loader in this process: a program that it starts keeps the filter, and has them
 * elsewhere. */
static int trap_calls(void)
{
    enum { IP = offsetof(struct seccomp_data, instruction_pointer) };
    static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code callers[CALLERS] = {{0, 0}};
    struct sock_filter filter[40] = {
        load(offsetof(struct seccomp_data, arch)),
        jump(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
        allow,
    };
    unsigned short n = 3;
    dl_iterate_phdr(note_code, callers);
    for (int c = 0; c < CALLERS; c++) {
        const unsigned char to_calls = (unsigned char)(c + 1 < CALLERS ? 6 : 1); /* over the rest of this loop's code */
        if (callers[c].begin == 0 || callers[c].begin >> 32 != callers[c].end >> 32)
            return 0;
        filter[n++] = load(IP + 4);
        filter[n++] = jump(BPF_JEQ, callers[c].begin >> 32, 0, 3);
        filter[n++] = load(IP);
        filter[n++] = jump(BPF_JGE, callers[c].begin, 0, 1);
        filter[n++] = jump(BPF_JGE, callers[c].end, 0, to_calls);
    }
    filter[n++] = allow;
    filter[n++] = load(offsetof(struct seccomp_data, nr));
    for (size_t k = 0; k < 4 && (k == 0 || kinds[kind].calls[k] != 0); k++) {
        filter[n++] = jump(BPF_JEQ, (unsigned)kinds[kind].calls[k], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    }
    filter[n++] = allow;
    const struct sock_fprog program = {n, filter};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* ---- The limit --------------------------------------------------------------------- */

static int limit_addresses(long kib)
{
    long pages = 0;
    FILE *own = fopen("/proc/self/statm", "r");
    if (!own || fscanf(own, "%ld", &pages) != 1)
        return 0;
    fclose(own);
    const rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)kib * 1024;
    return setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) == 0;
}

/* ---- The server ----------------------------------------------------------------- */

static int (*real_main)(int, char **, char **);

static int find_kind(const char *name)
{
    for (int k = 0; k < KINDS; k++)
        if (strcmp(kinds[k].name, name) == 0)
            return k;
    fprintf(stderr, "faults: no kind '%s'\n", name);
    exit(99);
}

static int begin_faults(int of)
{
    kind = of;
    return kind < FIRST_SYSTEM_CALL || trap_calls();
}

static int serve(int argc, char **argv, char **environment)
{
    int requests_at, replies, out, err, asked;
    char name[32];
    if (sscanf(getenv("SAL_FAULTS"), "%d,%d,%d,%d,%d", &requests_at, &replies, &out, &err, &where) != 5)
        return 99;
    FILE *requests = fdopen(requests_at, "r");
    server = getpid();
    shared_at = memfd_create("faults", MFD_CLOEXEC);
    if (ftruncate(shared_at, sizeof *shared) != 0)
        return 99;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, shared_at, 0);
    unsetenv("LD_PRELOAD");
    tell_where(); /* loads what unwinding needs */
    while (fscanf(requests, "%31s %ld %d", name, &chosen, &error) == 3) {
        asked = find_kind(name);
        const int files[] = {out, err, where};
        for (int k = 0; k < 3; k++)
            if (ftruncate(files[k], 0) != 0 || lseek(files[k], 0, SEEK_SET) != 0)
                return 99;
        shared->hits = 0;
        const pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            dup2(out, 1);
            dup2(err, 2);
            close(requests_at);
            close(replies);
            if (!begin_faults(asked) || (kind == LIMIT && chosen && !limit_addresses(chosen)))
                _exit(98);
            exit(real_main(argc, argv, environment));
        }
        int status;
        dprintf(replies, "pid %ld\n", (long)child);
        waitpid(child, &status, 0);
        dprintf(replies, "end %d %ld\n", status, (long)shared->hits);
    }
    _exit(0);
}

/* ---- A program that the process starts ---------------------------------------- */

/* Adds this shim and what it must know to the environment. */
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
                char *const *words, char *const *environment)
{
    enum { MOST = 256 };
    static char preload[512], known[512];
    static const char here = 0;
    char *variables[MOST + 3];
    Dl_info shim;
    size_t n = 0;
    int (*real)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,
                char *const *);
    inside = 1;
    find_real(&real, "posix_spawn");
    dladdr(&here, &shim);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim.dli_fname);
    snprintf(known, sizeof known, "SAL_FAULTS_PROGRAM=%d %ld %d /proc/%ld/fd/%d", kind, chosen, error, server,
             shared_at);
    inside = 0;
    for (; n < MOST && environment[n]; n++)
        variables[n] = environment[n];
    variables[n++] = preload;
    variables[n++] = known;
    variables[n] = NULL;
    return real(pid, path, actions, how, words, kind >= 0 ? variables : environment);
}

/* The started program, from the beginning of its main(). */
static int take_part(int argc, char **argv, char **environment)
{
    char name[64];
    int of;
    if (sscanf(getenv("SAL_FAULTS_PROGRAM"), "%d %ld %d %63s", &of, &chosen, &error, name) != 4)
        return 99;
    shared_at = open(name, O_RDWR | O_CLOEXEC);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, shared_at, 0);
    close(shared_at);
    if (shared == MAP_FAILED)
        return 99;
    inside = 1;
    tell_where(); /* loads what unwinding needs */
    inside = 0;
    if (!begin_faults(of))
        return 98;
    return real_main(argc, argv, environment);
}

typedef int main_function(int argc, char **argv, char **environment);
int __libc_start_main(main_function *program, int argc, char **argv, main_function *init, void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end);

int __libc_start_main(main_function *program, int argc, char **argv, main_function *init, void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    int (*real)(main_function *, int, char **, main_function *, void (*)(void), void (*)(void), void *);
    find_real(&real, "__libc_start_main");
    real_main = program;
    main_function *first = getenv("SAL_FAULTS") ? serve : getenv("SAL_FAULTS_PROGRAM") ? take_part : program;
    return real(first, argc, argv, init, fini, loader_fini, stack_end);
}
