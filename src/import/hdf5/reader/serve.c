#include "import/hdf5/reader/serve.h"

#include "base/confine.h"
#include "base/memory.h"
#include "import/hdf5/reader/hdf5_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int reply(int to, const hdf5_answer *a, const void *bytes)
{
    return sal_helper_send(to, a, sizeof *a) && (a->size == 0 || sal_helper_send(to, bytes, a->size));
}

static int reply_error(int to, sal_status st, const char *path)
{
    st = sal_fail_memory_if(st, path);
    const hdf5_answer a = {.status = st, .size = strlen(sal_last_error()) + 1};
    return reply(to, &a, sal_last_error());
}

/* What is not there may only be what there was no memory to look for. */
static sal_status check_absence(int absent)
{
    return absent && errno == ENOMEM ? sal_fail_memory(0, "reading HDF5") : SAL_OK;
}

static int answer_has(int to, hdf5_reader *reader, const hdf5_request *r, const char *path)
{
    const hdf5_answer a = {.status = SAL_OK, .index = (uint64_t)hdf5_reader_has(reader, r->names[0])};
    const sal_status st = check_absence(a.index == 0);
    return st == SAL_OK ? reply(to, &a, NULL) : reply_error(to, st, path);
}

static int answer_text(int to, hdf5_reader *reader, const hdf5_request *r, const char *path)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    TRY(hdf5_reader_text(&text, reader, r->names[0], r->names[1]));
    TRY(check_absence(!text));
done:;
    const hdf5_answer a = {.status = SAL_OK, .size = text ? strlen(text) + 1 : 0};
    const int sent = st == SAL_OK ? reply(to, &a, text) : reply_error(to, st, path);
    free(text);
    return sent;
}

static int answer_texts(int to, hdf5_reader *reader, const hdf5_request *r, const char *path)
{
    sal_status st = SAL_OK;
    json_t *list = NULL;
    char *text = NULL;
    TRY(hdf5_reader_texts(&list, reader, r->names[0], r->names[1]));
    text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    TRY(check_absence(!text));
done:;
    const hdf5_answer a = {.status = SAL_OK, .size = text ? strlen(text) + 1 : 0};
    const int sent = st == SAL_OK ? reply(to, &a, text) : reply_error(to, st, path);
    free(text);
    json_decref(list);
    return sent;
}

static int answer_read(int to, hdf5_reader *reader, const hdf5_request *r, const char *path)
{
    float *values = NULL;
    sal_status st = sal_alloc(&values, r->count, sizeof *values, "weights");
    if (st == SAL_OK)
        st = hdf5_reader_read(values, r->count, reader, r->index);
    const hdf5_answer a = {.status = SAL_OK, .size = r->count * sizeof *values};
    const int sent = st == SAL_OK ? reply(to, &a, values) : reply_error(to, st, path);
    sal_free(values);
    return sent;
}

static int answer_one(int to, hdf5_reader *reader, const hdf5_request *r, const char *path)
{
    hdf5_answer a = {.status = SAL_OK};
    sal_status st;
    errno = 0;
    switch (r->question) {
    case HDF5_HAS: return answer_has(to, reader, r, path);
    case HDF5_TEXT: return answer_text(to, reader, r, path);
    case HDF5_TEXTS: return answer_texts(to, reader, r, path);
    case HDF5_FIND:
        st = hdf5_reader_find(&a.index, &a.shape, reader, r->names[0]);
        return st == SAL_OK ? reply(to, &a, NULL) : reply_error(to, st, path);
    case HDF5_READ: return answer_read(to, reader, r, path);
    }
    return 0;
}

/* The library takes a damaged file at its word. Bytes of addresses for its tables, texts and an archive's member; what
 * an answer is known to need comes on top: values as they are asked for, as they are stored, and a chunk of them. */
static uint64_t most_memory(uint64_t size, const hdf5_request *r)
{
    static const uint64_t least = (uint64_t)256 << 20;
    const uint64_t values = r && r->question == HDF5_READ && r->count < SIZE_MAX / 32 ? (uint64_t)r->count * 24 : 0;
    return least + (size < UINT64_MAX / 8 ? 4 * size : size) + values;
}

void hdf5_serve(int socket, const hdf5_task *task)
{
    hdf5_reader *reader = NULL;
    static hdf5_request r; /* too large for some stacks */
    const hdf5_answer opened = {.status = SAL_OK};
    const sal_helper_greeting greeting = sal_helper_greet(&hdf5_helper);
    if (!sal_helper_send(socket, &greeting, sizeof greeting))
        return;
    const uint64_t own = sal_own_memory();
    sal_confine_memory_above(own, most_memory(task->size, NULL));
    (void)sal_confine_to_file(task->path);
    errno = 0;
    sal_status st = hdf5_reader_open(&reader, task->path, task->member);
    const int missing = errno; /* memory, perhaps */
    (void)sal_confine_to_open();
    errno = missing;
    int going = st == SAL_OK ? reply(socket, &opened, NULL) : (reply_error(socket, st, task->path), 0);
    while (going && sal_helper_receive(socket, &r, sizeof r)) {
        sal_confine_memory_above(own, most_memory(task->size, &r));
        going = answer_one(socket, reader, &r, task->path);
    }
    hdf5_reader_close(reader);
}
