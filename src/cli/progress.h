/* How far a job is: a bar on the terminal of stderr, and its numbers. */
#ifndef SAL_CLI_PROGRESS_H
#define SAL_CLI_PROGRESS_H

#include "salmap/plan.h"

typedef struct cli_bar {
    int drawn; /* 1: it stands on the last line */
} cli_bar;

/* Between two drawings. */
extern const double cli_bar_seconds;

/* Pictures per second; 0: there is no rate yet. */
double cli_rate(const sal_sweep_progress *p);
/* "0:28", "1:02:28", or "?" as long as there is no rate; returns text. */
const char *cli_time_left(char *text, size_t size, const sal_sweep_progress *p);
/* "encode 97 %": what the speed hangs on; returns text. */
const char *cli_bound(char *text, size_t size, const sal_sweep_progress *p);

/* As wide as the terminal allows, over the one before. */
void cli_bar_draw(cli_bar *bar, const sal_sweep_progress *p);
/* Before other lines. */
void cli_bar_clear(cli_bar *bar);

#endif
