/* A convolution problem as cuDNN descriptors: tensors, operations, the operation graph. Knows nothing of engines. */
#ifndef CUDA_CUDNN_DESCRIBE_H
#define CUDA_CUDNN_DESCRIBE_H

#include "planning/cudnn_graph.h"

/* Names of tensors in variant packs; those from VIRTUAL on are intermediate results. */
enum {
    CUDNN_UID_X = 1,
    CUDNN_UID_WEIGHT = 2,
    CUDNN_UID_BIAS = 3,
    CUDNN_UID_ADD = 4,
    CUDNN_UID_Y = 5,
    CUDNN_UID_ACTIVATED = 6,
    CUDNN_UID_VIRTUAL = 16
};

enum { CUDNN_MAX_DESCRIPTORS = 24 };

/* Descriptors that live and die together. */
typedef struct cudnn_descriptors {
    cudnnBackendDescriptor_t made[CUDNN_MAX_DESCRIPTORS];
    int count;
} cudnn_descriptors;

/* *out stays the owner's. */
sal_status cudnn_descriptor_new(cudnnBackendDescriptor_t *out, cudnn_descriptors *owner,
                                cudnnBackendDescriptorType_t type);
void cudnn_descriptors_clear(cudnn_descriptors *owner); /* fine on a zeroed struct */

/* The finalized operation graph of a problem, of `handle`'s device where there is a handle. */
sal_status cudnn_describe_problem(cudnnBackendDescriptor_t *out, cudnn_descriptors *owner,
                                  const cudnn_graph_problem *problem, cudnnHandle_t handle);

#endif
