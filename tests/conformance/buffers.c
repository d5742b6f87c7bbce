/* Device memory between guard bands, reached by upload and download alone: a vector
 * (1, n) is row-major on every device, so its bytes travel unchanged. */
#include "conformance/suite.h"

#include "base/memory.h"

#include <string.h>

enum { GUARD_BYTES = 512, GUARD_WORD = 0x5ca1ab1e };

static sal_status transfer(const suite *s, unsigned char *memory, uint32_t *words, size_t count, int write)
{
    sal_value v = {.type = SAL_VALUE_FLOATS, .shape = {.rank = 2, .dim = {1, (int64_t)count}}};
    if (count == 0)
        return SAL_OK;
    s->backend->place(s->device, &v);
    if (v.layout != SAL_LAYOUT_PLAIN)
        return sal_fail(SAL_ERROR_DEVICE, "vectors are not row-major on this device");
    float *floats = (float *)(void *)words;
    return write ? s->backend->upload(s->device, memory, &v, floats, 1, 1)
                 : s->backend->download(s->device, floats, memory, &v, 1);
}

static sal_status write_guard(const suite *s, unsigned char *memory)
{
    uint32_t words[GUARD_BYTES / 4];
    for (size_t i = 0; i < GUARD_BYTES / 4; i++)
        words[i] = GUARD_WORD;
    return transfer(s, memory, words, GUARD_BYTES / 4, 1);
}

sal_status buffer_open(buffer *b, const suite *s, size_t bytes)
{
    sal_status st = SAL_OK;
    void *memory = NULL;
    b->bytes = (bytes + 3) / 4 * 4;
    TRY(s->backend->allocate(&memory, s->device, b->bytes + 2 * GUARD_BYTES));
    b->memory = memory;
    TRY(write_guard(s, b->memory));
    TRY(write_guard(s, b->memory + GUARD_BYTES + b->bytes));
done:
    return st;
}

void buffer_close(buffer *b, const suite *s)
{
    if (b->memory)
        s->backend->release(s->device, b->memory);
    b->memory = NULL;
}

void *buffer_data(const buffer *b)
{
    return b->memory + GUARD_BYTES;
}

sal_status buffer_read(const buffer *b, const suite *s, uint32_t *words)
{
    return transfer(s, b->memory + GUARD_BYTES, words, b->bytes / 4, 0);
}

sal_status buffer_write(const buffer *b, const suite *s, const uint32_t *words)
{
    return transfer(s, b->memory + GUARD_BYTES, (uint32_t *)(uintptr_t)words, b->bytes / 4, 1);
}

sal_status buffer_fill(const buffer *b, const suite *s, uint32_t pattern)
{
    sal_status st = SAL_OK;
    uint32_t *words = NULL;
    TRY(sal_alloc(&words, b->bytes / 4, sizeof *words, "a pattern"));
    for (size_t i = 0; i < b->bytes / 4; i++)
        words[i] = pattern;
    TRY(buffer_write(b, s, words));
done:
    sal_free(words);
    return st;
}

sal_status buffer_check(int *intact, const buffer *b, const suite *s)
{
    sal_status st = SAL_OK;
    uint32_t words[2][GUARD_BYTES / 4] = {{0}};
    *intact = 1;
    TRY(transfer(s, b->memory, words[0], GUARD_BYTES / 4, 0));
    TRY(transfer(s, b->memory + GUARD_BYTES + b->bytes, words[1], GUARD_BYTES / 4, 0));
    for (size_t i = 0; i < GUARD_BYTES / 4; i++)
        *intact &= words[0][i] == GUARD_WORD && words[1][i] == GUARD_WORD;
done:
    return st;
}

int64_t suite_block(const suite *s)
{
    /* One channel of a blocked map takes the room of a whole block. */
    sal_value v = {.type = SAL_VALUE_FLOATS, .shape = {.rank = 4, .dim = {1, 1, 16, 16}}};
    s->backend->place(s->device, &v);
    return v.layout == SAL_LAYOUT_BLOCKED ? (int64_t)(v.bytes / (256 * sizeof(float))) : 1;
}
