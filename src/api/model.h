/* A model as the library holds it: for the files of src/api alone. */
#ifndef SAL_API_MODEL_H
#define SAL_API_MODEL_H

#include "api/model_files.h"
#include "base/memory_copy.h"
#include "graph/graph.h"
#include "import/import.h"

#include <pthread.h>

enum { SAL_DETAIL_SIZE = 128 };

struct sal_model {
    sal_graph graph;           /* after the passes; without weights once they were dropped */
    sal_model_options options; /* for reading the file again */
    char *output;              /* what they point to */
    char *layer;
    char *at;
    sal_limits limits;
    pthread_mutex_t lock; /* of what follows */
    int dropped;          /* 1: the weights are gone, and a further engine reads the files again */
    sal_model_files files;
    int drawn;            /* 1: weights are random numbers, which no file has */
    char *path;           /* or what messages call a model that was given as bytes */
    sal_memory_copy copy; /* of those bytes */
    sal_import_info info;
    char (*details)[SAL_DETAIL_SIZE];  /* one per node */
    char (*problems)[SAL_DETAIL_SIZE]; /* one per node; empty: none */
};

/* The graph for an engine, which shares the model's weights. take: the model lets go of them, so that what the engine
 * drops is gone. Where they are gone already, the files are read again, if they are what they were. Any number of
 * threads at once. Errors: as of sal_model_open; FORMAT (a file has changed). */
sal_status sal_model_share_graph(sal_graph *out, sal_model *model, int take);

/* What a layer does, in an expert's words: "64 3x3 stride 2 pad 1 groups 4, relu". */
void sal_layer_detail(char *text, size_t size, const sal_graph *graph, const sal_node *node);

#endif
