/* salmap: which pixels drove a ConvNet's prediction.
 *
 * The public header; plan.h beside it has what an engine plans, and plans for GPUs
 * that need not be there. Handles are opaque; every call that can fail returns
 * 0 (SAL_OK) or a negative sal_status and leaves a text in a thread-local
 * buffer, see sal_last_error(). The library never prints and never exits; where
 * memory or threads run out, some libraries below it may (oneDNN, libgomp, libcrypto).
 * Structs that begin with `size` are set by their macro SAL_..._INIT, see "Structs that can grow".
 * A pointer that must be given and is NULL, in an array too, is SAL_ERROR_ARGUMENT; "may be NULL" says which need not
 * be given. Functions that return no status then return NULL or 0, sal_word_value -1.
 *
 * Which thread may call what:
 *
 *   calls                                         on one object                         on several objects
 *   sal_model_get_*, _check_target,               any threads at once                   any threads at once
 *     _probabilities; sal_engine_model, _get_*;
 *     sal_figure_note, _title;
 *     sal_dataset_*, sal_classes_* but _open
 *     and _close;
 *     sal_gpu_plan_get_*
 *   sal_engine_open, sal_gpu_plan_open,           of one model: any threads at once     any threads at once
 *     sal_model_drop_weights, _randomize
 *   sal_engine_forward, _gradient, _gradients,    of one engine, one call at a time:    any threads at once
 *     sal_explain_files, _files_on, _dataset,
 *     sal_sweep                                   the second is refused (ARGUMENT)
 *   sal_sweep, _merge, _export; sal_run_*         of one run folder: one call at a      any threads at once
 *                                                 time, but for shards of a sweep
 *   sal_*_close, sal_picture_clear,               when no other call uses the object    any threads at once
 *     sal_bytes_free
 *   all others                                    any threads at once, each with        any threads at once
 *                                                 results of its own
 *
 * An engine counts as used until the call returns, so call-backs cannot use it either. Call-backs come on the thread
 * that made the call. Threads that call need a stack of 256 KiB; the library's own have the system's default size.
 */
#ifndef SALMAP_SALMAP_H
#define SALMAP_SALMAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SALMAP_VERSION_MAJOR 0 /* of this header; of the library: sal_version */
#define SALMAP_VERSION_MINOR 2 /* until there is a first major one, another of these may break users */
#define SALMAP_VERSION_PATCH 0 /* mends errors alone */

/* What the library shows. */
#if defined(__GNUC__)
#define SAL_API __attribute__((visibility("default")))
#else
#define SAL_API
#endif

/* ---- Structs that can grow ------------------------------------------------ */

/* Options, jobs and infos begin with `size`, so that a program goes on working with a library that was built from
 * another version of this header, older or newer:
 *
 *   sal_engine_options options = SAL_ENGINE_OPTIONS_INIT;
 *   options.batch = 16;
 *
 * SAL_..._INIT sets the size and the defaults. In C, {.size = sizeof options, .batch = 16} does the same, but for the
 * few fields whose default is a named constant, SAL_DEFAULT, SAL_UNLIMITED or SAL_COLORMAP_AUTO, since 0 means
 * something else there.
 *
 *   - The library reads and writes a struct only as far as its size says. Fields that an older program does not have
 *     count as 0. Fields that an older library does not have must be 0 where it reads (else ARGUMENT: it cannot do what
 *     they ask for), and are set to 0 where it writes.
 *   - A size that no version of the struct can have is ARGUMENT, and nothing else is done: 0, less than 16, no multiple
 *     of 8, or more than 256 bytes above this library's. A struct that was never set can have any size: use the macro.
 *   - New fields come at the end, where no struct has padding, and 0 is their default.
 *   - Results in call-backs have the library's size: a field is there if it ends within that.
 *
 * Frozen, since they lie in arrays or in other structs: sal_picture, sal_preprocess, sal_target, sal_check,
 * sal_map_stats, sal_stage_info, sal_placement. They have no size, get no new fields, and are used zeroed. */
#ifdef __cplusplus
#define SAL_INIT(type)                                                                                                 \
    [] {                                                                                                               \
        type sal_init_ = {};                                                                                           \
        sal_init_.size = sizeof(type);                                                                                 \
        return sal_init_;                                                                                              \
    }()
#define SAL_INIT_WITH(type, field)                                                                                     \
    [] {                                                                                                               \
        type sal_init_ = {};                                                                                           \
        sal_init_.size = sizeof(type);                                                                                 \
        sal_init_ field;                                                                                               \
        return sal_init_;                                                                                              \
    }()
#define SAL_INIT_WITH_TWO(type, field, other)                                                                          \
    [] {                                                                                                               \
        type sal_init_ = {};                                                                                           \
        sal_init_.size = sizeof(type);                                                                                 \
        sal_init_ field;                                                                                               \
        sal_init_ other;                                                                                               \
        return sal_init_;                                                                                              \
    }()
#else
/* What the macros SAL_..._INIT are: the size alone, */
#define SAL_INIT(type)                                                                                                 \
    {                                                                                                                  \
        .size = sizeof(type)                                                                                           \
    }
/* and with the default of a field that is not 0, */
#define SAL_INIT_WITH(type, field)                                                                                     \
    {                                                                                                                  \
        .size = sizeof(type), field                                                                                    \
    }
/* or of two. */
#define SAL_INIT_WITH_TWO(type, field, other)                                                                          \
    {                                                                                                                  \
        .size = sizeof(type), field, other                                                                             \
    }
#endif

#define SAL_DEFAULT (-1.0) /* the default of a number for which 0 means 0 */

/* ---- Errors ------------------------------------------------------------- */

/* What became of a call. */
typedef enum sal_status {
    SAL_OK = 0,
    SAL_ERROR_ARGUMENT = -1,    /* the caller's arguments contradict the contract */
    SAL_ERROR_IO = -2,          /* a file could not be opened, read, written or renamed */
    SAL_ERROR_FORMAT = -3,      /* a file's content is truncated, corrupt or not what it claims */
    SAL_ERROR_UNSUPPORTED = -4, /* understood, but salmap cannot do it (op, option, file variant) */
    SAL_ERROR_LIMIT = -5,       /* a size exceeds sal_limits */
    SAL_ERROR_MEMORY = -6,      /* out of host or device memory */
    SAL_ERROR_DEVICE = -7,      /* the back end's library or device failed */
    SAL_ERROR_NUMERIC = -8,     /* NaN or infinity where a number is needed */
    SAL_ERROR_CANCELLED = -9    /* a callback asked to stop */
} sal_status;

/* Text of the calling thread's last failure: names file, node or option and
 * says what to do. Borrowed; valid until the thread's next failing call. */
SAL_API const char *sal_last_error(void);
/* Short name of a status, such as "format". Borrowed, static. */
SAL_API const char *sal_status_name(sal_status status);
/* "0.2.0". Borrowed, static. */
SAL_API const char *sal_version(void);

/* Bounds on what files may ask for; 0 selects the default in brackets. */
typedef struct sal_limits {
    size_t size;              /* SAL_LIMITS_INIT */
    uint64_t max_pixels;      /* of one picture [2^30]. Above 2^28, by default alone, TIFFs must not be compressed more
                                 than 500-fold: what is meant to be so large is given a limit */
    uint64_t max_model_bytes; /* of a model with its external data [2^33] */
    uint64_t max_nodes;       /* of a model [1,000,000] */
    uint64_t max_memory;      /* bytes that one picture may take while it is read, its file included [half of the memory
                                 that is free when a run begins]; those in flight beside it take half as much, and no more
                                 than half of that default */
} sal_limits;
#define SAL_LIMITS_INIT SAL_INIT(sal_limits)

/* ---- Models ------------------------------------------------------------- */

/* A network with its weights, as a file has them. */
typedef struct sal_model sal_model;

/* What a model is. */
typedef struct sal_model_info {
    size_t size;               /* SAL_MODEL_INFO_INIT, before every call that fills it */
    const char *path;          /* as given to sal_model_open */
    const char *format;        /* "ONNX opset 13 (pytorch 1.13)" */
    int64_t channels;          /* the network's input is (channels, height, width) */
    int64_t height;            /* in pixels */
    int64_t width;             /* likewise */
    int channels_last;         /* 1: the file declares its input as (N, H, W, C) */
    int supported;             /* 1: every layer can be run and differentiated */
    const char *output;        /* which output of the file is explained, where it has several; else NULL */
    const char *other_outputs; /* the names of the others: "side, top", or NULL */
    int64_t outputs;           /* number of scores: classes, or regression values */
    size_t layers;             /* rows for sal_model_layer */
    uint64_t parameters;       /* float weights of all layers */
    uint64_t flops;            /* of one forward pass of one picture; a multiply-add counts 2 */
    const char *head;          /* node that makes the scores */
    const char *detached;      /* what followed the head and was left off ("Softmax"), or NULL */
    const char *dropped;       /* layers that do nothing when a network is used ("2 Dropout, RandomFlip"), or NULL */
    const char *preset;        /* preprocessing that the layers suggest ("caffe"), or NULL: never applied unasked */
    const char *preset_reason; /* "the layers match VGG of keras.applications"; why no preset is suggested; or NULL */
    const char *rescales; /* layer that certainly brings 0..255 to what the others want: pictures go in as they are,
                             preset "raw"; or NULL */
    const char *made;     /* what the score was made of, by `at` or `coral` of the options; or NULL */
} sal_model_info;
#define SAL_MODEL_INFO_INIT SAL_INIT(sal_model_info)

/* What of a network is meant, where its file leaves that open; by default: its first output, as the file has it. */
typedef struct sal_model_options {
    size_t size;        /* SAL_MODEL_OPTIONS_INIT */
    const char *output; /* name of an output, of a network with several; NULL: the first */
    const char *layer;  /* dense or convolution layer that makes the scores, before its activation: everything after it
                           is left off. NULL: the last one before the output */
    int64_t height;     /* of the input, where the file does not fix it; 0: as the file says */
    int64_t width;      /* likewise */
    const sal_limits *limits; /* NULL: the defaults */
    const char *at; /* "3,10:20,:": the score is one element of the output, or the sum of several, before the softmax or
                       sigmoid that makes them: for each axis but the batch, in the file's order, an index from 0 or a
                       range, whose second number is the first that does not belong to it; left out: from the first, to
                       the last. NULL: all elements of a vector are scores */
    int64_t coral;  /* 1: the outputs are CORAL's cumulative logits, of which the score is the age: first_age plus the
                       sum of their sigmoids. Not with `at` */
    double first_age; /* of coral: the age that the first class stands for */
} sal_model_options;
#define SAL_MODEL_OPTIONS_INIT SAL_INIT(sal_model_options)

/* What a layer of a model is. */
typedef struct sal_layer_info {
    size_t size;         /* SAL_LAYER_INFO_INIT */
    const char *name;    /* node name in the file, or made up from op and position */
    const char *op;      /* core op, such as "conv" */
    const char *detail;  /* "64 3x3 stride 2, relu": what an expert wants to see */
    int rank;            /* of the output, without the batch axis */
    int64_t shape[8];    /* output shape without the batch axis */
    uint64_t parameters; /* float weights */
    uint64_t flops;      /* forward, one picture */
    const char *problem; /* NULL, or why this layer cannot be run */
} sal_layer_info;
#define SAL_LAYER_INFO_INIT SAL_INIT(sal_layer_info)

/* Reads a model file: ONNX, or Keras (.h5, .hdf5, .keras), told apart by its first bytes. On success *out is the
 * caller's. Errors: IO, FORMAT, UNSUPPORTED (names node, op and opset), LIMIT, NUMERIC (NaN or infinite weights),
 * MEMORY. limits may be NULL.
 *
 * A child process reads the weights of Keras files, since damaged ones make libhdf5 crash: the program salmap-hdf5,
 * which ends before the function returns. It is what the environment variable SAL_HDF5_READER says; or it is looked for
 * in libexec/salmap/ as seen from the folder of libsalmap.so or of a program that is linked with the static library,
 * where that is bin or lib (as configured) then in ../libexec/salmap/, and then where the library was configured to be
 * installed. The first two are passed over where other users may write to them. Without it: IO, which names the places.
 */
SAL_API sal_status sal_model_open(sal_model **out, const char *path, const sal_limits *limits);
/* The same with options, which may be NULL; copied. Errors: also ARGUMENT (no such output, layer or element: says what
 * is there; a size that the file fixes otherwise; CORAL's age of a softmax). */
SAL_API sal_status sal_model_open_with(sal_model **out, const char *path, const sal_model_options *options);
/* The same from the bytes of such a file, which are copied and may be freed afterwards: the model keeps the copy as
 * long as it lives, to read it again where its weights were dropped. Messages and the run folders of sweeps call it
 * "model in memory"; a run also has the digest of the bytes. options may be NULL. Errors: as sal_model_open_with;
 * UNSUPPORTED also where parts of the model lie in other files (external data of ONNX, a Keras file of weights alone).
 */
SAL_API sal_status sal_model_open_bytes(sal_model **out, const void *bytes, size_t size,
                                        const sal_model_options *options);
SAL_API void sal_model_close(sal_model *model); /* NULL is fine */
/* Lets go of the weights, once the engines are open: those keep what they need. A further engine then reads the files
 * again, which must be what they were. */
SAL_API sal_status sal_model_drop_weights(sal_model *model);
/* Another model like this one, with new weights from a layer on (by its name; NULL: from the first) to the scores:
 * normal numbers of each weight's own mean and deviation, the same for the same seed. It shares the others, and may
 * outlive this one. For sanity checks (Adebayo et al. 2018): a map that stays as it was is not about the network.
 * A sweep refuses it, since no file has its weights, and they are never dropped but by sal_model_drop_weights.
 * On success *out is the caller's. Errors: ARGUMENT (no such layer; random weights that were dropped), MEMORY, and
 * where others were dropped those of sal_model_open. */
SAL_API sal_status sal_model_randomize(sal_model **out, sal_model *model, const char *layer, uint64_t seed);
/* Strings in *out are borrowed; they live as long as the model. Errors: ARGUMENT. */
SAL_API sal_status sal_model_get_info(sal_model_info *out, const sal_model *model);
/* A layer, from 0 to sal_model_info.layers; as sal_model_get_info. Error: ARGUMENT (also: there is no such layer). */
SAL_API sal_status sal_model_get_layer(sal_layer_info *out, const sal_model *model, size_t index);
/* Probabilities (count, outputs) of logits (count, outputs) by the softmax or sigmoid
 * that the model ends in; both may be the same array. Error: ARGUMENT where it has none. */
SAL_API sal_status sal_model_probabilities(float *probabilities, const sal_model *model, const float *scores,
                                           int64_t count);

/* ---- Pictures ----------------------------------------------------------- */

/* Samples of pictures: 8 or 16 bits, or floats. */
typedef enum sal_sample_type { SAL_SAMPLE_U8 = 0, SAL_SAMPLE_U16 = 1, SAL_SAMPLE_F32 = 2 } sal_sample_type;

/* What the first channels of a picture are. Channels behind them are neither colour nor alpha: a near infrared, say. */
typedef enum sal_channels {
    SAL_CHANNELS_UNSAID = 0,     /* one is gray, three are RGB; of any other count nothing is known, alpha neither */
    SAL_CHANNELS_GRAY = 1,       /* the first is */
    SAL_CHANNELS_GRAY_ALPHA = 2, /* gray, then alpha; it is not multiplied into the gray */
    SAL_CHANNELS_RGB = 3,        /* the first three are */
    SAL_CHANNELS_RGBA = 4,       /* RGB, then alpha, likewise */
    SAL_CHANNELS_PLANES = 5 /* each is something of its own, such as the pages of a stack: never gray, RGB, alpha */
} sal_channels;

/* Interleaved samples, rows top to bottom, no padding: (height, width, channels). Integer samples are full range: 255
 * or 65535 is white, unless sal_preprocess.depth says otherwise. Zeroed and filled by a caller, whatever is behind
 * `samples` is safe: no channel is taken for alpha unless `meaning` says so. */
typedef struct sal_picture {
    int64_t height;       /* in pixels */
    int64_t width;        /* likewise */
    int64_t channels;     /* samples of a pixel, of any meaning */
    sal_sample_type type; /* of the samples */
    void *samples;        /* owned by the picture; free with sal_picture_clear */
    sal_channels meaning; /* of the channels */
    int32_t orientation;  /* 1 to 8, as EXIF and TIFF number them: what the file declared, applied or not; 0: nothing */
} sal_picture;

/* Decodes PNG, JPEG, TIFF or .npy ((H,W), (H,W,C) or (C,H,W) with C < H and C < W), recognised by content, as
 * sal_picture_read_for does with a zeroed sal_preprocess and no network: pictures are turned as they declare, and files
 * of several pages are refused. On success the samples belong to *out. Errors: IO, FORMAT, UNSUPPORTED (also: another
 * format, with the command that converts it), LIMIT, MEMORY. */
SAL_API sal_status sal_picture_read(sal_picture *out, const char *path, const sal_limits *limits);
/* The same from the bytes of such a file, which are only read: no file is made. Messages call it "picture in memory".
 * In limits.max_memory the bytes count as the file does. limits may be NULL. Errors: as sal_picture_read, without IO.
 */
SAL_API sal_status sal_picture_decode(sal_picture *out, const void *bytes, size_t size, const sal_limits *limits);
/* Writes an 8- or 16-bit picture with 1 to 4 channels as PNG: to a temporary
 * name beside path, then renamed, so that path is whole or absent. */
SAL_API sal_status sal_picture_write_png(const char *path, const sal_picture *picture);
SAL_API void sal_picture_clear(sal_picture *picture); /* NULL is fine */

/* Files that pictures are encoded to. */
typedef enum sal_picture_format {
    SAL_PICTURE_PNG = 0, /* 8 or 16 bits, 1 to 4 channels: the bytes that sal_picture_write_png writes */
    SAL_PICTURE_JPEG = 1 /* 8 bits, gray or RGB, quality 90, colour in full resolution: the overlays of sweeps */
} sal_picture_format;

/* A picture as the bytes of a file. On success *bytes is the caller's: free it with sal_bytes_free. Else it is NULL.
 * Errors: ARGUMENT (samples or channels that the format does not hold, no pixels), UNSUPPORTED (too large for JPEG),
 * LIMIT, MEMORY. */
SAL_API sal_status sal_picture_encode(void **bytes, size_t *size, const sal_picture *picture,
                                      sal_picture_format format);
/* Frees what sal_picture_encode, sal_map_encode, sal_npy_encode and sal_figure_encode gave. NULL is fine. */
SAL_API void sal_bytes_free(void *bytes);

/* ---- Preprocessing ------------------------------------------------------ */

/* How a picture is brought to the sides of the network's input. */
typedef enum sal_fit {
    SAL_FIT_STRETCH = 0,     /* resize both sides to the network's input */
    SAL_FIT_LETTERBOX = 1,   /* keep the aspect ratio, pad with `fill` */
    SAL_FIT_CENTER_CROP = 2, /* shorter side to crop_resize, then the centre */
    SAL_FIT_CROP_ASPECT = 3, /* the largest middle part with the input's aspect ratio, then resize: Keras'
                                crop_to_aspect_ratio, smart_resize and load_img's keep_aspect_ratio */
    SAL_FIT_STRETCH_CROP = 4 /* both sides to crop_resize, then the centre */
} sal_fit;

/* What the channels of the network's input are. */
typedef enum sal_channel_order {
    SAL_ORDER_AUTO = 0, /* gray for 1-channel networks, RGB for 3, as they are otherwise */
    SAL_ORDER_RGB = 1,
    SAL_ORDER_BGR = 2,
    SAL_ORDER_GRAY = 3, /* ITU-R 601 luma, repeated over the network's channels */
    SAL_ORDER_ASIS = 4  /* channel count must match; nothing is converted */
} sal_channel_order;

/* How pixels are weighed when a picture is resized. */
typedef enum sal_resample {
    SAL_RESAMPLE_BILINEAR = 0, /* triangle */
    SAL_RESAMPLE_NEAREST = 1,  /* the pixel whose area has the point; sal_antialias has no meaning */
    SAL_RESAMPLE_BICUBIC = 2,  /* Keys 1981, a = -0.5: Pillow, tf.image, torch with antialias */
    SAL_RESAMPLE_CUBIC75 = 3,  /* the same with a = -0.75: OpenCV, torch without antialias; SAL_ANTIALIAS_OFF alone */
    SAL_RESAMPLE_LANCZOS = 4,  /* of three lobes */
    SAL_RESAMPLE_AREA = 5,     /* what each pixel covers: OpenCV's INTER_AREA, tf.image; sal_antialias has no meaning */
    SAL_RESAMPLE_BOX = 6,      /* pixels whose centre is covered: Pillow's BOX; SAL_ANTIALIAS_ON alone */
    SAL_RESAMPLE_HAMMING = 7   /* Pillow's HAMMING; SAL_ANTIALIAS_ON alone */
} sal_resample;

/* Whether the weights widen when a picture is made smaller. */
typedef enum sal_antialias {
    SAL_ANTIALIAS_ON = 0, /* Pillow, torchvision */
    SAL_ANTIALIAS_OFF = 1 /* tf.image.resize, keras.layers.Resizing, OpenCV */
} sal_antialias;

/* What becomes of fractions when a picture is resized. All but NONE are for 8 bits, as those tools are: of 16 bits the
 * upper 8 are taken first, colours become gray before, and pictures of floats are refused. */
typedef enum sal_rounding {
    SAL_ROUND_NONE = 0,   /* they are kept: tf.image, torch's tensors of floats */
    SAL_ROUND_PASSES = 1, /* to 8 bits after each direction, columns first: Pillow to version 12, bit by bit. Not with
                             SAL_RESAMPLE_AREA, as TORCH and PILLOW13 */
    SAL_ROUND_ONCE = 2,   /* to 8 bits after both: keras.layers.Resizing of 8 bits, torchvision's 8-bit tensors before
                             version 0.16 and in transforms v1 */
    SAL_ROUND_OPENCV = 3, /* likewise, in OpenCV's arithmetic: bit by bit where it is in whole numbers. Only what
                             cv2.resize has: SAL_RESAMPLE_NEAREST with SAL_GRID_ASYMMETRIC, BILINEAR and CUBIC75 with
                             SAL_ANTIALIAS_OFF, and AREA */
    SAL_ROUND_TORCH = 4,  /* as PASSES, with torch's weights of 16 bits: torchvision's 8-bit tensors in transforms v2 */
    SAL_ROUND_PILLOW13 = 5 /* as PASSES, but rows first where the height shrinks, and by more than twice as many pixels
                              as the width: Pillow 13 */
} sal_rounding;

/* Which points of a picture the pixels of the resized one are. All but the first are for SAL_RESAMPLE_NEAREST, and
 * without antialias for SAL_RESAMPLE_BILINEAR and SAL_RESAMPLE_CUBIC75. */
typedef enum sal_grid {
    SAL_GRID_HALF_PIXEL = 0,    /* centres are at i + 0.5 */
    SAL_GRID_ALIGN_CORNERS = 1, /* the first and the last pixel stay where they are */
    SAL_GRID_ASYMMETRIC = 2     /* i times the ratio: cv2.INTER_NEAREST, torch "nearest", TensorFlow 1 */
} sal_grid;

/* Which pixel is the first that a crop keeps, where the number to cut is odd. */
typedef enum sal_crop_round {
    SAL_CROP_ROUND_EVEN = 0, /* half of it, to the even number: torchvision */
    SAL_CROP_ROUND_DOWN = 1  /* half of it, cut: Hugging Face, Keras, x[(h - n) // 2:] */
} sal_crop_round;

/* What becomes of what is behind the colours where a network takes gray or RGB. */
typedef enum sal_alpha {
    SAL_ALPHA_AUTO = 0,   /* as white, and sal_picture_notes says so of pictures where it matters */
    SAL_ALPHA_WHITE = 1,  /* the picture is laid over white; of floats, and with channels that are no alpha: refused */
    SAL_ALPHA_BLACK = 2,  /* over black, likewise */
    SAL_ALPHA_COLOUR = 3, /* over alpha_colour, likewise */
    SAL_ALPHA_DROP = 4    /* it is left out, alpha or not: Pillow's convert("RGB"), Keras, torchvision; also the last of
                             two or four SAL_CHANNELS_UNSAID, as of .npy files, so that gray or RGB are left */
} sal_alpha;

/* What becomes of the orientation that a file declares. */
typedef enum sal_exif {
    SAL_EXIF_AUTO = 0,  /* as apply, and sal_picture_notes says so of pictures that were turned */
    SAL_EXIF_APPLY = 1, /* the picture is turned */
    SAL_EXIF_IGNORE = 2 /* as it is stored: Keras, torchvision, PIL.Image.open */
} sal_exif;

/* How a JPEG file is decoded. */
typedef enum sal_jpeg_dct {
    SAL_JPEG_DCT_ACCURATE = 0, /* Pillow, OpenCV, torchvision */
    SAL_JPEG_DCT_FAST = 1      /* TensorFlow, unless dct_method is given: up to ten levels off in sharp pictures; for a
                                  network of one channel the file's own luma */
} sal_jpeg_dct;

/* What the pages of a file are. Masks and reduced copies, which say that they are, do not count, unless there is
 * nothing else. */
typedef enum sal_pages {
    SAL_PAGES_AUTO = 0,     /* one page; several, where the network takes as many channels, above 4; else refused */
    SAL_PAGES_NUMBER = 1,   /* one of them is the picture: sal_preprocess.page */
    SAL_PAGES_CHANNELS = 2, /* they are the channels of one picture, SAL_CHANNELS_PLANES */
    SAL_PAGES_MAX = 3       /* the largest sample of all of them: a maximum projection */
} sal_pages;

#define SAL_DEPTH_AUTO                                                                                                 \
    (-1)                    /* the fewest of 1, 2, 4, 8, 10, 12, 14 and 16 bits that hold a picture's samples; floats  \
                               within 0..1 as SAL_DEPTH_UNIT */
#define SAL_DEPTH_UNIT (-2) /* of float samples 1 is white; integer samples as they are stored */
#define SAL_DEPTH_PILLOW                                                                                               \
    (-3) /* 16-bit gray as Pillow has it: samples are levels of 0..255 and those above are 255; into a network of one  \
            channel they go as they are, 0..65535. Else as 0; drawn as SAL_DEPTH_AUTO */
#define SAL_DEPTH_PILLOW_NOTED                                                                                         \
    (-4) /* the same, and sal_picture_notes tells where samples are above 255: what recipes of Pillow say */

#define SAL_MAX_CHANNELS 64 /* of a network's input */

/* x[c] = (sample * scale - mean[c]) / std[c], sample in 0..255 (16-bit pictures
 * are brought to 0..255 without rounding; float pictures are taken as they are, unless depth says otherwise). */
typedef struct sal_preprocess {
    sal_fit fit;                  /* onto the input's sides */
    sal_channel_order order;      /* of the input's channels */
    int64_t crop_resize;          /* SAL_FIT_CENTER_CROP, SAL_FIT_STRETCH_CROP: (shorter) side before the crop, to
                                     2^20; 0: as crop_share says */
    float fill;                   /* letterbox padding, as a sample in 0..255 */
    float scale;                  /* not 0: nothing is guessed, a struct of zeros is refused */
    int value_count;              /* channels given in mean and std: 0 (mean 0, std 1), 1 (for all) or one each */
    float mean[SAL_MAX_CHANNELS]; /* of samples times scale */
    float std[SAL_MAX_CHANNELS];  /* likewise; above 0 */
    sal_resample resample;        /* how pixels are weighed when a picture is resized, */
    sal_antialias antialias;      /* whether over all that becomes one pixel, */
    sal_rounding rounding;        /* what becomes of fractions, */
    sal_grid grid;                /* and which points are taken */
    sal_crop_round crop_round;    /* SAL_FIT_CENTER_CROP, SAL_FIT_STRETCH_CROP, as the next */
    float crop_share; /* the crop's share of the side before it, as 0.875 is 224 of 256 (timm's crop_pct): that side is
                         the input's divided by it, cut to a whole number. For square inputs; 1e-3 to 1, or 0: no extra
                         margin */
    sal_alpha alpha;  /* the rest: what the samples of a file are */
    float alpha_colour[3]; /* of SAL_ALPHA_COLOUR: red, green, blue, 0..255 */
    sal_exif exif;         /* whether it is turned as it declares */
    sal_pages pages;       /* which of several is the picture, or what they are */
    int32_t page;          /* of SAL_PAGES_NUMBER, from 0 */
    int32_t depth; /* bits of a sample, 1 to 16: 2^bits - 1 is white, and more is refused (of 8-bit samples 8 and above
                      change nothing); 0: as many as the file stores, of floats 8; or one of SAL_DEPTH_... */
    sal_jpeg_dct jpeg_dct; /* of the file, where it is JPEG */
} sal_preprocess;

/* Presets: "imagenet" (0..1, ImageNet mean and std), "unit" (0..1), "caffe"
 * (BGR, ImageNet mean in 0..255), "tf" (-1..1), "raw" (0..255).
 * Error: ARGUMENT for another name, listing these. */
SAL_API sal_status sal_preprocess_preset(sal_preprocess *out, const char *name);
/* Sets one field from text: key is fit, order, crop-resize, crop-share, crop-round, fill, scale, mean, std, resample,
 * antialias, round, grid, alpha-over, exif, jpeg-dct, pages or depth; or several: preset, recipe. Lists are comma
 * separated. Where scale is still 0, mean and std make it 1/255, of which they usually are. Errors: ARGUMENT names key
 * and value. */
SAL_API sal_status sal_preprocess_set(sal_preprocess *p, const char *key, const char *value);
/* Recipes name whole pipelines, as the loaders of other libraries prepare pictures: how they are read, fitted and
 * resized, and for most recipes also order, scale, mean and std. */
typedef struct sal_recipe_info {
    size_t size;      /* SAL_RECIPE_INFO_INIT */
    const char *name; /* "keras-image-dataset"; a star at its end stands for any letters: "keras-applications:vgg*" */
    const char *summary; /* what it stands for */
    int64_t says_values; /* 0: scale, mean and std are left as they are, since the loader leaves them to its caller; so
                            is the order, but for OpenCV's, which is BGR */
} sal_recipe_info;
#define SAL_RECIPE_INFO_INIT SAL_INIT(sal_recipe_info)
/* How many recipes there are. */
SAL_API size_t sal_recipe_count(void);
/* What a recipe is, by its number. Strings are static. Error: ARGUMENT (no such number). */
SAL_API sal_status sal_recipe_get_info(sal_recipe_info *out, size_t index);
/* Sets what a recipe says; the rest stays as it is. said_values, which may be NULL: whether order, scale, mean and std
 * are of it. Error: ARGUMENT for another name, listing all. */
SAL_API sal_status sal_preprocess_recipe(sal_preprocess *p, int *said_values, const char *name);

/* What a file of a recipe says beside it. */
typedef struct sal_recipe_file {
    size_t size;       /* SAL_RECIPE_FILE_INIT */
    int64_t height;    /* of the input that it makes, in pixels; 0: it does not say */
    int64_t width;     /* likewise */
    char ignored[176]; /* names that change nothing of a picture, with commas between them, as far as they fit */
} sal_recipe_file;
#define SAL_RECIPE_FILE_INIT SAL_INIT(sal_recipe_file)
/* Reads a recipe that came with a network: Hugging Face's preprocessor_config.json, timm's config.json, or
 * torchvision's transforms printed as text. All of *p is set. out may be NULL. Errors: FORMAT (none of these),
 * UNSUPPORTED (names what it asks for that salmap cannot do), IO, LIMIT, MEMORY. */
SAL_API sal_status sal_preprocess_read_recipe(sal_preprocess *p, sal_recipe_file *out, const char *path);

/* Reads the sidecar file "<model path>.salmap": one "key value" line per field, so that nobody has to repeat the
 * options. Where there is no such file, this gives SAL_OK and *found = 0. Errors: IO, FORMAT, MEMORY. */
SAL_API sal_status sal_preprocess_load(sal_preprocess *out, int *found, const char *model_path);
/* Writes that file, whole or not at all. Errors: IO, ARGUMENT, MEMORY. */
SAL_API sal_status sal_preprocess_save(const char *model_path, const sal_preprocess *p);
/* What that file would say, in one line: "fit stretch, order auto, ..., scale 0.00392156886". At most `size` bytes with
 * the final NUL, cut where it does not fit (512 are enough for networks of up to 9 channels). Numbers have points,
 * whatever the locale. Errors: ARGUMENT, MEMORY. */
SAL_API sal_status sal_preprocess_describe(char *text, size_t size, const sal_preprocess *p);

/* Where a network's input lies on the picture it was made from, one affine per axis, in continuous coordinates where
 * the centre of pixel i is i + 0.5: the point (y, x) of the input lies at (scale_y * y + offset_y, scale_x * x +
 * offset_x) of the picture. Scales are positive. Points may fall outside the picture (letterbox padding), and a picture
 * may reach beyond the input (what a crop cut off). Frozen: it stays as it is. */
typedef struct sal_placement {
    int64_t source_height; /* of the picture, in pixels */
    int64_t source_width;  /* likewise */
    int64_t net_height;    /* of the network's input, or of a map of it */
    int64_t net_width;     /* likewise */
    double scale_y;        /* pixels of the picture per pixel of the input */
    double offset_y;       /* in pixels of the picture */
    double scale_x;        /* as scale_y */
    double offset_x;       /* as offset_y */
} sal_placement;

/* Fits a picture into a network's input: input, (channels, height, width) floats as sal_model_info has them, is filled,
 * and *placement, which may be NULL, says where the picture came to lie. Resizing is antialiased bilinear
 * and nothing is rounded on the way, unless the options say otherwise; fits and crops are those of torchvision's Resize
 * and CenterCrop. Errors: ARGUMENT (the channels do not fit, an option contradicts the network or another, samples of
 * floats are to be rounded), NUMERIC (a float picture has NaN or infinity where it is used), MEMORY. */
SAL_API sal_status sal_preprocess_apply(float *input, sal_placement *placement, const sal_picture *picture,
                                        const sal_preprocess *preprocess, int64_t channels, int64_t height,
                                        int64_t width);
/* Reads a picture as `preprocess` says, for a network whose input has so many channels (0: any): which of the pages,
 * and whether it is turned. Alpha and depth are left to sal_preprocess_apply and to what is drawn. preprocess and
 * limits may be NULL: the defaults. Errors: those of sal_picture_read; UNSUPPORTED also where a file has several pages
 * and nothing says what they are, names the options that do; ARGUMENT. */
SAL_API sal_status sal_picture_read_for(sal_picture *out, const char *path, const sal_preprocess *preprocess,
                                        int64_t channels, const sal_limits *limits);
/* The same from the bytes of a file, as sal_picture_decode. */
SAL_API sal_status sal_picture_decode_for(sal_picture *out, const void *bytes, size_t size,
                                          const sal_preprocess *preprocess, int64_t channels, const sal_limits *limits);

/* What was taken for granted of a picture, so that another reader may make another input of it: bits. */
typedef enum sal_note {
    SAL_NOTE_DEPTH = 1, /* the samples reach a part of their range, fewer bits in more; or Pillow cuts them off */
    SAL_NOTE_RANGE = 2, /* float samples that do not look like 0..255 */
    SAL_NOTE_ALPHA = 4, /* transparent pixels were laid over white */
    SAL_NOTE_EXIF = 8,  /* it was turned as its file declares */
    SAL_NOTE_GRAY = 16, /* gray was made of colours by weights that TensorFlow, whose decoding is asked for, has not */
    SAL_NOTES = 31
} sal_note;

#define SAL_NOTE_SIZE_MAX 1024 /* bytes that the text of all notes takes at most */

/* What was taken for granted of a picture that was read and prepared so, for a network of so many channels: *notes,
 * bits of sal_note. text, which may be NULL, gets a line for each, in the order of the bits, with the option that says
 * what is meant and silences it; at most `size` bytes with the final NUL. Errors: ARGUMENT. */
SAL_API sal_status sal_picture_notes(int64_t *notes, char *text, size_t size, const sal_picture *picture,
                                     const sal_preprocess *preprocess, int64_t channels);
/* *out: the placement of a map of the input that has height x width pixels of its own, as those of a layer have.
 * Error: ARGUMENT (also: a side below 1). */
SAL_API sal_status sal_placement_for_map(sal_placement *out, const sal_placement *placement, int64_t height,
                                         int64_t width);

/* ---- Engines ------------------------------------------------------------ */

/* How activations send the gradient back. */
typedef enum sal_rule {
    SAL_RULE_GRADIENT = 0,  /* the derivative */
    SAL_RULE_GUIDED = 1,    /* Springenberg et al. 2015: gradient and input both positive */
    SAL_RULE_DECONVNET = 2, /* Zeiler and Fergus 2014: positive gradients, whatever the input */
    SAL_RULE_RECTIFIED = 3  /* Kim et al. 2019, RectGrad with threshold 0: input times gradient positive */
} sal_rule;

/* How a GPU computes convolutions and dense layers, and what it keeps feature maps in. A CPU computes in
 * float32 and takes DEFAULT or FP32. */
typedef enum sal_precision {
    SAL_PRECISION_DEFAULT = 0, /* of the device: tf32 on GPUs */
    SAL_PRECISION_FP32 = 1,
    SAL_PRECISION_TF32 = 2, /* float32 values, products of 10-bit mantissas */
    SAL_PRECISION_BF16 = 3, /* bfloat16 feature maps, float32 sums */
    SAL_PRECISION_FP16 = 4  /* half precision maps; gradients are scaled by a power of two, exactly undone */
} sal_precision;

/* ---- Methods: how a score is attributed to the input ---------------------- */

/* Where the path of integrated gradients begins, each in the network's input space. */
typedef enum sal_baseline {
    SAL_BASELINE_ZERO = 0,  /* zeros in that space */
    SAL_BASELINE_BLACK = 1, /* samples of 0, preprocessed as pictures are */
    SAL_BASELINE_WHITE = 2, /* samples of 255, likewise */
    SAL_BASELINE_MEAN = 3,  /* each picture's own mean, channel by channel */
    SAL_BASELINE_BLUR = 4,  /* each picture, blurred: Gaussian, an eighth of the shorter side */
    SAL_BASELINE_FILE = 5   /* one picture for all */
} sal_baseline;

/* How the points of a path are laid and weighted. */
typedef enum sal_quadrature { SAL_QUADRATURE_GAUSS_LEGENDRE = 0, SAL_QUADRATURE_TRAPEZOID = 1 } sal_quadrature;

/* The baseline of one input, for sal_gradient_job: baseline and input are (channels, net_height, net_width) floats of
 * its placement. All kinds but zero change what the picture covers; padding stays as it is. preprocess: what the input
 * was made with. SAL_BASELINE_FILE is refused: decode that picture and apply sal_preprocess_apply to it.
 * Errors: ARGUMENT, MEMORY. */
SAL_API sal_status sal_baseline_make(float *baseline, const float *input, int64_t channels,
                                     const sal_placement *placement, sal_baseline kind,
                                     const sal_preprocess *preprocess);

/* A method and its options; those that the method does not have must be as SAL_METHOD_OPTIONS_INIT sets them. */
typedef struct sal_method_options {
    size_t size;               /* SAL_METHOD_OPTIONS_INIT */
    const char *name;          /* "gradient" and so on, see sal_method_get_info; NULL: "gradient" */
    int64_t samples;           /* noisy copies of each picture; 0: the method's own number */
    double noise;              /* standard deviation, as a share of each picture's range after preprocessing;
                                  SAL_DEFAULT: the method's own share */
    uint64_t seed;             /* of the noise; with the picture itself it decides every number of it */
    int64_t steps;             /* points of the path; 0: the method's own number */
    sal_quadrature quadrature; /* how they are laid and weighted */
    sal_baseline baseline;     /* where the path begins */
    const char *baseline_file; /* of SAL_BASELINE_FILE: a picture, preprocessed as the others */
    const char *layer;         /* whose output is mapped, as sal_layer_info names it; NULL: the last with more than one
                                  pixel */
} sal_method_options;
#define SAL_METHOD_OPTIONS_INIT SAL_INIT_WITH(sal_method_options, .noise = SAL_DEFAULT)

/* What a method is, for people. */
typedef struct sal_method_info {
    size_t size;            /* SAL_METHOD_INFO_INIT */
    const char *name;       /* "smoothgrad" */
    const char *definition; /* in symbols: g = ds/dx at the input x; A a layer's output, G = ds/dA */
    const char *paper;      /* that describes it */
    const char *cost;       /* passes over the network for one picture and target */
    size_t option_count;    /* rows for sal_method_get_option */
} sal_method_info;
#define SAL_METHOD_INFO_INIT SAL_INIT(sal_method_info)

/* What an option of a method is, for people. */
typedef struct sal_method_option_info {
    size_t size;         /* SAL_METHOD_OPTION_INFO_INIT */
    const char *name;    /* as in `salmap explain --name` */
    const char *initial; /* what it is where it is not given */
    const char *help;    /* what it does */
} sal_method_option_info;
#define SAL_METHOD_OPTION_INFO_INIT SAL_INIT(sal_method_option_info)

/* How many methods there are. */
SAL_API size_t sal_method_count(void);
/* What a method is, by its number. Strings are static. Error: ARGUMENT (no such number). */
SAL_API sal_status sal_method_get_info(sal_method_info *out, size_t index);
/* What an option of a method is, by its number; likewise. */
SAL_API sal_status sal_method_get_option(sal_method_option_info *out, size_t method, size_t option);

/* Which device, and how it computes. */
typedef struct sal_engine_options {
    size_t size;                      /* SAL_ENGINE_OPTIONS_INIT */
    const char *device;               /* NULL or "auto": the first device; "cpu", "cuda:0" */
    int64_t batch;                    /* pictures computed together; 0: chosen from the memory plan */
    int64_t threads;                  /* CPU threads; 0: one per core */
    uint64_t max_memory;              /* bytes for the arena; 0: three quarters of what is free */
    const sal_method_options *method; /* with its texts it is copied; NULL: "gradient" */
    sal_rule rule;                    /* how activations send the gradient back */
    sal_precision precision;          /* of GPUs */
    int exact;                        /* 1: direct convolution algorithms only (no Winograd) */
    int lean; /* GPUs, 1: ReLUs keep a bit an element, as they do where memory is short, not the values that let their
                 derivatives be taken along in the convolutions: a fraction of the memory, more passes over it */
    int forward_only; /* 1: scores alone, sal_engine_forward. Nothing is kept for a way back: less memory, and batches
                         that are larger where memory decides */
    int take_weights; /* 1: the model drops its weights as the engine is opened, each once the engine has it in its
                         device's own layout: no second copy is held, and a further engine, or a second try,
                         reads the files again. Random weights stay */
} sal_engine_options;
#define SAL_ENGINE_OPTIONS_INIT SAL_INIT(sal_engine_options)

/* A model made ready for a device, with a method. */
typedef struct sal_engine sal_engine;

/* Devices of a kind, "cpu" or "cuda": they are "cuda:0" and so on. 0: none, or not built in. */
SAL_API int sal_device_count(const char *kind);

/* Compiles the model for one device, batch, method and rule. The model must outlive the engine; all engines of it
 * share its weights, but for what each has in its device's own layout. options may be NULL. Errors: UNSUPPORTED (names
 * node and op), MEMORY, DEVICE, ARGUMENT, and where the model's weights were dropped those of sal_model_open. */
SAL_API sal_status sal_engine_open(sal_engine **out, sal_model *model, const sal_engine_options *options);
SAL_API void sal_engine_close(sal_engine *engine); /* NULL is fine */
/* The model it was opened with. Borrowed. NULL for NULL. */
SAL_API const sal_model *sal_engine_model(const sal_engine *engine);

/* ---- What is there to compute with -------------------------------------- */

/* What came of looking. */
typedef enum sal_check_state {
    SAL_CHECK_FINE = 0,
    SAL_CHECK_MISSING = 1, /* salmap works without it */
    SAL_CHECK_FAILED = 2   /* it is there and does not work */
} sal_check_state;

/* Something that was looked at. */
typedef struct sal_check {
    char name[32];         /* "cpu", "driver", "cudnn", "cuda:0", ... */
    sal_check_state state; /* what came of it */
    char found[192];       /* "AMD EPYC, avx512, oneDNN 2.6.3, 2 threads" */
    char advice[256];      /* what to do about it, or empty */
} sal_check;

/* Looks at the CPU, at what salmap was built with, at the driver and at every GPU: one row each into out, at most
 * `capacity` (128 are enough for 50 GPUs). Returns the number of rows, 0 where out is NULL. Row 0 is the CPU. */
SAL_API size_t sal_system_check(sal_check *out, size_t capacity);

/* ---- Targets: which score is explained ---------------------------------- */

/* Which of the scores is meant. */
typedef enum sal_target_kind {
    SAL_TARGET_PREDICTED = 0, /* the largest score; the output itself for one-output regression */
    SAL_TARGET_INDEX = 1,     /* output number `index` */
    SAL_TARGET_TOP = 2,       /* rank `index` (0 is the largest score) */
    SAL_TARGET_MEAN = 3,      /* mean of all outputs */
    SAL_TARGET_LABEL = 4,     /* of sweeps alone: the output that the picture's label names */
    SAL_TARGET_MARGIN = 5     /* the largest score less the second largest: what tips the balance */
} sal_target_kind;

/* A score as the network has it, or after the softmax or sigmoid that was detached. */
typedef enum sal_score { SAL_SCORE_LOGIT = 0, SAL_SCORE_PROBABILITY = 1 } sal_score;

/* The score that is explained. */
typedef struct sal_target {
    sal_target_kind kind; /* which score */
    int64_t index;        /* of SAL_TARGET_INDEX and SAL_TARGET_TOP */
    sal_score score;      /* probability: after the detached softmax or sigmoid */
} sal_target;

/* Fails with ARGUMENT, and says why, where a target contradicts the model: an index out of
 * range, a probability where nothing makes one, the mean of a softmax (it is constant), the margin of a single output.
 */
SAL_API sal_status sal_model_check_target(const sal_model *model, const sal_target *target);

/* Forward pass of `count` <= batch pictures. inputs: (count, C, H, W) floats,
 * preprocessed; scores: (count, outputs) floats, logits, or NULL. Errors: ARGUMENT (also: the engine is in use by
 * another call), NUMERIC (an input is NaN or infinite), DEVICE, MEMORY. */
SAL_API sal_status sal_engine_forward(sal_engine *engine, float *scores, const float *inputs, int64_t count);
/* What the engine's method attributes of the target's score to each input: gradients (count, C, H, W), or of another
 * method the shape that sal_engine_get_attribution says. targets: one per picture. scores (logits) and chosen
 * (output index, of a margin the one ahead, -1 for the mean) may be NULL. Not for engines with a baseline of their own:
 * those take a job. Errors: ARGUMENT (also: an index out of range; the engine is in use by another call), NUMERIC (an
 * input or a score is NaN or infinite), DEVICE, MEMORY. */
SAL_API sal_status sal_engine_gradient(sal_engine *engine, float *gradients, float *scores, int64_t *chosen,
                                       const float *inputs, const sal_target *targets, int64_t count);

/* What attributions of an engine look like: (channels, height, width). As the input, but for methods that map a
 * layer: (1, height, width) of that. */
typedef struct sal_attribution_info {
    size_t size;        /* SAL_ATTRIBUTION_INFO_INIT */
    const char *method; /* borrowed, static */
    const char *layer;  /* that is mapped, or NULL; borrowed, lives as long as the engine */
    int64_t channels;   /* of its shape */
    int64_t height;     /* likewise */
    int64_t width;      /* likewise */
} sal_attribution_info;
#define SAL_ATTRIBUTION_INFO_INIT SAL_INIT(sal_attribution_info)

/* Errors: ARGUMENT. */
SAL_API sal_status sal_engine_get_attribution(sal_attribution_info *out, const sal_engine *engine);

/* Several targets of each picture. The output that a target chooses is chosen once, at the input itself. */
typedef struct sal_gradient_job {
    size_t size;               /* SAL_GRADIENT_JOB_INIT */
    const float *inputs;       /* (count, C, H, W), preprocessed */
    const float *baselines;    /* likewise, where the method's baseline is not SAL_BASELINE_ZERO; else NULL */
    int64_t count;             /* pictures, at most the engine's batch */
    const sal_target *targets; /* (each, count) */
    int64_t each;              /* targets of one picture; 0 selects 1 */
    float *gradients;          /* result (each, count, C, H, W): attributions, of the shape of sal_attribution_info */
    float *scores;             /* result (count, outputs), logits; or NULL */
    int64_t *chosen;           /* result (each, count): output index, -1 for the mean; or NULL */
    float *chosen_scores;      /* result (each, count): the explained score itself; or NULL */
    double *gaps;              /* result (each, count): of integrated gradients, the sum of the attribution less what
                                  the score gained from the baseline to the input: 0 if the path were exact. Else NaN.
                                  Or NULL */
} sal_gradient_job;
#define SAL_GRADIENT_JOB_INIT SAL_INIT(sal_gradient_job)

/* Errors as sal_engine_gradient. */
SAL_API sal_status sal_engine_gradients(sal_engine *engine, const sal_gradient_job *job);

/* ---- Maps --------------------------------------------------------------- */

/* What of each value of an attribution counts. */
typedef enum sal_modifier {
    SAL_MODIFIER_ABS = 0,
    SAL_MODIFIER_RELU = 1,
    SAL_MODIFIER_NEGATE = 2, /* -g: evidence against the target */
    SAL_MODIFIER_NONE = 3
} sal_modifier;

/* How the channels of an attribution become one value a pixel. */
typedef enum sal_reduce { SAL_REDUCE_MAX = 0, SAL_REDUCE_MEAN = 1, SAL_REDUCE_SUM = 2, SAL_REDUCE_L2 = 3 } sal_reduce;

/* What the values of a map are brought to. */
typedef enum sal_normalize {
    SAL_NORMALIZE_MINMAX = 0, /* to 0..1: (m - min) / (max - min), whatever the unit of the output */
    SAL_NORMALIZE_NONE = 1,
    SAL_NORMALIZE_SIGNED = 2,   /* to -1..1 by the largest modulus: 0 stays 0, and is the middle of the colours */
    SAL_NORMALIZE_KERAS_VIS = 3 /* (m - min) / (max - min + 1e-7), as keras-vis and tf-keras-vis have it: maps of small
                                   gradients become dark */
} sal_normalize;

/* Colour tables, of 256 colours each. */
typedef enum sal_colormap {
    SAL_COLORMAP_AUTO = -1, /* of a map alone viridis, over a picture inferno (SAL_BLEND_MAP) or viridis (FLAT); of
                               signed maps coolwarm, over a picture seismic (MAP) or coolwarm (FLAT) */
    SAL_COLORMAP_VIRIDIS = 0,
    SAL_COLORMAP_INFERNO = 1,
    SAL_COLORMAP_TURBO = 2,
    SAL_COLORMAP_JET = 3,
    SAL_COLORMAP_GRAY = 4,
    SAL_COLORMAP_COOLWARM = 5, /* diverging, as rdbu and seismic: for signed maps */
    SAL_COLORMAP_MAGMA = 6,
    SAL_COLORMAP_CIVIDIS = 7,
    SAL_COLORMAP_RDBU = 8, /* blue to red: matplotlib's RdBu_r */
    SAL_COLORMAP_SEISMIC = 9
} sal_colormap;

/* How the colours of a map lie over its picture. */
typedef enum sal_blend {
    SAL_BLEND_MAP = 0, /* the weight of a colour is alpha times the value of the map there, of signed maps its modulus:
                          what the map finds is coloured, and the rest of the picture keeps its own colours */
    SAL_BLEND_FLAT = 1 /* the weight is alpha everywhere */
} sal_blend;

/* Levels of a map that are drawn as lines, at most. */
enum { SAL_CONTOURS_MAX = 8 };

/* How a map is made of an attribution. */
typedef struct sal_map_options {
    size_t size;             /* SAL_MAP_OPTIONS_INIT */
    sal_modifier modifier;   /* of each value, first */
    sal_reduce reduce;       /* over the channels */
    sal_normalize normalize; /* at the end */
    double sigma; /* Gaussian, in pixels of the map: of the input, or of a layer whose maps are raw; 0: no smoothing;
                     SAL_DEFAULT: 2 % of the shorter side */
    double common_scale; /* above 0: what a map's range is divided by (MINMAX) or its values (SIGNED), where all maps of
                            a run are to have one scale; 1 and more is 1. From 2^-100. 0: its own */
} sal_map_options;
#define SAL_MAP_OPTIONS_INIT SAL_INIT_WITH(sal_map_options, .sigma = SAL_DEFAULT)

/* What a map measured before it was normalised. */
typedef struct sal_map_stats {
    float peak; /* of the smoothed map before normalising */
    float mean; /* likewise */
    float low;  /* likewise, the least value */
    int flat;   /* 1: the map is constant, but for eight units of the last place; it was set to zeros, unless it stays
                   as it is. With keras-vis: all values are the same */
} sal_map_stats;

/* 1: the map's largest modulus is not 0, but below 2^-100, 7.9e-31: float32 has no normal numbers left for its smaller
 * values, and what computed them may have taken those for 0. 0 where stats is NULL. */
SAL_API int sal_map_is_faint(const sal_map_stats *stats);

/* map (H,W) from gradient (C,H,W): modify, reduce over channels, smooth, normalise.
 * stats and options may be NULL. Errors: MEMORY, NUMERIC (NaN or infinite gradient), ARGUMENT. */
SAL_API sal_status sal_map_make(float *map, sal_map_stats *stats, const float *gradient, int64_t channels,
                                int64_t height, int64_t width, const sal_map_options *options);
/* The same of an attribution (channels, height, width) of another size than its map (map_height, map_width), as that of
 * a layer is: reduced, enlarged (bilinear, half-pixel centres), smoothed, normalised. */
SAL_API sal_status sal_map_of(float *map, sal_map_stats *stats, int64_t map_height, int64_t map_width,
                              const float *attribution, int64_t channels, int64_t height, int64_t width,
                              const sal_map_options *options);
/* RGB picture of a map through a colour table; values are clipped to 0..1.
 * On success the samples belong to *out. SAL_COLORMAP_AUTO: viridis. */
SAL_API sal_status sal_map_colorize(sal_picture *out, const float *map, int64_t height, int64_t width,
                                    sal_colormap colormap);

/* ---- The whole job: files in, files out --------------------------------- */

/* Names of a network's outputs, from 0; two outputs may have one name. See sal_classes_open. */
typedef struct sal_classes sal_classes;

/* Files that drawings with text are made as. Text can be selected and searched in SVG and PDF, and fonts are embedded.
 */
typedef enum sal_page_format { SAL_PAGE_PNG = 0, SAL_PAGE_SVG = 1, SAL_PAGE_PDF = 2 } sal_page_format;

/* What is explained of pictures, and which files are written. */
typedef struct sal_explain_options {
    size_t size;               /* SAL_EXPLAIN_OPTIONS_INIT */
    sal_preprocess preprocess; /* of pictures, as the network was trained with */
    const sal_limits *limits;  /* NULL: the defaults */
    sal_target target;         /* of every picture */
    int64_t top; /* above 0: a map for each of that many best outputs, as <stem>.top1 ...; target.score still counts */
    const sal_map_options *map; /* of attributions at a layer, the default of sigma is 0; NULL: the defaults */
    double alpha; /* weight of the colours in the overlay, 0 to 1; SAL_DEFAULT: 0.9, or 0.5 with SAL_BLEND_FLAT */
    sal_colormap colormap; /* of all pictures that are drawn; SAL_COLORMAP_AUTO: each has its own. Not set by the macro,
                              it is SAL_COLORMAP_VIRIDIS */
    int raw_map;           /* 1: maps of a layer are as large as it, not as the network's input; pictures as ever */
    int figure;            /* 1: also <stem>.figure.png (or .svg, .pdf): picture, map with colour bar, overlay */
    int save_gradient; /* 1: also <stem>.gradient.npy, float32: what the method attributes, see sal_attribution_info */
    const char *out_dir; /* made when it is not there */
    /* Called, as the callback and with its context, when a device failed and the others go on with its pictures.
     * device: as in sal_plan_info; error: what happened. NULL: nobody is told. */
    void (*device_lost)(void *context, const char *device, const char *error);
    int64_t strict; /* 1: a picture fails if anything of it has to be taken for granted, see sal_picture_notes */
    const char *preprocess_origin; /* where `preprocess` comes from, for figures and run.json: "age.onnx.salmap"; may be
                                      NULL */
    const sal_classes *classes;    /* names of the network's outputs, for figures; NULL: none */
    sal_blend blend;               /* of overlays */
    int contour_count;             /* levels in `contours`, at most SAL_CONTOURS_MAX */
    const double *contours;        /* see sal_overlay_options; NULL: none */
    int64_t figure_format;         /* a sal_page_format */
    int64_t panel_size;            /* see sal_figure_options */
} sal_explain_options;
#define SAL_EXPLAIN_OPTIONS_INIT                                                                                       \
    SAL_INIT_WITH_TWO(sal_explain_options, .alpha = SAL_DEFAULT, .colormap = SAL_COLORMAP_AUTO)

/* One map of one picture; paths are NULL for files that were not asked for. */
typedef struct sal_explain_map {
    size_t size;               /* as far as the library filled it */
    int64_t target;            /* output that was explained, of a margin the one ahead; -1 for the mean of all */
    float score;               /* the score that was explained: logit, probability, margin or mean */
    float probability;         /* of `target`; NaN where there is none to give */
    double gap;                /* see sal_gradient_job; NaN where the method has none */
    sal_map_stats stats;       /* of the map */
    const char *map_path;      /* <stem>.saliency.png */
    const char *overlay_path;  /* <stem>.overlay.png */
    const char *npy_path;      /* <stem>.npy */
    const char *figure_path;   /* <stem>.figure.png, .svg or .pdf */
    const char *gradient_path; /* <stem>.gradient.npy */
} sal_explain_map;

/* What came of one picture. */
typedef struct sal_explain_result {
    size_t size;                        /* as far as the library filled it */
    const char *path;                   /* the picture; borrowed for the time of the callback, as all pointers here */
    sal_status status;                  /* SAL_OK or why this picture failed */
    const char *error;                  /* its text, or NULL */
    int64_t predicted;                  /* output with the largest score; 0 for one-output regression */
    float predicted_score;              /* logit of `predicted` */
    float predicted_probability;        /* NaN where the model has no softmax or sigmoid to give one */
    double milliseconds;                /* computing time of the batch divided by its pictures */
    size_t map_count;                   /* 0 on failure; 1, or `top` */
    const sal_explain_map *const *maps; /* in the order of their ranks */
    int64_t notes;                      /* what was taken for granted of it, bits of sal_note, */
    const char *note;                   /* and as text, a line for each; NULL: nothing */
} sal_explain_result;

/* Called once per picture, in the order given, on the thread that called
 * sal_explain_files; not 0 stops early (SAL_ERROR_CANCELLED). */
typedef int (*sal_explain_callback)(void *context, const sal_explain_result *result);

/* Explains pictures: decoding, computing and encoding overlap. failed and callback may be NULL. A bad picture is
 * reported to the callback and does not stop the rest; *failed counts those.
 * Two pictures of the same stem get distinct outputs: the second is <stem>-2 and so on.
 * Errors of the whole run: IO (out_dir), ARGUMENT, MEMORY, DEVICE, CANCELLED. */
SAL_API sal_status sal_explain_files(size_t *failed, sal_engine *engine, const char *const *paths, size_t count,
                                     const sal_explain_options *options, sal_explain_callback callback, void *context);
/* The same with several engines of one model, none of them twice: a free one takes the next batch. What a
 * device that fails had in hand goes to the others; the error is returned when none is left. */
SAL_API sal_status sal_explain_files_on(size_t *failed, sal_engine *const *engines, size_t engine_count,
                                        const char *const *paths, size_t count, const sal_explain_options *options,
                                        sal_explain_callback callback, void *context);

/* ---- Data sets ---------------------------------------------------------- */

/* A list of pictures, and what a manifest says of them. */
typedef struct sal_dataset sal_dataset;

/* How inputs become a list. */
typedef struct sal_dataset_options {
    size_t size;                /* SAL_DATASET_OPTIONS_INIT */
    int as_named;               /* 1: no manifests, no patterns, no sub-folders; and lenient */
    const char *root;           /* of a manifest: the folder that relative paths start from; NULL: the manifest's own */
    const char *path_column;    /* of a manifest: the column of paths; NULL: "path" */
    const char *label_column;   /* of a manifest: the column of labels; NULL: "label", where there is one */
    const char *const *include; /* patterns: only pictures that one of them matches */
    const char *const *exclude; /* likewise: none that one of these matches, even if it is included */
    size_t include_count;       /* of include */
    size_t exclude_count;       /* of exclude */
    int64_t labels_from_folders; /* 1: of one folder: the label of a picture is the name of the sub-folder that it lies
                                    in (at any depth), "" where that is the folder itself */
    int64_t lenient; /* 1: as `salmap explain` takes pictures: they may be given twice or not be there, each of which
                        then fails by itself */
} sal_dataset_options;
#define SAL_DATASET_OPTIONS_INIT SAL_INIT(sal_dataset_options)

/* Inputs: one manifest (.csv or .tsv with a header: a column of paths is required, one of labels is known, others are
 * kept; fields have commas, semicolons or tabs between them, whichever the first line has most of; UTF-8, or UTF-16
 * with its mark), or any number of folders (with sub-folders; their pictures sorted by name), patterns (as
 * "scans/[ab]*.png") and files. Paths of a single folder and of a manifest are relative to it. A sub-folder that cannot
 * be read, or a link that leads nowhere and is no picture by its name, is an error. On success *out is the caller's.
 *
 * Patterns of include and exclude: "*" and "?" stand for what is in one name, "[ab]" for one of these characters, "**"
 * for any number of folders. A pattern without a slash is compared with the names of the file and of each folder above
 * it, one with a slash with the path of the file or of a folder above it; one that ends with a slash means folders.
 * Paths begin below a single input folder, at the name of a folder among several inputs, and elsewhere as they are
 * listed.
 *
 * Errors: IO (names what cannot be read), FORMAT (names file and line), ARGUMENT (a picture given twice, a pattern that
 * is empty, no picture is left), MEMORY. */
SAL_API sal_status sal_dataset_open(sal_dataset **out, const char *const *inputs, size_t count,
                                    const sal_dataset_options *options);
SAL_API void sal_dataset_close(sal_dataset *dataset); /* NULL is fine */
/* Rows of a data set. */
SAL_API size_t sal_dataset_count(const sal_dataset *dataset);
/* Borrowed; they live as long as the data set. NULL: there is no such row. */
SAL_API const char *sal_dataset_path(const sal_dataset *dataset, size_t row);  /* as it was listed */
SAL_API const char *sal_dataset_file(const sal_dataset *dataset, size_t row);  /* what is opened */
SAL_API const char *sal_dataset_label(const sal_dataset *dataset, size_t row); /* NULL: no such column */
/* The end of the path that says where in its input a picture lies, as "site_1/scale.png": below the folder that was
 * given, below the folder that a pattern begins with (scans of "scans/[ab]*.png"), and of a manifest the path that
 * it has. The name alone of a file that was given, and of a path of a manifest that is absolute or goes up. */
SAL_API const char *sal_dataset_place(const sal_dataset *dataset, size_t row);
/* What a data set is. */
typedef struct sal_dataset_info {
    size_t size;             /* SAL_DATASET_INFO_INIT */
    size_t pictures;         /* rows */
    size_t left_out;         /* pictures that include and exclude leave out, */
    size_t folders_left_out; /* and folders, whose pictures are not counted */
    size_t folders;          /* sub-folders of a single input folder: perhaps one for each class */
    int64_t labelled;        /* 1: it has a column of labels */
} sal_dataset_info;
#define SAL_DATASET_INFO_INIT SAL_INIT(sal_dataset_info)

/* Errors: ARGUMENT. */
SAL_API sal_status sal_dataset_get_info(sal_dataset_info *out, const sal_dataset *dataset);
/* Whether a row belongs to part `index` of `count`: by a hash of its path, whatever else is in the list. */
SAL_API int sal_dataset_in_shard(const sal_dataset *dataset, size_t row, int64_t index, int64_t count);

/* ---- Names of classes ---------------------------------------------------- */

/* Copies names, which are UTF-8 without control characters. On success *out is the caller's. Errors: ARGUMENT (names
 * the one that is empty, or no such text), MEMORY. */
SAL_API sal_status sal_classes_make(sal_classes **out, const char *const *names, size_t count);
/* Reads a file: a name a line; or JSON: a list of names, an object of them by output ({"0": "age_0"}, what id2label of
 * a config.json is, or {"0": ["n01440764", "tench"]}), or an object of outputs by name ({"age_0": 0}, as Keras's
 * class_indices). On success *out is the caller's. Errors: IO, LIMIT, MEMORY, FORMAT (says what is wrong). */
SAL_API sal_status sal_classes_open(sal_classes **out, const char *path);
/* The names that the file of a model has for its outputs: an ONNX file's metadata "names", "id2label", "classes",
 * "class_names" or "labels". *out NULL: there are none, or not as many as outputs; else it is the caller's. Errors:
 * ARGUMENT, MEMORY. */
SAL_API sal_status sal_classes_of_model(sal_classes **out, const sal_model *model);
/* The sub-folders of a data set of one folder, sorted by their bytes, as Keras's image_dataset_from_directory and
 * torchvision's ImageFolder number them: age_10 comes before age_2. On success *out is the caller's. Errors: ARGUMENT
 * (there is no sub-folder, or its name is no such text as sal_classes_make takes), MEMORY. */
SAL_API sal_status sal_classes_of_folders(sal_classes **out, const sal_dataset *dataset);
SAL_API void sal_classes_close(sal_classes *classes); /* NULL is fine */
/* How many outputs have a name. */
SAL_API size_t sal_classes_count(const sal_classes *classes);
/* NULL: there is no such output. Borrowed; lives as long as the names. */
SAL_API const char *sal_classes_name(const sal_classes *classes, int64_t output);
/* The output of a name. -1: none or several have it. */
SAL_API int64_t sal_classes_find(const sal_classes *classes, const char *name);

/* ---- Sweeps: a data set, its results in a folder ------------------------- */

/* Files that maps are written to. */
typedef enum sal_map_format {
    SAL_MAPS_NPY = 0, /* float32, exactly */
    SAL_MAPS_NONE = 1,
    SAL_MAPS_NPZ = 2,  /* the same, compressed */
    SAL_MAPS_PNG16 = 3 /* 0..1 as 0..65535; with normalised maps only */
} sal_map_format;

/* Which pictures of a sweep get an overlay. */
typedef enum sal_overlays {
    SAL_OVERLAYS_ALL = 0,
    SAL_OVERLAYS_NONE = 1,
    SAL_OVERLAYS_WRONG = 2, /* of pictures whose label is not what was predicted */
    SAL_OVERLAYS_TOP = 3    /* of the pictures with the highest explained scores */
} sal_overlays;

/* Files that the overlays of sweeps are written to. */
typedef enum sal_overlay_format { SAL_OVERLAY_JPEG = 0, SAL_OVERLAY_PNG = 1 } sal_overlay_format;

#define SAL_OVERLAY_FULL (-1) /* overlays are as large as their pictures */

/* What a sweep spends its time on. */
typedef enum sal_stage { SAL_STAGE_DECODE, SAL_STAGE_COMPUTE, SAL_STAGE_ENCODE, SAL_STAGE_STORE, SAL_STAGES } sal_stage;

#define SAL_MAX_STAGES 8 /* room for stages to come */

/* How busy a stage was. */
typedef struct sal_stage_info {
    const char *name;    /* "decode", "compute", "encode" or "store" */
    size_t threads;      /* decoding and encoding share theirs */
    double busy;         /* share of the run, 0 to 1, that its threads were at work */
    double milliseconds; /* of one thread, per picture */
} sal_stage_info;

/* How far a sweep came. */
typedef struct sal_sweep_progress {
    size_t size;                           /* SAL_SWEEP_PROGRESS_INIT; in call-backs, as far as the library filled it */
    size_t pictures;                       /* of this run, or of its shard */
    size_t done;                           /* with a result, those of earlier calls included */
    size_t failed;                         /* of them */
    size_t done_now;                       /* by this call */
    size_t failed_now;                     /* of them */
    double seconds;                        /* since this call began computing */
    size_t stage_count;                    /* of stages */
    sal_stage_info stages[SAL_MAX_STAGES]; /* by sal_stage; names are static, and NULL before the first picture */
    double processor;                      /* share of the CPU's cores that the process kept busy, 0 to 1 */
    const char *bound;                     /* what the speed hangs on: the busiest stage, or "processor" */
    /* Of all that are done, and counted when sal_sweep() ends (complete, or stopped by progress); 0 before: */
    size_t compared;            /* pictures that were compared with their labels */
    size_t right;               /* of them; of a regression: no further from the label than tolerance */
    double mean_absolute_error; /* of a regression: of those compared, in units of its output; else 0 */
    size_t missing;             /* with dry_run: files of the list that are not there; else 0 */
} sal_sweep_progress;
#define SAL_SWEEP_PROGRESS_INIT SAL_INIT(sal_sweep_progress)

#define SAL_UNLIMITED (-1) /* any number */

/* How labels are read where outputs have names. A list with names among numbers is refused as well. */
typedef enum sal_label_as {
    SAL_LABEL_AS_AUTO = 0, /* all of them as names, or else all of them as outputs; refused where both could be meant */
    SAL_LABEL_AS_NAME = 1, /* of classes */
    SAL_LABEL_AS_OUTPUT = 2 /* numbers, from 0 */
} sal_label_as;

/* What the labels of a data set are to a network. */
typedef struct sal_label_counts {
    size_t size;      /* as far as the library filled it */
    size_t pictures;  /* rows */
    size_t good;      /* an output, or of a regression a number: only these can be right or wrong */
    size_t missing;   /* empty, or NA, NaN or null */
    size_t words;     /* neither a number nor the name of a class */
    size_t outside;   /* a number, and no output of the network */
    const char *word; /* the first of the words, NULL: there is none; borrowed, as all pointers here, for the time of
                         the callback */
    const char *word_path;   /* its picture */
    const char *number;      /* the first label that is no output, or NULL */
    const char *number_path; /* its picture */
    int64_t by_name;         /* 1: labels are names of classes */
} sal_label_counts;

/* What a sweep explains, keeps and reports. */
typedef struct sal_sweep_options {
    size_t size;                        /* SAL_SWEEP_OPTIONS_INIT */
    const sal_explain_options *explain; /* must be given: out_dir is the run folder; figure and save_gradient are not
                                           for sweeps */
    const char *const *inputs;          /* as the user named the pictures, for run.json; may be NULL */
    size_t input_count;                 /* of inputs */
    sal_map_format maps;                /* files of maps */
    sal_overlays overlays;              /* who gets one */
    sal_overlay_format overlay_format;  /* and as which file */
    int restart;                        /* 1: throws away what an earlier run made there, and no other file */
    int64_t overlay_count;              /* of SAL_OVERLAYS_TOP, at least 1 */
    int64_t overlay_size;               /* pixels of an overlay's longer side at most; 0 selects 1600 */
    int64_t predictions;                /* best outputs kept of each picture; 0 selects 5 */
    double tolerance;     /* regression: a value further than this from the label is wrong; 0 selects 0.5 */
    int64_t shard;        /* this part, from 0, */
    int64_t shards;       /* of so many; 0 or 1: the whole */
    int64_t max_failures; /* more failed pictures end the run; SAL_UNLIMITED: any number may fail */
    int retry_failed;     /* 1: tries again whatever failed before, not only what could not be read */
    /* Called on the calling thread about ten times a second while pictures are computed, or another salmap begins or
     * merges in the run folder, and after the last of them; not 0 stops the run: what is being computed is finished and
     * saved. May be NULL. */
    int (*progress)(void *context, const sal_sweep_progress *progress);
    /* Called for each picture that failed; may be NULL. */
    void (*picture_failed)(void *context, const char *path, const char *error);
    void *context; /* of the call-backs */
    /* Called for each picture of which something was taken for granted: notes, bits of sal_note, and a line of text for
     * each. May be NULL. */
    void (*picture_noted)(void *context, const char *path, int64_t notes, const char *text);
    const sal_classes *classes; /* names of the network's outputs, as many as it has (two of a single yes or no):
                                   results have them, and labels may be names; NULL: none */
    const char *classes_from;   /* where they come from, for run.json: the file's path; NULL: the model or folders */
    sal_label_as label_as;      /* how labels are read, where there are names */
    int dry_run;                /* 1: checks all that can be checked, tells how far the run is, and writes nothing */
    int extend; /* 1: a run may get more pictures than it was begun with: rows of its list stay as they are, and new
                   ones go behind them */
    /* Called once, before the first picture, where the data set has labels; may be NULL. */
    void (*labels_read)(void *context, const sal_label_counts *counts);
} sal_sweep_options;
#define SAL_SWEEP_OPTIONS_INIT SAL_INIT_WITH(sal_sweep_options, .max_failures = SAL_UNLIMITED)

/* Explains a data set into options->explain->out_dir, or goes on with a run that was interrupted there, at whatever
 * moment; the manual page lists the files. Memory does not grow with the number of pictures beyond their list. *last:
 * how far it came; may be NULL.
 *
 * Pictures that were in flight twice when the process was killed are first read by the program salmap-picture, which is
 * looked for as sal_model_open() does for salmap-hdf5, or is what the environment variable SAL_PICTURE_READER says. A
 * host that ignores SIGCHLD, or waits for any child, takes away how that program ended: such pictures fail then, and
 * are tried again by the same call.
 *
 * Errors: CANCELLED (stopped by progress; all is saved, the same call goes on), ARGUMENT (also: the run was begun with
 * another model, list or option; the folder is of something else, or a link is in it; pictures are left to do, and no
 * file of the list is there), LIMIT (too many failures), IO (the run folder, its disk, the folder of the pictures or
 * salmap-picture is gone: the same call goes on), FORMAT (results that are no results, or damaged), MEMORY, DEVICE. */
SAL_API sal_status sal_sweep(sal_sweep_progress *last, sal_engine *const *engines, size_t engine_count,
                             const sal_dataset *dataset, const sal_sweep_options *options);

/* ---- A data set, its results as files ------------------------------------ */

/* Files of each map, as bits. */
typedef enum sal_write {
    SAL_WRITE_MAP = 1,      /* <stem>.saliency.png: the map in colours */
    SAL_WRITE_OVERLAY = 2,  /* <stem>.overlay.png */
    SAL_WRITE_NPY = 4,      /* <stem>.npy: the map, float32 */
    SAL_WRITE_FIGURE = 8,   /* <stem>.figure.png */
    SAL_WRITE_GRADIENT = 16 /* <stem>.gradient.npy */
} sal_write;

/* How sal_explain_dataset goes. */
typedef struct sal_explain_dataset_options {
    size_t size;                        /* SAL_EXPLAIN_DATASET_OPTIONS_INIT */
    const sal_explain_options *explain; /* must be given; its target may be SAL_TARGET_LABEL */
    int64_t write;    /* bits of sal_write; 0: map, overlay and npy, and what explain->figure and save_gradient add */
    int64_t label_as; /* a sal_label_as: how labels are read, where explain->classes has names; of SAL_TARGET_LABEL */
    const char *classes_from; /* not NULL: these names are the user's own choice, and not those of the model's file */
    /* As of sal_sweep_options, with the callback's context; not 0 stops: what is being written is finished. */
    int (*progress)(void *context, const sal_sweep_progress *progress);
} sal_explain_dataset_options;
#define SAL_EXPLAIN_DATASET_OPTIONS_INIT SAL_INIT(sal_explain_dataset_options)

/* Explains a data set into explain->out_dir, as sal_explain_files_on does with a list of paths: results of a picture go
 * to the folder below that sal_dataset_place says, with its extension in their name where two pictures there differ by
 * it alone, as <stem>.png.overlay.png.
 * Errors: those of sal_explain_files_on, and ARGUMENT for SAL_TARGET_LABEL without labels that are all outputs. */
SAL_API sal_status sal_explain_dataset(size_t *failed, sal_engine *const *engines, size_t engine_count,
                                       const sal_dataset *dataset, const sal_explain_dataset_options *options,
                                       sal_explain_callback callback, void *context);

/* What was merged. */
typedef struct sal_merge_info {
    size_t size;     /* SAL_MERGE_INFO_INIT */
    size_t shards;   /* that were merged */
    size_t pictures; /* of all shards */
    size_t failed;   /* of them */
} sal_merge_info;
#define SAL_MERGE_INFO_INIT SAL_INIT(sal_merge_info)

/* Makes one run of its shards: in place where out is NULL and there is one run folder, else with copies of the files
 * in out. Checks that every picture of the list is there once, in its shard, and every file in its place, where the run
 * would have written it.
 * Errors: ARGUMENT (also: out is of something else, or a link is in it), IO, FORMAT (a gap, a double, a contradiction:
 * names it), MEMORY. */
SAL_API sal_status sal_sweep_merge(sal_merge_info *info, const char *const *runs, size_t count, const char *out);

/* What results are exported as: a table, or objects. */
typedef enum sal_export_format { SAL_EXPORT_CSV = 0, SAL_EXPORT_JSON = 1 } sal_export_format;

/* How results are exported. */
typedef struct sal_export_options {
    size_t size;              /* SAL_EXPORT_OPTIONS_INIT */
    sal_export_format format; /* JSON: one object a line */
    int timings;              /* 1: with milliseconds, which no two runs have in common */
} sal_export_options;
#define SAL_EXPORT_OPTIONS_INIT SAL_INIT(sal_export_options)

/* Writes the results of a run, in the order of its list, to a file (whole or not at all), or where path is NULL to
 * what `write` takes; write returns 0, or not 0 to stop. Errors: IO, FORMAT, CANCELLED, MEMORY. */
SAL_API sal_status sal_sweep_export(const char *run, const char *path,
                                    int (*write)(void *context, const char *bytes, size_t size), void *context,
                                    const sal_export_options *options);

/* ---- Contact sheets ------------------------------------------------------ */

/* What is on a contact sheet. */
typedef struct sal_sheet_options {
    size_t size;        /* SAL_SHEET_OPTIONS_INIT */
    int64_t rows;       /* of pictures, at most; 0 selects 6 */
    int64_t columns;    /* likewise */
    int64_t panel_size; /* pixels of each picture's longer side; 0 selects 240 */
    const char *sort;   /* a column of results.csv, the highest number first and words by their letters; or "error": how
                           far the prediction is from the label, of a regression in its unit, else 1 where it is wrong
                           and 0 where it is right; NULL: the order of the list. A manifest's own column "error" is
                           "manifest_error" */
    sal_page_format format; /* of the file */
    int reverse;            /* 1: the lowest first, words from the last; what has no value stays behind */
    /* Called for each overlay or map that could not be read; may be NULL. */
    void (*map_failed)(void *context, const char *file, const char *error);
    void *context;            /* of the call-backs */
    const sal_limits *limits; /* of an overlay or a map; NULL: the defaults */
    /* Called over and over, with how many maps are drawn: 0 while the results are read; not 0 stops (CANCELLED), and
     * nothing is written. May be NULL. */
    int (*progress)(void *context, size_t done);
} sal_sheet_options;
#define SAL_SHEET_OPTIONS_INIT SAL_INIT(sal_sheet_options)

/* What came onto it. */
typedef struct sal_sheet_info {
    size_t size;   /* SAL_SHEET_INFO_INIT */
    size_t maps;   /* that the run has, */
    size_t shown;  /* of them, */
    size_t failed; /* and of these, whose files could not be read: their places are empty */
} sal_sheet_info;
#define SAL_SHEET_INFO_INIT SAL_INIT(sal_sheet_info)

/* Draws the overlays of a finished run on one page, each with its name, prediction, label and what it is sorted by, and
 * writes it to a file, whole or not at all. A picture without an overlay is shown as its map alone. info may be NULL.
 * Errors: ARGUMENT (also: no picture has a value to sort by, nothing can be shown, a link is in the folder), IO, FORMAT
 * (results that are no results, or damaged), UNSUPPORTED (there is no font), LIMIT (the page is too large), CANCELLED,
 * MEMORY. */
SAL_API sal_status sal_run_sheet(sal_sheet_info *info, const char *run, const char *path,
                                 const sal_sheet_options *options);

/* ---- Rendering again -------------------------------------------------------- */

/* How the maps of a run are drawn again. */
typedef struct sal_render_options {
    size_t size;                        /* SAL_RENDER_OPTIONS_INIT */
    const sal_explain_options *explain; /* must be given: out_dir, the colours of overlays, figure, figure_format,
                                           panel_size and limits count; all else is as the run has it */
    const char *root;                   /* where the list's relative paths start, and below which its pictures must
                                           lie; NULL: as the run has it, and all below the current folder */
    int64_t overlay_size;               /* pixels of an overlay's longer side at most; 0 selects 1600 */
    sal_overlay_format overlay_format;  /* JPEG or PNG */
    int figures_only;                   /* 1: no overlays */
    /* Called for each picture that could not be drawn; may be NULL. */
    void (*picture_failed)(void *context, const char *path, const char *error);
    void *context; /* of the call-backs */
    /* Called after each picture, with how many are behind, and with 0 for each of the list while that is looked at; not
     * 0 stops (CANCELLED): what is drawn is whole, and stays. May be NULL. */
    int (*progress)(void *context, size_t done);
} sal_render_options;
#define SAL_RENDER_OPTIONS_INIT SAL_INIT(sal_render_options)

/* What was drawn. */
typedef struct sal_render_info {
    size_t size;     /* SAL_RENDER_INFO_INIT */
    size_t pictures; /* that the run has maps of, */
    size_t failed;   /* and of them, that could not be drawn, */
    size_t missing;  /* of these, where there is no file */
} sal_render_info;
#define SAL_RENDER_INFO_INIT SAL_INIT(sal_render_info)

/* Makes overlays and figures of a finished run again from the maps that it kept, with other colours, and without its
 * model: explain->out_dir/overlays/000/<stem>.overlay.jpg, and figures/000/<stem>.figure.png. Pictures are read from
 * where the run's list says; one that is gone, or has other bytes or sides than the run saw, fails and is told of, and
 * the rest goes on; what cannot be written ends it (IO). Of paths that begin with "../", what follows starts at a root
 * that is given. info may be NULL.
 * Errors: ARGUMENT (also: the run keeps no maps, out_dir is a run, a link is in the folder, no root is given and a
 * picture of the list is not below the current folder), IO, FORMAT (results that are no results, or damaged),
 * UNSUPPORTED (there is no font for figures), CANCELLED, MEMORY. */
SAL_API sal_status sal_run_render(sal_render_info *info, const char *run, const sal_render_options *options);

/* ---- What jobs draw and write, in memory ---------------------------------- */

/* `salmap explain` in memory, with the same bytes: sal_picture_decode_for, sal_preprocess_apply, sal_engine_gradients,
 * sal_map_of (sigma 0 for attributions of a layer, where none is asked for), then what is here.
 * The arrays of maps have the sides of their placement, net_height x net_width. */

/* How a map is laid over its picture. */
typedef struct sal_overlay_options {
    size_t size;             /* SAL_OVERLAY_OPTIONS_INIT */
    double alpha;            /* weight of the colours, 0 to 1; SAL_DEFAULT: 0.9, or 0.5 with SAL_BLEND_FLAT */
    int64_t longest;         /* pixels of the overlay's longer side at most, as sweeps make them; 0: any */
    sal_colormap colormap;   /* values beyond its ends are clipped; not set by the macro, it is SAL_COLORMAP_VIRIDIS */
    sal_normalize normalize; /* how the map was normalised: the colours span 0..1, its own range (NONE), or -1..1 */
    const sal_preprocess
        *preprocess;        /* what the input was made with: its alpha and depth are shown; NULL: the defaults */
    sal_blend blend;        /* how the weight of the colours follows the map */
    int contour_count;      /* levels in `contours`, at most SAL_CONTOURS_MAX */
    const double *contours; /* lines over a picture where the map is that high, above 0 and below 1, as it is coloured;
                               of signed maps where its modulus is. They are black on light and white on dark pixels.
                               NULL: none */
} sal_overlay_options;
#define SAL_OVERLAY_OPTIONS_INIT                                                                                       \
    SAL_INIT_WITH_TWO(sal_overlay_options, .alpha = SAL_DEFAULT, .colormap = SAL_COLORMAP_AUTO)

/* <stem>.overlay.png of a picture and its map, or <stem>.saliency.png, the colours alone, where picture is NULL: 8-bit
 * RGB, as large as the picture of the placement. Gray and deeper pictures are shown as 8-bit RGB, alpha and depth
 * as options->preprocess says, float samples without a depth by their range. On success the samples belong to *out.
 * options may be NULL. Errors: ARGUMENT (also: picture and placement contradict each other), NUMERIC (a value of the
 * map is NaN or infinite), LIMIT, MEMORY. */
SAL_API sal_status sal_overlay_make(sal_picture *out, const sal_picture *picture, const float *map,
                                    const sal_placement *placement, const sal_overlay_options *options);

/* How a figure is drawn. */
typedef struct sal_figure_options {
    size_t size;                        /* SAL_FIGURE_OPTIONS_INIT */
    const sal_overlay_options *overlay; /* its `longest` is 0: panels have a size of their own; NULL: the defaults */
    const char *name;                   /* over the picture: the name of its file; NULL: "picture" */
    const char *note;                   /* the line below, see sal_figure_note; NULL: none */
    const char *title;                  /* the line above, see sal_figure_title; NULL: none */
    int64_t panel_size;                 /* height of the panels in pixels, 64 to 4096; 0 selects 448. They are at most
                                           twice as wide: wider pictures are lower */
} sal_figure_options;
#define SAL_FIGURE_OPTIONS_INIT SAL_INIT(sal_figure_options)

/* <stem>.figure.png: picture, map with a colour bar, and overlay side by side on white, 8-bit RGB. Text wider than its
 * place has dots in its middle. On success the samples belong to *out. options may be NULL.
 * Errors: as sal_overlay_make; the picture must be given; UNSUPPORTED (the machine has no font). */
SAL_API sal_status sal_figure_make(sal_picture *out, const sal_picture *picture, const float *map,
                                   const sal_placement *placement, const sal_figure_options *options);
/* The same as the bytes of a file of any of these formats. *bytes as of sal_picture_encode. Errors likewise. */
SAL_API sal_status sal_figure_encode(void **bytes, size_t *size, sal_page_format format, const sal_picture *picture,
                                     const float *map, const sal_placement *placement,
                                     const sal_figure_options *options);

/* Writes the line above a figure: "scale_04.png: age.onnx, grad-cam at conv5, σ 3.84 px". picture, model: names of
 * their files, without folders; model NULL: the engine's. map: NULL for the defaults. At most `size` bytes of UTF-8
 * with the final NUL, cut where it does not fit. Errors: ARGUMENT, MEMORY. */
SAL_API sal_status sal_figure_title(char *text, size_t size, const sal_engine *engine, const char *picture,
                                    const char *model, const sal_map_options *map);

/* What the line below a figure says of a map. */
typedef struct sal_figure_facts {
    size_t size;            /* SAL_FIGURE_FACTS_INIT */
    sal_target asked;       /* as the job had it; explain's `top` asks for SAL_TARGET_TOP of each rank */
    int64_t target;         /* output that was explained, -1 for the mean: `chosen` of the job */
    float score;            /* its `chosen_scores` */
    float probability;      /* of `target`, see sal_model_probabilities; NaN: there is none */
    sal_map_stats stats;    /* of the map */
    const char *input;      /* where the preprocessing comes from, see sal_explain_options; NULL: it is not said */
    const char *class_name; /* of the output that was explained, where there are several; NULL: it has none */
    const char *label;      /* what the output should be, as the list has it; NULL: it is not known */
} sal_figure_facts;
#define SAL_FIGURE_FACTS_INIT SAL_INIT(sal_figure_facts)

/* Writes that line for an engine of this model and method, at most `size` bytes with the final NUL (256 are enough),
 * cut where it does not fit. Numbers have points, whatever the locale. Errors: ARGUMENT, MEMORY. */
SAL_API sal_status sal_figure_note(char *text, size_t size, const sal_engine *engine, const sal_figure_facts *facts);

/* A map (height, width) as the bytes of a file: .npy, .npz (its array is called "map") or PNG of 16 bits, which holds
 * values within 0 and 1 alone. On success *bytes is the caller's: free it with sal_bytes_free. Else it is NULL.
 * Errors: ARGUMENT (also: SAL_MAPS_NONE; values that PNG does not hold), LIMIT, MEMORY. */
SAL_API sal_status sal_map_encode(void **bytes, size_t *size, const float *map, int64_t height, int64_t width,
                                  sal_map_format format);
/* C-ordered floats of any shape as the bytes of a .npy file, such as <stem>.gradient.npy of an attribution (channels,
 * height, width). rank: 0 to 5. *bytes as of sal_map_encode. Errors: ARGUMENT, LIMIT, MEMORY. */
SAL_API sal_status sal_npy_encode(void **bytes, size_t *size, const float *values, const int64_t *shape, int rank);

/* ---- Words: what options, sidecar files and runs call the values of enumerations ---- */

/* The words of each enumeration, in the order of its values, with "|" between them. */
#define SAL_WORDS_SCORE "logit|probability"                  /* sal_score */
#define SAL_WORDS_RULE "gradient|guided|deconvnet|rectified" /* sal_rule */
#define SAL_WORDS_PRECISION "default|fp32|tf32|bf16|fp16"    /* sal_precision */
#define SAL_WORDS_QUADRATURE "gauss-legendre|trapezoid"      /* sal_quadrature */
#define SAL_WORDS_BASELINE "zero|black|white|mean|blur"      /* sal_baseline, but SAL_BASELINE_FILE */
#define SAL_WORDS_MODIFIER "abs|relu|negate|none"            /* sal_modifier */
#define SAL_WORDS_REDUCE "max|mean|sum|l2"                   /* sal_reduce */
#define SAL_WORDS_NORMALIZE "minmax|none|signed|keras-vis"   /* sal_normalize */
#define SAL_WORDS_COLORMAP                                                                                             \
    "viridis|inferno|turbo|jet|gray|coolwarm|magma|cividis|rdbu|seismic"       /* sal_colormap, but SAL_COLORMAP_AUTO */
#define SAL_WORDS_BLEND "map|flat"                                             /* sal_blend */
#define SAL_WORDS_FIT "stretch|letterbox|center-crop|crop-aspect|stretch-crop" /* sal_fit */
#define SAL_WORDS_ORDER "auto|rgb|bgr|gray|asis"                               /* sal_channel_order */
#define SAL_WORDS_CROP_ROUND "even|down"                                       /* sal_crop_round */
#define SAL_WORDS_JPEG_DCT "accurate|fast"                                     /* sal_jpeg_dct */
#define SAL_WORDS_RESAMPLE "bilinear|nearest|bicubic|cubic75|lanczos|area|box|hamming" /* sal_resample */
#define SAL_WORDS_ANTIALIAS "on|off"                                                   /* sal_antialias */
#define SAL_WORDS_ROUND "none|passes|once|opencv|torch|pillow13"                       /* sal_rounding */
#define SAL_WORDS_GRID "half-pixel|align-corners|asymmetric"                           /* sal_grid */
#define SAL_WORDS_EXIF "auto|apply|ignore"                                             /* sal_exif */
#define SAL_WORDS_MAPS "npy|none|npz|png16"                                            /* sal_map_format */
#define SAL_WORDS_OVERLAY_FORMAT "jpeg|png"                                            /* sal_overlay_format */
#define SAL_WORDS_PAGE "png|svg|pdf"                                                   /* sal_page_format */
#define SAL_WORDS_LABEL_AS "auto|name|output"                                          /* sal_label_as */

/* The value of a word. -1: it is none of these words, or an argument is NULL. */
SAL_API int sal_word_value(const char *words, const char *word);
/* Writes all words with ", " between them, at most `size` bytes with the final NUL, cut where they do not fit. Returns
 * text; NULL where an argument is NULL or size 0. */
SAL_API const char *sal_words_list(char *text, size_t size, const char *words);

#ifdef __cplusplus
}
#endif
#endif
