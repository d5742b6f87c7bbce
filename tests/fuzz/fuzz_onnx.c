/* Any bytes as an ONNX model: import, then the passes on what was accepted. */
#include "support.h"

#include "graph/passes.h"
#include "import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_graph graph;
    sal_import_info info;
    static const sal_limits limits = {.max_model_bytes = (uint64_t)1 << 24, .max_nodes = 10000};
    const sal_model_options options = {.limits = &limits};
    const int ok = fuzz_is_ok(sal_onnx_parse(&graph, &info, bytes, size, "fuzz/model.onnx", &options));
    FUZZ_REQUIRE(!ok || graph.count > 0);
    if (ok)
        (void)fuzz_is_ok(sal_passes_run(&graph));
    sal_graph_clear(&graph);
    return 0;
}
