/* What happens to a file before its ops are lowered: names become values, functions are inlined into one flat list of
 * ops, and those that the output needs are put in order. */
#ifndef SAL_IMPORT_ONNX_STAGES_H
#define SAL_IMPORT_ONNX_STAGES_H

#include "import/onnx/onnx_importer.h"

/* ---- values.c ---- */

/* Index of the value of that name, made when it is new; follows aliases, so it may be ONNX_ABSENT. */
sal_status onnx_intern(int *out, onnx_importer *im, const char *name);
/* Likewise, but the entry itself: for setting its alias. */
sal_status onnx_intern_entry(int *out, onnx_importer *im, const char *name);
void onnx_values_clear(onnx_importer *im);

/* ---- flatten_functions.c ---- */

/* Fills im->values and im->ops from the model. Errors: FORMAT, LIMIT, UNSUPPORTED (opset), MEMORY. */
sal_status onnx_flatten(onnx_importer *im);
void onnx_ops_clear(onnx_importer *im);
/* The names of a graph's outputs but for one: "scores, features". */
void onnx_list_outputs(char *names, size_t size, const SalOnnx__Graph *graph, const char *but);

/* ---- order.c ---- */

/* Chooses im->output, and cuts the network at the layer that the options name; fills im->order and the values' uses. */
sal_status onnx_order(onnx_importer *im);
/* Chooses im->input among those that the ops in im->order read, and checks that all else they read is there. */
sal_status onnx_choose_input(onnx_importer *im);

/* ---- cut.c ---- */

/* The value that is the output where a layer is to make the scores: what the layer makes, with the bias and the softmax
 * or sigmoid that may follow it. ONNX_ABSENT: no convolution or dense layer is called so. */
int onnx_cut_at(const onnx_importer *im, const char *layer);
/* What to say where an op of im->order cannot be computed: where it comes after the last layers, which of those could
 * make the scores instead. Empty: there is nothing to say. */
void onnx_cut_hint(char *text, size_t size, const onnx_importer *im, const onnx_op *op);

#endif
