/* Small networks of every kind that programs must get right, and their answers. Test support. */
#ifndef TESTS_PROGRAM_NETS_H
#define TESTS_PROGRAM_NETS_H

#include "program/program.h"

enum { NET_PICTURES = 8 };

typedef struct net {
    const char *name;
    void (*build)(sal_graph *graph); /* NULL: drawn at random */
    uint64_t seed;
} net;

extern const net nets[];
extern const size_t net_count;

/* The network after the passes; the caller clears it. */
void net_make(sal_graph *graph, const net *n);

/* Pictures and what the reference makes of them. */
typedef struct net_answers {
    int64_t pixels, outputs;
    float *inputs;     /* (NET_PICTURES, pixels) */
    double *scores;    /* (NET_PICTURES, outputs) */
    double *gradients; /* (outputs, NET_PICTURES, pixels) */
} net_answers;

/* Only pictures; scores and gradients are NULL. */
void net_pictures_make(net_answers *a, const sal_graph *graph);
void net_answers_make(net_answers *a, const sal_graph *graph, sal_rule rule);
void net_answers_clear(net_answers *a);

/* A program of a copy of the graph; asserts that it opens. */
sal_program *net_open(const sal_graph *graph, const sal_program_options *options);
/* A backward pass and its gradients; asserts that both come. */
void net_gradients(float *gradients, sal_program *p, const float *seeds, int64_t count);
/* Largest difference relative to the largest expected value; infinite with NaN. */
double net_difference(const double *expected, const float *actual, int64_t count);

#endif
