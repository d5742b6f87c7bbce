/* Pictures that were in flight more than once when the process was killed: at any time there are dozens, and one of
 * them alone, if any, is to blame. Each is read by a process of its own, where all it can kill is that, and then
 * computed; after one more death, with no others beside it. */
#include "sweep/sweep.h"

#include "base/confine.h"
#include "base/memory.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FINE, NO_MEMORY, OVER_LIMIT, MOST_SECONDS = 3600 };

/* What became of a process that was to read a picture. */
typedef enum helper_end { HELPER_ENDED, HELPER_STOPPED, HELPER_LATE, HELPER_LOST } helper_end;

/* The system takes this process rather than its master where memory runs out, and it ends when its master does. */
static void begin_helper(pid_t master)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != master)
        _exit(FINE);
    const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        (void)!write(score, "1000", 4);
        close(score);
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], i < 3 ? SIG_IGN : SIG_DFL);
}

static sal_status input_size(size_t *bytes, const sal_model_info *m)
{
    return sal_size_mul(bytes, (size_t)(m->height * m->width), (size_t)m->channels * sizeof(float), "an input");
}

/* All that is done with a picture whose memory depends on its size. */
static sal_status read_picture(const sal_sweep_state *s, const char *path, size_t input_bytes)
{
    sal_status st = SAL_OK;
    const sal_model_info *m = &s->info;
    sal_picture picture = {0}, shown = {0};
    sal_placement placement;
    float *input = NULL;
    unsigned char *drawn = NULL;
    TRY(sal_alloc(&input, input_bytes, 1, "an input"));
    TRY(sal_picture_read(&picture, path, &s->how.limits));
    TRY(sal_preprocess_apply(input, &placement, &picture, &s->how.explain.preprocess, m->channels, m->height,
                             m->width));
    TRY(sal_picture_to_rgb8(&shown, &picture));
    sal_picture_clear(&picture);
    TRY(sal_alloc(&drawn, (size_t)sal_picture_bytes(&shown), 1, "an overlay"));
done:
    sal_picture_clear(&picture);
    sal_picture_clear(&shown);
    sal_free(input);
    sal_free(drawn);
    return st;
}

/* The memory that the picture may take, beside what this process has and the network's input. 0: there is no limit. */
static int confine(uint64_t most, uint64_t input_bytes)
{
    static const uint64_t small = (uint64_t)64 << 20;
    const uint64_t own = sal_own_memory(), beside = own + small + input_bytes;
    if (own == 0 || most >= UINT64_MAX - beside)
        return 0;
    sal_confine_memory(beside + most);
    return 1;
}

/* Body of the process. */
static int help(const sal_sweep_state *s, const char *path)
{
    size_t input_bytes;
    if (input_size(&input_bytes, &s->info) != SAL_OK)
        return NO_MEMORY;
    sal_confine_time(MOST_SECONDS);
    const int is_confined = confine(s->how.limits.max_memory, input_bytes);
    if (read_picture(s, path, input_bytes) != SAL_ERROR_MEMORY)
        return FINE;
    return is_confined ? OVER_LIMIT : NO_MEMORY;
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
        const int is_late = now - begin > MOST_SECONDS;
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

/* *how: as waitpid() says of a process that read the picture, where that ended by itself. */
static helper_end read_alone(int *how, sal_sweep_state *s, const char *path)
{
    const pid_t master = getpid(), helper = fork();
    if (helper == 0) {
        begin_helper(master);
        _exit(help(s, path));
    }
    return helper < 0 ? HELPER_LOST : wait_for(how, s, helper);
}

/* What is to be said of a picture over which its process died, or SAL_OK. */
static sal_status judge(int how, const sal_sweep_state *s, const char *path)
{
    const unsigned long long most = (unsigned long long)(s->how.limits.max_memory >> 20);
    const int code = WIFEXITED(how) ? WEXITSTATUS(how) : FINE;
    const int is_killed = WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
    if (code == NO_MEMORY || code == OVER_LIMIT || is_killed)
        return sal_fail(code == OVER_LIMIT ? SAL_ERROR_LIMIT : SAL_ERROR_MEMORY,
                        "%s: was being computed when salmap was killed, and a process that read it alone, within %llu "
                        "MiB, %s: --max-memory sets the limit",
                        path, most, is_killed ? "was killed too" : "had not enough memory");
    if (WIFSIGNALED(how))
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: was being computed when salmap crashed, and a process that read it alone crashed too "
                        "(signal %d): it is damaged",
                        path, WTERMSIG(how));
    return SAL_OK;
}

/* What is to be said of a picture that is not known better than before, and is tried again by the next sweep. */
static sal_status judge_unknown(helper_end end, const char *path)
{
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
    int how = 0;
    *fine = 0;
    sal_in_flight_begin(s->in_flight, s->rows[at]);
    const helper_end end = read_alone(&how, s, path);
    sal_in_flight_leave(s->in_flight, s->rows[at]);
    if (end == HELPER_STOPPED)
        return SAL_OK;
    slot.status = end == HELPER_ENDED ? judge(how, s, path) : judge_unknown(end, path);
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
