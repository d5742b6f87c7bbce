/* What happens to a file before its ops are lowered: names become values, functions are inlined into one flat list of
 * ops, and those that the output needs are put in order. */
#ifndef SAL_IMPORT_ONNX_STAGES_H
#define SAL_IMPORT_ONNX_STAGES_H

#include "import/onnx/onnx_importer.h"

/* ---- values.c ---- */

/* Index of the value of that name, made when it is new; follows aliases, so it may be ONNX_ABSENT. */
sal_status onnx_intern(int *out, onnx_importer *im, const char *name);
/* Index of the value of that name, ONNX_ABSENT where there is none; follows aliases. */
int onnx_find_value(const onnx_importer *im, const char *name);
/* Likewise, but the entry itself: for setting its alias. */
sal_status onnx_intern_entry(int *out, onnx_importer *im, const char *name);
void onnx_values_clear(onnx_importer *im);

/* ---- flatten_functions.c ---- */

/* Fills im->values and im->ops from the model. Errors: FORMAT, LIMIT, UNSUPPORTED (opset), MEMORY. */
sal_status onnx_flatten(onnx_importer *im);
void onnx_ops_clear(onnx_importer *im);
/* Adds the ops of a branch that the If of that number takes, and what makes its outputs of those of the branch. Errors:
 * as onnx_flatten. */
sal_status onnx_inline_branch(onnx_importer *im, int index, const SalOnnx__Graph *graph);
/* The names of a graph's outputs but for one: "scores, features". */
void onnx_list_outputs(char *names, size_t size, const SalOnnx__Graph *graph, const char *but);

/* ---- order.c ---- */

/* Chooses im->output, and cuts the network at the layer that the options name; fills im->order and the values' uses. */
sal_status onnx_order(onnx_importer *im);
/* The ops that the outputs of an op need now and that have no place in the order yet, in order; *order: sal_free. */
sal_status onnx_order_more(int **order, size_t *count, onnx_importer *im, int index);
/* Whether the file declares an output to hold integers or booleans. */
int onnx_output_is_integer(const SalOnnx__ValueInfo *info);
/* Chooses im->input among those that the ops in im->order read, and checks that all else they read is there. */
sal_status onnx_choose_input(onnx_importer *im);

/* ---- onnx.c ---- */

/* Lowers ops in order. */
sal_status onnx_lower_ops(onnx_importer *im, const int *order, size_t count);

/* ---- branches.c ---- */

void onnx_branches_clear(onnx_importer *im);

/* ---- cut.c ---- */

/* The value that is the output where a layer is to make the scores: what the layer makes, with the bias and the softmax
 * or sigmoid that may follow it. ONNX_ABSENT: no convolution or dense layer is called so. */
int onnx_cut_at(const onnx_importer *im, const char *layer);
/* What to say where an op of im->order cannot be computed: where it comes after the last layers, which of those could
 * make the scores instead. Empty: there is nothing to say. */
void onnx_cut_hint(char *text, size_t size, const onnx_importer *im, const onnx_op *op);

#endif
