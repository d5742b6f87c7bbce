/* HDF5 files of weights, read by the program salmap-hdf5: damaged files make libhdf5 crash, and that must not be the
 * end of a sweep or of whoever the library is part of. */
#include "import/hdf5/weight_file.h"

#include "base/memory.h"
#include "import/hdf5/program.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

enum { MAX_ANSWER = 1 << 28, PATIENCE = 5000 }; /* bytes, milliseconds */

struct keras_hdf5 {
    const char *path;
    const char *opened; /* what the program calls it */
    uint64_t size;      /* of the file, or of the archive's member */
    sal_helper_process program;
    int signal; /* that ended the process; 0: none, this one's, or unknown */
};

/* ---- The process --------------------------------------------------------- */

/* Where the host has waited for it, its number may be another's by now. */
static void kill_process(const keras_hdf5 *f)
{
    siginfo_t end;
    if (waitid(P_PID, (id_t)f->program.process, &end, WEXITED | WNOHANG | WNOWAIT) == 0)
        kill(f->program.process, SIGKILL);
}

/* 0: it has ended as *end says; -1: nobody knows how; 1: it runs on. Waits so many milliseconds at most. */
static int wait_briefly(siginfo_t *end, const keras_hdf5 *f, int most)
{
    static const struct timespec moment = {0, 1000000L};
    for (int i = 0; i <= most; i++) {
        end->si_pid = 0;
        const int n = waitid(P_PID, (id_t)f->program.process, end, WEXITED | WNOHANG);
        if (n == 0 && end->si_pid != 0)
            return 0;
        if (n != 0 && errno != EINTR)
            return -1;
        nanosleep(&moment, NULL);
    }
    return 1;
}

/* What a process has that runs here: f->program, which gets so many milliseconds to end by itself. A host that ignores
 * SIGCHLD, or waits for any child, may have taken its end away: ECHILD. */
static void end_process(keras_hdf5 *f, int patience)
{
    siginfo_t end = {0};
    int n = -1, is_mine = 0;
    /* A process that the host forked meanwhile holds a copy of this end: closing it alone would be no end. */
    if (f->program.socket >= 0) {
        shutdown(f->program.socket, SHUT_RDWR);
        close(f->program.socket);
    }
    if (f->program.process > 0 && (n = wait_briefly(&end, f, patience)) > 0) {
        kill_process(f);
        is_mine = 1;
        while ((n = waitid(P_PID, (id_t)f->program.process, &end, WEXITED)) != 0 && errno == EINTR)
            ;
    }
    if (n == 0)
        f->signal = is_mine || end.si_code == CLD_EXITED ? 0 : end.si_status;
    f->program.socket = -1;
    f->program.process = -1;
}

static sal_status fail_gone(keras_hdf5 *f)
{
    end_process(f, PATIENCE);
    if (f->signal == SIGXCPU)
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: HDF5: is damaged: the HDF5 library did not come to an end in %llu s, which a file of %llu "
                        "bytes does not take",
                        f->path, (unsigned long long)hdf5_most_seconds(f->size), (unsigned long long)f->size);
    if (f->signal != 0 && !sal_helper_is_fault(f->signal))
        return sal_fail(SAL_ERROR_IO, "%s: HDF5: %s, which was reading it, was stopped by signal %d%s: run it again",
                        f->path, f->program.program, f->signal,
                        f->signal == SIGKILL ? ", perhaps because memory ran out" : "");
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: HDF5: libhdf5 crashed reading it; the file is probably damaged, or memory ran out", f->path);
}

/* A damaged file may have broken the process so that it answers anything. Nothing that it says later is of use. */
static sal_status fail_nonsense(keras_hdf5 *f)
{
    end_process(f, 0);
    return sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: is damaged: libhdf5 gave an impossible answer", f->path);
}

/* The head of an answer; an error of the other side becomes this side's. */
static sal_status receive_answer(hdf5_answer *a, keras_hdf5 *f)
{
    char text[1024] = "";
    if (!sal_helper_receive(f->program.socket, a, sizeof *a))
        return fail_gone(f);
    if (a->status == SAL_OK)
        return SAL_OK;
    if (a->status > SAL_OK || a->status < SAL_ERROR_CANCELLED || a->size == 0 || a->size > sizeof text)
        return fail_nonsense(f);
    if (!sal_helper_receive(f->program.socket, text, a->size))
        return fail_gone(f);
    text[sizeof text - 1] = '\0';
    const size_t n = strlen(f->opened);
    return strncmp(text, f->opened, n) == 0 ? sal_fail(a->status, "%s%s", f->path, text + n)
                                            : sal_fail(a->status, "%s", text);
}

static sal_status ask(hdf5_answer *a, keras_hdf5 *f, hdf5_question which, const char *first, const char *second)
{
    static _Thread_local hdf5_request r;
    memset(&r, 0, sizeof r);
    r.question = which;
    if (strlen(first) >= HDF5_MAX_NAME || strlen(second) >= HDF5_MAX_NAME)
        return sal_fail(SAL_ERROR_LIMIT, "%s: HDF5: a name is too long", f->path);
    memcpy(r.names[0], first, strlen(first));
    memcpy(r.names[1], second, strlen(second));
    if (!sal_helper_send(f->program.socket, &r, sizeof r))
        return fail_gone(f);
    return receive_answer(a, f);
}

static uint64_t size_of_member(const char *path, const char *name)
{
    zip_stat_t about;
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_RDONLY, &code);
    zip_stat_init(&about);
    const int known = archive && zip_stat(archive, name, 0, &about) == 0 && (about.valid & ZIP_STAT_SIZE);
    if (archive)
        zip_discard(archive);
    return known ? about.size : 0;
}

/* 0 where it cannot be told: then it cannot be opened either. */
static uint64_t size_of(const char *path, const char *member)
{
    struct stat file;
    if (member)
        return size_of_member(path, member);
    return stat(path, &file) == 0 && file.st_size > 0 ? (uint64_t)file.st_size : 0;
}

sal_status keras_hdf5_open(keras_hdf5 **out, const char *path, const char *member)
{
    sal_status st = SAL_OK;
    keras_hdf5 *f = NULL;
    hdf5_answer a;
    *out = NULL;
    TRY(sal_alloc(&f, 1, sizeof *f, "the weights' file"));
    *f = (keras_hdf5){.path = path, .size = size_of(path, member), .program = {.process = -1, .socket = -1}};
    f->opened = sal_helper_path(path);
    const hdf5_task task = {.path = path, .member = member, .size = f->size};
    TRY(hdf5_program_start(&f->program, &task));
    TRY(sal_helper_meet(&f->program, &hdf5_helper, path));
    TRY(receive_answer(&a, f));
    *out = f;
    f = NULL;
done:
    keras_hdf5_close(f);
    return st;
}

void keras_hdf5_close(keras_hdf5 *f)
{
    if (!f)
        return;
    end_process(f, PATIENCE);
    sal_free(f);
}

sal_status keras_hdf5_has(int *has, keras_hdf5 *f, const char *object)
{
    hdf5_answer a;
    sal_status st = ask(&a, f, HDF5_HAS, object, "");
    *has = st == SAL_OK && a.index != 0;
    return st;
}

/* An answer's text, *text NULL where there is none; its last byte is 0. free() it. */
static sal_status ask_text(char **text, keras_hdf5 *f, hdf5_question which, const char *group, const char *attribute)
{
    sal_status st = SAL_OK;
    hdf5_answer a;
    *text = NULL;
    TRY(ask(&a, f, which, group, attribute));
    if (a.size == 0)
        return SAL_OK;
    if (a.size > MAX_ANSWER)
        return fail_nonsense(f);
    *text = malloc(a.size);
    if (!*text) {
        end_process(f, 0); /* the text stays in the socket */
        st = sal_fail_memory(a.size, attribute);
        goto done;
    }
    if (sal_helper_receive(f->program.socket, *text, a.size)) {
        (*text)[a.size - 1] = '\0';
        return SAL_OK;
    }
    st = fail_gone(f);
done:
    free(*text);
    *text = NULL;
    return st;
}

sal_status keras_hdf5_text(char **out, keras_hdf5 *f, const char *group, const char *attribute)
{
    return ask_text(out, f, HDF5_TEXT, group, attribute);
}

sal_status keras_hdf5_texts(json_t **out, keras_hdf5 *f, const char *group, const char *attribute)
{
    char *text;
    *out = NULL;
    sal_status st = ask_text(&text, f, HDF5_TEXTS, group, attribute);
    if (text) {
        *out = json_loads(text, JSON_DECODE_ANY, NULL);
        if (!*out)
            st = sal_fail_memory(strlen(text), attribute);
    }
    free(text);
    return st;
}

/* A rank that fits, no negative size, and bytes of floats that can be counted. */
static int is_shape(const sal_shape *shape)
{
    uint64_t bytes = sizeof(float);
    if (shape->rank < 0 || shape->rank > SAL_MAX_RANK)
        return 0;
    for (int a = 0; a < shape->rank; a++)
        if (shape->dim[a] < 0 || __builtin_mul_overflow(bytes, (uint64_t)shape->dim[a], &bytes))
            return 0;
    return 1;
}

sal_status keras_hdf5_find(uint64_t *index, sal_shape *shape, keras_hdf5 *f, const char *dataset)
{
    hdf5_answer a;
    sal_status st = ask(&a, f, HDF5_FIND, dataset, "");
    if (st == SAL_OK && !is_shape(&a.shape))
        st = fail_nonsense(f);
    if (st == SAL_OK) {
        *index = a.index;
        *shape = a.shape;
    }
    return st;
}

sal_status keras_hdf5_read(float *out, size_t count, keras_hdf5 *f, uint64_t index)
{
    static _Thread_local hdf5_request r;
    hdf5_answer a;
    memset(&r, 0, sizeof r);
    r.question = HDF5_READ;
    r.index = index;
    r.count = count;
    if (!sal_helper_send(f->program.socket, &r, sizeof r))
        return fail_gone(f);
    sal_status st = receive_answer(&a, f);
    if (st != SAL_OK)
        return st;
    if (a.size != count * sizeof *out)
        return fail_nonsense(f);
    return sal_helper_receive(f->program.socket, out, a.size) ? SAL_OK : fail_gone(f);
}
