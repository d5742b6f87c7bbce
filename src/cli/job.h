/* What `explain` and `sweep` have in common: which score is explained, how the map is made, how pictures become input,
 * and what computes it. */
#ifndef SAL_CLI_JOB_H
#define SAL_CLI_JOB_H

#include "cli/engines.h"
#include "cli/method.h"
#include "cli/network.h"

/* A subcommand's settings hold this as `job`; cli_job_defaults before parsing. */
typedef struct cli_job {
    cli_network network;
    cli_method method;
    const char *target;
    int score;
    int rule;
    int modifier; /* these three: -1 where they are not given */
    int reduce;
    int normalize;
    int is_signed;
    int raw_map;
    double sigma;        /* NaN: not given */
    double common_scale; /* 0: not given */
    int colormap;        /* SAL_COLORMAP_AUTO: not given */
    int blend;
    double alpha; /* SAL_DEFAULT: not given */
    const char *contour;
    const char *recipe;
    const char *preset;
    const char *fit;
    const char *order;
    const char *mean;
    const char *std;
    const char *scale;
    const char *fill;
    const char *crop_resize;
    const char *crop_share;
    const char *crop_round;
    const char *resample;
    const char *antialias;
    const char *round;
    const char *grid;
    const char *alpha_over;
    const char *exif;
    const char *jpeg_dct;
    const char *pages;
    const char *depth;
    int strict;
    int save_preprocess;
    int force;
    int dry_run; /* 1: nothing is saved; no option of its own */
    const char *device;
    int precision;
    int64_t batch;
    int64_t threads;
    int exact;
    int lean;
    int64_t max_pixels;
    const char *max_memory;
} cli_job;

/* How maps are coloured: also of `salmap render`, which makes no maps. */
#define CLI_DRAWING_OPTIONS                                                                                            \
    CLI_OPTION(CLI_CHOICE, 0, "colormap", SAL_WORDS_COLORMAP, job.colormap,                                            \
               "(default: inferno over pictures, seismic of signed maps; alone viridis, coolwarm)"),                   \
        CLI_OPTION(CLI_CHOICE, 0, "blend", SAL_WORDS_BLEND, job.blend,                                                 \
                   "colours as opaque as the map is high, or evenly (default: map)"),                                  \
        CLI_NUMBER(CLI_REAL, 0, "alpha", "WEIGHT", job.alpha,                                                          \
                   "of the colours in overlays, 0 to 1 (default: 0.9; flat: 0.5)", 0, 1),                              \
        CLI_OPTION(CLI_TEXT, 0, "contour", "LEVELS", job.contour,                                                      \
                   "lines over the picture at these values of the map, such as 0.25,0.5,0.75")

/* What a picture may take to be read. */
#define CLI_LIMIT_OPTIONS                                                                                              \
    CLI_HEAD("Of one picture"),                                                                                        \
        CLI_NUMBER(CLI_INTEGER, 0, "max-pixels", "N", job.max_pixels, "height times width (default: 1073741824)", 1,   \
                   1e15),                                                                                              \
        CLI_OPTION(CLI_TEXT, 0, "max-memory", "SIZE", job.max_memory,                                                  \
                   "to read it, as 900M or 4G (default: half of what is free)")

/* Rows of an option table, in three parts. targets: the words that --target takes. */
#define CLI_EXPLAINED_OPTIONS(targets)                                                                                 \
    CLI_HEAD("What is explained"), CLI_OPTION(CLI_TEXT, 't', "target", "TARGET", job.target, targets),                 \
        CLI_OPTION(CLI_CHOICE, 0, "score", SAL_WORDS_SCORE, job.score,                                                 \
                   "before or after the final softmax or sigmoid"),                                                    \
        CLI_OPTION(CLI_CHOICE, 0, "rule", SAL_WORDS_RULE, job.rule, "how activations send it back"),                   \
        CLI_NETWORK_OPTIONS(job.network), CLI_METHOD_OPTIONS(job.method), CLI_HEAD("Maps"),                            \
        CLI_OPTION(CLI_CHOICE, 0, "modifier", SAL_WORDS_MODIFIER, job.modifier, "of the attribution (default: abs)"),  \
        CLI_OPTION(CLI_CHOICE, 0, "reduce", SAL_WORDS_REDUCE, job.reduce, "over channels (default: max)"),             \
        CLI_NUMBER(CLI_REAL, 0, "sigma", "PIXELS", job.sigma,                                                          \
                   "Gaussian, input pixels (default: 2 % of the shorter side; of a CAM none)", 0, 10000),              \
        CLI_OPTION(CLI_CHOICE, 0, "normalize", SAL_WORDS_NORMALIZE, job.normalize,                                     \
                   "to 0..1, as they are, to -1..1, or as tf-keras-vis (default: minmax)"),                            \
        CLI_NUMBER(CLI_REAL, 0, "common-scale", "VALUE", job.common_scale,                                             \
                   "that becomes 1 in all maps, such as a run's largest peak (default: each map's own)", 7.9e-31,      \
                   3.4e38),                                                                                            \
        CLI_OPTION(CLI_FLAG, 0, "signed", NULL, job.is_signed,                                                         \
                   "maps with both signs: --modifier none --reduce sum --normalize signed"),                           \
        CLI_OPTION(CLI_FLAG, 0, "raw-map", NULL, job.raw_map, "of a CAM: as large as the layer, not as the input"),    \
        CLI_DRAWING_OPTIONS

#define CLI_PREPROCESS_OPTIONS                                                                                         \
    CLI_HEAD("Preprocessing (where MODEL.salmap is not there: a recipe, a preset, --scale, or --mean and --std)"),     \
        CLI_OPTION(CLI_TEXT, 0, "recipe", "NAME", job.recipe,                                                          \
                   "of a loader: keras-load-img, keras-image-dataset, tf-image, torchvision, timm, opencv, "           \
                   "keras-applications:NETWORK; or a file, as preprocessor_config.json"),                              \
        CLI_OPTION(CLI_TEXT, 0, "preset", "NAME", job.preset, "imagenet, unit, caffe, tf or raw"),                     \
        CLI_OPTION(CLI_TEXT, 0, "fit", "FIT", job.fit,                                                                 \
                   "stretch, letterbox, center-crop, crop-aspect or stretch-crop"),                                    \
        CLI_OPTION(CLI_TEXT, 0, "order", "ORDER", job.order, "auto, rgb, bgr, gray or asis"),                          \
        CLI_OPTION(CLI_TEXT, 0, "mean", "LIST", job.mean, "one number, or one per channel"),                           \
        CLI_OPTION(CLI_TEXT, 0, "std", "LIST", job.std, "one number, or one per channel"),                             \
        CLI_OPTION(CLI_TEXT, 0, "scale", "NUMBER", job.scale, "what samples of 0..255 are multiplied by first"),       \
        CLI_OPTION(CLI_TEXT, 0, "fill", "NUMBER", job.fill, "letterbox padding, 0..255"),                              \
        CLI_OPTION(CLI_TEXT, 0, "crop-resize", "PIXELS", job.crop_resize, "shorter side before center-crop cuts"),     \
        CLI_OPTION(CLI_TEXT, 0, "crop-share", "SHARE", job.crop_share,                                                 \
                   "of the side before center-crop: 0.875 is 224 of 256"),                                             \
        CLI_OPTION(CLI_TEXT, 0, "crop-round", "HOW", job.crop_round, "half an odd pixel: even or down"),               \
        CLI_OPTION(CLI_TEXT, 0, "resample", "KERNEL", job.resample,                                                    \
                   "bilinear, nearest, bicubic, cubic75, lanczos, area, box or hamming"),                              \
        CLI_OPTION(CLI_TEXT, 0, "antialias", "SWITCH", job.antialias, "on or off"),                                    \
        CLI_OPTION(CLI_TEXT, 0, "round", "HOW", job.round,                                                             \
                   "to 8 bits as they do: none, passes (Pillow), once, opencv, torch or pillow13"),                    \
        CLI_OPTION(CLI_TEXT, 0, "grid", "GRID", job.grid, "half-pixel, align-corners or asymmetric"),                  \
        CLI_OPTION(CLI_TEXT, 0, "alpha-over", "WHAT", job.alpha_over,                                                  \
                   "lay alpha over white (default), black or #rrggbb; drop: leave it out"),                            \
        CLI_OPTION(CLI_TEXT, 0, "exif", "WHAT", job.exif, "turn pictures as they declare: apply (default) or ignore"), \
        CLI_OPTION(CLI_TEXT, 0, "jpeg-dct", "HOW", job.jpeg_dct,                                                       \
                   "decode JPEG files accurate (default) or fast (TensorFlow)"),                                       \
        CLI_OPTION(CLI_TEXT, 0, "pages", "WHICH", job.pages,                                                           \
                   "of a file with several: first, N, channels or max (default: refused)"),                            \
        CLI_OPTION(CLI_TEXT, 0, "depth", "BITS", job.depth,                                                            \
                   "of samples, 1 to 16; unit: of floats 1 is white; auto; pillow (default: as stored)"),              \
        CLI_OPTION(CLI_FLAG, 0, "save-preprocess", NULL, job.save_preprocess,                                          \
                   "write these to MODEL.salmap for the next time"),                                                   \
        CLI_OPTION(CLI_FLAG, 0, "force", NULL, job.force, "of --save-preprocess: replace one that says otherwise")

#define CLI_COMPUTING_OPTIONS                                                                                          \
    CLI_HEAD("Computing"),                                                                                             \
        CLI_OPTION(CLI_TEXT, 0, "device", "DEVICE", job.device,                                                        \
                   "auto (default), cpu, cuda:0, several as cuda:0,cuda:1, or cuda:all"),                              \
        CLI_OPTION(CLI_CHOICE, 0, "precision", SAL_WORDS_PRECISION, job.precision,                                     \
                   "of a GPU: tf32 unless asked otherwise"),                                                           \
        CLI_NUMBER(CLI_INTEGER, 'b', "batch", "N", job.batch,                                                          \
                   "pictures computed together (default: from the memory plan)", 1, 65536),                            \
        CLI_NUMBER(CLI_INTEGER, 0, "threads", "N", job.threads, "CPU threads (default: one per core)", 1, 4096),       \
        CLI_OPTION(CLI_FLAG, 0, "exact", NULL, job.exact, "direct convolutions only (no Winograd)"),                   \
        CLI_OPTION(CLI_FLAG, 0, "lean", NULL, job.lean, "of a GPU: the least memory, more passes over it"),            \
        CLI_LIMIT_OPTIONS,                                                                                             \
        CLI_OPTION(CLI_FLAG, 0, "strict", NULL, job.strict,                                                            \
                   "fail it where anything of it has to be taken for granted")

#define CLI_JOB_OPTIONS(targets) CLI_EXPLAINED_OPTIONS(targets), CLI_PREPROCESS_OPTIONS, CLI_COMPUTING_OPTIONS

void cli_job_defaults(cli_job *job);
/* The library's options and what they point to: it stays where it is. */
typedef struct cli_run_options {
    sal_explain_options explain;
    sal_map_options map;
    sal_limits limits;
    char origin[512]; /* of the preprocessing */
    double contours[SAL_CONTOURS_MAX];
} cli_run_options;

/* All but files and preprocessing. Returns an exit code, after a message. */
int cli_job_options(cli_run_options *out, const cli_command *command, const cli_job *job);
/* Recipe, preset or sidecar, or what the network certainly wants, then what is given beside it: into run->explain, with
 * its origin; saved where that is asked for, but for a dry run. Nothing is guessed. picture: one of them, or NULL.
 * Likewise. */
int cli_job_preprocess(cli_run_options *run, const cli_command *command, const cli_job *job, const sal_model *model,
                       const char *picture);
/* The part of the options that says what the samples of a file are: its pages, alpha, depth and turn. Likewise. */
int cli_job_samples(sal_preprocess *out, const cli_command *command, const cli_job *job);
/* 1: some option is given that says how pictures become input. */
int cli_job_says_input(const cli_job *job);
/* 1: the same, and not only what the samples of a file are. */
int cli_job_says_values(const cli_job *job);
/* 1: somebody says how pictures become input, so that cli_job_preprocess has something to begin with: an option, a
 * sidecar (readable or not), or the network. */
int cli_job_is_prepared(const cli_job *job, const sal_model_info *model);
/* Engines for so many pictures: a batch larger than that would compute padding. Likewise. */
int cli_job_engines(cli_engines *out, const cli_command *command, const cli_job *job, sal_model *model,
                    size_t pictures);

#endif
