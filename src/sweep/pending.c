/* What is left to do of a run, and in which order. */
#include "sweep/sweep.h"

#include "base/memory.h"
#include "results/limits.h"

#include <stdlib.h>

/* What a picture may have done, as a number of deaths. From SUSPECT on it is read by a process of its own before it is
 * computed again, from ALONE on it has no others beside it then. */
enum { HARMLESS = 0, SUSPECT = 2, ALONE = 3, MOST_DEATHS = 127 };

static void add(sal_sweep_state *s, size_t row)
{
    if (s->targets)
        s->targets[s->count] = (sal_target){SAL_TARGET_INDEX, s->info.outputs == 1 ? 0 : sal_sweep_output_of(s, row),
                                            s->how.explain.target.score};
    s->rows[s->count] = row;
    s->paths[s->count] = sal_dataset_file(s->dataset, row);
    s->stems[s->count++] = s->names.names.stems[row];
}

/* What is known of each picture of the list. */
typedef struct knowledge {
    unsigned char *known;
    unsigned char *mended;           /* 1: it failed, and its file is another one by now */
    int *limited;                    /* SAL_ERROR_LIMIT, SAL_ERROR_MEMORY or 0 */
    int limits_raised;               /* 1: what failed by a limit is tried again */
    int suspicions[MOST_DEATHS + 1]; /* 1: there are such */
} knowledge;

static int is_pending(const sal_sweep_state *s, const knowledge *k, size_t row)
{
    if (k->known[row] == SAL_KNOWN_DONE)
        return 0;
    return k->known[row] != SAL_KNOWN_FAILED || s->options.retry_failed || k->mended[row] ||
           (k->limits_raised && k->limited[row] == SAL_ERROR_LIMIT);
}

/* Where there was no memory for it, it was perhaps found out how that ends. */
static int suspicion_of(const sal_sweep_state *s, const knowledge *k, size_t row)
{
    const int deaths = sal_in_flight_deaths(s->in_flight, row);
    if (k->limited[row] == SAL_ERROR_MEMORY && deaths < ALONE)
        return ALONE;
    return deaths < SUSPECT ? HARMLESS : deaths > MOST_DEATHS ? MOST_DEATHS : deaths;
}

static void count(sal_sweep_state *s, const knowledge *k)
{
    for (size_t i = 0; i < s->dataset->count; i++) {
        if (!sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards))
            continue;
        const int pending = is_pending(s, k, i);
        s->progress.pictures++;
        s->progress.done += !pending;
        s->progress.failed += !pending && k->known[i] != SAL_KNOWN_DONE;
    }
}

/* What is left may have done so much. */
static void suspect(const sal_sweep_state *s, knowledge *k)
{
    for (size_t i = 0; i < s->dataset->count; i++)
        if (sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards) && is_pending(s, k, i))
            k->suspicions[suspicion_of(s, k, i)] = 1;
}

/* How many there are. */
static size_t list(sal_sweep_state *s, const knowledge *k, int suspicion)
{
    const size_t before = s->count;
    for (size_t i = 0; k->suspicions[suspicion] && i < s->dataset->count; i++)
        if (sal_dataset_in_shard(s->dataset, i, s->options.shard, s->options.shards) && is_pending(s, k, i) &&
            suspicion_of(s, k, i) == suspicion)
            add(s, i);
    return s->count - before;
}

/* All but how limits were raised. */
static sal_status read_results(knowledge *k, const sal_sweep_state *s, sal_sql *sql)
{
    sal_status st = SAL_OK;
    const size_t all = s->dataset->count;
    TRY(sal_alloc(&k->known, all, 1, "the list of pictures"));
    TRY(sal_alloc(&k->limited, all, sizeof *k->limited, "the list of pictures"));
    TRY(sal_alloc(&k->mended, all, 1, "the list of pictures"));
    TRY(sal_store_look_known(k->known, sql, s->dataset));
    TRY(sal_store_mended(k->mended, sql, s->dataset));
    TRY(sal_store_limited(k->limited, sql, all));
done:
    return st;
}

static void forget(knowledge *k)
{
    sal_free(k->known);
    sal_free(k->mended);
    sal_free(k->limited);
}

sal_status sal_sweep_count_done(sal_sweep_state *s, sal_sql *sql)
{
    sal_status st = SAL_OK;
    knowledge k = {0};
    TRY(read_results(&k, s, sql));
    TRY(sal_store_look_limits_raised(&k.limits_raised, sql, &s->how.limits));
    s->progress.pictures = 0;
    count(s, &k);
done:
    forget(&k);
    return st;
}

sal_status sal_sweep_list_pending(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    const size_t all = s->dataset->count;
    knowledge k = {0};
    char store[SAL_RUN_STORE_NAME];
    s->progress.pictures = 0;
    TRY(read_results(&k, s, sal_store_sql(s->store)));
    TRY(sal_store_limits_raised(&k.limits_raised, s->store, &s->how.limits));
    sal_run_store_name(store, s->options.shard, s->options.shards);
    TRY(sal_in_flight_open(&s->in_flight, s->folder, store, s->manifest_sha256, all));
    TRY(sal_alloc(&s->rows, all, sizeof *s->rows, "the list of pictures"));
    TRY(sal_alloc(&s->paths, all, sizeof *s->paths, "the list of pictures"));
    TRY(sal_alloc(&s->stems, all, sizeof *s->stems, "the list of pictures"));
    if (s->how.explain.target.kind == SAL_TARGET_LABEL)
        TRY(sal_alloc(&s->targets, all, sizeof *s->targets, "targets"));
    count(s, &k);
    suspect(s, &k);
    (void)list(s, &k, HARMLESS);
    s->suspects = list(s, &k, SUSPECT);
    s->alone = 0; /* who is to blame, if anybody, comes last */
    for (int deaths = ALONE; deaths <= MOST_DEATHS; deaths++)
        s->alone += list(s, &k, deaths);
done:
    forget(&k);
    return st;
}
