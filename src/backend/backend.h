/* The contract between the program and a device.
 *
 * A back end is one const table. A program is a list of steps over values; a
 * back end names the physical layout and size of each value before the arena is
 * planned, prepares each step once (primitives, plans, weights in its layout),
 * then runs the steps in order as often as wanted. An absent row means
 * "unsupported" and is found when the program is compiled.
 *
 * Knows steps and values; nothing of files, graphs' origins or methods. */
#ifndef SAL_BACKEND_BACKEND_H
#define SAL_BACKEND_BACKEND_H

#include "backend/method_math.h"
#include "graph/graph.h"
#include "salmap/plan.h"

typedef enum sal_step_kind {
    /* Forward: inputs and attributes as the op of that name in graph.h.
     * A step of an activation of SAL_KEEP_SIGN kind (fused or alone) has a mask as
     * second output where the backward pass wants it; a max pool has indices. */
    SAL_STEP_CONV, /* in: x [, residual: may share the output's memory] */
    SAL_STEP_DENSE,
    SAL_STEP_AFFINE,     /* may run in place */
    SAL_STEP_ACTIVATION, /* may run in place */
    SAL_STEP_ADD,        /* may run in place of a */
    SAL_STEP_MUL,        /* may run in place of a */
    SAL_STEP_CONCAT,
    SAL_STEP_SLICE,
    SAL_STEP_MAX_POOL,
    SAL_STEP_AVG_POOL,
    SAL_STEP_REDUCE_MEAN,
    SAL_STEP_RESHAPE,
    SAL_STEP_TRANSPOSE,
    SAL_STEP_SHUFFLE,
    SAL_STEP_PAD,
    SAL_STEP_SOFTMAX,
    SAL_STEP_LAYER_NORM,
    SAL_STEP_CONSTANT, /* no inputs: the weight, once a picture of the batch */
    SAL_STEP_EXPAND,
    SAL_STEP_REDUCE,
    SAL_STEP_MATMUL, /* in: a, b */
    SAL_STEP_GATHER,
    /* Backward: input 0 is dy, the gradient of the op's output; the output is the
     * gradient of its input, plus the addend where there is one (last input; it may
     * share the output's memory). */
    SAL_STEP_CONV_BACKWARD,       /* dy [, activated] [, addend]; in the end times the derivative of that ReLU */
    SAL_STEP_DENSE_BACKWARD,      /* dy [, addend] */
    SAL_STEP_AFFINE_BACKWARD,     /* dy [, addend] */
    SAL_STEP_ACTIVATION_BACKWARD, /* dy, kept (mask, input or output values) [, addend]; may run in place of dy */
    SAL_STEP_MUL_BACKWARD,    /* dy, other operand [, addend]: `operand` says whose gradient; summed where broadcast */
    SAL_STEP_REDUCE_SPATIAL,  /* dy [, addend]: gradient of a broadcast addend: sum over H and W */
    SAL_STEP_CONCAT_BACKWARD, /* dy [, addend]: the part from `first_channel` on, along node->axis */
    SAL_STEP_SLICE_BACKWARD,  /* dy [, addend]: zeros elsewhere */
    SAL_STEP_MAX_POOL_BACKWARD,    /* dy, indices [, addend] */
    SAL_STEP_AVG_POOL_BACKWARD,    /* dy [, addend] */
    SAL_STEP_REDUCE_MEAN_BACKWARD, /* dy [, addend] */
    SAL_STEP_RESHAPE_BACKWARD,     /* dy [, addend] */
    SAL_STEP_TRANSPOSE_BACKWARD,   /* dy [, addend] */
    SAL_STEP_SHUFFLE_BACKWARD,     /* dy [, addend] */
    SAL_STEP_PAD_BACKWARD,         /* dy [, addend] */
    SAL_STEP_SOFTMAX_BACKWARD,     /* dy, y [, addend] */
    SAL_STEP_LAYER_NORM_BACKWARD,  /* dy, x [, addend] */
    SAL_STEP_EXPAND_BACKWARD,      /* dy [, addend]: summed over the repeated axes */
    SAL_STEP_REDUCE_BACKWARD,      /* dy, of MAX also x [, addend] */
    SAL_STEP_MATMUL_BACKWARD,      /* dy, other operand [, addend]: `operand` says whose gradient, 0 of a, 1 of b */
    SAL_STEP_GATHER_BACKWARD,      /* dy [, addend] */
    SAL_STEP_COUNT
} sal_step_kind;

typedef enum sal_value_type {
    SAL_VALUE_FLOATS,
    SAL_VALUE_MASK,   /* one bit per element of `shape`: the derivative is 1 (for rules: the input positive) */
    SAL_VALUE_INDICES /* one byte per element of `shape` */
} sal_value_type;

/* Physical layouts of float values, masks and indices.
 * Padding channels of a blocked value hold any finite numbers, and a step must leave
 * finite ones in those of its output: its readers may multiply them by zero. */
typedef enum sal_layout {
    SAL_LAYOUT_PLAIN,        /* row-major as the shape says */
    SAL_LAYOUT_BLOCKED,      /* (1, C, H, W) as (ceil(C/b), H, W, b), b of the device */
    SAL_LAYOUT_CHANNELS_LAST /* (1, C, H, W) as (H, W, C) */
} sal_layout;

typedef struct sal_value {
    sal_value_type type;
    sal_shape shape;   /* of one picture */
    int picture;       /* 1: the network's input or its gradient */
    int rows;          /* 1: no feature map, though of rank 4: row-major (of another rank all are); of masks too */
    int conv_picture;  /* 1: `picture`, and read and written by ungrouped convolutions only */
    int gradient;      /* 1: of the backward pass: a device may hold it times a power of two */
    int seed;          /* 1: the gradient of the scores, filled by the caller: mostly zeros */
    int exact;         /* 1: float32 whatever the device keeps feature maps in; a method's own, no step touches it */
    sal_layout layout; /* set by the back end's place() */
    size_t bytes;      /* from one picture to the next; set by place() */
    /* Set by the planner: */
    int64_t pictures; /* how many pictures the arena holds of it: the batch, or a chunk of it */
    size_t offset;    /* in the arena */
    int first;        /* step that writes it; -1: filled by the caller */
    int last;         /* last step that reads it; the number of steps: read by the caller */
} sal_value;

enum { SAL_STEP_MAX_INPUTS = 4 };

typedef struct sal_step {
    sal_step_kind kind;
    const sal_node *node; /* attributes and weights; borrowed from the program's graph */
    int *inputs;          /* values */
    int input_count;
    int output;            /* value */
    int kept;              /* second output: mask or indices; -1: none */
    int addend;            /* value added to a gradient; also the last of inputs; -1: none */
    int activated;         /* CONV_BACKWARD: output of the ReLU before it, whose derivative it takes along; -1: none */
    int ties;              /* CONV: a max pool is behind it, which takes the first of equals: where the input is the
                              same around two places, their outputs must be the same bits, as Winograd's and Fourier's
                              algorithms do not have them */
    int operand;           /* MUL_BACKWARD, MATMUL_BACKWARD: whose gradient */
    int64_t first_channel; /* CONCAT_BACKWARD: where the part begins */
    int64_t batch;         /* pictures of one run of this step */
    int rule;              /* sal_rule of activation backward steps */
} sal_step;

typedef struct sal_device sal_device;

typedef struct sal_device_options {
    int threads;     /* 0: one per core */
    int exact;       /* direct convolution algorithms only */
    int many_passes; /* pictures take many passes each: memory for weights may be spent on time */
    sal_precision precision;
    const char *described; /* JSON text of a GPU that need not be there: steps are prepared, nothing can run; or NULL */
} sal_device_options;

/* What a prepared step needs besides its values. */
typedef struct sal_needs {
    size_t scratch_bytes;  /* working memory, shared by all steps, alive during run only */
    size_t weight_bytes;   /* what prepare allocated for weights */
    int weights_borrowed;  /* 1: node->weight is read at run time and must stay */
    const char *algorithm; /* borrowed, static: "winograd", "direct", ... */
    int64_t engine;        /* number of the library's engine where it has such, or 0 */
    const char *note;      /* what went otherwise than planned; the plan's, or NULL */
} sal_needs;

/* Addresses of one run of a step, resolved by the program. */
typedef struct sal_run {
    void *const *inputs; /* in the order of step->inputs */
    void *output;
    void *kept;    /* or NULL */
    void *scratch; /* as asked for, 64-byte aligned */
} sal_run;

typedef struct sal_step_row {
    /* Makes *plan, the back end's own record of the step, with weights in its layout.
     * values is the program's table. Errors: UNSUPPORTED, MEMORY, DEVICE. */
    sal_status (*prepare)(void **plan, sal_needs *needs, sal_device *device, const sal_step *step,
                          const sal_value *values);
    sal_status (*run)(sal_device *device, void *plan, const sal_run *run);
    void (*release)(sal_device *device, void *plan); /* NULL plan is fine */
} sal_step_row;

struct sal_placement;
struct sal_overlay_style;

/* Maps made where the gradients are. All are of the same batch: make, then any number of overlays, then finish. */
typedef struct sal_map_rows {
    /* Maps of `pictures` attributions as sal_map_of makes them, `height` x `width`; they stay on the device for
     * `overlay`. maps: (pictures, height, width) of the host, or NULL. Errors: NUMERIC (an attribution is not finite),
     * DEVICE, MEMORY. */
    sal_status (*make)(float *maps, sal_map_stats *stats, sal_device *device, const void *attribution,
                       const sal_value *value, int64_t height, int64_t width, int64_t pictures,
                       const sal_map_options *options);
    /* As sal_overlay_draw for one picture of the batch; rgb is complete after finish. shown: 8-bit RGB, or NULL. */
    sal_status (*overlay)(uint8_t *rgb, sal_device *device, int64_t picture, const sal_picture *shown,
                          const struct sal_placement *placement, const struct sal_overlay_style *style);
    sal_status (*finish)(sal_device *device);
} sal_map_rows;

/* How the values and gradients of a layer become its class activation map. */
typedef enum sal_cam {
    SAL_CAM_GRAD,  /* relu(sum_c w_c A_c), w_c the mean of G_c over the pixels: Selvaraju et al. 2017 */
    SAL_CAM_HIRES, /* relu(sum_c G_c A_c): Draelos and Carin 2020 */
    SAL_CAM_LAYER  /* relu(sum_c relu(G_c) A_c): Jiang et al. 2021 */
} sal_cam;

typedef enum sal_accumulate {
    SAL_ACCUMULATE_SUM,     /* sum += weight * x */
    SAL_ACCUMULATE_SQUARES, /* sum += weight * x * x */
    SAL_ACCUMULATE_WELFORD  /* sum is the mean so far, spread the sum of squared deviations; weight is 1 / number */
} sal_accumulate;

/* What methods of several passes repeat. Values are exact ones of the same shape unless it says otherwise, in the
 * arena, and the first `pictures` of them are worked on. Arithmetic and numbers are those of method_math.h: but for
 * cam the same bits on every device. Errors: DEVICE. */
typedef struct sal_method_rows {
    /* to = from, of which one may be a value of the program: a gradient that is held times a power of two loses it.
     * What `to` has of pictures beyond `pictures`, up to `batch`, becomes zeros. */
    sal_status (*copy)(sal_device *device, void *to, const sal_value *to_value, const void *from,
                       const sal_value *from_value, int64_t pictures, int64_t batch);
    /* to = x + noise of that sample; noises: one a picture, of the host. to may be x. */
    sal_status (*perturb)(sal_device *device, void *to, const void *x, const sal_value *value, const sal_noise *noises,
                          uint32_t sample, int64_t pictures);
    /* to = from + t (x - from); from may be NULL: zeros. */
    sal_status (*between)(sal_device *device, void *to, const void *from, const void *x, const sal_value *value,
                          float t, int64_t pictures);
    /* spread: of WELFORD, else NULL. */
    sal_status (*accumulate)(sal_device *device, void *sum, void *spread, const void *x, const sal_value *value,
                             sal_accumulate kind, float weight, int64_t pictures);
    /* to = a * (x - from), x - from rounded first; from may be NULL: zeros. to may be a. */
    sal_status (*multiply)(sal_device *device, void *to, const void *a, const void *x, const void *from,
                           const sal_value *value, int64_t pictures);
    /* map (1, 1, H, W) of the layer's values and gradients (1, C, H, W). Sums in double, in an order of the device's
     * own, rounded once; a pixel whose sum is not finite becomes NaN, since a ReLU would hide it. */
    sal_status (*cam)(sal_device *device, void *map, const sal_value *map_value, const void *values,
                      const void *gradients, const sal_value *layer, sal_cam kind, int64_t pictures);
} sal_method_rows;

/* Enqueues or runs steps. */
typedef sal_status sal_enqueue(void *context);

typedef struct sal_backend {
    const char *name;     /* "cpu" */
    size_t alignment;     /* of values in the arena, a power of two */
    int chunks;           /* 1: the first, large layers may run a part of the batch at a time */
    int distinct_convs;   /* 1: a convolution's output may not share memory with what is added to it */
    int distinct_memory;  /* 1: allocate may fail although free_memory said otherwise: try a smaller batch */
    int (*present)(void); /* devices there are; NULL: always one */
    /* Appends rows on its libraries and devices to out, which has `count` of at most `capacity`; the new count. NULL:
     * that a device opens says it all. */
    size_t (*check)(sal_check *out, size_t count, size_t capacity);
    /* spec: what follows "name:" in --device, or NULL. *out is the caller's. */
    sal_status (*open)(sal_device **out, const char *spec, const sal_device_options *options);
    void (*close)(sal_device *device);
    const char *(*describe)(const sal_device *device); /* borrowed; "cpu: AMD EPYC, ...", "cuda:0: NVIDIA H100, ..." */
    sal_status (*free_memory)(size_t *bytes, sal_device *device); /* that an arena may take; DEVICE */
    void (*place)(sal_device *device, sal_value *value);          /* sets layout and bytes */
    sal_status (*allocate)(void **out, sal_device *device, size_t bytes);
    void (*release)(sal_device *device, void *memory);
    /* NULL, or: what runs of this batch take besides the arena, had now that a smaller batch can still be tried. */
    sal_status (*reserve)(sal_device *device, const sal_value *input, int64_t batch);
    /* Between host floats (pictures, shape) in row-major order and a value's layout. */
    sal_status (*upload)(sal_device *device, void *memory, const sal_value *value, const float *host, int64_t pictures,
                         int64_t batch); /* the rest of the batch becomes zeros */
    /* NULL where uploads do not run beside steps. Begins to bring over pictures that a later upload of the same `host`
     * and number will want, which must not change until then. host NULL: forgets them, for others may lie there later.
     */
    sal_status (*prefetch)(sal_device *device, const sal_value *value, const float *host, int64_t pictures);
    sal_status (*download)(sal_device *device, float *host, const void *memory, const sal_value *value,
                           int64_t pictures);
    /* NULL where there is nothing to gain: runs `enqueue`, which does the same work in the same memory at each call
     * with this slot (0 or 1), and may record it to play it back from then on. */
    sal_status (*repeat)(sal_device *device, int slot, sal_enqueue *enqueue, void *context);
    /* NULL where the device does not tell, or: what the last repeat() with this slot did. */
    sal_status (*get_pass)(sal_pass_info *out, sal_device *device, int slot);
    /* NULL, or, after each backward pass: *again is 1 where these gradients, its last, went out of range and the device
     * has changed its scale: the backward pass is to be run again from the seeds on. */
    sal_status (*rescale)(int *again, sal_device *device, const void *gradient, const sal_value *value,
                          int64_t pictures);
    /* NULL where never: whether backward steps of this convolution take the derivative of a ReLU along, from the values
     * of its output. That saves passes over memory and costs the memory of the values: a bit each would do otherwise.
     */
    int (*takes_relu)(const sal_node *conv);
    const sal_map_rows *maps; /* NULL: the host makes them */
    const sal_method_rows *methods;
    const sal_step_row *rows[SAL_STEP_COUNT]; /* NULL: unsupported */
    /* Of a node that there are rows for: UNSUPPORTED where they cannot run it all the same. */
    sal_status (*check_node)(const sal_node *node);
} sal_backend;

/* The back end and the rest of "cpu", "cuda:0", "auto" or NULL. Errors: ARGUMENT, naming those built in. */
sal_status sal_backend_find(const sal_backend **out, const char **spec, const char *device);

/* UNSUPPORTED where a max pool's window has more elements than the bytes of SAL_VALUE_INDICES tell apart. Other nodes
 * pass. */
sal_status sal_max_pool_check(const sal_node *node);

const char *sal_step_kind_name(sal_step_kind kind);

#endif
