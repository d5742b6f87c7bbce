/* A model as the library holds it: for the files of src/api alone. */
#ifndef SAL_API_MODEL_H
#define SAL_API_MODEL_H

#include "graph/graph.h"
#include "import/import.h"

#include <stdatomic.h>

enum { SAL_DETAIL_SIZE = 128 };

struct sal_model {
    sal_graph graph;           /* after the passes; without weights once an engine took them */
    sal_model_options options; /* for reading the file again */
    char *output;              /* its strings */
    char *layer;
    int weights_taken;
    atomic_flag being_taken; /* by one thread at a time */
    char *path;
    sal_import_info info;
    char (*details)[SAL_DETAIL_SIZE];  /* one per node */
    char (*problems)[SAL_DETAIL_SIZE]; /* one per node; empty: none */
};

/* The graph with its weights, for an engine: moved out of the model, since a second copy would double
 * the memory. The next engine of the same model reads the file again. Errors: as of sal_model_open; ARGUMENT while
 * another thread is at it. */
sal_status sal_model_take_graph(sal_graph *out, sal_model *model);

/* What a layer does, in an expert's words: "64 3x3 stride 2 pad 1 groups 4, relu". */
void sal_layer_detail(char *text, size_t size, const sal_graph *graph, const sal_node *node);

#endif
