/* Upload and download: the two that every other comparison stands on. */
#include "conformance/cases.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 3 };

/* Uploads `pictures` of a batch over NaN and reads all of it back: they are there, the rest is zeros. */
static sal_status round_trip(int *good, const suite *s, sal_value *v, int64_t pictures, dice *d)
{
    sal_status st = SAL_OK;
    buffer b = {0};
    float *host = NULL, *back = NULL;
    size_t one = (size_t)sal_shape_elements(&v->shape);
    int intact = 0;
    TRY(sal_alloc(&host, one * BATCH, sizeof *host, "pictures"));
    TRY(sal_alloc(&back, one * BATCH, sizeof *back, "pictures"));
    for (size_t i = 0; i < one * (size_t)pictures; i++)
        host[i] = (float)round_coarsely(dice_between(d, -1.0, 1.0));
    s->backend->place(s->device, v);
    TRY(buffer_open(&b, s, v->bytes * BATCH));
    TRY(buffer_fill(&b, s, 0x7fc0dead));
    TRY(s->backend->upload(s->device, buffer_data(&b), v, host, pictures, BATCH));
    TRY(s->backend->download(s->device, back, buffer_data(&b), v, BATCH));
    TRY(buffer_check(&intact, &b, s));
    *good = intact && memcmp(host, back, one * BATCH * sizeof *host) == 0;
done:
    buffer_close(&b, s);
    sal_free(host);
    sal_free(back);
    return st;
}

/* Pictures that were fetched ahead are those that come; once they are said to be gone, others may lie in their place.
 */
static sal_status fetch_ahead(int *good, const suite *s, dice *d)
{
    sal_status st = SAL_OK;
    buffer b = {0};
    float *host = NULL, *back = NULL;
    sal_value v = {.picture = 1, .shape = map_shape(3, 5, 7)};
    const size_t count = (size_t)sal_shape_elements(&v.shape) * BATCH, bytes = count * sizeof *host;
    TRY(sal_alloc(&host, count, sizeof *host, "pictures"));
    TRY(sal_alloc(&back, count, sizeof *back, "pictures"));
    s->backend->place(s->device, &v);
    TRY(buffer_open(&b, s, v.bytes * BATCH));
    *good = 1;
    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < count; i++)
            host[i] = (float)round_coarsely(dice_between(d, -1.0, 1.0));
        TRY(s->backend->prefetch(s->device, &v, host, BATCH));
        if (round % 3 == 2) { /* never asked for */
            TRY(s->backend->prefetch(s->device, &v, NULL, 0));
            for (size_t i = 0; i < count; i++)
                host[i] = -host[i];
        }
        if (round % 3 == 1) /* something else comes between */
            TRY(s->backend->upload(s->device, buffer_data(&b), &v, back, BATCH, BATCH));
        TRY(s->backend->upload(s->device, buffer_data(&b), &v, host, BATCH, BATCH));
        TRY(s->backend->download(s->device, back, buffer_data(&b), &v, BATCH));
        *good &= memcmp(host, back, bytes) == 0;
    }
done:
    buffer_close(&b, s);
    sal_free(host);
    sal_free(back);
    return st;
}

void suite_transfers(suite *s)
{
    dice d = {s->seed};
    const char *const ahead = "upload fetched ahead";
    if (s->backend->prefetch && (!s->filter || strstr(ahead, s->filter))) {
        int good = 0;
        const sal_status st = fetch_ahead(&good, s, &d);
        suite_count(s, ahead, st != SAL_OK || !good);
    }
    for (size_t k = 0; k < COUNT_OF(odd_channels); k++)
        for (int picture = 0; picture < 3; picture++)
            for (int64_t pictures = 1; pictures <= BATCH; pictures++) {
                sal_value v = {.picture = picture == 1, .conv_picture = picture == 1};
                int64_t side = 1 + (int64_t)k;
                v.shape = picture == 2 ? vector_shape(odd_channels[k]) : map_shape(odd_channels[k], side, 13 - side);
                char text[100];
                snprintf(text, sizeof text, "upload c%lldh%lldw%lld %s, %lld of %d", (long long)odd_channels[k],
                         (long long)side, (long long)(13 - side),
                         picture == 0   ? "map"
                         : picture == 1 ? "picture"
                                        : "vector",
                         (long long)pictures, BATCH);
                if (s->filter && !strstr(text, s->filter))
                    continue;
                int good = 0;
                sal_status st = round_trip(&good, s, &v, pictures, &d);
                suite_count(s, text, st != SAL_OK || !good);
            }
}
