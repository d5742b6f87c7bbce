#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const double cli_bar_seconds = 0.2;

double cli_rate(const sal_sweep_progress *p)
{
    return p->seconds > 0.0 ? (double)p->done_now / p->seconds : 0.0;
}

const char *cli_time_left(char *text, size_t size, const sal_sweep_progress *p)
{
    const double rate = cli_rate(p);
    if (rate <= 0.0) {
        snprintf(text, size, "?");
        return text;
    }
    const long long s = (long long)((double)(p->pictures - p->done) / rate + 0.5);
    if (s < 3600)
        snprintf(text, size, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(text, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

static const sal_stage_info *busiest(const sal_sweep_progress *p)
{
    const sal_stage_info *s = &p->stages[0];
    for (int k = 1; k < SAL_STAGES; k++)
        if (p->stages[k].busy > s->busy)
            s = &p->stages[k];
    return s;
}

const char *cli_bound(char *text, size_t size, const sal_sweep_progress *p)
{
    if (!p->bound || p->done_now == 0) {
        snprintf(text, size, "starting");
        return text;
    }
    const int processor = strcmp(p->bound, "processor") == 0;
    snprintf(text, size, "%s %.0f %%", p->bound, 100.0 * (processor ? p->processor : busiest(p)->busy));
    return text;
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void cli_bar_clear(cli_bar *bar)
{
    if (bar->drawn)
        fputs("\r\033[K", stderr);
    bar->drawn = 0;
}

void cli_bar_draw(cli_bar *bar, const sal_sweep_progress *p)
{
    enum { LEAST = 10, MOST = 40 };
    char text[256], left[32], bound[64], failed[48] = "";
    if (p->failed)
        snprintf(failed, sizeof failed, "  %zu failed", p->failed);
    const int length = snprintf(text, sizeof text, " %zu/%zu  %.1f/s  %s left%s  %s", p->done, p->pictures, cli_rate(p),
                                cli_time_left(left, sizeof left, p), failed, cli_bound(bound, sizeof bound, p));
    const int columns = terminal_width();
    int width = columns - length - 3;
    width = width > MOST ? MOST : width;
    if (columns <= length) /* a line that wraps cannot be drawn over */
        text[columns - 1] = '\0';
    fputs("\r", stderr);
    if (width >= LEAST) {
        const int full = p->pictures ? (int)((double)width * (double)p->done / (double)p->pictures) : width;
        fputc('[', stderr);
        for (int k = 0; k < width; k++)
            fputc(k < full ? '=' : k == full ? '>' : ' ', stderr);
        fputc(']', stderr);
    }
    fprintf(stderr, "%s\033[K", text);
    fflush(stderr);
    bar->drawn = 1;
}
