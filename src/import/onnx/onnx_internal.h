/* What the files of the ONNX importer share. Nothing outside src/import includes this.
 *
 * The way of a file: unpack (onnx.c) -> one flat list of ops, functions inlined (flatten_functions.c) -> the ops that
 * the output needs, in topological order (order.c) -> one handler per op type (lower/handlers.c has the table), which
 * makes graph nodes, or a constant where all inputs are constants.
 *
 * Every tensor of the file is a value, named by its index. While lowering, a value is a constant, a graph node, or
 * a "piece": part of a formula that only as a whole is a core op (lower/piece.c). */
#ifndef SAL_IMPORT_ONNX_INTERNAL_H
#define SAL_IMPORT_ONNX_INTERNAL_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

/* Element types of the file format. */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
    ONNX_UINT64 = 13,
    ONNX_BFLOAT16 = 16
};

/* A constant: every float type of the file becomes float, every integer and bool int64_t. */
typedef struct onnx_tensor {
    int integer; /* 1: the values are in i, 0: in f */
    sal_shape shape;
    size_t count;
    float *f;
    int64_t *i;
} onnx_tensor;

typedef enum onnx_piece_kind {
    ONNX_PIECE_ERF,       /* shift + scale * erf(x / sqrt 2) */
    ONNX_PIECE_MEAN,      /* mean of x along axis */
    ONNX_PIECE_CENTERED,  /* x - mean */
    ONNX_PIECE_SQUARE,    /* (x - mean)^2 */
    ONNX_PIECE_VARIANCE,  /* mean of the square, plus shift */
    ONNX_PIECE_DEVIATION, /* its square root */
    ONNX_PIECE_INVERSE,   /* 1 / deviation */
    ONNX_PIECE_FLAT       /* all elements of x in one axis, batch and all */
} onnx_piece_kind;

typedef struct onnx_piece {
    onnx_piece_kind kind;
    int node; /* x */
    int axis;
    int keep; /* mean: the axis stays, with extent 1 */
    double scale;
    double shift;
} onnx_piece;

typedef enum onnx_value_kind {
    ONNX_VALUE_UNKNOWN,
    ONNX_VALUE_STORED, /* an initializer, not read yet */
    ONNX_VALUE_CONSTANT,
    ONNX_VALUE_NODE,
    ONNX_VALUE_PIECE
} onnx_value_kind;

typedef struct onnx_value {
    char *name;
    int alias;    /* in inlined functions: the caller's value, ONNX_ABSENT for an argument left out; else ONNX_ITSELF */
    int producer; /* index of the op that makes it, or -1 */
    int uses;     /* how many inputs of needed ops read it */
    onnx_value_kind kind;
    SalOnnx__Tensor *stored; /* borrowed from the model */
    onnx_tensor constant;
    int node;
    onnx_piece piece;
} onnx_value;

/* Fields of the message Tensor that slim.c writes in place of raw_data. */
enum { ONNX_FIELD_FILE_OFFSET = 100001, ONNX_FIELD_FILE_LENGTH = 100002 };

enum { ONNX_ABSENT = -1, ONNX_ITSELF = -2 };

/* An attribute as an op sees it: in functions, the caller may supply its value. */
typedef struct onnx_attribute {
    const char *name;
    const SalOnnx__Attribute *data;
} onnx_attribute;

typedef struct onnx_op {
    const char *type;
    const char *domain;
    char *name; /* as in the file, or made up from type and position */
    int64_t opset;
    int written; /* 1: by another importer, of whose files nobody knows an opset */
    int *inputs; /* values; ONNX_ABSENT where left out */
    int input_count;
    int *outputs;
    int output_count;
    onnx_attribute *attributes;
    size_t attribute_count;
} onnx_op;

/* One open file of external data at a time: most models have one. */
typedef struct onnx_external {
    char *folder; /* real path of the model's folder; NULL until needed */
    char *location;
    int fd;
    uint64_t size;
} onnx_external;

/* Where tensors come from that another importer put into a model: data_location ONNX_LOCATION_SOURCE, file_offset is
 * `index`. */
enum { ONNX_LOCATION_SOURCE = 2 };
typedef struct onnx_source {
    sal_status (*read)(void *context, float *out, size_t count, uint64_t index);
    void *context;
} onnx_source;

typedef struct onnx_importer {
    const char *path;
    const onnx_source *source;        /* or NULL */
    const sal_model_options *options; /* or NULL */
    int borrowed;                     /* 1: the model is the caller's */
    int fd;                           /* of the model file; -1 where the model was given as bytes */
    uint64_t max_bytes;
    uint64_t max_nodes;
    uint64_t stored_bytes; /* of the constants read so far; bounded by max_bytes */
    uint64_t folded_bytes; /* of the constants computed from them */
    ProtobufCAllocator allocator;
    uint64_t unpack_budget;
    int unpack_failed; /* 1: there was no memory for a message */
    SalOnnx__Model *model;
    int64_t opset;
    onnx_value *values;
    size_t value_count;
    size_t value_capacity;
    int *slots; /* hash table of values by name; a power of two */
    size_t slot_count;
    onnx_op *ops;
    size_t op_count;
    size_t op_capacity;
    uint64_t calls;
    const SalOnnx__Function **functions; /* sorted */
    int *order;                          /* ops to lower */
    size_t order_count;
    int input; /* values */
    int output;
    int64_t batch; /* of the file's input; 1 where it is free */
    onnx_external external;
    sal_graph *graph;
} onnx_importer;

/* sal_fail with "node NAME (TYPE, opset N): " before the text, or "layer NAME (TYPE): ". */
sal_status onnx_fail(const onnx_op *op, sal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define onnx_fail(op, status, ...) sal_returned(status, onnx_fail(op, status, __VA_ARGS__))
#endif

/* A graph of a model that is in memory, and stays the caller's. Errors: as sal_onnx_read. */
sal_status onnx_build(sal_graph *graph, SalOnnx__Model *model, const onnx_source *source, const char *path,
                      const sal_model_options *options);
/* One side of the picture (0: height, 1: width): as declared, or where that is no number as the options say; below 1
 * where neither does. Errors: ARGUMENT, where they contradict. */
sal_status onnx_fix_side(int64_t *out, const sal_model_options *options, int64_t declared, int side, const char *input);

/* ---- values.c: names ---- */

/* Index of the value of that name, made when it is new; follows aliases, so it may be ONNX_ABSENT. */
sal_status onnx_intern(int *out, onnx_importer *im, const char *name);
/* Likewise, but the entry itself: for setting its alias. */
sal_status onnx_intern_entry(int *out, onnx_importer *im, const char *name);
void onnx_values_clear(onnx_importer *im);

/* ---- flatten_functions.c, order.c ---- */

/* Fills im->values and im->ops from the model. Errors: FORMAT, LIMIT, UNSUPPORTED (opset), MEMORY. */
sal_status onnx_flatten(onnx_importer *im);
void onnx_ops_clear(onnx_importer *im);
/* The names of a graph's outputs but for one: "scores, features". */
void onnx_list_outputs(char *names, size_t size, const SalOnnx__Graph *graph, const char *but);
/* Chooses im->output; fills im->order and the values' uses. */
sal_status onnx_order(onnx_importer *im);
/* Chooses im->input among those that the ops in im->order read, and checks that all else they read is there. */
sal_status onnx_choose_input(onnx_importer *im);

/* ---- op.c: attributes by name; fallback where absent, FORMAT where of another type ---- */

const SalOnnx__Attribute *onnx_attribute_find(const onnx_op *op, const char *name);
sal_status onnx_attribute_int(int64_t *out, const onnx_op *op, const char *name, int64_t fallback);
sal_status onnx_attribute_float(float *out, const onnx_op *op, const char *name, float fallback);
/* *out borrows; NULL and 0 where absent. */
sal_status onnx_attribute_ints(const int64_t **out, size_t *count, const onnx_op *op, const char *name);
/* 1 where the attribute is that text; an absent one is `fallback`. */
int onnx_attribute_is(const onnx_op *op, const char *name, const char *text, const char *fallback);

/* ---- tensor.c, external_data.c: constants ---- */

/* Zeroed tensor for a computed constant, charged to the importer's limit. Errors: FORMAT (dims), LIMIT, MEMORY. */
sal_status onnx_tensor_new(onnx_tensor *out, onnx_importer *im, int integer, const sal_shape *shape, const char *name);
void onnx_tensor_clear(onnx_tensor *t);
sal_status onnx_tensor_load(onnx_tensor *out, onnx_importer *im, const SalOnnx__Tensor *stored, const char *name);
/* Copy of `in` through a view: element (i0, i1, ..) of the result is element offset + sum(ik * stride[k]) of in. */
sal_status onnx_tensor_view(onnx_tensor *out, onnx_importer *im, const onnx_tensor *in, const sal_shape *shape,
                            const int64_t *stride, int64_t offset);
double onnx_tensor_at(const onnx_tensor *t, size_t index);
/* Truncated; bounded by 2^62, beyond which no shape lies; NaN is 0. */
int64_t onnx_to_int(double v);
/* Row-major strides; returns the element count, -1 on overflow or negative extents. */
int64_t onnx_strides(int64_t *stride, const sal_shape *shape);
int onnx_is_float_type(int64_t type);
/* Opens the file that holds a tensor of `size` bytes and checks that they are there. */
sal_status onnx_external_find(uint64_t *offset, size_t size, onnx_importer *im, const SalOnnx__Tensor *stored,
                              const char *name);
/* Reads from the file that onnx_external_find opened. */
sal_status onnx_external_read(void *bytes, size_t size, onnx_importer *im, uint64_t offset, const char *name);
void onnx_external_clear(onnx_external *external);

/* ---- slim.c ---- */

/* Opens im->path as im->fd and reads it without the bytes of large tensors; *out is the caller's, free(). */
sal_status onnx_slim_read(unsigned char **out, size_t *size, onnx_importer *im);
/* Bytes that were left out, from the model file. */
sal_status onnx_slim_load(void *bytes, size_t size, const onnx_importer *im, uint64_t offset, const char *name);

/* ---- lower/emit.c: what handlers are made of ---- */

/* Value of an input, NULL where it is left out. */
onnx_value *onnx_input(onnx_importer *im, const onnx_op *op, int index);
int onnx_has_input(const onnx_op *op, int index);
/* *out = 1 where the input is a constant (which is read if need be). */
sal_status onnx_is_constant(int *out, onnx_importer *im, const onnx_op *op, int index);
/* The input as a constant; UNSUPPORTED where it is computed from the picture. Borrowed. */
sal_status onnx_constant(const onnx_tensor **out, onnx_importer *im, const onnx_op *op, int index);
/* A list of integers from input `index`, or NULL and 0 where it is left out. Borrowed. */
sal_status onnx_int_list(const int64_t **out, size_t *count, onnx_importer *im, const onnx_op *op, int index);
/* The same from an attribute where the op has it (older opsets), else from the input. */
sal_status onnx_int_list_either(const int64_t **out, size_t *count, onnx_importer *im, const onnx_op *op, int index,
                                const char *attribute);
/* The input as a graph node. */
sal_status onnx_node(int *out, onnx_importer *im, const onnx_op *op, int index);
/* The constant's floats become the caller's (sal_free): moved where nobody else reads them, else copied.
 * Errors: NUMERIC (names tensor and index), FORMAT (no elements). */
sal_status onnx_take(float **out, size_t *count, onnx_importer *im, const onnx_op *op, int index);
/* A constant scalar. */
sal_status onnx_scalar(double *out, onnx_importer *im, const onnx_op *op, int index);

/* Starts a node; it is finished with onnx_finish, which infers its shape and checks sizes. */
sal_status onnx_start(int *out, onnx_importer *im, const onnx_op *op, sal_op core, const int *inputs, int count);
sal_status onnx_finish(onnx_importer *im, const onnx_op *op, int node);
void onnx_output_node(onnx_importer *im, const onnx_op *op, int index, int node);
/* Takes the tensor over. */
void onnx_output_constant(onnx_importer *im, const onnx_op *op, int index, onnx_tensor *t);
void onnx_output_piece(onnx_importer *im, const onnx_op *op, int index, onnx_piece piece);

/* Whole nodes; *out may be x itself where nothing is to be done. */
sal_status onnx_emit_activation(int *out, onnx_importer *im, const onnx_op *op, int x, sal_activation_kind kind,
                                double alpha, double beta);
sal_status onnx_emit_affine(int *out, onnx_importer *im, const onnx_op *op, int x, double scale, double shift);
/* 1 where a node multiplies its input by one number and adds another. */
int onnx_is_scalar_affine(const sal_node *node);
sal_status onnx_emit_binary(int *out, onnx_importer *im, const onnx_op *op, sal_op core, int a, int b);
sal_status onnx_emit_reshape(int *out, onnx_importer *im, const onnx_op *op, int x, const sal_shape *shape);
sal_status onnx_emit_transpose(int *out, onnx_importer *im, const onnx_op *op, int x, const int *permutation);
sal_status onnx_emit_slice(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, int64_t start, int64_t step,
                           int64_t extent);
/* Mean over axes [first, last], kept with extent 1. */
sal_status onnx_emit_mean(int *out, onnx_importer *im, const onnx_op *op, int x, int first, int last);

const sal_shape *onnx_shape(const onnx_importer *im, int node);
/* Counts negative axes from the end. Errors: FORMAT. */
sal_status onnx_axis(int *out, const onnx_op *op, int64_t axis, int rank);

/* ---- lower/piece.c ---- */

typedef enum onnx_math { ONNX_ADD, ONNX_SUB, ONNX_MUL, ONNX_DIV, ONNX_POW, ONNX_MIN, ONNX_MAX, ONNX_MOD } onnx_math;

/* An arithmetic op with a piece among its two inputs; *handled = 0 where they make no formula that is known. */
sal_status onnx_piece_binary(int *handled, onnx_importer *im, const onnx_op *op, onnx_math math);
/* Mean along one axis of a node, kept as a piece: it may be the start of a layer norm. */
void onnx_piece_mean(onnx_importer *im, const onnx_op *op, int x, int axis, int keep);
/* Mean of a piece along axes; *handled = 0 where it is no variance. */
void onnx_piece_variance(int *handled, onnx_importer *im, const onnx_op *op, const int64_t *axes, size_t count,
                         int keep);
/* Turns a mean that is no part of a layer norm into nodes. Errors: UNSUPPORTED for all other pieces. */
sal_status onnx_piece_settle(onnx_importer *im, const onnx_op *op, onnx_value *value);

/* ---- the handlers ---- */

typedef sal_status onnx_handler(onnx_importer *im, const onnx_op *op);

/* NULL where the op is not known. */
onnx_handler *onnx_handler_find(const onnx_op *op);

/* Constants all the way (lower/constants.c). */
onnx_handler onnx_fold_constant, onnx_fold_constant_of_shape, onnx_fold_range, onnx_fold_where, onnx_fold_compare,
    onnx_fold_unary, onnx_fold_reduce_prod, onnx_fold_size;
/* Two constants of one arithmetic op, broadcast. */
sal_status onnx_fold_math(onnx_importer *im, const onnx_op *op, onnx_math math);

onnx_handler onnx_lower_conv, onnx_lower_max_pool, onnx_lower_average_pool, onnx_lower_global_average_pool,
    onnx_lower_global_max_pool, onnx_lower_pad;
onnx_handler onnx_lower_gemm, onnx_lower_matmul, onnx_lower_batch_norm, onnx_lower_layer_norm;
onnx_handler onnx_lower_activation, onnx_lower_clip, onnx_lower_prelu, onnx_lower_erf, onnx_lower_exp, onnx_lower_gelu,
    onnx_lower_mish, onnx_lower_softmax;
onnx_handler onnx_lower_add, onnx_lower_sub, onnx_lower_mul, onnx_lower_div, onnx_lower_pow, onnx_lower_min,
    onnx_lower_max, onnx_lower_mod, onnx_lower_sum, onnx_lower_neg, onnx_lower_sqrt, onnx_lower_reciprocal,
    onnx_lower_reduce_mean;
onnx_handler onnx_lower_identity, onnx_lower_dropout, onnx_lower_cast, onnx_lower_reshape, onnx_lower_flatten,
    onnx_lower_squeeze, onnx_lower_unsqueeze, onnx_lower_transpose, onnx_lower_expand, onnx_lower_shape;
onnx_handler onnx_lower_concat, onnx_lower_slice, onnx_lower_split, onnx_lower_gather;

#endif
