/* What one import takes: its memory, and how much of everything it may make. */
#ifndef SAL_IMPORT_KERAS_ARENA_H
#define SAL_IMPORT_KERAS_ARENA_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Blocks of memory that live until the import ends. A zeroed one is empty. */
typedef struct keras_arena {
    void **blocks;
    size_t count;
    size_t capacity;
} keras_arena;

/* *out: zeroed, the arena's. Errors: MEMORY. */
sal_status keras_alloc(void *out, keras_arena *arena, size_t count, size_t size);
sal_status keras_format(char **out, keras_arena *arena, const char *format, ...) __attribute__((format(printf, 3, 4)));
void keras_arena_free(keras_arena *arena);

/* A short file can ask for any number of layers: a model may be called often, within one that is called often. */
typedef struct keras_limits {
    uint64_t max_nodes; /* of the graph; also layers, and calls of them */
    uint64_t max_bytes;
    uint64_t layers;         /* described so far; those of a model at each of its calls */
    uint64_t calls;          /* of layers so far */
    uint64_t computed_bytes; /* of weights that stay in memory so far */
} keras_limits;

#endif
