/* Memory of an import. */
#include "import/keras/arena.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sal_status keras_alloc(void *out, keras_arena *arena, size_t count, size_t size)
{
    sal_status st = SAL_OK;
    void *block = NULL;
    TRY(sal_alloc(&block, count, size, "the network"));
    TRY(sal_grow(&arena->blocks, &arena->capacity, arena->count + 1, sizeof *arena->blocks, "the network"));
    arena->blocks[arena->count++] = block;
    memcpy(out, &block, sizeof block);
    block = NULL;
done:
    sal_free(block);
    return st;
}

sal_status keras_format(char **out, keras_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    sal_status st = keras_alloc(out, arena, (size_t)length + 1, 1);
    if (st != SAL_OK)
        return st;
    va_start(args, format);
    vsnprintf(*out, (size_t)length + 1, format, args);
    va_end(args);
    return SAL_OK;
}

void keras_arena_free(keras_arena *arena)
{
    for (size_t i = 0; i < arena->count; i++)
        sal_free(arena->blocks[i]);
    free(arena->blocks);
    *arena = (keras_arena){0};
}
