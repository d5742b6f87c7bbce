#include "report/render.h"

#include "base/memory.h"
#include "base/struct.h"
#include "figure/figure.h"
#include "image/image.h"
#include "results/export.h"
#include "sweep/draw.h"
#include "sweep/output.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OVERLAY_SIZE = 1600 };

typedef struct renderer {
    render_run run;
    sal_render_options options;
    sal_run_options own; /* options.explain, complete */
    sal_output_layout layout;
    const char *label; /* the column of labels, or NULL */
    int unwritable;    /* 1: a drawing could not be written */
    sal_render_info info;
} renderer;

static sal_status go_on(const renderer *r)
{
    if (r->options.progress && r->options.progress(r->options.context, r->info.pictures) != 0)
        return sal_fail(SAL_ERROR_CANCELLED, "stopped after %zu pictures", r->info.pictures);
    return SAL_OK;
}

/* ---- One picture ----------------------------------------------------------- */

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* The picture, if it still is the one that the run saw. */
static sal_status read_picture(sal_picture *out, renderer *r, size_t row, const json_t *seen)
{
    sal_status st = SAL_OK;
    size_t size;
    const char *path = sal_dataset_file(r->run.list, row);
    const double bytes = number_of(seen, "bytes"), height = number_of(seen, "height"), width = number_of(seen, "width");
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        r->info.missing++;
    TRY(sal_picture_read_through(out, &size, path, &r->run.preprocess, 0, &r->own.limits, NULL));
    if ((double)size != bytes || (double)out->height != height || (double)out->width != width)
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: is not the picture that the run saw: it has %zu bytes and %lld x %lld pixels, and had %.0f "
                      "and %.0f x %.0f",
                      path, size, (long long)out->width, (long long)out->height, bytes, width, height);
done:
    return st;
}

/* NaN where the row has none. */
static sal_status read_float(float *out, const json_t *map, const char *key)
{
    const double value = number_of(map, key);
    *out = (float)NAN;
    if (fabs(value) > (double)FLT_MAX * (1 + 0x1p-25)) /* as JSON has its digits, the largest is a little larger */
        return sal_fail(SAL_ERROR_FORMAT, "its row of the results says %s %g, which is no number of a map", key, value);
    *out = (float)value;
    return SAL_OK;
}

/* What the row of a map says of it. */
static sal_status fill_map(sal_explain_map *m, const json_t *map)
{
    sal_status st = SAL_OK;
    const json_t *target = json_object_get(map, "target"), *flat = json_object_get(map, "flat");
    m->target = json_is_integer(target) ? json_integer_value(target) : -1;
    m->stats.flat = json_integer_value(flat) != 0;
    TRY(read_float(&m->score, map, "score"));
    TRY(read_float(&m->probability, map, "probability"));
    TRY(read_float(&m->stats.peak, map, "map_peak"));
    TRY(read_float(&m->stats.mean, map, "map_mean"));
    TRY(read_float(&m->stats.low, map, "map_min"));
done:
    return st;
}

/* What is drawn on: the picture, at most so large. */
typedef struct canvas {
    sal_picture owned; /* where it is not the picture itself */
    const sal_picture *shown;
    sal_placement placement;
} canvas;

static sal_status canvas_make(canvas *out, const sal_picture *picture, const sal_placement *placed, int64_t longest,
                              const sal_preprocess *preprocess)
{
    out->placement = sal_placement_within(placed, longest);
    const sal_status st = sal_shown_make(&out->owned, picture, &out->placement, preprocess);
    out->shown = out->owned.samples ? &out->owned : picture;
    return st;
}

static sal_status draw_map(renderer *r, size_t row, const sal_picture *picture, const json_t *seen, const json_t *map)
{
    sal_status st = SAL_OK;
    char *name = NULL;
    float *values = NULL;
    int64_t height, width;
    sal_placement placed;
    canvas on = {.shown = NULL}, whole = {.shown = NULL};
    sal_output out = {0};
    TRY(sal_kept_name(&name, map, "map_file"));
    TRY(sal_kept_map(&values, &height, &width, &r->run.kept, name, &r->own.limits));
    TRY(render_place(&placed, &r->run, picture, height, width));
    TRY(canvas_make(&on, picture, &placed, r->options.figures_only ? 0 : r->options.overlay_size, &r->run.preprocess));
    if (r->own.explain.figure &&
        (on.placement.source_height != placed.source_height || on.placement.source_width != placed.source_width))
        TRY(canvas_make(&whole, picture, &placed, 0, &r->run.preprocess));
    const sal_output_job job = {
        .options = &r->own.explain,
        .layout = &r->layout,
        .files = r->layout.files,
        .picture = row,
        .picture_path = sal_dataset_file(r->run.list, row),
        .model = r->run.kept.model ? r->run.kept.model : "",
        .label = r->label ? json_string_value(json_object_get(json_object_get(seen, "manifest"), r->label)) : NULL,
        .stem = r->run.kept.facts.names.names.stems[row],
        .number = json_integer_value(json_object_get(map, "rank")) - 1,
        .attribution = &r->run.attribution,
        .map_options = &r->own.map,
        .map = values,
        .outputs = r->run.kept.outputs,
        .shown = on.shown,
        .placement = &on.placement,
        .figured = whole.shown,
        .figured_placement = &whole.placement};
    TRY(fill_map(&out.map, map));
    st = sal_output_write(&out, &job);
    r->unwritable = st == SAL_ERROR_IO;
done:
    sal_output_clear(&out);
    sal_picture_clear(&on.owned);
    sal_picture_clear(&whole.owned);
    sal_free(values);
    free(name);
    return st;
}

static sal_status draw_maps(renderer *r, const json_t *seen, const json_t *maps)
{
    sal_status st = SAL_OK;
    sal_picture picture = {0};
    char *name = NULL;
    TRY(sal_kept_name(&name, json_array_get(maps, 0), "map_file"));
    const int64_t row = name ? sal_run_names_find(&r->run.kept.facts.names, name) : -1;
    if (row < 0 || (size_t)row >= r->run.list->count) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is no file of the run", name ? name : "a map without a file");
        goto done;
    }
    TRY(render_check_row(&r->run, (size_t)row));
    TRY(read_picture(&picture, r, (size_t)row, seen));
    for (size_t k = 0; k < json_array_size(maps); k++)
        TRY(draw_map(r, (size_t)row, &picture, seen, json_array_get(maps, k)));
done:
    sal_picture_clear(&picture);
    free(name);
    return st;
}

/* A picture that cannot be drawn is told of, and the rest goes on; where memory is gone, or the disk full, it does not.
 */
static sal_status draw_picture(renderer *r, const json_t *seen, const json_t *maps)
{
    char *path = NULL;
    sal_status st = draw_maps(r, seen, maps);
    if (st == SAL_OK || st == SAL_ERROR_MEMORY || r->unwritable)
        return st;
    char error[1024];
    snprintf(error, sizeof error, "%s", sal_last_error());
    r->info.failed++;
    TRY(sal_kept_name(&path, seen, "path"));
    if (r->options.picture_failed)
        r->options.picture_failed(r->options.context, path ? path : "", error);
    st = SAL_OK;
done:
    free(path);
    return st;
}

static sal_status visit(void *context, const json_t *seen)
{
    renderer *r = context;
    const json_t *maps = json_object_get(seen, "maps");
    if (json_array_size(maps) == 0 || !json_is_string(json_object_get(json_array_get(maps, 0), "map_file")))
        return SAL_OK;
    r->info.pictures++;
    const sal_status st = draw_picture(r, seen, maps);
    return st == SAL_OK ? go_on(r) : st;
}

/* ---- The run ------------------------------------------------------------------ */

static sal_status check_options(renderer *r)
{
    const sal_render_options *o = &r->options;
    const sal_explain_options *e = &r->own.explain;
    if ((unsigned)o->overlay_format > SAL_OVERLAY_PNG)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown format %d of overlays", (int)o->overlay_format);
    if (o->overlay_size < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "overlays of at most %lld pixels: give 1 or more",
                        (long long)o->overlay_size);
    if (o->figures_only && !e->figure)
        return sal_fail(SAL_ERROR_ARGUMENT, "neither overlays nor figures are to be drawn");
    const sal_status st = sal_output_check_style(e);
    return st == SAL_OK ? sal_figure_check(e) : st;
}

/* A run's folders would be another's: its overlays are told from its settings. Nor may the run's own be drawn over. */
static sal_status check_folder(const char *out_dir, const char *run)
{
    static const char *const places[] = {"x", "overlays/x", "figures/x"};
    sal_status st = SAL_OK;
    int there = 0, json;
    char *path = NULL;
    TRY(sal_run_exists(&there, out_dir, SAL_STORE_WHOLE));
    TRY(sal_run_exists(&json, out_dir, SAL_RUN_JSON));
    if (there || json)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s is a run folder, and drawings would replace its files: choose another folder", out_dir);
    for (size_t k = 0; st == SAL_OK && k < sizeof places / sizeof *places; k++) {
        free(path);
        TRY(sal_run_path(&path, out_dir, places[k]));
        st = sal_run_check_target(path, run);
    }
done:
    free(path);
    return st;
}

/* A path without links, free(); NULL: nothing lies there. Errors: IO (that is not known), MEMORY. */
static sal_status resolve(char **out, const char *path)
{
    struct stat info;
    *out = realpath(path, NULL);
    const int reason = errno;
    if (*out)
        return SAL_OK;
    if (reason == ENOMEM)
        return sal_fail_memory(PATH_MAX, "a path");
    if (stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG || errno == ELOOP))
        return SAL_OK;
    return sal_fail(SAL_ERROR_IO, "%s: cannot tell where it lies: %s", path, strerror(reason));
}

/* The folders of drawings, wherever links lead; NULL: it is not there. */
typedef struct drawn_folders {
    char *paths[2];
} drawn_folders;

static sal_status find_drawn_folders(drawn_folders *out, const char *out_dir)
{
    static const char *const kinds[] = {"overlays", "figures"};
    sal_status st = SAL_OK;
    char *path = NULL;
    for (int k = 0; k < 2; k++) {
        TRY(sal_run_path(&path, out_dir, kinds[k]));
        TRY(resolve(&out->paths[k], path));
        free(path);
        path = NULL;
    }
done:
    free(path);
    return st;
}

/* Whether a path without links, or NULL, is below one of them. */
static int is_drawn_over(const char *real, const drawn_folders *folders)
{
    int is = 0;
    for (int k = 0; real && k < 2; k++) {
        const char *folder = folders->paths[k];
        const size_t n = folder ? strlen(folder) : 0;
        is |= n > 0 && strncmp(real, folder, n) == 0 && (real[n] == '/' || folder[n - 1] == '/');
    }
    return is;
}

/* Neither the picture lies where a drawing could replace it, nor what it is a link to. */
static sal_status check_picture(const char *file, const drawn_folders *folders, const char *out_dir)
{
    sal_status st = SAL_OK;
    char *folder = NULL, *place = NULL, *path = NULL, *real = NULL;
    TRY(sal_strdup(&folder, file));
    folder[sal_names_base(file) - file] = '\0';
    TRY(resolve(&place, folder[0] ? folder : "."));
    TRY(resolve(&real, file));
    if (place)
        TRY(sal_run_path(&path, place, sal_names_base(file)));
    if (is_drawn_over(path, folders) || is_drawn_over(real, folders))
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s: lies where drawings go: choose another folder than %s", file, out_dir);
done:
    free(folder);
    free(place);
    free(path);
    free(real);
    return st;
}

static sal_status check_pictures(const renderer *r)
{
    sal_status st = SAL_OK;
    drawn_folders folders = {{NULL, NULL}};
    TRY(find_drawn_folders(&folders, r->own.explain.out_dir));
    for (size_t row = 0; row < r->run.list->count; row++) {
        TRY(go_on(r));
        TRY(check_picture(sal_dataset_file(r->run.list, row), &folders, r->own.explain.out_dir));
    }
done:
    free(folders.paths[0]);
    free(folders.paths[1]);
    return st;
}

/* All but colours and files is as the run has it. */
static void take_over(renderer *r)
{
    sal_explain_options *e = &r->own.explain;
    const sal_dataset *list = r->run.list;
    r->own.map.normalize = r->run.kept.normalize;
    r->own.map.sigma = r->run.sigma;
    e->target = r->run.asked;
    e->preprocess = r->run.preprocess;
    e->preprocess_origin = r->run.kept.origin;
    e->classes = r->run.classes;
    r->label = list->label_column >= 0 ? list->columns[list->label_column] : NULL;
    r->layout = (sal_output_layout){.top = r->run.kept.facts.names.layout.top, .out_dir = e->out_dir, .spread = 1};
    if (!r->options.figures_only)
        r->layout.files |=
            SAL_FILE_BIT(r->options.overlay_format == SAL_OVERLAY_PNG ? SAL_FILE_OVERLAY : SAL_FILE_OVERLAY_JPEG);
    if (e->figure)
        r->layout.files |= SAL_FILE_BIT(sal_figure_file((sal_page_format)e->figure_format));
    if (!r->options.overlay_size)
        r->options.overlay_size = OVERLAY_SIZE;
}

static sal_status render(renderer *r, const char *run)
{
    sal_status st = SAL_OK;
    TRY(render_run_open(&r->run, run, r->options.root));
    take_over(r);
    TRY(check_pictures(r));
    TRY(sal_output_folder(r->own.explain.out_dir, "writable"));
    TRY(sal_kept_count_outputs(&r->run.kept));
    TRY(sal_kept_each(&r->run.kept, visit, r));
    if (r->info.pictures == 0)
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s: keeps no maps, and so there is nothing to draw of it", run);
done:
    return st;
}

sal_status sal_run_render(sal_render_info *info, const char *run, const sal_render_options *options)
{
    sal_status st = SAL_OK;
    renderer r = {
        .run = {.kept = {.folder = {.fd = -1}}}, .options = SAL_RENDER_OPTIONS_INIT, .info = SAL_RENDER_INFO_INIT};
    TRY(sal_require(run, "run", __func__));
    TRY(sal_require(options, "options", __func__));
    if (info)
        TRY(sal_struct_write(info, &r.info, sizeof r.info, "sal_render_info"));
    TRY(sal_struct_read(&r.options, sizeof r.options, options, "sal_render_options"));
    TRY(sal_run_options_read(&r.own, r.options.explain));
    TRY(check_options(&r));
    TRY(sal_require(r.own.explain.out_dir, "explain->out_dir", __func__));
    TRY(check_folder(r.own.explain.out_dir, run));
    TRY(render(&r, run));
    if (info)
        st = sal_struct_write(info, &r.info, sizeof r.info, "sal_render_info");
done:
    render_run_close(&r.run);
    return st;
}
