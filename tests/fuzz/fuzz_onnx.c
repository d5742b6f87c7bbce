/* Any bytes as an ONNX model: import, then the passes on what was accepted. */
#include "graph/passes.h"
#include "import/import.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_graph graph;
    sal_import_info info;
    const sal_model_options options = {.limits = {.max_model_bytes = (uint64_t)1 << 24, .max_nodes = 10000}};
    sal_status st = sal_onnx_parse(&graph, &info, bytes, size, "fuzz/model.onnx", &options);
    if (st == SAL_OK && graph.count == 0)
        abort();
    if (st != SAL_OK && strlen(sal_last_error()) == 0)
        abort();
    if (st == SAL_OK)
        (void)sal_passes_run(&graph);
    sal_graph_clear(&graph);
    return 0;
}
