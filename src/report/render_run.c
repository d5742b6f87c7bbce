/* What a run says of all its pictures, read from its settings. */
#include "report/render.h"
#include "results/settings_lines.h"

#include "base/memory.h"
#include "base/placement.h"
#include "base/plain_locale.h"
#include "dataset/classes.h"
#include "image/fit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SIDE = 1 << 20 }; /* of an input, in pixels: no network has a larger one */

static int read_word(int *out, const char *words, const char *value)
{
    *out = sal_word_value(words, value);
    return *out >= 0;
}

/* "300x400", as runs have it, and nothing else. */
static int read_size(int64_t *height, int64_t *width, const char *value)
{
    int end = 0, h, w;
    if (strspn(value, "0123456789x") != strlen(value) || sscanf(value, "%7dx%7d%n", &h, &w, &end) != 2 || value[end])
        return 0;
    *height = h;
    *width = w;
    return h > 0 && w > 0 && h <= MOST_SIDE && w <= MOST_SIDE;
}

static sal_status read_setting(void *context, const char *name, const char *value)
{
    render_run *run = context;
    int word = 0, fine = 1;
    if (sal_settings_is_of_preprocess(name)) {
        fine = sal_preprocess_set(&run->preprocess, name, value) == SAL_OK;
    } else if (strcmp(name, "score") == 0) {
        fine = read_word(&word, SAL_WORDS_SCORE, value);
        run->asked.score = (sal_score)word;
    } else if (strcmp(name, "sigma") == 0) {
        fine = sal_plain_number(&run->sigma, value);
    } else if (strcmp(name, "raw-map") == 0) {
        run->raw_map = 1;
    } else if (strcmp(name, "input-size") == 0) {
        fine = read_size(&run->input_height, &run->input_width, value);
    }
    return fine ? SAL_OK : sal_kept_fail_setting(&run->kept, name, value);
}

static sal_status read_classes(render_run *run)
{
    sal_status st = SAL_OK;
    char *names = NULL;
    TRY(sal_kept_setting(&names, &run->kept, SAL_SETTINGS_CLASS_NAMES));
    if (names)
        st = sal_classes_parse(&run->classes, names, strlen(names), run->kept.folder.path);
done:
    free(names);
    return st;
}

static sal_status read_settings(render_run *run)
{
    sal_status st = SAL_OK;
    TRY(sal_preprocess_preset(&run->preprocess, "raw"));
    run->asked.kind = run->kept.asked;
    TRY(sal_settings_each(run->kept.facts.description.settings, read_setting, run));
    TRY(sal_kept_setting(&run->method, &run->kept, "method"));
    TRY(sal_kept_setting(&run->layer, &run->kept, "cam-layer"));
    run->attribution = (sal_attribution_info){.size = sizeof run->attribution,
                                              .method = run->method ? run->method : sal_settings_unsaid("method"),
                                              .layer = run->layer};
    st = read_classes(run);
done:
    return st;
}

/* ---- Where pictures may lie ---------------------------------------------------- */

/* Whether a path leads below a folder, as both are written. */
static int leads_below(const char *folder, const char *path)
{
    size_t length = strlen(folder);
    while (length > 0 && folder[length - 1] == '/')
        length--;
    if (strncmp(path, folder, length) != 0 || path[length] != '/')
        return 0;
    path += length;
    return sal_dataset_is_below(path + strspn(path, "/"));
}

/* Of the current folder, links count for what they lead to: a run brings its own along. Where there is no file, there
 * is nothing to read either. */
static int is_below_current(const render_run *run, const char *file)
{
    char *real = realpath(file, NULL);
    const int is = real             ? leads_below(run->below, real)
                   : file[0] == '/' ? leads_below(run->below, file)
                                    : sal_dataset_is_below(file);
    free(real);
    return is;
}

/* How much of a path goes up first: "../../". */
static size_t climb(const char *path)
{
    size_t length = 0;
    while (strncmp(path + length, "../", 3) == 0)
        length += 3 + strspn(path + length + 3, "/");
    return length;
}

/* Below a folder that somebody chose, links are that person's own. */
static int is_below_root(const render_run *run, const char *path, const char *file)
{
    if (path[0] != '/')
        return sal_dataset_is_below(path + climb(path));
    return leads_below(run->given, file) || leads_below(run->below, file);
}

/* With a root of its own, what goes up from where the list was starts at the root as well. */
static void take_root(sal_dataset *list)
{
    for (size_t row = 0; row < list->count; row++) {
        const char *path = sal_dataset_path(list, row);
        char *file = list->files[row];
        const size_t length = strlen(path), up = climb(path);
        if (up > 0)
            memmove(file + strlen(file) - length, path + up, length - up + 1);
    }
}

sal_status render_check_row(const render_run *run, size_t row)
{
    const char *file = sal_dataset_file(run->list, row);
    if (!run->given && !is_below_current(run, file))
        return sal_fail(
            SAL_ERROR_ARGUMENT,
            "%s: its list names %.200s, which is not below the current folder: give --root DIR to say where "
            "its pictures may lie",
            run->kept.folder.path, file);
    if (run->given && !is_below_root(run, sal_dataset_path(run->list, row), file))
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: is not below %s, where --root says that the pictures lie", file,
                        run->given);
    return SAL_OK;
}

/* Whoever sent a run chose what its list names. */
static sal_status check_places(render_run *run, const char *root)
{
    sal_status st = SAL_OK;
    if (root)
        TRY(sal_strdup(&run->given, root));
    run->below = realpath(root ? root : ".", NULL);
    if (!run->below)
        return sal_fail(SAL_ERROR_IO, "%s: %s", root ? root : "the current folder", strerror(errno));
    if (root)
        take_root(run->list);
    for (size_t row = 0; !root && row < run->list->count; row++)
        TRY(render_check_row(run, row));
done:
    return st;
}

sal_status render_run_open(render_run *out, const char *path, const char *root)
{
    sal_status st = SAL_OK;
    *out = (render_run){.kept = {.folder = {.fd = -1}}};
    TRY(sal_kept_open(&out->kept, path));
    if (!out->kept.facts.list) {
        st = sal_fail(SAL_ERROR_IO,
                      "%s: there is no " SAL_RUN_JSON " with a " SAL_RUN_MANIFEST
                      " in it, which say where its pictures are",
                      path);
        goto done;
    }
    TRY(read_settings(out));
    const char *given = root && !*root ? "." : root;
    TRY(sal_kept_list_open(&out->list, &out->kept, given));
    st = check_places(out, given);
done:
    if (st != SAL_OK)
        render_run_close(out);
    return st;
}

void render_run_close(render_run *run)
{
    sal_kept_close(&run->kept);
    sal_dataset_close(run->list);
    sal_classes_close(run->classes);
    free(run->given);
    free(run->below);
    free(run->method);
    free(run->layer);
    *run = (render_run){.kept = {.folder = {.fd = -1}}};
}

sal_status render_place(sal_placement *out, const render_run *run, const sal_picture *picture, int64_t height,
                        int64_t width)
{
    sal_status st = SAL_OK;
    /* A map is as large as the input, unless it was to be as a layer is; stretched, both lie alike on the picture. */
    const int is_told = run->raw_map && run->input_height > 0;
    sal_axis y = {.source = picture->height, .net = is_told ? run->input_height : height};
    sal_axis x = {.source = picture->width, .net = is_told ? run->input_width : width};
    const char *unknown = run->preprocess.fit != SAL_FIT_STRETCH           ? "that was cropped or padded"
                          : run->preprocess.grid == SAL_GRID_ALIGN_CORNERS ? "with --grid align-corners"
                          : run->preprocess.grid == SAL_GRID_ASYMMETRIC    ? "with --grid asymmetric"
                                                                           : NULL;
    if (run->raw_map && !is_told && unknown)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "maps of --raw-map are not as large as the input, and where that lay on a picture %s is not "
                        "known without the model: run salmap sweep again with other colours",
                        unknown);
    TRY(sal_fit_place(&y, &x, &run->preprocess));
    sal_fit_describe(out, &y, &x, run->preprocess.grid);
    *out = sal_placement_of_map(out, height, width);
done:
    return st;
}
