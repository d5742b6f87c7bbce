/* HDF5 files of weights, read by a process of their own: damaged files make libhdf5 crash, and that must not be the end
 * of a sweep or of whoever the library is part of. */
#include "import/hdf5/weight_file.h"

#include "base/confine.h"
#include "base/memory.h"
#include "import/hdf5/hdf5_reader.h"
#include "import/hdf5/zip_member.h"

#include <errno.h>
#include <hdf5.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NAME = 4096, MAX_ANSWER = 1 << 28 };

struct keras_hdf5 {
    const char *path;
    uint64_t size; /* of the file, or of the archive's member */
    pid_t process;
    int socket;
    int ended; /* how the process did, once it has: as of waitpid() */
};

typedef enum question { HAS, TEXT, TEXTS, FIND, READ } question;

typedef struct request {
    question question;
    uint64_t index;
    uint64_t count;
    char names[2][MAX_NAME]; /* group and attribute, or data set */
} request;

typedef struct answer {
    sal_status status;
    uint64_t size; /* of what follows: a text, floats, or an error's text */
    uint64_t index;
    sal_shape shape;
} answer;

static int send_all(int to, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = send(to, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

static int receive_all(int from, void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        const ssize_t n = recv(from, at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

/* ---- The process --------------------------------------------------------- */

static int reply(int to, const answer *a, const void *bytes)
{
    return send_all(to, a, sizeof *a) && (a->size == 0 || send_all(to, bytes, a->size));
}

static int reply_error(int to, sal_status st, const char *path)
{
    st = sal_fail_memory_if(st, path);
    const answer a = {.status = st, .size = strlen(sal_last_error()) + 1};
    return reply(to, &a, sal_last_error());
}

/* What is not there may only be what there was no memory to look for. */
static sal_status check_absence(int absent)
{
    return absent && errno == ENOMEM ? sal_fail_memory(0, "reading HDF5") : SAL_OK;
}

static int answer_has(int to, hdf5_reader *reader, const request *r, const char *path)
{
    const answer a = {.status = SAL_OK, .index = (uint64_t)hdf5_reader_has(reader, r->names[0])};
    const sal_status st = check_absence(a.index == 0);
    return st == SAL_OK ? reply(to, &a, NULL) : reply_error(to, st, path);
}

static int answer_text(int to, hdf5_reader *reader, const request *r, const char *path)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    TRY(hdf5_reader_text(&text, reader, r->names[0], r->names[1]));
    TRY(check_absence(!text));
done:;
    const answer a = {.status = SAL_OK, .size = text ? strlen(text) + 1 : 0};
    const int sent = st == SAL_OK ? reply(to, &a, text) : reply_error(to, st, path);
    free(text);
    return sent;
}

static int answer_texts(int to, hdf5_reader *reader, const request *r, const char *path)
{
    sal_status st = SAL_OK;
    json_t *list = NULL;
    char *text = NULL;
    TRY(hdf5_reader_texts(&list, reader, r->names[0], r->names[1]));
    text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    TRY(check_absence(!text));
done:;
    const answer a = {.status = SAL_OK, .size = text ? strlen(text) + 1 : 0};
    const int sent = st == SAL_OK ? reply(to, &a, text) : reply_error(to, st, path);
    free(text);
    json_decref(list);
    return sent;
}

static int answer_read(int to, hdf5_reader *reader, const request *r, const char *path)
{
    float *values = NULL;
    sal_status st = sal_alloc(&values, r->count, sizeof *values, "weights");
    if (st == SAL_OK)
        st = hdf5_reader_read(values, r->count, reader, r->index);
    const answer a = {.status = SAL_OK, .size = r->count * sizeof *values};
    const int sent = st == SAL_OK ? reply(to, &a, values) : reply_error(to, st, path);
    sal_free(values);
    return sent;
}

static int answer_one(int to, hdf5_reader *reader, const request *r, const char *path)
{
    answer a = {.status = SAL_OK};
    sal_status st;
    errno = 0;
    switch (r->question) {
    case HAS: return answer_has(to, reader, r, path);
    case TEXT: return answer_text(to, reader, r, path);
    case TEXTS: return answer_texts(to, reader, r, path);
    case FIND:
        st = hdf5_reader_find(&a.index, &a.shape, reader, r->names[0]);
        return st == SAL_OK ? reply(to, &a, NULL) : reply_error(to, st, path);
    case READ: return answer_read(to, reader, r, path);
    }
    return 0;
}

/* Seconds of processor time for all of a file: the library reads and unpacks some hundred megabytes in one, and goes in
 * circles over damaged ones. */
static uint64_t most_seconds(uint64_t size)
{
    return 4 + (size >> 23);
}

/* The library takes a damaged file at its word. Bytes of addresses for its tables, texts and an archive's member; what
 * an answer is known to need comes on top: values as they are asked for, as they are stored, and a chunk of them. */
static uint64_t most_memory(uint64_t size, const request *r)
{
    static const uint64_t least = (uint64_t)256 << 20;
    const uint64_t values = r && r->question == READ && r->count < SIZE_MAX / 32 ? (uint64_t)r->count * 24 : 0;
    return least + (size < UINT64_MAX / 8 ? 4 * size : size) + values;
}

/* It ends when its master does. */
static void begin_self(pid_t master)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != master)
        _exit(1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    /* Where it breaks down it does so in silence, whatever handlers its master has. */
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
}

/* Of the threads of its master this process has the one that forked, but any lock that another held just then is locked
 * here for ever. Takes those that reading needs, at their first use by libraries; the master waits for no longer than
 * that should take. */
static void take_locks(void)
{
    const time_t now = time(NULL);
    struct tm day = {.tm_year = 100};
    (void)localtime_r(&now, &day); /* time zones: libzip */
    (void)mktime(&day);
    json_object_seed(0); /* jansson */
    H5open();
    FILE *stream = fopen("/dev/null", "rbe");
    if (stream)
        fclose(stream);
}

/* Until the other side has gone. */
static void serve(int socket, const keras_hdf5 *f, const char *member)
{
    hdf5_reader *reader = NULL;
    static request r; /* too large for some stacks */
    const answer opened = {.status = SAL_OK};
    if (!send_all(socket, "", 1))
        return;
    const uint64_t own = sal_own_memory();
    sal_confine_memory_above(own, most_memory(f->size, NULL));
    (void)sal_confine_to_file(f->path);
    errno = 0;
    sal_status st = hdf5_reader_open(&reader, f->path, member);
    const int missing = errno; /* memory, perhaps */
    (void)sal_confine_to_open();
    errno = missing;
    int going = st == SAL_OK ? reply(socket, &opened, NULL) : (reply_error(socket, st, f->path), 0);
    while (going && receive_all(socket, &r, sizeof r)) {
        sal_confine_memory_above(own, most_memory(f->size, &r));
        going = answer_one(socket, reader, &r, f->path);
    }
    hdf5_reader_close(reader);
}

/* ---- This side ----------------------------------------------------------- */

/* What a process has that runs here: f->socket and f->process. */
static void end_process(keras_hdf5 *f)
{
    /* Other readers that were started meanwhile hold copies of this end: closing it alone would be no end. */
    if (f->socket >= 0) {
        shutdown(f->socket, SHUT_RDWR);
        close(f->socket);
    }
    if (f->process > 0)
        while (waitpid(f->process, &f->ended, 0) < 0 && errno == EINTR)
            ;
    f->socket = -1;
    f->process = -1;
}

static sal_status fail_gone(keras_hdf5 *f)
{
    end_process(f);
    if (WIFSIGNALED(f->ended) && WTERMSIG(f->ended) == SIGXCPU)
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: HDF5: is damaged: the HDF5 library did not come to an end in %llu s, which a file of %llu "
                        "bytes does not take",
                        f->path, (unsigned long long)most_seconds(f->size), (unsigned long long)f->size);
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: HDF5: libhdf5 crashed reading it; the file is probably damaged, or memory ran out", f->path);
}

/* A damaged file may have broken the process so that it answers anything. Nothing that it says later is of use. */
static sal_status fail_nonsense(keras_hdf5 *f)
{
    if (f->process > 0)
        kill(f->process, SIGKILL);
    end_process(f);
    return sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: is damaged: libhdf5 gave an impossible answer", f->path);
}

/* The head of an answer; an error of the other side becomes this side's. */
static sal_status receive_answer(answer *a, keras_hdf5 *f)
{
    char text[1024] = "";
    if (!receive_all(f->socket, a, sizeof *a))
        return fail_gone(f);
    if (a->status == SAL_OK)
        return SAL_OK;
    if (a->status > SAL_OK || a->status < SAL_ERROR_CANCELLED || a->size == 0 || a->size > sizeof text)
        return fail_nonsense(f);
    if (!receive_all(f->socket, text, a->size))
        return fail_gone(f);
    text[sizeof text - 1] = '\0';
    return sal_fail(a->status, "%s", text);
}

static sal_status ask(answer *a, keras_hdf5 *f, question which, const char *first, const char *second)
{
    static _Thread_local request r;
    memset(&r, 0, sizeof r);
    r.question = which;
    if (strlen(first) >= MAX_NAME || strlen(second) >= MAX_NAME)
        return sal_fail(SAL_ERROR_LIMIT, "%s: HDF5: a name is too long", f->path);
    memcpy(r.names[0], first, strlen(first));
    memcpy(r.names[1], second, strlen(second));
    if (!send_all(f->socket, &r, sizeof r))
        return fail_gone(f);
    return receive_answer(a, f);
}

static sal_status start_process(keras_hdf5 *f, const char *member)
{
    /* One at a time, so that no reader holds the far end of another's: a reader that breaks down ends its socket. */
    static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
    int sockets[2];
    pthread_mutex_lock(&starting);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        pthread_mutex_unlock(&starting);
        return sal_fail(SAL_ERROR_IO, "%s: cannot be read: %s", f->path, strerror(errno));
    }
    const pid_t master = getpid();
    f->process = fork();
    if (f->process == 0) {
        close(sockets[0]);
        begin_self(master);
        sal_confine_time(most_seconds(f->size));
        sal_confine_descriptors(sockets[1]);
        take_locks();
        serve(sockets[1], f, member);
        _exit(0);
    }
    f->socket = sockets[0];
    close(sockets[1]);
    pthread_mutex_unlock(&starting);
    if (f->process < 0)
        return sal_fail(SAL_ERROR_MEMORY, "%s: cannot start a process to read it: %s", f->path, strerror(errno));
    return SAL_OK;
}

/* Whether the process says within so many seconds that it has got through take_locks(). */
static int is_ready(keras_hdf5 *f, int seconds)
{
    struct pollfd ready = {.fd = f->socket, .events = POLLIN};
    char byte;
    const time_t end = time(NULL) + seconds;
    int n;
    do
        n = poll(&ready, 1, seconds * 1000);
    while (n < 0 && errno == EINTR && time(NULL) <= end);
    return n > 0 && receive_all(f->socket, &byte, 1);
}

/* 0 where it cannot be told: then it cannot be opened either. */
static uint64_t size_of(const char *path, const char *member)
{
    struct stat file;
    if (member)
        return keras_member_size(path, member);
    return stat(path, &file) == 0 && file.st_size > 0 ? (uint64_t)file.st_size : 0;
}

sal_status keras_hdf5_open(keras_hdf5 **out, const char *path, const char *member)
{
    enum { MOST_SECONDS = 64 };
    sal_status st = SAL_OK;
    keras_hdf5 *f = NULL;
    answer a;
    *out = NULL;
    TRY(sal_alloc(&f, 1, sizeof *f, "the weights' file"));
    *f = (keras_hdf5){.path = path, .size = size_of(path, member), .process = -1, .socket = -1};
    TRY(start_process(f, member));
    for (int seconds = 2; !is_ready(f, seconds); seconds *= 2) {
        kill(f->process, SIGKILL);
        end_process(f);
        if (seconds >= MOST_SECONDS) {
            st = sal_fail(
                SAL_ERROR_IO,
                "%s: cannot be read: the process that should do it does not begin, perhaps for want of memory", path);
            goto done;
        }
        TRY(start_process(f, member));
    }
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
    end_process(f);
    sal_free(f);
}

sal_status keras_hdf5_has(int *has, keras_hdf5 *f, const char *object)
{
    answer a;
    sal_status st = ask(&a, f, HAS, object, "");
    *has = st == SAL_OK && a.index != 0;
    return st;
}

/* An answer's text, *text NULL where there is none; its last byte is 0. free() it. */
static sal_status ask_text(char **text, keras_hdf5 *f, question which, const char *group, const char *attribute)
{
    sal_status st = SAL_OK;
    answer a;
    *text = NULL;
    TRY(ask(&a, f, which, group, attribute));
    if (a.size == 0)
        return SAL_OK;
    if (a.size > MAX_ANSWER)
        return fail_nonsense(f);
    *text = malloc(a.size);
    if (!*text) {
        end_process(f); /* the text stays in the socket */
        st = sal_fail_memory(a.size, attribute);
        goto done;
    }
    if (receive_all(f->socket, *text, a.size)) {
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
    return ask_text(out, f, TEXT, group, attribute);
}

sal_status keras_hdf5_texts(json_t **out, keras_hdf5 *f, const char *group, const char *attribute)
{
    char *text;
    *out = NULL;
    sal_status st = ask_text(&text, f, TEXTS, group, attribute);
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
    answer a;
    sal_status st = ask(&a, f, FIND, dataset, "");
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
    static _Thread_local request r;
    answer a;
    memset(&r, 0, sizeof r);
    r.question = READ;
    r.index = index;
    r.count = count;
    if (!send_all(f->socket, &r, sizeof r))
        return fail_gone(f);
    sal_status st = receive_answer(&a, f);
    if (st == SAL_OK && (a.size != count * sizeof *out || !receive_all(f->socket, out, a.size)))
        st = fail_gone(f);
    return st;
}
