/* Do results tell what the folder that they lie in tells? Whoever edits one of them leaves the others. */
#include "results/run.h"
#include "results/settings_lines.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct comparison {
    sal_sql *sql;
    sqlite3_stmt *find;
    int64_t count; /* of settings that agree */
} comparison;

static sal_status fail_key(const sal_sql *sql, const char *key, const char *here, const char *there)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: %s is %s in it, and %s in " SAL_RUN_JSON, sql->path, key,
                    here ? here : "missing", there);
}

/* *value: the caller's, free(); NULL: there is none. */
static sal_status find_value(char **value, const comparison *c, const char *key)
{
    sal_status st = SAL_OK;
    int row;
    *value = NULL;
    TRY(sal_sql_bind_text(c->sql, c->find, 1, key));
    TRY(sal_sql_step(&row, c->sql, c->find));
    if (row && sal_sql_text(c->find, 0))
        TRY(sal_strdup(value, sal_sql_text(c->find, 0)));
done:
    if (st == SAL_OK)
        st = sal_sql_check(c->sql, sqlite3_reset(c->find));
    return st;
}

static sal_status compare(const comparison *c, const char *key, const char *there)
{
    sal_status st = SAL_OK;
    char *here = NULL;
    TRY(find_value(&here, c, key));
    if (!here || strcmp(here, there) != 0)
        st = fail_key(c->sql, key, here, there);
done:
    free(here);
    return st;
}

static sal_status compare_setting(void *context, const char *name, const char *value)
{
    comparison *c = context;
    char key[128];
    snprintf(key, sizeof key, "option.%s", name);
    c->count++;
    return compare(c, key, value);
}

static sal_status count_settings(int64_t *count, sal_sql *sql, const char *schema)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    char text[128];
    int row;
    snprintf(text, sizeof text, "SELECT count(*) FROM %s.run WHERE key LIKE 'option.%%'", schema);
    TRY(sal_sql_prepare(&select, sql, text));
    TRY(sal_sql_step(&row, sql, select));
    *count = row ? sqlite3_column_int64(select, 0) : 0;
done:
    sqlite3_finalize(select);
    return st;
}

sal_status sal_run_check_results(sal_sql *sql, const char *schema, const sal_run_description *d)
{
    sal_status st = SAL_OK;
    comparison c = {.sql = sql};
    char text[128], mark[SAL_DIGEST_SIZE], *model = NULL;
    int64_t count;
    snprintf(text, sizeof text, "SELECT value FROM %s.run WHERE key = ?1", schema);
    TRY(sal_sql_prepare(&c.find, sql, text));
    TRY(compare(&c, "manifest_sha256", d->manifest_sha256));
    TRY(sal_settings_each(d->settings, compare_setting, &c));
    TRY(count_settings(&count, sql, schema));
    if (count != c.count) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: it has %lld options, and " SAL_RUN_JSON " has %lld", sql->path,
                      (long long)count, (long long)c.count);
        goto done;
    }
    TRY(find_value(&model, &c, "model_sha256"));
    TRY(sal_run_fingerprint(mark, model ? model : "", d->manifest_sha256, d->settings));
    if (strcmp(mark, d->fingerprint) != 0)
        st = fail_key(sql, "model_sha256", model, "another one");
done:
    sqlite3_finalize(c.find);
    free(model);
    return st;
}

/* ---- All that a folder tells ------------------------------------------------- */

static sal_status open_list(sal_run_facts *f, const sal_run_folder *folder)
{
    sal_status st = SAL_OK;
    char sha256[SAL_DIGEST_SIZE];
    TRY(sal_run_list_open(&f->list, sha256, folder, NULL, f->description.settings));
    if (f->list && strcmp(sha256, f->description.manifest_sha256) != 0)
        st = sal_fail(SAL_ERROR_FORMAT, "%s/" SAL_RUN_MANIFEST ": is not the list that the run was begun with",
                      folder->path);
    else if (f->list)
        st = sal_run_names_make(&f->names, f->list, f->description.settings);
done:
    return st;
}

sal_status sal_run_facts_open(sal_run_facts *out, const char *folder)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    memset(out, 0, sizeof *out);
    TRY(sal_run_folder_open(&f, folder));
    TRY(sal_run_description_read(&out->description, &f));
    if (out->description.sign == SAL_RUN_FOREIGN)
        st = sal_fail(SAL_ERROR_FORMAT, "%s/" SAL_RUN_JSON ": is damaged, or of no run: its fingerprint is another one",
                      folder);
    else if (out->description.sign == SAL_RUN_SIGNED)
        st = open_list(out, &f);
done:
    sal_run_folder_close(&f);
    if (st != SAL_OK)
        sal_run_facts_close(out);
    return st;
}

void sal_run_facts_close(sal_run_facts *f)
{
    sal_run_names_clear(&f->names);
    sal_dataset_close(f->list);
    sal_run_description_clear(&f->description);
    memset(f, 0, sizeof *f);
}
