#define _GNU_SOURCE /* O_PATH */
#include "sweep/output.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "map/map.h"
#include "results/run_files.h"
#include "sweep/draw.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sal_status write_figure(const char *path, sal_page_format format, const sal_explain_map *m, const sal_display *d,
                               const sal_output_job *job, const sal_overlay_style *overlay)
{
    sal_status st = SAL_OK;
    void *bytes = NULL;
    size_t size;
    char note[SAL_NOTE_SIZE], title[SAL_TITLE_SIZE];
    const char *name = sal_names_base(job->picture_path);
    const sal_figure_facts facts = {.asked = job->options->target,
                                    .target = m->target,
                                    .score = m->score,
                                    .probability = m->probability,
                                    .stats = m->stats,
                                    .input = job->options->preprocess_origin,
                                    .class_name = sal_classes_name(job->options->classes, m->target),
                                    .label = job->label};
    const sal_figure_content content = {.picture = job->figured ? job->figured : job->shown,
                                        .map = d->values,
                                        .placement = job->figured ? job->figured_placement : job->placement};
    sal_figure_style style = sal_figure_style_of(d, overlay, job->options->map->normalize, NULL);
    TRY(sal_note_write(note, sizeof note, &facts, job->outputs, job->attribution->method));
    TRY(sal_title_write(title, sizeof title, name, sal_names_base(job->model), job->attribution,
                        job->map_options->sigma));
    style.note = note;
    style.title = title;
    style.panel = job->options->panel_size;
    TRY(sal_figure_put(&bytes, &size, format, &content, &style));
    st = sal_file_put(path, bytes, size);
done:
    free(bytes);
    return st;
}

static sal_status write_picture(const char *path, const sal_picture *picture)
{
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".jpg") == 0 ? sal_jpeg_write(path, picture, SAL_JPEG_QUALITY)
                                           : sal_picture_write_png(path, picture);
}

static sal_status write_png16(const char *path, const sal_display *d, const sal_placement *p)
{
    sal_status st = SAL_OK;
    sal_picture gray = {0};
    TRY(sal_gray16_make(&gray, d->values, p->net_height, p->net_width));
    TRY(sal_picture_write_png(path, &gray));
done:
    sal_picture_clear(&gray);
    return st;
}

/* The map's colours, over the picture where there is one; *made: already there, and freed then, or NULL. */
static sal_status write_colours(const char *path, uint8_t **made, const sal_picture *picture, const sal_display *d,
                                const sal_output_job *job, const sal_overlay_style *style)
{
    sal_status st = SAL_OK;
    sal_picture colours = {0};
    if (*made) {
        const sal_placement *p = job->placement;
        const sal_picture ready = {.height = p->source_height,
                                   .width = p->source_width,
                                   .channels = 3,
                                   .type = SAL_SAMPLE_U8,
                                   .samples = *made};
        st = write_picture(path, &ready);
        sal_free(*made);
        *made = NULL;
        return st;
    }
    TRY(sal_overlay_draw(&colours, picture, d->values, job->placement, style));
    TRY(write_picture(path, &colours));
done:
    sal_picture_clear(&colours);
    return st;
}

static sal_look look_of(const sal_explain_options *o)
{
    return (sal_look){o->colormap, o->blend, o->alpha, o->map->normalize, o->contours, o->contour_count};
}

sal_overlay_style sal_output_style(const sal_explain_options *o, int over_picture)
{
    const sal_look look = look_of(o);
    return sal_look_style(&look, over_picture);
}

sal_status sal_output_check_style(const sal_explain_options *o)
{
    const sal_look look = look_of(o);
    return sal_look_check(&look);
}

static sal_status write_file(sal_output_file file, sal_output *out, const float *map, const sal_display *d,
                             const sal_output_job *job)
{
    const sal_placement *p = job->placement;
    const sal_attribution_info *a = job->attribution;
    const int64_t shape[2] = {p->net_height, p->net_width}, attribution[3] = {a->channels, a->height, a->width};
    const char *path = out->paths[file];
    const sal_overlay_style style = sal_output_style(job->options, file != SAL_FILE_MAP);
    switch (file) {
    case SAL_FILE_MAP: return write_colours(path, &out->colours[file], NULL, d, job, &style);
    case SAL_FILE_OVERLAY:
    case SAL_FILE_OVERLAY_JPEG: return write_colours(path, &out->colours[SAL_FILE_OVERLAY], job->shown, d, job, &style);
    case SAL_FILE_NPY: return sal_npy_write(path, map, shape, 2);
    case SAL_FILE_NPZ: return sal_npz_write(path, "map", map, shape, 2);
    case SAL_FILE_PNG16: return write_png16(path, d, p);
    case SAL_FILE_FIGURE: return write_figure(path, SAL_PAGE_PNG, &out->map, d, job, &style);
    case SAL_FILE_FIGURE_SVG: return write_figure(path, SAL_PAGE_SVG, &out->map, d, job, &style);
    case SAL_FILE_FIGURE_PDF: return write_figure(path, SAL_PAGE_PDF, &out->map, d, job, &style);
    case SAL_FILE_GRADIENT: return sal_npy_write(path, job->values, attribution, 3);
    case SAL_FILE_COUNT: break;
    }
    return SAL_OK;
}

/* Whatever is missing of it: places of pictures are as deep as they like. */
static sal_status make_folder_of(const char *path)
{
    sal_status st = SAL_OK;
    char *folder = NULL;
    TRY(sal_strdup(&folder, path));
    *strrchr(folder, '/') = '\0';
    if (access(folder, F_OK) != 0)
        TRY(sal_directory_make(folder));
done:
    free(folder);
    return st;
}

static sal_status name_files(sal_output *out, const sal_output_job *job)
{
    sal_status st = SAL_OK;
    for (int file = 0; file < SAL_FILE_COUNT; file++) {
        if (!(job->files & SAL_FILE_BIT(file)))
            continue;
        TRY(sal_names_path(&out->paths[file], job->stem, (sal_output_file)file, job->picture, job->number,
                           job->layout));
        if (job->layout->spread)
            TRY(sal_run_place_make(out->paths[file]));
        else if (strchr(job->stem, '/'))
            TRY(make_folder_of(out->paths[file]));
    }
done:
    return st;
}

static void publish_paths(sal_output *out)
{
    out->map.map_path = out->paths[SAL_FILE_MAP];
    out->map.overlay_path =
        out->paths[SAL_FILE_OVERLAY] ? out->paths[SAL_FILE_OVERLAY] : out->paths[SAL_FILE_OVERLAY_JPEG];
    out->map.npy_path = out->paths[SAL_FILE_NPY];
    for (int file = SAL_FILE_FIGURE; file <= SAL_FILE_FIGURE_PDF; file++)
        if (out->paths[file])
            out->map.figure_path = out->paths[file];
    out->map.gradient_path = out->paths[SAL_FILE_GRADIENT];
}

/* Where the evidence lies, for or against: of signed maps by their modulus. */
static sal_status summarize(sal_map_summary *out, const float *values, const sal_placement *p, int is_signed)
{
    sal_status st = SAL_OK;
    const int64_t pixels = p->net_height * p->net_width;
    float *moduli = NULL;
    if (is_signed) {
        TRY(sal_alloc(&moduli, (size_t)pixels, sizeof *moduli, "a map"));
        for (int64_t i = 0; i < pixels; i++)
            moduli[i] = fabsf(values[i]);
    }
    sal_map_summarize(out, is_signed ? moduli : values, p->net_height, p->net_width);
done:
    sal_free(moduli);
    return st;
}

sal_status sal_output_write(sal_output *out, const sal_output_job *job)
{
    sal_status st = SAL_OK;
    const sal_explain_options *o = job->options;
    const sal_placement *p = job->placement;
    sal_display d = {0};
    float *owned = NULL;
    const float *map = job->map;
    int written = 0, was_there[SAL_FILE_COUNT] = {0};
    size_t pixels;
    TRY(sal_size_mul(&pixels, (size_t)p->net_height, (size_t)p->net_width, "a map"));
    if (!map) {
        TRY(sal_alloc(&owned, pixels, sizeof *owned, "a map"));
        const sal_attribution_info *a = job->attribution;
        TRY(sal_map_of(owned, &out->map.stats, p->net_height, p->net_width, job->values, a->channels, a->height,
                       a->width, job->map_options));
        map = owned;
    }
    TRY(sal_display_make(&d, map, pixels, o->map->normalize));
    TRY(summarize(&out->summary, d.values, p, o->map->normalize == SAL_NORMALIZE_SIGNED));
    TRY(name_files(out, job));
    for (; written < SAL_FILE_COUNT; written++)
        if (out->paths[written]) {
            was_there[written] = access(out->paths[written], F_OK) == 0;
            TRY(write_file((sal_output_file)written, out, map, &d, job));
        }
    publish_paths(out);
done:
    if (st != SAL_OK)
        while (written-- > 0)
            if (out->paths[written] && !was_there[written])
                unlink(out->paths[written]);
    sal_free(owned);
    sal_display_clear(&d);
    return st;
}

void sal_output_clear(sal_output *out)
{
    for (int file = 0; file < SAL_FILE_COUNT; file++)
        free(out->paths[file]);
    for (int file = 0; file <= SAL_FILE_OVERLAY; file++)
        sal_free(out->colours[file]);
    memset(out, 0, sizeof *out);
}

sal_status sal_output_folder(const char *out_dir, const char *name)
{
    sal_status st = SAL_OK;
    sal_file_out probe = {0};
    char *path = NULL;
    int fd = -1;
    if (!out_dir || !*out_dir)
        return sal_fail(SAL_ERROR_ARGUMENT, "no output folder is given");
    TRY(sal_directory_make(out_dir));
    size_t size = strlen(out_dir) + strlen(name) + 2;
    path = malloc(size);
    if (!path) {
        st = sal_fail_memory(size, "a path");
        goto done;
    }
    snprintf(path, size, "%s/%s", out_dir, name);
    fd = open(out_dir, O_PATH | O_DIRECTORY | O_CLOEXEC); /* it need not be one that may be listed */
    st = fd >= 0 ? sal_file_create_new_at(&probe, fd, name, path)
                 : sal_fail(SAL_ERROR_IO, "%s: cannot open the folder: %s", out_dir, strerror(errno));
    if (st != SAL_OK)
        st = sal_fail_in(st, "%s: the output folder is not writable", out_dir);
done:
    sal_file_discard(&probe);
    if (fd >= 0)
        close(fd);
    free(path);
    return st;
}
