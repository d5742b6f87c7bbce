/* Model files to graphs. Knows files and graphs, nothing of devices. */
#ifndef SAL_IMPORT_IMPORT_H
#define SAL_IMPORT_IMPORT_H

#include "graph/graph.h"

/* Reads an ONNX file into a graph of core ops (not yet through the passes).
 * format: text such as "ONNX opset 13 (pytorch 1.13.0)", size bytes of the caller.
 * Constant sub-graphs (shape computations among them) are folded with a batch of 1.
 * Errors: IO, FORMAT, LIMIT, NUMERIC (NaN weights: names the tensor),
 * UNSUPPORTED (names node, op and opset; collected before any work: the first one with the count of all). */
sal_status sal_onnx_read(sal_graph *graph, char *format, size_t size, const char *path, const sal_limits *limits);
/* The same from the bytes of a file; path stands for them in messages and for the place of external data. */
sal_status sal_onnx_parse(sal_graph *graph, char *format, size_t size, const unsigned char *bytes, size_t length,
                          const char *path, const sal_limits *limits);

/* Whether a file is of Keras, by its first bytes: HDF5, or a zip archive. */
int sal_keras_is(const char *path);
/* Reads a Keras file likewise: .h5 and .hdf5 with its configuration, or with the weights alone and the configuration as
 * JSON beside it, and .keras. format: "Keras 2.15.0 (HDF5)". Errors: as sal_onnx_read, naming layer and class. */
sal_status sal_keras_read(sal_graph *graph, char *format, size_t size, const char *path, const sal_limits *limits);

#endif
