/* Pictures that were in flight more than once when the process was killed: at any time there are dozens, and one of
 * them alone, if any, is to blame. Each is read by a process of its own, where all it can kill is that, and then
 * computed; after one more death, with no others beside it. */
#include "sweep/sweep.h"

#include "base/helper/start.h"
#include "sweep/suspect_task.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What became of a process that was to read a picture. */
typedef enum helper_end {
    HELPER_ENDED,
    HELPER_STOPPED, /* as the sweep was */
    HELPER_LATE,
    HELPER_LOST,
    HELPER_DISTURBED /* by a signal that says nothing of the picture */
} helper_end;

static int is_killed(int how)
{
    return WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
}

static int is_disturbed(int how)
{
    return WIFSIGNALED(how) && !is_killed(how) && !sal_helper_is_fault(WTERMSIG(how));
}

/* One that waits for a disk may not end even so: it is left to itself then. */
static void end_helper(pid_t helper)
{
    static const struct timespec moment = {0, 10 * 1000000L};
    kill(helper, SIGKILL);
    for (int i = 0; i < 100 && waitpid(helper, NULL, WNOHANG) == 0; i++)
        nanosleep(&moment, NULL);
}

static helper_end wait_for(int *how, sal_sweep_state *s, pid_t helper)
{
    static const struct timespec moment = {0, 5 * 1000000L};
    const double begin = sal_pipeline_now();
    double looked = begin;
    for (;;) {
        const pid_t ended = waitpid(helper, how, WNOHANG);
        if (ended == helper)
            return HELPER_ENDED;
        if (ended < 0 && errno != EINTR)
            return HELPER_LOST;
        const double now = sal_pipeline_now();
        const int is_late = now - begin > SAL_SUSPECT_MOST_SECONDS;
        if (is_late || now - looked >= 0.1) {
            looked = now;
            const int stopped = sal_sweep_look(s);
            if (stopped || is_late) {
                end_helper(helper);
                return stopped ? HELPER_STOPPED : HELPER_LATE;
            }
        }
        nanosleep(&moment, NULL);
    }
}

/* Starts a process that reads the picture. One that has gone already tells why by how it ended. */
static sal_status start(sal_helper_process *out, const sal_sweep_state *s, const char *path)
{
    const char *const words[] = {path, NULL};
    const sal_suspect_task task = {.preprocess = s->how.explain.preprocess,
                                   .limits = s->how.limits,
                                   .channels = s->info.channels,
                                   .height = s->info.height,
                                   .width = s->info.width};
    const sal_status st = sal_helper_start(out, &sal_suspect_helper, path, words);
    if (st == SAL_OK)
        (void)sal_helper_send(out->socket, &task, sizeof task);
    return st;
}

/* Whether it was the program that ended, and not another one in its place, which says nothing of the picture. */
static sal_status check_reader(helper_end *end, int how, const sal_helper_process *reader, const char *path)
{
    /* A process that the host forked meanwhile may hold a copy of the other end. */
    shutdown(reader->socket, SHUT_RDWR);
    if (*end == HELPER_ENDED && is_disturbed(how)) {
        *end = HELPER_DISTURBED;
        return SAL_OK;
    }
    const sal_status st = *end == HELPER_ENDED ? sal_helper_meet(reader, &sal_suspect_helper, path) : SAL_OK;
    if (st == SAL_OK || !is_killed(how))
        return st;
    *end = HELPER_LOST; /* the system took it before it had begun */
    return SAL_OK;
}

/* *how: as waitpid() says of a process that read the picture, where that ended by itself. Error: IO, if there is no
 * program to read it. */
static sal_status read_alone(helper_end *end, int *how, sal_sweep_state *s, const char *path)
{
    sal_helper_process reader;
    sal_status st = start(&reader, s, path);
    *end = HELPER_LOST;
    if (st != SAL_OK)
        return st == SAL_ERROR_MEMORY ? SAL_OK : st;
    *end = wait_for(how, s, reader.process);
    st = check_reader(end, *how, &reader, path);
    close(reader.socket);
    return st;
}

/* What is to be said of a picture over which its process died, or SAL_OK. */
static sal_status judge(int how, const sal_sweep_state *s, const char *path)
{
    const unsigned long long most = (unsigned long long)(s->how.limits.max_memory >> 20);
    const int code = WIFEXITED(how) ? WEXITSTATUS(how) : SAL_SUSPECT_FINE, killed = is_killed(how);
    if (code == SAL_SUSPECT_NO_MEMORY || code == SAL_SUSPECT_OVER_LIMIT || killed)
        return sal_fail(code == SAL_SUSPECT_OVER_LIMIT ? SAL_ERROR_LIMIT : SAL_ERROR_MEMORY,
                        "%s: was being computed when salmap was killed, and a process that read it alone, within %llu "
                        "MiB, %s: --max-memory sets the limit",
                        path, most, killed ? "was killed too" : "had not enough memory");
    if (WIFSIGNALED(how))
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: was being computed when salmap crashed, and a process that read it alone crashed too "
                        "(signal %d): it is damaged",
                        path, WTERMSIG(how));
    return SAL_OK;
}

/* What is to be said of a picture that is not known better than before, and is tried again by the next sweep. */
static sal_status judge_unknown(helper_end end, int how, const char *path)
{
    if (end == HELPER_DISTURBED)
        return sal_fail(
            SAL_ERROR_IO,
            "%s: was being computed when salmap was killed, and a process that read it alone was stopped by "
            "signal %d: run again to try once more",
            path, WTERMSIG(how));
    if (end == HELPER_LATE)
        return sal_fail(SAL_ERROR_IO,
                        "%s: was being computed when salmap was killed, and a process that read it alone did not end "
                        "within an hour: run again to try once more",
                        path);
    return sal_fail(SAL_ERROR_MEMORY,
                    "%s: was being computed when salmap was killed, and no process was to be had to read it alone: "
                    "run again to try once more",
                    path);
}

static void move(sal_sweep_state *s, size_t to, size_t from)
{
    s->rows[to] = s->rows[from];
    s->paths[to] = s->paths[from];
    s->stems[to] = s->stems[from];
    if (s->targets)
        s->targets[to] = s->targets[from];
}

/* *fine: it can be computed, as far as is known. The picture is in flight meanwhile: both processes may be killed. */
static sal_status try_one(int *fine, sal_sweep_state *s, size_t at)
{
    sal_slot slot = {.bytes = 0};
    const char *path = s->paths[at];
    helper_end end;
    int how = 0;
    *fine = 0;
    sal_in_flight_begin(s->in_flight, s->rows[at]);
    const sal_status st = read_alone(&end, &how, s, path);
    sal_in_flight_leave(s->in_flight, s->rows[at]);
    if (st != SAL_OK || end == HELPER_STOPPED)
        return st;
    slot.status = end == HELPER_ENDED ? judge(how, s, path) : judge_unknown(end, how, path);
    *fine = slot.status == SAL_OK;
    if (*fine)
        return SAL_OK;
    sal_slot_fail(&slot, slot.status);
    return sal_sweep_fail_picture(s, s->rows[at], &slot, end == HELPER_ENDED && slot.status != SAL_ERROR_LIMIT);
}

sal_status sal_sweep_try_suspects(size_t *fine, sal_sweep_state *s, size_t first, size_t count)
{
    sal_status st = SAL_OK;
    *fine = 0;
    for (size_t i = first; i < first + count && !s->stopped; i++) {
        int is_fine;
        TRY(try_one(&is_fine, s, i));
        if (is_fine)
            move(s, first + (*fine)++, i);
    }
done:
    return st;
}
