/* Model files to graphs. Knows files and graphs, nothing of devices. */
#ifndef SAL_IMPORT_IMPORT_H
#define SAL_IMPORT_IMPORT_H

#include "graph/graph.h"

enum { SAL_IMPORT_TEXT = 128 };
#define SAL_IMPORT_MAX_BYTES ((uint64_t)1 << 33) /* default of sal_limits.max_model_bytes */

/* What an importer says of a file; texts are empty where there is nothing to say. */
typedef struct sal_import_info {
    char format[SAL_IMPORT_TEXT];  /* "ONNX opset 13 (pytorch 1.13.0)", "Keras 2.15.0 (HDF5)" */
    char output[SAL_IMPORT_TEXT];  /* name of the one that was taken, of several */
    char others[SAL_IMPORT_TEXT];  /* names of the others: "side, top" */
    char dropped[SAL_IMPORT_TEXT]; /* layers that do nothing when a network is used: "2 Dropout, RandomFlip" */
    const char *preset;            /* preprocessing that the layers suggest, or NULL; static */
    char preset_reason[SAL_IMPORT_TEXT];
    char rescales[SAL_IMPORT_TEXT]; /* layer that certainly takes 0..255 */
} sal_import_info;

/* Reads a model file into a graph of core ops (not yet through the passes). info and options may be NULL. */
typedef sal_status sal_import_reader(sal_graph *graph, sal_import_info *info, const char *path,
                                     const sal_model_options *options);

/* Reads a file with the importer of its format, which its first bytes tell: formats.c. Errors: as the importers; FORMAT
 * also where the file is called like one of Keras and is none. */
sal_import_reader sal_import;

/* ONNX. `layer` of the options only says what need not be read: what that layer is, the passes find out
 * (sal_graph.wanted_head), as they do with `at` and `coral`. Constant sub-graphs (shape computations among
 * them) are folded with a batch of 1. Errors: IO, FORMAT, LIMIT, NUMERIC (NaN weights: names the tensor), ARGUMENT (no
 * such output, a size that the file fixes otherwise), UNSUPPORTED (names node, op and opset; collected before any work:
 * the first one with the count of all). */
sal_import_reader sal_onnx_read;
/* The same from the bytes of a file; path stands for them in messages and for the place of external data. */
sal_status sal_onnx_parse(sal_graph *graph, sal_import_info *info, const unsigned char *bytes, size_t length,
                          const char *path, const sal_model_options *options);

/* Keras: .h5 and .hdf5 with the configuration, or with the weights alone and the configuration as JSON beside the file.
 * Errors: as sal_onnx_read, naming layer and class. */
sal_import_reader sal_keras_read_hdf5;
/* .keras, a zip archive. Errors: likewise. */
sal_import_reader sal_keras_read_archive;

#endif
