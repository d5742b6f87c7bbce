#include "sweep/suspect_reader/read_suspect.h"

#include "base/confine.h"
#include "base/memory.h"
#include "image/image.h"

static sal_status input_size(size_t *bytes, const sal_suspect_task *t)
{
    return sal_size_mul(bytes, (size_t)(t->height * t->width), (size_t)t->channels * sizeof(float), "an input");
}

static sal_status read_picture(const sal_suspect_task *t, const char *path, size_t input_bytes)
{
    sal_status st = SAL_OK;
    sal_picture picture = {0}, shown = {0};
    sal_placement placement;
    float *input = NULL;
    unsigned char *drawn = NULL;
    TRY(sal_alloc(&input, input_bytes, 1, "an input"));
    TRY(sal_picture_read_for(&picture, path, &t->preprocess, t->channels, &t->limits));
    TRY(sal_preprocess_apply(input, &placement, &picture, &t->preprocess, t->channels, t->height, t->width));
    TRY(sal_picture_to_rgb8(&shown, &picture, &t->preprocess));
    sal_picture_clear(&picture);
    TRY(sal_alloc(&drawn, (size_t)sal_picture_bytes(&shown), 1, "an overlay"));
done:
    sal_picture_clear(&picture);
    sal_picture_clear(&shown);
    sal_free(input);
    sal_free(drawn);
    return st;
}

/* The memory that the picture may take, beside what this process has and the network's input. 0: there is no limit. */
static int confine(uint64_t most, uint64_t input_bytes)
{
    static const uint64_t small = (uint64_t)64 << 20;
    const uint64_t own = sal_own_memory(), beside = own + small + input_bytes;
    if (own == 0 || most >= UINT64_MAX - beside)
        return 0;
    sal_confine_memory(beside + most);
    return 1;
}

int sal_suspect_read(int socket, const char *path)
{
    const sal_helper_greeting greeting = sal_helper_greet(&sal_suspect_helper);
    sal_suspect_task task;
    size_t input_bytes;
    if (!sal_helper_send(socket, &greeting, sizeof greeting) || !sal_helper_receive(socket, &task, sizeof task))
        return SAL_SUSPECT_FINE; /* the sweep has gone: nobody asks */
    if (input_size(&input_bytes, &task) != SAL_OK)
        return SAL_SUSPECT_NO_MEMORY;
    const int is_confined = confine(task.limits.max_memory, input_bytes);
    if (read_picture(&task, path, input_bytes) != SAL_ERROR_MEMORY)
        return SAL_SUSPECT_FINE;
    return is_confined ? SAL_SUSPECT_OVER_LIMIT : SAL_SUSPECT_NO_MEMORY;
}
