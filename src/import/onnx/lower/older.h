/* What ops of old opsets meant otherwise. */
#ifndef SAL_IMPORT_ONNX_LOWER_OLDER_H
#define SAL_IMPORT_ONNX_LOWER_OLDER_H

#include "import/onnx/onnx_importer.h"

/* Before opset 7 the second operand of arithmetic begins at the attribute `axis` of the first, and the slopes of PRelu
 * at the channels: the op gets one that is aligned at the end, as all are later. Errors: FORMAT, UNSUPPORTED, and those
 * of constants. */
sal_status onnx_align(onnx_importer *im, onnx_op *op);

#endif
