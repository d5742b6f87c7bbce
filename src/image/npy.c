/* NumPy's .npy: a magic, a Python dict as text, then the values (NEP 1). */
#include "image/head.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/encode.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_RANK = 3, MAX_DESCR = 16 };

typedef struct npy_header {
    char descr[MAX_DESCR];
    int fortran_order;
    int rank;
    int64_t shape[MAX_RANK];
    size_t data_offset;
} npy_header;

/* ---- The dict ----------------------------------------------------------- */

/* A cursor over the header's text. */
typedef struct npy_text {
    const char *at;
    const char *end;
    const char *path;
} npy_text;

static sal_status bad_header(const npy_text *t)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: .npy: the header is corrupt", t->path);
}

static void skip_space(npy_text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n'))
        t->at++;
}

static int take(npy_text *t, const char *word)
{
    size_t length = strlen(word);
    skip_space(t);
    if ((size_t)(t->end - t->at) < length || memcmp(t->at, word, length) != 0)
        return 0;
    t->at += length;
    return 1;
}

/* A quoted string, of at most size - 1 characters. */
static sal_status read_string(char *out, size_t size, npy_text *t)
{
    skip_space(t);
    if (t->at >= t->end || (*t->at != '\'' && *t->at != '"'))
        return bad_header(t);
    char quote = *t->at++;
    size_t length = 0;
    while (t->at < t->end && *t->at != quote) {
        if (length + 1 >= size)
            return bad_header(t);
        out[length++] = *t->at++;
    }
    if (t->at >= t->end)
        return bad_header(t);
    t->at++;
    out[length] = '\0';
    return SAL_OK;
}

static sal_status read_size(int64_t *out, npy_text *t)
{
    int digits = 0;
    *out = 0;
    skip_space(t);
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++, digits++)
        if (__builtin_mul_overflow(*out, (int64_t)10, out) ||
            __builtin_add_overflow(*out, (int64_t)(*t->at - '0'), out))
            return sal_fail(SAL_ERROR_LIMIT, "%s: .npy: a size in the header is too large", t->path);
    return digits ? SAL_OK : bad_header(t);
}

static sal_status read_shape(npy_header *h, npy_text *t)
{
    sal_status st = SAL_OK;
    if (!take(t, "("))
        return bad_header(t);
    while (!take(t, ")")) {
        if (h->rank == MAX_RANK)
            return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: .npy: more than 3 axes; a picture is (H,W), (H,W,C) or (C,H,W)",
                            t->path);
        TRY(read_size(&h->shape[h->rank], t));
        h->rank++;
        if (take(t, ")"))
            break;
        if (!take(t, ","))
            return bad_header(t);
    }
done:
    return st;
}

static sal_status read_descr(npy_header *h, npy_text *t)
{
    skip_space(t);
    if (t->at < t->end && *t->at == '[')
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: .npy: structured values; a picture has plain numbers", t->path);
    return read_string(h->descr, sizeof h->descr, t);
}

static sal_status read_dict(npy_header *h, npy_text *t)
{
    sal_status st = SAL_OK;
    unsigned seen = 0;
    if (!take(t, "{"))
        return bad_header(t);
    while (!take(t, "}")) {
        char key[16];
        TRY(read_string(key, sizeof key, t));
        if (!take(t, ":"))
            return bad_header(t);
        if (strcmp(key, "descr") == 0 && !(seen & 1)) {
            seen |= 1;
            TRY(read_descr(h, t));
        } else if (strcmp(key, "fortran_order") == 0 && !(seen & 2)) {
            seen |= 2;
            h->fortran_order = take(t, "True");
            if (!h->fortran_order && !take(t, "False"))
                return bad_header(t);
        } else if (strcmp(key, "shape") == 0 && !(seen & 4)) {
            seen |= 4;
            TRY(read_shape(h, t));
        } else {
            return bad_header(t);
        }
        if (!take(t, ",") && !(t->at < t->end && *t->at == '}'))
            return bad_header(t);
    }
    if (seen != 7)
        return bad_header(t);
done:
    return st;
}

static sal_status read_header(npy_header *h, const sal_image_source *source)
{
    const unsigned char *b = source->bytes;
    size_t start = 12;
    if (source->size < start)
        return sal_fail(SAL_ERROR_FORMAT, "%s: .npy: the file is truncated", source->path);
    if (b[6] < 1 || b[6] > 3)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: .npy: version %d, known are 1 to 3", source->path, b[6]);
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] == 1)
        start = 10;
    else
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > source->size - start)
        return sal_fail(SAL_ERROR_FORMAT, "%s: .npy: the file is truncated", source->path);
    h->data_offset = start + length;
    npy_text text = {.at = (const char *)b + start, .end = (const char *)b + h->data_offset, .path = source->path};
    return read_dict(h, &text);
}

/* ---- The values --------------------------------------------------------- */

/* Composed from bytes: right on any host, and one load where it is little-endian. */
static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float get_f32(const unsigned char *p)
{
    uint32_t bits = get32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float get_f64(const unsigned char *p)
{
    uint64_t bits = get32(p) | (uint64_t)get32(p + 4) << 32;
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

typedef struct npy_type {
    const char *descr;
    size_t size;
    sal_sample_type type;
} npy_type;

static const npy_type types[] = {
    {"|u1", 1, SAL_SAMPLE_U8},
    {"<u2", 2, SAL_SAMPLE_U16},
    {"<f4", 4, SAL_SAMPLE_F32},
    {"<f8", 8, SAL_SAMPLE_F32},
};

static sal_status find_type(const npy_type **out, const npy_header *h, const sal_image_source *source)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        /* One byte has no order, whatever the file says of it. */
        if (strcmp(h->descr + (i == 0), types[i].descr + (i == 0)) == 0) {
            *out = &types[i];
            return SAL_OK;
        }
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: .npy: values of type \"%s\"; known are |u1, <u2, <f4 and <f8",
                    source->path, h->descr);
}

/* Which axis of the array is the picture's: its size and the distance of its elements. */
typedef struct npy_axes {
    int64_t size[3]; /* height, width, channels */
    size_t step[3];
} npy_axes;

static npy_axes find_axes(const npy_header *h)
{
    size_t step[MAX_RANK] = {1, 1, 1};
    if (h->fortran_order)
        for (int i = 1; i < h->rank; i++)
            step[i] = step[i - 1] * (size_t)h->shape[i - 1];
    else
        for (int i = h->rank - 2; i >= 0; i--)
            step[i] = step[i + 1] * (size_t)h->shape[i + 1];
    const int64_t *s = h->shape;
    if (h->rank == 2)
        return (npy_axes){{s[0], s[1], 1}, {step[0], step[1], 1}};
    if (s[0] < s[1] && s[0] < s[2])
        return (npy_axes){{s[1], s[2], s[0]}, {step[1], step[2], step[0]}};
    return (npy_axes){{s[0], s[1], s[2]}, {step[0], step[1], step[2]}};
}

static void read_row(sal_picture *out, int64_t y, const unsigned char *from, const npy_axes *a, const npy_type *type)
{
    size_t width = (size_t)out->width;
    size_t channels = (size_t)out->channels;
    size_t to = (size_t)y * width * channels;
    for (size_t x = 0; x < width; x++)
        for (size_t c = 0; c < channels; c++, to++) {
            const unsigned char *p = from + (x * a->step[1] + c * a->step[2]) * type->size;
            if (type->type == SAL_SAMPLE_U8)
                ((unsigned char *)out->samples)[to] = *p;
            else if (type->type == SAL_SAMPLE_U16)
                ((uint16_t *)out->samples)[to] = (uint16_t)(p[0] | p[1] << 8);
            else
                ((float *)out->samples)[to] = type->size == 4 ? get_f32(p) : get_f64(p);
        }
}

/* The header, and how many bytes of values it declares: the product is checked before any step is computed from it. */
static sal_status read_declaration(npy_header *h, const npy_type **type, size_t *bytes, const sal_image_source *source)
{
    sal_status st = SAL_OK;
    TRY(read_header(h, source));
    TRY(find_type(type, h, source));
    if (h->rank < 2)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: .npy: %d axes; a picture is (H,W), (H,W,C) or (C,H,W)",
                        source->path, h->rank);
    *bytes = (*type)->size;
    for (int i = 0; i < h->rank; i++)
        TRY(sal_size_mul(bytes, *bytes, (size_t)h->shape[i], source->path));
done:
    return st;
}

sal_status sal_npy_measure(uint64_t *bytes, const sal_image_source *source)
{
    npy_header h = {.rank = 0};
    const npy_type *type = NULL;
    size_t values = 0;
    const sal_status st = read_declaration(&h, &type, &values, source);
    *bytes = values < SIZE_MAX - h.data_offset ? values + h.data_offset : SIZE_MAX;
    return st;
}

sal_status sal_npy_decode(sal_picture *out, const sal_image_source *source)
{
    sal_status st = SAL_OK;
    npy_header h = {.rank = 0};
    const npy_type *type = NULL;
    size_t bytes;
    TRY(read_declaration(&h, &type, &bytes, source));
    if (bytes > source->size - h.data_offset)
        return sal_fail(SAL_ERROR_FORMAT, "%s: .npy: truncated: %zu bytes of values where %zu are declared",
                        source->path, source->size - h.data_offset, bytes);
    npy_axes axes = find_axes(&h);
    TRY(sal_picture_check_size(axes.size[0], axes.size[1], axes.size[2], source));
    *out = (sal_picture){.height = axes.size[0], .width = axes.size[1], .channels = axes.size[2], .type = type->type};
    TRY(sal_picture_begin(out, source, 0));
    for (int64_t y = 0; y < out->height; y++)
        read_row(out, y, source->bytes + h.data_offset + (size_t)y * axes.step[0] * type->size, &axes, type);
done:
    return st;
}

/* ---- Writing ------------------------------------------------------------ */

/* Before the dict: magic, version 1.0 and the length of what follows. */
enum { HEAD_PREFIX = 10, HEAD_ALIGN = 64, MAX_WRITTEN_RANK = 5 };

static sal_status make_head(sal_npy_head *out, const int64_t *shape, int rank, const char *path)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const char *descr = "<f4";
#else
    const char *descr = ">f4";
#endif
    char dims[128] = "";
    size_t used = 0;
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(dims + used, sizeof dims - used, i ? " %" PRId64 "," : "%" PRId64 ",", shape[i]);
    if (rank > 1)
        dims[used - 1] = '\0'; /* only a tuple of one keeps its comma */
    int text = snprintf(out->bytes + HEAD_PREFIX, sizeof out->bytes - HEAD_PREFIX,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
    size_t length = (HEAD_PREFIX + (size_t)text + 1 + HEAD_ALIGN - 1) / HEAD_ALIGN * HEAD_ALIGN;
    if (text < 0 || length > sizeof out->bytes)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: .npy: the shape is too long", path);
    memcpy(out->bytes, "\x93NUMPY\x01\x00", 8);
    out->bytes[8] = (char)((length - HEAD_PREFIX) & 0xff);
    out->bytes[9] = (char)((length - HEAD_PREFIX) >> 8);
    memset(out->bytes + HEAD_PREFIX + text, ' ', length - HEAD_PREFIX - (size_t)text);
    out->bytes[length - 1] = '\n';
    out->size = length;
    return SAL_OK;
}

sal_status sal_npy_head_make(sal_npy_head *out, const int64_t *shape, int rank, const char *path)
{
    sal_status st = SAL_OK;
    size_t bytes = sizeof(float);
    if (rank < 0 || rank > MAX_WRITTEN_RANK)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: .npy: %d axes, at most %d are written", path, rank, MAX_WRITTEN_RANK);
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return sal_fail(SAL_ERROR_ARGUMENT, "%s: .npy: axis %d has a negative size", path, i);
        TRY(sal_size_mul(&bytes, bytes, (size_t)shape[i], path));
    }
    out->count = bytes / sizeof(float);
    st = make_head(out, shape, rank, path);
done:
    return st;
}

sal_status sal_npy_put(FILE *to, const sal_npy_head *head, const float *data, const char *path)
{
    sal_status st = SAL_OK;
    TRY(sal_file_write(to, head->bytes, head->size, path));
    TRY(sal_file_write(to, data, head->count * sizeof *data, path));
done:
    return st;
}

sal_status sal_npy_write(const char *path, const float *data, const int64_t *shape, int rank)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    sal_npy_head head;
    TRY(sal_npy_head_make(&head, shape, rank, path));
    TRY(sal_file_create(&file, path));
    TRY(sal_npy_put(file.stream, &head, data, path));
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    return st;
}
