/* Pictures that were in flight more than once when the process was killed: at any time there are dozens, and one of
 * them alone, if any, is to blame. Each is read by a process of its own, where all it can kill is that. */
#include "sweep/sweep.h"

#include "base/confine.h"
#include "base/memory.h"
#include "image/image.h"
#include "image/preprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FINE, NO_MEMORY, MOST_SECONDS = 3600 };

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

/* All that is done with a picture whose memory depends on its size. */
static sal_status read_picture(const sal_sweep_state *s, const char *path)
{
    sal_status st = SAL_OK;
    const sal_model_info *m = &s->info;
    sal_picture picture = {0}, shown = {0};
    sal_placement placement;
    float *input = NULL;
    unsigned char *drawn = NULL;
    size_t elements;
    TRY(sal_size_mul(&elements, (size_t)(m->height * m->width), (size_t)m->channels, "an input"));
    TRY(sal_alloc(&input, elements, sizeof *input, "an input"));
    TRY(sal_picture_read(&picture, path, &s->options.explain.limits));
    TRY(sal_preprocess_apply(input, &placement, &picture, &s->options.explain.preprocess, m->channels, m->height,
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

/* *how: as waitpid() says of a process that read the picture. */
static sal_status read_alone(int *how, const sal_sweep_state *s, const char *path)
{
    static const uint64_t beside = (uint64_t)64 << 20;
    const uint64_t most = s->options.explain.limits.max_memory;
    const pid_t master = getpid(), helper = fork();
    if (helper == 0) {
        begin_helper(master);
        const uint64_t own = sal_own_memory();
        sal_confine_time(MOST_SECONDS);
        sal_confine_memory(most < UINT64_MAX - own - beside ? own + beside + most : UINT64_MAX);
        _exit(read_picture(s, path) == SAL_ERROR_MEMORY ? NO_MEMORY : FINE);
    }
    if (helper < 0)
        return sal_fail(SAL_ERROR_MEMORY, "%s: cannot start a process to read it: %s", path, strerror(errno));
    while (waitpid(helper, how, 0) < 0)
        if (errno != EINTR)
            return sal_fail(SAL_ERROR_IO, "%s: the process that read it is lost: %s", path, strerror(errno));
    return SAL_OK;
}

/* What is to be said of a picture over which its process died, or SAL_OK. */
static sal_status judge(int how, const sal_sweep_state *s, const char *path)
{
    const unsigned long long most = (unsigned long long)(s->options.explain.limits.max_memory >> 20);
    if ((WIFEXITED(how) && WEXITSTATUS(how) == NO_MEMORY) || (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL))
        return sal_fail(SAL_ERROR_MEMORY,
                        "%s: was being computed when salmap was killed, and a process that read it alone, within %llu "
                        "MiB, %s: --max-memory sets the limit",
                        path, most, WIFSIGNALED(how) ? "was killed too" : "had not enough memory");
    if (WIFSIGNALED(how))
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: was being computed when salmap crashed, and a process that read it alone crashed too "
                        "(signal %d): it is damaged",
                        path, WTERMSIG(how));
    return SAL_OK;
}

static void keep(sal_sweep_state *s, size_t from)
{
    s->rows[s->count] = s->rows[from];
    s->paths[s->count] = s->paths[from];
    s->stems[s->count] = s->stems[from];
    if (s->targets)
        s->targets[s->count] = s->targets[from];
    s->count++;
}

static sal_status try_one(int *failed, sal_sweep_state *s, size_t at)
{
    sal_status st = SAL_OK;
    sal_slot slot = {.bytes = 0};
    int how = 0;
    *failed = 0;
    TRY(read_alone(&how, s, s->paths[at]));
    slot.status = judge(how, s, s->paths[at]);
    if (slot.status == SAL_OK)
        return SAL_OK;
    *failed = 1;
    sal_slot_fail(&slot, slot.status);
    st = sal_sweep_fail_picture(s, s->rows[at], &slot);
done:
    return st;
}

sal_status sal_sweep_try_suspects(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    const size_t all = s->count;
    s->count -= s->suspects;
    s->suspects = 0;
    for (size_t i = s->count; i < all; i++) {
        int failed;
        TRY(try_one(&failed, s, i));
        if (!failed) {
            keep(s, i);
            s->suspects++;
        }
    }
done:
    return st;
}
