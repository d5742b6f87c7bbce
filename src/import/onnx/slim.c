/* The model file without its large tensors, so that weights are read straight to where they stay.
 *
 * protobuf-c unpacks from memory into copies: a model of half a gigabyte would take two before
 * anything is done with it. Here the file is walked field by field, and the bytes of large
 * tensors are left out; two fields of our own say where in the file they lie. */
#include "base/memory.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WINDOW = 1 << 16,
    SMALL_TENSOR = 4096, /* bytes that stay in the message */
    MODEL_GRAPH = 7,
    GRAPH_INITIALIZER = 5,
    TENSOR_RAW_DATA = 9
};

typedef enum level { LEVEL_MODEL, LEVEL_GRAPH, LEVEL_TENSOR } level;

typedef struct reader {
    int fd;
    uint64_t at; /* in the file */
    uint64_t window_at;
    size_t window_size;
    unsigned char window[WINDOW];
} reader;

typedef struct buffer {
    unsigned char *bytes;
    size_t size;
    size_t capacity;
} buffer;

static sal_status read_at(int fd, void *out, size_t size, uint64_t offset)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(fd, (char *)out + got, size - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sal_fail(SAL_ERROR_IO, "cannot read: %s", n < 0 ? strerror(errno) : "the file shrank");
        got += (size_t)n;
    }
    return SAL_OK;
}

static sal_status append(buffer *out, const void *bytes, size_t size)
{
    sal_status st = sal_grow(&out->bytes, &out->capacity, out->size + size, 1, "the model");
    if (st == SAL_OK && size > 0)
        memcpy(out->bytes + out->size, bytes, size);
    out->size += st == SAL_OK ? size : 0;
    return st;
}

static sal_status append_varint(buffer *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((value & 127) | (value > 127 ? 128 : 0));
        value >>= 7;
    } while (value);
    return append(out, bytes, n);
}

/* Bytes [at, at + size) of the file, size at most WINDOW. */
static sal_status peek(const unsigned char **out, reader *r, size_t size, uint64_t end)
{
    sal_status st = SAL_OK;
    if (size > end - r->at)
        return sal_fail(SAL_ERROR_FORMAT, "not an ONNX model, or truncated");
    if (r->at < r->window_at || r->at + size > r->window_at + r->window_size) {
        size_t n = end - r->at < WINDOW ? (size_t)(end - r->at) : WINDOW;
        TRY(read_at(r->fd, r->window, n, r->at));
        r->window_at = r->at;
        r->window_size = n;
    }
    *out = r->window + (r->at - r->window_at);
done:
    return st;
}

static sal_status read_varint(uint64_t *out, reader *r, uint64_t end)
{
    sal_status st = SAL_OK;
    const unsigned char *byte = NULL;
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        TRY(peek(&byte, r, 1, end));
        r->at++;
        *out |= (uint64_t)(*byte & 127) << shift;
        if (*byte < 128)
            return SAL_OK;
    }
    st = sal_fail(SAL_ERROR_FORMAT, "not an ONNX model: a number of more than ten bytes");
done:
    return st;
}

static sal_status copy(buffer *out, reader *r, uint64_t size, uint64_t end)
{
    sal_status st = SAL_OK;
    const unsigned char *bytes = NULL;
    while (size > 0) {
        size_t n = size < WINDOW ? (size_t)size : WINDOW;
        TRY(peek(&bytes, r, n, end));
        TRY(append(out, bytes, n));
        r->at += n;
        size -= n;
    }
done:
    return st;
}

/* A varint field of our own in a tensor. */
static sal_status append_own(buffer *out, unsigned field, uint64_t value)
{
    sal_status st = append_varint(out, (uint64_t)field << 3);
    return st == SAL_OK ? append_varint(out, value) : st;
}

static sal_status slim(buffer *out, reader *r, uint64_t end, level here);

static sal_status slim_bytes_field(buffer *out, reader *r, uint64_t tag, uint64_t end, level here)
{
    sal_status st = SAL_OK;
    buffer inner = {0};
    uint64_t size, field = tag >> 3;
    TRY(read_varint(&size, r, end));
    if (size > end - r->at) {
        st = sal_fail(SAL_ERROR_FORMAT, "not an ONNX model, or truncated");
        goto done;
    }
    if (here == LEVEL_TENSOR && field == TENSOR_RAW_DATA && size > SMALL_TENSOR) {
        TRY(append_own(out, ONNX_FIELD_FILE_OFFSET, r->at));
        TRY(append_own(out, ONNX_FIELD_FILE_LENGTH, size));
        r->at += size;
        goto done;
    }
    int descend = (here == LEVEL_MODEL && field == MODEL_GRAPH) || (here == LEVEL_GRAPH && field == GRAPH_INITIALIZER);
    TRY(append_varint(out, tag));
    if (!descend) {
        TRY(append_varint(out, size));
        TRY(copy(out, r, size, end));
        goto done;
    }
    TRY(slim(&inner, r, r->at + size, here == LEVEL_MODEL ? LEVEL_GRAPH : LEVEL_TENSOR));
    TRY(append_varint(out, inner.size));
    TRY(append(out, inner.bytes, inner.size));
done:
    free(inner.bytes);
    return st;
}

static sal_status slim(buffer *out, reader *r, uint64_t end, level here)
{
    sal_status st = SAL_OK;
    while (r->at < end) {
        uint64_t tag, value;
        TRY(read_varint(&tag, r, end));
        switch (tag & 7) {
        case 0:
            TRY(read_varint(&value, r, end));
            /* Initializers of the graph get these from us alone. */
            if (here == LEVEL_TENSOR && (tag >> 3 == ONNX_FIELD_FILE_OFFSET || tag >> 3 == ONNX_FIELD_FILE_LENGTH))
                break;
            TRY(append_varint(out, tag));
            TRY(append_varint(out, value));
            break;
        case 1:
        case 5:
            TRY(append_varint(out, tag));
            TRY(copy(out, r, (tag & 7) == 1 ? 8 : 4, end));
            break;
        case 2: TRY(slim_bytes_field(out, r, tag, end, here)); break;
        default: st = sal_fail(SAL_ERROR_FORMAT, "not an ONNX model, or corrupt"); goto done;
        }
    }
done:
    return st;
}

static int has_member(const char *folder, const char *name)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

static sal_status open_model(onnx_importer *im, uint64_t *size)
{
    struct stat info;
    /* Not blocking: a named pipe would otherwise hang here. */
    im->fd = open(im->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (im->fd < 0)
        return sal_fail(SAL_ERROR_IO, "cannot open: %s", strerror(errno));
    if (fstat(im->fd, &info) != 0)
        return sal_fail(SAL_ERROR_IO, "cannot stat: %s", strerror(errno));
    if (S_ISDIR(info.st_mode))
        return sal_fail(SAL_ERROR_IO, "is a directory, expected a file%s",
                        has_member(im->path, "saved_model.pb")
                            ? "; it is a SavedModel: load it in Python, and model.save(\"model.keras\")"
                        : has_member(im->path, "model.weights.h5") ? "; give the model.weights.h5 in it"
                                                                   : "");
    if (!S_ISREG(info.st_mode))
        return sal_fail(SAL_ERROR_IO, "is not a regular file");
    if (info.st_size == 0)
        return sal_fail(SAL_ERROR_FORMAT, "the file is empty");
    *size = (uint64_t)info.st_size;
    if (*size > im->max_bytes)
        return sal_fail(SAL_ERROR_LIMIT, "it has %llu bytes; the limit is %llu", (unsigned long long)*size,
                        (unsigned long long)im->max_bytes);
    return SAL_OK;
}

sal_status onnx_slim_read(unsigned char **out, size_t *size, onnx_importer *im)
{
    sal_status st = SAL_OK;
    buffer slimmed = {0};
    reader *r = NULL;
    uint64_t end = 0;
    TRY(open_model(im, &end));
    TRY(sal_alloc(&r, 1, sizeof *r, "a read buffer"));
    r->fd = im->fd;
    TRY(slim(&slimmed, r, end, LEVEL_MODEL));
    *out = slimmed.bytes;
    *size = slimmed.size;
    slimmed.bytes = NULL;
done:
    free(slimmed.bytes);
    sal_free(r);
    return st;
}

sal_status onnx_slim_load(void *bytes, size_t size, const onnx_importer *im, uint64_t offset, const char *name)
{
    if (im->fd < 0)
        return sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its data is not in the message", name);
    sal_status st = read_at(im->fd, bytes, size, offset);
    return st == SAL_OK ? st : sal_fail_in(st, "tensor %.200s", name);
}
