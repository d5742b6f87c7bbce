#include "results/rows.h"

#include "results/store.h"

#include <math.h>
#include <string.h>

sal_status sal_rows_open(sal_rows *s, sal_sql *sql, const sal_dataset *dataset)
{
    static const char *const texts[SAL_ROWS_TABLES] = {
        [SAL_ROWS_PICTURES] = "INSERT OR REPLACE INTO pictures VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
        [SAL_ROWS_PREDICTIONS] = "INSERT OR REPLACE INTO predictions VALUES(?1,?2,?3,?4,?5)",
        [SAL_ROWS_MAPS] = "INSERT OR REPLACE INTO maps VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
        [SAL_ROWS_TIMINGS] = "INSERT OR REPLACE INTO timings VALUES(?1,?2,?3,?4)",
    };
    static const char with_gap[] =
        "INSERT OR REPLACE INTO maps VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)";
    sal_status st = SAL_OK;
    *s = (sal_rows){.sql = sql, .dataset = dataset};
    TRY(sal_store_has_gaps(&s->gaps, sql, "main"));
    char text[64 + 6 * SAL_MAX_COLUMNS];
    size_t used = (size_t)snprintf(text, sizeof text, "INSERT OR REPLACE INTO manifest VALUES(?1");
    for (int k = 0; k < dataset->column_count; k++)
        used += (size_t)snprintf(text + used, sizeof text - used, ",?%d", k + 2);
    snprintf(text + used, sizeof text - used, ")");
    for (int k = 0; k < SAL_ROWS_TABLES; k++)
        TRY(sal_sql_prepare(&s->insert[k], sql,
                            !texts[k]                       ? text
                            : k == SAL_ROWS_MAPS && s->gaps ? with_gap
                                                            : texts[k]));
done:
    return st;
}

void sal_rows_close(sal_rows *s)
{
    for (int k = 0; k < SAL_ROWS_TABLES; k++)
        sqlite3_finalize(s->insert[k]);
    sqlite3_finalize(s->insert_failed);
    memset(s, 0, sizeof *s);
}

void sal_rows_reset(sal_rows *s)
{
    for (int k = 0; k < SAL_ROWS_TABLES; k++)
        (void)sqlite3_reset(s->insert[k]);
    (void)sqlite3_reset(s->insert_failed);
}

/* What a picture's file was when it failed: one that is another by now is worth another look. */
static sal_status put_failed(sal_rows *s, const sal_result *r)
{
    sal_status st = SAL_OK;
    sal_sql *q = s->sql;
    if (!s->insert_failed) {
        TRY(sal_sql_run(q, sal_store_failed_table));
        TRY(sal_sql_prepare(&s->insert_failed, q, "INSERT OR REPLACE INTO failed_files VALUES(?1,?2,?3)"));
    }
    TRY(sal_sql_bind_integer(q, s->insert_failed, 1, (int64_t)r->picture));
    TRY(sal_sql_bind_integer(q, s->insert_failed, 2, r->failed_bytes));
    TRY(sal_sql_bind_integer(q, s->insert_failed, 3, r->changed));
    TRY(sal_sql_step_done(q, s->insert_failed));
done:
    return st;
}

static sal_status put_picture(sal_rows *s, const sal_result *r)
{
    sal_status st = SAL_OK;
    sal_sql *q = s->sql;
    sqlite3_stmt *t = s->insert[SAL_ROWS_PICTURES];
    const sal_prediction *best = r->prediction_count ? r->predictions : NULL;
    TRY(sal_sql_bind_integer(q, t, 1, (int64_t)r->picture));
    TRY(sal_sql_bind_text(q, t, 2, sal_dataset_path(s->dataset, r->picture)));
    TRY(sal_sql_bind_text(q, t, 3, r->status == SAL_OK ? "ok" : sal_status_name(r->status)));
    TRY(sal_sql_bind_text(q, t, 4, r->error));
    TRY(best && r->bytes > 0 ? sal_sql_bind_integer(q, t, 5, r->bytes) : sal_sql_bind_null(q, t, 5));
    TRY(best ? sal_sql_bind_integer(q, t, 6, r->width) : sal_sql_bind_null(q, t, 6));
    TRY(best ? sal_sql_bind_integer(q, t, 7, r->height) : sal_sql_bind_null(q, t, 7));
    TRY(best ? sal_sql_bind_integer(q, t, 8, best->output) : sal_sql_bind_null(q, t, 8));
    TRY(sal_sql_bind_real(q, t, 9, best ? (double)best->score : (double)NAN));
    TRY(sal_sql_bind_real(q, t, 10, best ? (double)best->probability : (double)NAN));
    TRY(r->correct >= 0 ? sal_sql_bind_integer(q, t, 11, r->correct) : sal_sql_bind_null(q, t, 11));
    TRY(sal_sql_step_done(q, t));
done:
    return st;
}

static sal_status put_predictions(sal_rows *s, const sal_result *r)
{
    sal_status st = SAL_OK;
    sal_sql *q = s->sql;
    sqlite3_stmt *t = s->insert[SAL_ROWS_PREDICTIONS];
    for (size_t k = 0; k < r->prediction_count; k++) {
        TRY(sal_sql_bind_integer(q, t, 1, (int64_t)r->picture));
        TRY(sal_sql_bind_integer(q, t, 2, (int64_t)k + 1));
        TRY(sal_sql_bind_integer(q, t, 3, r->predictions[k].output));
        TRY(sal_sql_bind_real(q, t, 4, (double)r->predictions[k].score));
        TRY(sal_sql_bind_real(q, t, 5, (double)r->predictions[k].probability));
        TRY(sal_sql_step_done(q, t));
    }
done:
    return st;
}

static sal_status put_map(sal_rows *s, const sal_result *r, size_t k)
{
    sal_status st = SAL_OK;
    sal_sql *q = s->sql;
    sqlite3_stmt *t = s->insert[SAL_ROWS_MAPS];
    const sal_result_map *m = &r->maps[k];
    const float reals[] = {m->score, m->probability, m->stats.low, m->stats.peak, m->stats.mean};
    const float summary[] = {m->summary.mean, m->summary.deviation, m->summary.center_x, m->summary.center_y};
    TRY(sal_sql_bind_integer(q, t, 1, (int64_t)r->picture));
    TRY(sal_sql_bind_integer(q, t, 2, (int64_t)k + 1));
    TRY(sal_sql_bind_integer(q, t, 3, m->target));
    for (int i = 0; i < 5; i++)
        TRY(sal_sql_bind_real(q, t, 4 + i, (double)reals[i]));
    TRY(sal_sql_bind_integer(q, t, 9, m->stats.flat));
    for (int i = 0; i < 4; i++)
        TRY(sal_sql_bind_real(q, t, 10 + i, (double)summary[i]));
    TRY(sal_sql_bind_text(q, t, 14, m->map_file));
    TRY(sal_sql_bind_text(q, t, 15, m->overlay_file));
    if (s->gaps)
        TRY(sal_sql_bind_real(q, t, 16, m->gap));
    TRY(sal_sql_step_done(q, t));
done:
    return st;
}

static sal_status put_timing(sal_rows *s, const sal_result *r)
{
    sal_status st = SAL_OK;
    sal_sql *q = s->sql;
    sqlite3_stmt *t = s->insert[SAL_ROWS_TIMINGS];
    TRY(sal_sql_bind_integer(q, t, 1, (int64_t)r->picture));
    TRY(sal_sql_bind_real(q, t, 2, r->decode_ms));
    TRY(sal_sql_bind_real(q, t, 3, r->compute_ms));
    TRY(sal_sql_bind_real(q, t, 4, r->encode_ms));
    TRY(sal_sql_step_done(q, t));
done:
    return st;
}

sal_status sal_rows_put_manifest(sal_rows *s, size_t picture)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *t = s->insert[SAL_ROWS_MANIFEST];
    TRY(sal_sql_bind_integer(s->sql, t, 1, (int64_t)picture));
    for (int k = 0; k < s->dataset->column_count; k++)
        TRY(sal_sql_bind_text(s->sql, t, k + 2, sal_dataset_field(s->dataset, picture, k)));
    TRY(sal_sql_step_done(s->sql, t));
done:
    return st;
}

sal_status sal_rows_put(sal_rows *s, const sal_result *r)
{
    sal_status st = SAL_OK;
    TRY(put_picture(s, r));
    TRY(sal_rows_put_manifest(s, r->picture));
    TRY(put_predictions(s, r));
    for (size_t k = 0; k < r->map_count; k++)
        TRY(put_map(s, r, k));
    TRY(put_timing(s, r));
    if (r->status != SAL_OK && r->changed != 0)
        TRY(put_failed(s, r));
done:
    return st;
}
