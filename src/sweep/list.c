/* The list of a sweep: as it was when the run began, and as it is now; how it is read is told in the settings. */
#include "sweep/sweep.h"

#include "base/memory.h"
#include "base/text.h"
#include "dataset/classes.h"
#include "results/settings_lines.h"

#include <stdlib.h>
#include <string.h>

/* ---- The list, now and then ---------------------------------------------- */

sal_status sal_sweep_hash_list(char sha256[SAL_DIGEST_SIZE], const sal_dataset *d)
{
    char *text = NULL;
    size_t size;
    sal_status st = sal_dataset_text(&text, &size, d);
    if (st == SAL_OK)
        st = sal_run_hash(sha256, text, size);
    free(text);
    return st;
}

/* Pictures of the run's list that are not among those named now are gone. One that is there was never named, or is left
 * out now: the list may come from anywhere, and salmap reads what it is told to. */
static sal_status check_gone(const sal_sweep_state *s, const sal_dataset *then)
{
    sal_status st = SAL_OK;
    const char *file;
    const sal_patterns *p = &s->dataset->patterns;
    TRY(sal_dataset_unnamed(&file, then, s->dataset));
    if (file && p->include_count + p->exclude_count > 0)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s/" SAL_RUN_MANIFEST ": the list of pictures has changed since the run began: it has %s, which "
                      "is there and is none of the pictures that are named and that --include and --exclude leave in: "
                      "give them as then, or choose another run folder",
                      s->folder, file);
    else if (file)
        st =
            sal_fail(SAL_ERROR_ARGUMENT,
                     "%s/" SAL_RUN_MANIFEST
                     ": lists %s, which is there and is none of the pictures that are named: choose another run folder",
                     s->folder, file);
done:
    return st;
}

/* The run's list, and behind it what is new now. */
static sal_status extend_list(sal_sweep_state *s, const sal_dataset *then)
{
    sal_status st = SAL_OK;
    size_t added;
    TRY(sal_dataset_extend(&s->frozen, &added, s->dataset, then));
    s->dataset = s->labels.dataset = s->frozen;
    TRY(sal_sweep_hash_list(s->manifest_sha256, s->frozen));
done:
    return st;
}

/* The list of a run that was begun stays its list: pictures that went missing from a folder since are failures, new
 * ones are another run, but where it is to be extended. A manifest is compared as a whole. */
sal_status sal_sweep_reconcile_list(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_run_folder folder = {.fd = -1};
    sal_dataset *then = NULL;
    char sha256[SAL_DIGEST_SIZE];
    const char *first;
    size_t added;
    TRY(sal_run_folder_open(&folder, s->folder));
    TRY(sal_run_list_open(&then, sha256, &folder, s->dataset->root, s->settings));
    if (!then)
        goto done;
    TRY(sal_sweep_hash_list(sha256, then));
    if (strcmp(sha256, s->manifest_sha256) == 0)
        goto done;
    if (s->options.extend) {
        TRY(extend_list(s, then));
        goto done;
    }
    TRY(sal_dataset_added(&added, &first, s->dataset, then));
    const int other_columns = s->dataset->column_count != then->column_count;
    if (s->dataset->manifest || other_columns || added > 0) {
        char what[256] = "other columns, labels or order";
        if (added > 0)
            snprintf(what, sizeof what, "%zu new, such as %.180s; --extend adds them", added, first);
        else if (!other_columns && s->dataset->count != then->count)
            snprintf(what, sizeof what, "%zu gone", then->count - s->dataset->count);
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s/" SAL_RUN_MANIFEST
                      ": the list of pictures has changed since the run began: %zu then, %zu now (%s); --restart "
                      "throws its results away, or choose another run folder",
                      s->folder, then->count, s->dataset->count, what);
        goto done;
    }
    TRY(check_gone(s, then));
    TRY(sal_dataset_take_origin(then, s->dataset));
    s->frozen = then;
    s->dataset = s->labels.dataset = then;
    then = NULL;
    memcpy(s->manifest_sha256, sha256, sizeof sha256);
done:
    sal_dataset_close(then);
    sal_run_folder_close(&folder);
    return st;
}

/* ---- Its settings ---------------------------------------------------------- */

/* Which columns are meant, and what the outputs are called. What is not said is as it was before there was a choice. */
static sal_status print_lines(FILE *to, const sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    char *names = NULL;
    const sal_sweep_options *o = &s->options;
    if (s->dataset->path_name)
        fprintf(to, SAL_SETTINGS_PATH_COLUMN " %s\n", s->dataset->path_name);
    if (s->dataset->label_name)
        fprintf(to, SAL_SETTINGS_LABEL_COLUMN " %s\n", s->dataset->label_name);
    if (!o->classes)
        return SAL_OK;
    if (o->label_as == SAL_LABEL_AS_NAME || o->label_as == SAL_LABEL_AS_OUTPUT)
        fprintf(to, "label-as %s\n", o->label_as == SAL_LABEL_AS_NAME ? "name" : "output");
    TRY(sal_classes_text(&names, o->classes));
    fprintf(to, "%s %s\n", s->labels.yes_or_no ? SAL_SETTINGS_LABEL_NAMES : SAL_SETTINGS_CLASS_NAMES, names);
done:
    free(names);
    return st;
}

static sal_status check_line(const char *what, const char *text)
{
    return text && strchr(text, '\n')
               ? sal_fail(SAL_ERROR_ARGUMENT, "the name of %s has a line break: no run can be made with it", what)
               : SAL_OK;
}

sal_status sal_sweep_list_settings(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_text text;
    char *all = NULL;
    TRY(check_line("a column", s->dataset->path_name));
    TRY(check_line("a column", s->dataset->label_name));
    TRY(sal_text_open(&text));
    fputs(s->settings, text.stream);
    st = print_lines(text.stream, s);
    TRY(sal_text_close(&all, NULL, &text, st, "settings"));
    free(s->settings);
    s->settings = all;
done:
    return st;
}

/* ---- The names of outputs ----------------------------------------------------- */

static sal_status find_names(void *context, const char *name, const char *value)
{
    int *found = context;
    (void)value;
    *found |= strcmp(name, SAL_SETTINGS_CLASS_NAMES) == 0 || strcmp(name, SAL_SETTINGS_LABEL_NAMES) == 0;
    return SAL_OK;
}

/* Names that nobody asked for, but the model's file has, are none of a run that was begun without them. */
sal_status sal_sweep_choose_classes(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_run_folder folder = {.fd = -1};
    sal_run_description d = {.sign = SAL_RUN_UNSIGNED};
    int has_names = 0;
    if (!s->options.classes || sal_sweep_asks_for_names(s) || s->options.restart)
        return SAL_OK;
    TRY(sal_run_folder_open(&folder, s->folder));
    TRY(sal_run_description_read(&d, &folder));
    if (d.sign != SAL_RUN_SIGNED)
        goto done;
    TRY(sal_settings_each(d.settings, find_names, &has_names));
    if (!has_names)
        s->options.classes = NULL;
done:
    sal_run_description_clear(&d);
    sal_run_folder_close(&folder);
    return st;
}
