/* memory_job SOURCE WORK: a user's program that does the job of `salmap explain` in memory, with the public header
 * alone, and compares every byte with the files that sal_explain_files writes of the same picture. Exit status 1, and
 * what differs, if anything does. */
#include <salmap/salmap.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is explained, and how. */
typedef struct task {
    const char *model; /* within SOURCE, as all paths here */
    const char *picture;
    const char *preset;
    const char *method;
    sal_baseline baseline;
    int64_t steps;
    sal_target target;
    sal_normalize normalize;
    sal_modifier modifier;
    sal_reduce reduce;
    double sigma; /* 0: the default */
    sal_colormap colormap;
    sal_blend blend;
    int contours;
    sal_fit fit;
    int raw_map;
} task;

static const double contours[2] = {0.25, 0.5};

#define MODELS "data/models/scale_age_honest"
#define GOLDEN "tests/golden/image/"
static const task tasks[] = {
    {.model = MODELS ".onnx",
     .picture = "data/scales/scale_00.png",
     .preset = "unit",
     .colormap = SAL_COLORMAP_AUTO,
     .contours = 2},
    {.model = MODELS ".onnx",
     .picture = "data/scales/scale_05.jpg",
     .preset = "imagenet",
     .fit = SAL_FIT_LETTERBOX,
     .normalize = SAL_NORMALIZE_SIGNED,
     .modifier = SAL_MODIFIER_NONE,
     .reduce = SAL_REDUCE_SUM,
     .colormap = SAL_COLORMAP_AUTO},
    {.model = MODELS ".h5",
     .picture = GOLDEN "png-gray-alpha16.png",
     .preset = "unit",
     .normalize = SAL_NORMALIZE_NONE,
     .sigma = 1.5,
     .colormap = SAL_COLORMAP_TURBO,
     .blend = SAL_BLEND_FLAT},
    {.model = MODELS ".onnx",
     .picture = GOLDEN "npy-f4.npy",
     .preset = "raw",
     .fit = SAL_FIT_CENTER_CROP,
     .method = "integrated-gradients",
     .baseline = SAL_BASELINE_BLUR,
     .steps = 4},
    {.model = MODELS ".keras",
     .picture = GOLDEN "tiff-tiled-rgb16.tif",
     .preset = "tf",
     .method = "grad-cam",
     .target = {.kind = SAL_TARGET_INDEX},
     .raw_map = 1},
    {.model = MODELS ".onnx", .picture = "data/scales/scale_13.jpg", .preset = "caffe", .method = "grad-cam"},
};

typedef struct blob {
    void *bytes;
    size_t size;
} blob;

static const char *at;

static void stop(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", at, what, sal_last_error());
    exit(1);
}

static void must(sal_status st, const char *what)
{
    if (st != SAL_OK)
        stop(what);
}

static blob read_file(const char *path)
{
    blob b = {0};
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        stop(path);
    b.size = (size_t)ftell(f);
    b.bytes = malloc(b.size + 1);
    rewind(f);
    if (!b.bytes || fread(b.bytes, 1, b.size, f) != b.size)
        stop(path);
    fclose(f);
    return b;
}

static void *room(int64_t count, size_t size)
{
    void *p = calloc((size_t)count, size);
    if (!p)
        stop("memory");
    return p;
}

static sal_engine *open_engine(sal_model *model, const task *t)
{
    sal_engine *engine = NULL;
    sal_engine_options options = SAL_ENGINE_OPTIONS_INIT;
    sal_method_options method = SAL_METHOD_OPTIONS_INIT;
    method.name = t->method;
    method.baseline = t->baseline;
    method.steps = t->steps;
    options.method = &method;
    options.batch = 1;
    options.threads = 1;
    must(sal_engine_open(&engine, model, &options), "the engine");
    return engine;
}

static sal_map_options map_options(const task *t)
{
    sal_map_options options = SAL_MAP_OPTIONS_INIT;
    options.normalize = t->normalize;
    options.modifier = t->modifier;
    options.reduce = t->reduce;
    options.sigma = t->sigma > 0.0 ? t->sigma : SAL_DEFAULT;
    return options;
}

/* ---- The job of files ----------------------------------------------------- */

enum { FILES = 5 };
static const char *const names[FILES] = {"map", "overlay", "npy", "figure", "gradient"};

static int keep(void *context, const sal_explain_result *result)
{
    blob *files = context;
    if (result->status != SAL_OK)
        stop(result->error);
    const sal_explain_map *m = result->maps[0];
    const char *const paths[FILES] = {m->map_path, m->overlay_path, m->npy_path, m->figure_path, m->gradient_path};
    for (int k = 0; k < FILES; k++)
        files[k] = read_file(paths[k]);
    return 0;
}

static void explain_files(blob files[FILES], const task *t, const sal_preprocess *preprocess, const char *model_path,
                          const char *picture_path, const char *folder)
{
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    const sal_map_options map = map_options(t);
    sal_explain_options options = SAL_EXPLAIN_OPTIONS_INIT;
    options.preprocess = *preprocess;
    options.target = t->target;
    options.map = &map;
    options.colormap = t->colormap;
    options.blend = t->blend;
    options.contours = contours;
    options.contour_count = t->contours;
    options.raw_map = t->raw_map;
    options.figure = 1;
    options.save_gradient = 1;
    options.out_dir = folder;
    must(sal_model_open(&model, model_path, NULL), "the model's file");
    engine = open_engine(model, t);
    must(sal_explain_files(NULL, engine, &picture_path, 1, &options, keep, files), "the job of files");
    sal_engine_close(engine);
    sal_model_close(model);
}

/* ---- The job in memory ---------------------------------------------------- */

typedef struct work {
    sal_model *model;
    sal_engine *engine;
    sal_model_info info;
    sal_attribution_info shape;
    sal_picture picture;
    sal_placement placement; /* of the map */
    float *attribution;
    float *map;
    sal_figure_facts facts;
} work;

static void open_model(work *w, const task *t, const char *model_path)
{
    blob file = read_file(model_path);
    must(sal_model_open_bytes(&w->model, file.bytes, file.size, NULL), "the model's bytes");
    memset(file.bytes, 0, file.size);
    free(file.bytes);
    must(sal_model_get_info(&w->info, w->model), "what the model is");
    w->engine = open_engine(w->model, t);
    must(sal_engine_get_attribution(&w->shape, w->engine), "what an attribution is");
}

static void attribute(work *w, const task *t, const sal_preprocess *preprocess)
{
    const sal_model_info *m = &w->info;
    const int64_t elements = m->channels * m->height * m->width;
    float *input = room(elements, sizeof *input), *baseline = NULL, *scores = room(m->outputs, sizeof *scores);
    sal_placement on_input;
    must(sal_preprocess_apply(input, &on_input, &w->picture, preprocess, m->channels, m->height, m->width),
         "the input");
    if (t->baseline != SAL_BASELINE_ZERO) {
        baseline = room(elements, sizeof *baseline);
        must(sal_baseline_make(baseline, input, m->channels, &on_input, t->baseline, preprocess), "the baseline");
    }
    w->attribution = room(w->shape.channels * w->shape.height * w->shape.width, sizeof *w->attribution);
    sal_gradient_job job = SAL_GRADIENT_JOB_INIT;
    job.inputs = input;
    job.baselines = baseline;
    job.count = 1;
    job.targets = &t->target;
    job.gradients = w->attribution;
    job.scores = scores;
    job.chosen = &w->facts.target;
    job.chosen_scores = &w->facts.score;
    must(sal_engine_gradients(w->engine, &job), "the attribution");
    w->facts.asked = t->target;
    w->facts.probability = NAN;
    if (m->detached && w->facts.target >= 0) {
        must(sal_model_probabilities(scores, w->model, scores, 1), "the probabilities");
        w->facts.probability = scores[w->facts.target];
    }
    must(sal_placement_for_map(&w->placement, &on_input, t->raw_map ? w->shape.height : m->height,
                               t->raw_map ? w->shape.width : m->width),
         "the map's placement");
    free(scores);
    free(baseline);
    free(input);
}

static void make_map(work *w, const task *t)
{
    const sal_placement *p = &w->placement;
    sal_map_options options = map_options(t);
    if (w->shape.layer && options.sigma == SAL_DEFAULT)
        options.sigma = 0.0;
    w->map = room(p->net_height * p->net_width, sizeof *w->map);
    must(sal_map_of(w->map, &w->facts.stats, p->net_height, p->net_width, w->attribution, w->shape.channels,
                    w->shape.height, w->shape.width, &options),
         "the map");
}

static blob encode(sal_picture *picture)
{
    blob b = {0};
    must(sal_picture_encode(&b.bytes, &b.size, picture, SAL_PICTURE_PNG), "a PNG");
    sal_picture_clear(picture);
    return b;
}

static void draw(blob files[FILES], work *w, const task *t, const sal_preprocess *preprocess, const char *model_path)
{
    const int64_t shape[3] = {w->shape.channels, w->shape.height, w->shape.width};
    const char *slash = strrchr(t->picture, '/');
    sal_overlay_options overlay = SAL_OVERLAY_OPTIONS_INIT;
    sal_figure_options figure = SAL_FIGURE_OPTIONS_INIT;
    sal_picture drawn;
    char note[256], title[1024];
    const sal_map_options options = map_options(t);
    overlay.colormap = t->colormap;
    overlay.blend = t->blend;
    overlay.contours = contours;
    overlay.contour_count = t->contours;
    overlay.normalize = t->normalize;
    overlay.preprocess = preprocess;
    must(sal_overlay_make(&drawn, NULL, w->map, &w->placement, &overlay), "the colours");
    files[0] = encode(&drawn);
    must(sal_overlay_make(&drawn, &w->picture, w->map, &w->placement, &overlay), "the overlay");
    files[1] = encode(&drawn);
    must(sal_map_encode(&files[2].bytes, &files[2].size, w->map, w->placement.net_height, w->placement.net_width,
                        SAL_MAPS_NPY),
         "the map's .npy");
    must(sal_figure_note(note, sizeof note, w->engine, &w->facts), "the note");
    figure.overlay = &overlay;
    figure.note = note;
    must(sal_figure_title(title, sizeof title, w->engine, slash + 1, strrchr(model_path, '/') + 1, &options),
         "the title");
    figure.title = title;
    must(sal_figure_make(&drawn, &w->picture, w->map, &w->placement, &figure), "the figure");
    files[3] = encode(&drawn);
    must(sal_npy_encode(&files[4].bytes, &files[4].size, w->attribution, shape, 3), "the attribution's .npy");
}

static void explain_in_memory(blob files[FILES], const task *t, const sal_preprocess *preprocess,
                              const char *model_path, const char *picture_path)
{
    work w = {.info = SAL_MODEL_INFO_INIT, .shape = SAL_ATTRIBUTION_INFO_INIT, .facts = SAL_FIGURE_FACTS_INIT};
    blob file = read_file(picture_path);
    must(sal_picture_decode_for(&w.picture, file.bytes, file.size, preprocess, 3, NULL), "the picture's bytes");
    free(file.bytes);
    open_model(&w, t, model_path);
    attribute(&w, t, preprocess);
    make_map(&w, t);
    draw(files, &w, t, preprocess, model_path);
    free(w.map);
    free(w.attribution);
    sal_picture_clear(&w.picture);
    sal_engine_close(w.engine);
    sal_model_close(w.model);
}

/* ---- Both ------------------------------------------------------------------ */

static int run(const task *t, const char *source, const char *folder)
{
    blob files[FILES] = {{0}}, made[FILES] = {{0}};
    char model_path[1024], picture_path[1024];
    sal_preprocess preprocess;
    int differ = 0;
    at = t->picture;
    snprintf(model_path, sizeof model_path, "%s/%s", source, t->model);
    snprintf(picture_path, sizeof picture_path, "%s/%s", source, t->picture);
    must(sal_preprocess_preset(&preprocess, t->preset), "the preset");
    preprocess.fit = t->fit;
    explain_files(files, t, &preprocess, model_path, picture_path, folder);
    explain_in_memory(made, t, &preprocess, model_path, picture_path);
    for (int k = 0; k < FILES; k++) {
        const int same = files[k].size > 0 && files[k].size == made[k].size &&
                         memcmp(files[k].bytes, made[k].bytes, made[k].size) == 0;
        if (!same)
            fprintf(stderr, "%s, %s: the %s has other bytes in memory than in its file (%zu, %zu)\n", t->picture,
                    t->model, names[k], made[k].size, files[k].size);
        differ |= !same;
        free(files[k].bytes);
        sal_bytes_free(made[k].bytes);
    }
    return differ;
}

int main(int argc, char **argv)
{
    int differ = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: memory_job SOURCE WORK\n");
        return 2;
    }
    const size_t count = sizeof tasks / sizeof *tasks;
    for (size_t i = 0; i < count; i++) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%s/%zu", argv[2], i);
        differ |= run(&tasks[i], argv[1], folder);
    }
    if (!differ)
        printf("%zu jobs: %d files each, the same bytes in memory\n", count, FILES);
    return differ;
}
