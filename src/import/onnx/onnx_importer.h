/* The state of one import: the values and ops of a file, and the graph that they become. Nothing outside
 * src/import/onnx includes this.
 *
 * The way of a file: unpack (onnx.c) -> one flat list of ops, functions inlined (flatten_functions.c) -> the ops that
 * the output needs, in topological order (order.c) -> one handler per op type (lower/handlers.c has the table), which
 * makes graph nodes, or a constant where all inputs are constants.
 *
 * Every tensor of the file is a value, named by its index. While lowering, a value is a constant, a graph node, or
 * a "piece": part of a formula that only as a whole is a core op (lower/piece.c). */
#ifndef SAL_IMPORT_ONNX_ONNX_IMPORTER_H
#define SAL_IMPORT_ONNX_ONNX_IMPORTER_H

#include "import/onnx/onnx.h"
#include "import/onnx/op.h"
#include "import/onnx/storage.h"
#include "import/onnx/tensor.h"

typedef enum onnx_piece_kind {
    ONNX_PIECE_ERF,       /* shift + scale * erf(x / sqrt 2) */
    ONNX_PIECE_ABOVE,     /* x > shift */
    ONNX_PIECE_MEAN,      /* mean of x along axis */
    ONNX_PIECE_CENTERED,  /* x - mean */
    ONNX_PIECE_SQUARE,    /* (x - mean)^2 */
    ONNX_PIECE_VARIANCE,  /* mean of the square, plus shift */
    ONNX_PIECE_DEVIATION, /* its square root */
    ONNX_PIECE_INVERSE    /* 1 / deviation */
} onnx_piece_kind;

typedef struct onnx_piece {
    onnx_piece_kind kind;
    int node; /* x */
    int lead; /* axes that it has and the file does not: lower/array.h */
    int axis; /* of the node */
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
    int uses;     /* how many inputs of needed ops read it, less those of ops that have been lowered */
    onnx_value_kind kind;
    SalOnnx__Tensor *stored; /* borrowed from the model */
    onnx_tensor constant;
    int node;
    int lead; /* axes that the node has and the file does not: lower/array.h */
    onnx_piece piece;
} onnx_value;

/* Where an If stands: names in its branches may be those that are known there. */
typedef struct onnx_place {
    char *prefix; /* of the names there */
    int outer;    /* place of the If that it is in a branch of, or -1 */
    int depth;
} onnx_place;

struct onnx_importer {
    const char *path;
    const onnx_source *source;        /* or NULL */
    const sal_model_options *options; /* or NULL */
    int borrowed;                     /* 1: the model is the caller's */
    int fd;                           /* of the model file; -1 where the model was given as bytes */
    uint64_t max_bytes;
    uint64_t max_nodes;
    uint64_t stored_bytes; /* of the constants read so far; bounded by max_bytes */
    uint64_t folded_bytes; /* of the constants computed from them */
    uint64_t free_share;   /* what those may take of the memory that is free; 0: nobody has asked yet */
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
    char *placed; /* which ops are in order by now */
    size_t placed_count;
    onnx_place *places; /* of each If */
    size_t place_count;
    size_t place_capacity;
    SalOnnx__Graph **branches; /* that were taken */
    size_t branch_count;
    size_t branch_capacity;
    int input; /* values */
    int output;
    int declared;  /* the output before the network was cut at a layer */
    int64_t batch; /* of the file's input; 1 where it is free */
    onnx_external external;
    sal_graph *graph;
    int folding; /* 1: an op of constants alone is being computed, which may be infinite: lower/fold.c */
};

#endif
