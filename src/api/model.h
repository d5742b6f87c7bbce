/* A model as the library holds it: for the files of src/api alone. */
#ifndef SAL_API_MODEL_H
#define SAL_API_MODEL_H

#include "graph/graph.h"

enum { SAL_DETAIL_SIZE = 128, SAL_FORMAT_SIZE = 128 };

struct sal_model {
    sal_graph graph; /* after the passes */
    char *path;
    char format[SAL_FORMAT_SIZE];
    char (*details)[SAL_DETAIL_SIZE];  /* one per node */
    char (*problems)[SAL_DETAIL_SIZE]; /* one per node; empty: none */
};

/* What a layer does, in an expert's words: "64 3x3 stride 2 pad 1 groups 4, relu". */
void sal_layer_detail(char *text, size_t size, const sal_graph *graph, const sal_node *node);

#endif
