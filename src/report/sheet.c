#include "report/sheet.h"
#include "results/export.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/struct.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_SIDE = 1000, MOST_PANEL = 4096 };

static void clear(sheet *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->cells[i].name);
        free(s->cells[i].prediction);
        free(s->cells[i].label);
        free(s->cells[i].target);
        free(s->cells[i].file);
        free(s->cells[i].key.word);
    }
    free(s->cells);
    memset(s, 0, sizeof *s);
}

sal_status sheet_go_on(const sheet *s, size_t drawn)
{
    if (s->options->progress && s->options->progress(s->options->context, drawn) != 0)
        return sal_fail(SAL_ERROR_CANCELLED, "stopped after %zu maps", drawn);
    return SAL_OK;
}

/* ---- Cells ----------------------------------------------------------------- */

/* "pike", or "output 3". */
static void print_output(char *text, size_t size, const json_t *object, const char *key, const char *class_key)
{
    const char *class = json_string_value(json_object_get(object, class_key));
    if (class)
        snprintf(text, size, "%.*s", sal_utf8_head(class, 160), class);
    else
        snprintf(text, size, "output %lld", (long long)json_integer_value(json_object_get(object, key)));
}

/* "predicted 4.1", "predicted pike (47 %)", or "predicted 47 %" of one output that says yes or no. */
static void print_prediction(char *text, size_t size, const sheet *s, const json_t *picture)
{
    const json_t *probability = json_object_get(picture, "predicted_probability");
    const double percent = 100 * json_number_value(probability);
    char output[200];
    print_output(output, sizeof output, picture, "predicted", "predicted_class");
    if (sal_kept_is_value(s->run, picture))
        snprintf(text, size, "predicted %.4g", json_number_value(json_object_get(picture, "predicted_score")));
    else if (!json_is_number(probability))
        snprintf(text, size, "predicted %s", output);
    else if (s->run->outputs == 1)
        snprintf(text, size, "predicted %.0f %%", percent);
    else
        snprintf(text, size, "predicted %s (%.0f %%)", output, percent);
}

/* "map of pike", or of what is no output: "map of the mean". */
static void print_target(char *text, size_t size, const sheet *s, const json_t *map)
{
    char output[200];
    print_output(output, sizeof output, map, "target", "target_class");
    if (s->run->asked == SAL_TARGET_MEAN)
        snprintf(text, size, "map of the mean");
    else
        snprintf(text, size, "map of %s%s", s->run->asked == SAL_TARGET_MARGIN ? "the margin of " : "", output);
}

/* 1: a map of the output that is predicted anyway needs no line. */
static int has_own_target(const sheet *s, const json_t *picture, const json_t *map)
{
    const json_t *target = json_object_get(map, "target"), *predicted = json_object_get(picture, "predicted");
    if (json_array_size(json_object_get(picture, "maps")) > 1)
        return 1;
    return s->run->outputs != 1 && (s->run->asked != SAL_TARGET_PREDICTED || !json_equal(target, predicted));
}

static sal_status describe(sheet_cell *cell, const sheet *s, const json_t *picture, const json_t *map)
{
    sal_status st = SAL_OK;
    const json_t *manifest = json_object_get(picture, "manifest");
    const char *label = s->label ? json_string_value(json_object_get(manifest, s->label)) : NULL;
    char text[256];
    print_prediction(text, sizeof text, s, picture);
    TRY(sal_strdup(&cell->prediction, text));
    if (label && *label) {
        snprintf(text, sizeof text, "label %.*s", sal_utf8_head(label, 200), label);
        TRY(sal_strdup(&cell->label, text));
    }
    if (has_own_target(s, picture, map)) {
        print_target(text, sizeof text, s, map);
        TRY(sal_strdup(&cell->target, text));
    }
done:
    return st;
}

static sal_status add_map(sheet *s, const json_t *picture, const json_t *map)
{
    sal_status st = SAL_OK;
    char *overlay = NULL, *kept = NULL;
    TRY(sal_kept_name(&overlay, map, "overlay_file"));
    TRY(sal_kept_name(&kept, map, "map_file"));
    if (!overlay && !kept)
        goto done;
    TRY(sal_grow(&s->cells, &s->room, s->count + 1, sizeof *s->cells, "a contact sheet"));
    sheet_cell *cell = &s->cells[s->count];
    cell->at = s->count++;
    cell->is_map = !overlay;
    cell->file = overlay ? overlay : kept;
    *(overlay ? &overlay : &kept) = NULL;
    TRY(sal_kept_name(&cell->name, picture, "path"));
    TRY(describe(cell, s, picture, map));
    TRY(sheet_key_make(&cell->key, s, picture, map));
    s->keyed += cell->key.kind != SHEET_NOTHING;
    s->has_targets |= cell->target != NULL;
done:
    free(overlay);
    free(kept);
    return st;
}

static sal_status add_picture(void *context, const json_t *picture)
{
    sal_status st = SAL_OK;
    const json_t *maps = json_object_get(picture, "maps");
    TRY(sheet_go_on(context, 0));
    for (size_t k = 0; k < json_array_size(maps); k++)
        TRY(add_map(context, picture, json_array_get(maps, k)));
done:
    return st;
}

/* ---- The sheet --------------------------------------------------------------- */

static sal_status check(sal_sheet_options *o)
{
    const int64_t given[] = {o->rows, o->columns, o->panel_size};
    const int64_t least[] = {1, 1, 32}, most[] = {MOST_SIDE, MOST_SIDE, MOST_PANEL};
    static const char *const names[] = {"rows", "columns", "pixels of a panel"};
    if ((unsigned)o->format > SAL_PAGE_PDF)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown format %d of a contact sheet", (int)o->format);
    for (int k = 0; k < 3; k++)
        if (given[k] != 0 && (given[k] < least[k] || given[k] > most[k]))
            return sal_fail(SAL_ERROR_ARGUMENT, "a contact sheet of %lld %s: give %lld to %lld", (long long)given[k],
                            names[k], (long long)least[k], (long long)most[k]);
    o->rows = o->rows ? o->rows : 6;
    o->columns = o->columns ? o->columns : 6;
    o->panel_size = o->panel_size ? o->panel_size : 240;
    return SAL_OK;
}

static sal_status check_cells(const sheet *s, const char *run)
{
    if (s->count == 0)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: keeps neither overlays nor maps: nothing can be shown of a run with --overlays none and "
                        "--maps none",
                        run);
    if (s->options->sort && s->keyed == 0)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: no picture has a value of '%s' to sort by: give a column of results.csv, or 'error', the "
                        "distance of the prediction from the label",
                        run, s->options->sort);
    return SAL_OK;
}

static sal_status fill(sheet *s)
{
    sal_status st = SAL_OK;
    const sal_dataset *list = s->run->facts.list;
    if (list && list->label_column >= 0)
        s->label = list->columns[list->label_column];
    if (!list) {
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: without its run.json and manifest.csv nothing tells which pictures are its own",
                      s->run->folder.path);
        goto done;
    }
    TRY(sal_kept_each(s->run, add_picture, s));
    TRY(check_cells(s, s->run->folder.path));
    sheet_sort(s);
done:
    return st;
}

/* Whether a file may be the picture of a row: it is, or, where that picture is not found from here (paths start where
 * the run was made), it lies in folders of these names. */
static int may_be(const char *file, const struct stat *about, const sal_dataset *list, size_t row)
{
    struct stat own;
    const char *path = sal_dataset_path(list, row);
    if (stat(sal_dataset_file(list, row), &own) == 0)
        return own.st_dev == about->st_dev && own.st_ino == about->st_ino;
    while (strncmp(path, "./", 2) == 0 || strncmp(path, "../", 3) == 0)
        path = strchr(path, '/') + 1;
    const size_t length = strlen(path), whole = strlen(file);
    return whole > length && file[whole - length - 1] == '/' && strcmp(file + whole - length, path) == 0;
}

/* No picture of the run is replaced. */
static sal_status check_path(const char *path, const sheet *s)
{
    sal_status st = SAL_OK;
    struct stat target;
    sal_dataset *list = NULL;
    char *file = NULL;
    if (stat(path, &target) != 0)
        return SAL_OK;
    file = realpath(path, NULL);
    if (!file) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot be found: %s", path, strerror(errno));
        goto done;
    }
    TRY(sal_kept_list_open(&list, s->run, NULL));
    for (size_t row = 0; row < list->count; row++) {
        TRY(sheet_go_on(s, 0));
        if (may_be(file, &target, list, row)) {
            st = sal_fail(SAL_ERROR_ARGUMENT, "%s: is a picture of the run: choose another file", path);
            goto done;
        }
    }
done:
    sal_dataset_close(list);
    free(file);
    return st;
}

sal_status sal_run_sheet(sal_sheet_info *info, const char *run, const char *path, const sal_sheet_options *options)
{
    sal_status st = SAL_OK;
    sal_sheet_options o = SAL_SHEET_OPTIONS_INIT;
    sal_sheet_info told = SAL_SHEET_INFO_INIT;
    sal_kept_run kept = {.folder = {.fd = -1}};
    sal_plain_locale plain = {0};
    sheet s = {.run = &kept, .options = &o, .limits = SAL_LIMITS_INIT};
    void *bytes = NULL;
    size_t size;
    TRY(sal_require(run, "run", __func__));
    TRY(sal_require(path, "path", __func__));
    TRY(sal_struct_read(&o, sizeof o, options, "sal_sheet_options"));
    TRY(sal_struct_read(&s.limits, sizeof s.limits, o.limits, "sal_limits"));
    TRY(check(&o));
    if (info)
        TRY(sal_struct_write(info, &told, sizeof told, "sal_sheet_info"));
    TRY(sal_run_check_target(path, run));
    TRY(sal_kept_open(&kept, run));
    TRY(sal_plain_locale_enter(&plain));
    TRY(sal_kept_count_outputs(&kept));
    TRY(fill(&s));
    TRY(check_path(path, &s));
    told.maps = s.count;
    told.shown = (int64_t)s.count < o.rows * o.columns ? s.count : (size_t)(o.rows * o.columns);
    TRY(sheet_draw(&bytes, &size, &told.failed, &s, told.shown));
    TRY(sal_file_put(path, bytes, size));
    if (info)
        st = sal_struct_write(info, &told, sizeof told, "sal_sheet_info");
done:
    if (plain.c)
        sal_plain_locale_leave(&plain);
    free(bytes);
    clear(&s);
    sal_kept_close(&kept);
    return st;
}
