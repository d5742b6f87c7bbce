/* Pictures from files and from memory, within limits: how much memory one takes, and when it may. */
#include "image/head.h"

#include "base/file.h"
#include "base/free_memory.h"
#include "base/memory.h"
#include "base/samples.h"
#include "base/struct.h"
#include "image/preprocess.h"

#include <errno.h>
#include <string.h>

static const uint64_t default_max_pixels = (uint64_t)1 << 30;

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t largest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t sal_picture_bytes(const sal_picture *p)
{
    const uint64_t pixels = times((uint64_t)p->height, (uint64_t)p->width);
    return times(pixels, times((uint64_t)p->channels, sal_sample_size(p->type)));
}

/* The most at any time: file and samples while it is decoded, samples and what is shown of them, that and what is drawn
 * over it. */
static uint64_t most_memory(const sal_picture *p, const sal_preprocess *how, uint64_t file, uint64_t beside)
{
    const uint64_t samples = sal_picture_bytes(p), shown = times(times((uint64_t)p->height, (uint64_t)p->width), 3);
    const int is_shown = p->type == SAL_SAMPLE_U8 && p->channels == 3 && !sal_says_depth(how);
    const uint64_t later = is_shown ? samples : plus(samples, shown);
    return largest(plus(plus(file, samples), beside), largest(later, times(shown, 2)));
}

static sal_status take(const sal_image_source *source, uint64_t bytes)
{
    return source->gate ? source->gate->pass(source->gate->context, bytes) : SAL_OK;
}

static unsigned long long mebibytes(uint64_t bytes)
{
    return (unsigned long long)(bytes >> 20) + (bytes % ((uint64_t)1 << 20) != 0);
}

sal_status sal_picture_begin(sal_picture *out, const sal_image_source *source, uint64_t beside)
{
    sal_status st = SAL_OK;
    const uint64_t most = most_memory(out, source->how, source->size, beside);
    if (source->max_memory && most > source->max_memory)
        return sal_fail(SAL_ERROR_LIMIT,
                        "%s: %lld x %lld pixels of %lld channels take %llu MiB of memory, the limit is %llu MiB: "
                        "--max-memory sets it",
                        source->path, (long long)out->width, (long long)out->height, (long long)out->channels,
                        mebibytes(most), (unsigned long long)(source->max_memory >> 20));
    TRY(take(source, most));
    const sal_picture declared = *out;
    TRY(sal_picture_new(out, out->height, out->width, out->channels, out->type));
    out->meaning = declared.meaning;
    out->orientation = declared.orientation;
done:
    return st;
}

/* More than any picture within the limit needs: four doubles a pixel take 32 bytes; the rest is metadata. */
static uint64_t max_file_bytes(uint64_t max_pixels)
{
    return plus(times(max_pixels, 64), (uint64_t)1 << 26);
}

/* Small files are read and said to be wrong by who decodes them, who says it best. */
static sal_status judge(void *context, const unsigned char *head, size_t head_size, uint64_t file_size)
{
    sal_status st = SAL_OK;
    sal_image_source source = *(const sal_image_source *)context;
    source.bytes = head;
    source.size = head_size;
    if (file_size > head_size)
        TRY(sal_picture_judge(&source, file_size));
    if (source.max_memory && file_size > source.max_memory) {
        st = sal_fail(SAL_ERROR_LIMIT,
                      "%s: has %llu bytes, more than the %llu bytes of memory for a picture: --max-memory sets it",
                      source.path, (unsigned long long)file_size, (unsigned long long)source.max_memory);
        goto done;
    }
    TRY(take(&source, file_size));
done:
    return st;
}

/* In steps of a seventh to a quarter, lest each run has another limit than the one before. */
uint64_t sal_picture_default_memory(void)
{
    static const uint64_t least = (uint64_t)64 << 20;
    const uint64_t half = largest(sal_free_memory("") / 2, least);
    uint64_t step = 1;
    while (half / step >= 8)
        step *= 2;
    return half / step * step;
}

/* What is to be decoded, without its bytes. */
static sal_image_source source_of(const char *path, const sal_preprocess *how, int64_t channels,
                                  const sal_limits *limits, const sal_image_gate *gate)
{
    static const sal_limits defaults = {0};
    const sal_limits *l = limits ? limits : &defaults;
    return (sal_image_source){.path = path,
                              .max_pixels = l->max_pixels ? l->max_pixels : default_max_pixels,
                              .max_memory = l->max_memory ? l->max_memory : sal_picture_default_memory(),
                              .pixels_given = l->max_pixels != 0,
                              .gate = gate,
                              .how = how,
                              .channels = channels};
}

static sal_status decode(sal_picture *out, sal_image_source *source, const unsigned char *bytes, size_t size)
{
    source->bytes = bytes;
    source->size = size;
    errno = 0;
    return sal_fail_memory_if(sal_source_decode(out, source), source->path);
}

sal_status sal_picture_read_through(sal_picture *out, size_t *size, const char *path, const sal_preprocess *how,
                                    int64_t channels, const sal_limits *limits, const sal_image_gate *gate)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    sal_image_source source = source_of(path, how, channels, limits, gate);
    const sal_file_judge first = {judge, &source};
    memset(out, 0, sizeof *out);
    *size = 0;
    TRY(sal_file_read_judged(&bytes, size, path, max_file_bytes(source.max_pixels), &first));
    TRY(decode(out, &source, bytes, *size));
done:
    sal_free(bytes);
    return st;
}

static sal_status check_how(const sal_preprocess *how, int64_t channels)
{
    if (channels < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "a network of %lld channels: give 0 for any", (long long)channels);
    return how ? sal_preprocess_check_samples(how) : SAL_OK;
}

/* caller: the public function, for messages. */
static sal_status decode_bytes(sal_picture *out, const void *bytes, size_t size, const sal_preprocess *how,
                               int64_t channels, const sal_limits *limits, const char *caller)
{
    sal_status st = SAL_OK;
    sal_limits full = SAL_LIMITS_INIT;
    TRY(sal_require(out, "out", caller));
    memset(out, 0, sizeof *out);
    TRY(sal_require(bytes, "bytes", caller));
    TRY(check_how(how, channels));
    TRY(sal_struct_read(&full, sizeof full, limits, "sal_limits"));
    sal_image_source source = source_of("picture in memory", how, channels, &full, NULL);
    TRY(sal_file_check_size(size, max_file_bytes(source.max_pixels), source.path));
    TRY(judge(&source, bytes, size < SAL_FILE_HEAD ? size : SAL_FILE_HEAD, size));
    TRY(decode(out, &source, bytes, size));
done:
    return st;
}

static sal_status read_file(sal_picture *out, const char *path, const sal_preprocess *how, int64_t channels,
                            const sal_limits *limits, const char *caller)
{
    sal_status st = SAL_OK;
    sal_limits full = SAL_LIMITS_INIT;
    size_t size;
    TRY(sal_require(out, "out", caller));
    memset(out, 0, sizeof *out);
    TRY(sal_require(path, "path", caller));
    TRY(check_how(how, channels));
    TRY(sal_struct_read(&full, sizeof full, limits, "sal_limits"));
    st = sal_picture_read_through(out, &size, path, how, channels, &full, NULL);
done:
    return st;
}

sal_status sal_picture_decode(sal_picture *out, const void *bytes, size_t size, const sal_limits *limits)
{
    return decode_bytes(out, bytes, size, NULL, 0, limits, __func__);
}

sal_status sal_picture_decode_for(sal_picture *out, const void *bytes, size_t size, const sal_preprocess *preprocess,
                                  int64_t channels, const sal_limits *limits)
{
    return decode_bytes(out, bytes, size, preprocess, channels, limits, __func__);
}

sal_status sal_picture_read(sal_picture *out, const char *path, const sal_limits *limits)
{
    return read_file(out, path, NULL, 0, limits, __func__);
}

sal_status sal_picture_read_for(sal_picture *out, const char *path, const sal_preprocess *preprocess, int64_t channels,
                                const sal_limits *limits)
{
    return read_file(out, path, preprocess, channels, limits, __func__);
}
