/* Constants: element types of the file to float or int64_t, and strided copies of them. */
#include "import/onnx/tensor.h"

#include "base/free_memory.h"
#include "base/memory.h"
#include "import/onnx/onnx.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/storage.h"

#include <limits.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are little-endian in the file; a big-endian machine needs swaps in decode()"
#endif

static const uint64_t fold_base = (uint64_t)1 << 26, fold_factor = 16, fold_share = 4;

int onnx_is_float_type(int64_t type)
{
    return type == ONNX_FLOAT || type == ONNX_DOUBLE || type == ONNX_FLOAT16 || type == ONNX_BFLOAT16;
}

/* Bytes of one element; 0 for types that no network of ours holds. */
static size_t type_size(int64_t type)
{
    switch (type) {
    case ONNX_BOOL:
    case ONNX_UINT8:
    case ONNX_INT8: return 1;
    case ONNX_UINT16:
    case ONNX_INT16:
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16: return 2;
    case ONNX_FLOAT:
    case ONNX_INT32:
    case ONNX_UINT32: return 4;
    case ONNX_DOUBLE:
    case ONNX_INT64:
    case ONNX_UINT64: return 8;
    default: return 0;
    }
}

int64_t onnx_strides(int64_t *stride, const sal_shape *shape)
{
    int64_t n = 1;
    for (int a = shape->rank - 1; a >= 0; a--) {
        stride[a] = n;
        if (shape->dim[a] < 0 || __builtin_mul_overflow(n, shape->dim[a], &n))
            return -1;
    }
    return n;
}

/* used: bytes charged so far against `limit`. */
static sal_status make(onnx_tensor *out, uint64_t *used, uint64_t limit, int integer, const sal_shape *shape,
                       const char *name)
{
    int64_t stride[SAL_MAX_RANK];
    int64_t count = onnx_strides(stride, shape);
    memset(out, 0, sizeof *out);
    if (count < 0)
        return sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its dimensions are negative or overflow", name);
    size_t size = integer ? sizeof *out->i : sizeof *out->f;
    size_t bytes;
    sal_status st = sal_size_mul(&bytes, (size_t)count, size, name);
    if (st != SAL_OK)
        return st;
    if (*used > limit || bytes > limit - *used)
        return sal_fail(
            SAL_ERROR_LIMIT,
            "tensor %.200s: its %zu bytes and those of the tensors before it are more than the limit of %llu", name,
            bytes, (unsigned long long)limit);
    out->integer = integer;
    out->shape = *shape;
    st = integer ? sal_alloc(&out->i, (size_t)count, size, name) : sal_alloc(&out->f, (size_t)count, size, name);
    if (st != SAL_OK)
        return st;
    out->count = (size_t)count;
    *used += bytes;
    return SAL_OK;
}

/* Of any element type; the most where that overflows. */
static uint64_t bytes_of(const sal_shape *shape)
{
    int64_t stride[SAL_MAX_RANK];
    const int64_t count = onnx_strides(stride, shape);
    return count < 0 || count > INT64_MAX / 8 ? UINT64_MAX : (uint64_t)count * sizeof(int64_t);
}

sal_status onnx_tensor_new(onnx_tensor *out, onnx_importer *im, int integer, const sal_shape *shape, const char *name)
{
    /* A few bytes of a file can ask for any number of equal constants: what is computed may be a few times what was
     * stored (bounded by max_bytes, so this does not overflow), or a part of the memory that is free, as weights of
     * ConstantOfShape are, within what a model may have. */
    uint64_t limit =
        fold_base + fold_factor * (im->stored_bytes < UINT64_MAX / 32 ? im->stored_bytes : UINT64_MAX / 32);
    if (im->folded_bytes > limit || bytes_of(shape) > limit - im->folded_bytes) {
        if (im->free_share == 0)
            im->free_share = sal_free_memory("") / fold_share;
        const uint64_t most = im->free_share < im->max_bytes ? im->free_share : im->max_bytes;
        limit = most > limit ? most : limit;
    }
    return make(out, &im->folded_bytes, limit, integer, shape, name);
}

void onnx_tensor_clear(onnx_tensor *t)
{
    sal_free(t->f);
    sal_free(t->i);
    memset(t, 0, sizeof *t);
}

double onnx_tensor_at(const onnx_tensor *t, size_t index)
{
    return t->integer ? (double)t->i[index] : (double)t->f[index];
}

int64_t onnx_to_int(double v)
{
    if (v >= 0x1p62)
        return (int64_t)1 << 62;
    if (v <= -0x1p62)
        return -((int64_t)1 << 62);
    return v == v ? (int64_t)v : 0;
}

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    uint32_t exponent = (h >> 10) & 31U, fraction = h & 1023U;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000U | fraction << 13);
    if (exponent != 0)
        return from_bits(sign | (exponent + 112U) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24F; /* zero and subnormal numbers */
    return sign ? -small : small;
}

static uint16_t read16(const unsigned char *p, size_t k)
{
    uint16_t v;
    memcpy(&v, p + k * sizeof v, sizeof v);
    return v;
}

static uint32_t read32(const unsigned char *p, size_t k)
{
    uint32_t v;
    memcpy(&v, p + k * sizeof v, sizeof v);
    return v;
}

static uint64_t read64(const unsigned char *p, size_t k)
{
    uint64_t v;
    memcpy(&v, p + k * sizeof v, sizeof v);
    return v;
}

static double read_double(const unsigned char *p, size_t k)
{
    double v;
    memcpy(&v, p + k * sizeof v, sizeof v);
    return v;
}

static float read_float(const unsigned char *p, size_t k, int64_t type)
{
    switch (type) {
    case ONNX_FLOAT16: return from_half(read16(p, k));
    case ONNX_BFLOAT16: return from_bits((uint32_t)read16(p, k) << 16);
    case ONNX_DOUBLE: return (float)read_double(p, k);
    default: return from_bits(read32(p, k));
    }
}

static int64_t read_int(const unsigned char *p, size_t k, int64_t type)
{
    switch (type) {
    case ONNX_BOOL: return p[k] != 0;
    case ONNX_UINT8: return p[k];
    case ONNX_INT8: return (int8_t)p[k];
    case ONNX_UINT16: return read16(p, k);
    case ONNX_INT16: return (int16_t)read16(p, k);
    case ONNX_INT32: return (int32_t)read32(p, k);
    case ONNX_UINT32: return read32(p, k);
    default: return (int64_t)read64(p, k); /* uint64 too: no shape is that large */
    }
}

static void decode(onnx_tensor *t, const unsigned char *bytes, int64_t type)
{
    if (type == ONNX_FLOAT && t->count > 0)
        memcpy(t->f, bytes, t->count * sizeof *t->f);
    else
        for (size_t k = 0; k < t->count; k++) {
            if (t->integer)
                t->i[k] = read_int(bytes, k, type);
            else
                t->f[k] = read_float(bytes, k, type);
        }
}

static float typed_float(const SalOnnx__Tensor *stored, size_t k)
{
    switch (stored->data_type) {
    case ONNX_FLOAT16: return from_half((uint16_t)stored->int32_data[k]);
    case ONNX_BFLOAT16: return from_bits((uint32_t)(uint16_t)stored->int32_data[k] << 16);
    case ONNX_DOUBLE: return (float)stored->double_data[k];
    default: return stored->float_data[k];
    }
}

static int64_t typed_int(const SalOnnx__Tensor *stored, size_t k)
{
    switch (stored->data_type) {
    case ONNX_INT64: return stored->int64_data[k];
    case ONNX_UINT32:
    case ONNX_UINT64: return (int64_t)stored->uint64_data[k];
    default: return stored->int32_data[k];
    }
}

static size_t typed_count(const SalOnnx__Tensor *stored)
{
    switch (stored->data_type) {
    case ONNX_FLOAT: return stored->n_float_data;
    case ONNX_DOUBLE: return stored->n_double_data;
    case ONNX_INT64: return stored->n_int64_data;
    case ONNX_UINT32:
    case ONNX_UINT64: return stored->n_uint64_data;
    default: return stored->n_int32_data;
    }
}

/* From the model file (slim) or a file beside it. */
static sal_status read_apart(void *bytes, size_t size, onnx_importer *im, const SalOnnx__Tensor *stored,
                             uint64_t offset, const char *name)
{
    if (stored->data_location == 1)
        return onnx_external_read(bytes, size, im, offset, name);
    return onnx_slim_load(bytes, size, im, stored->file_offset, name);
}

static sal_status load_apart(onnx_tensor *t, onnx_importer *im, const SalOnnx__Tensor *stored, uint64_t offset,
                             const char *name)
{
    const int64_t type = stored->data_type;
    sal_status st = SAL_OK;
    unsigned char *buffer = NULL;
    size_t bytes = t->count * type_size(type);
    if (stored->data_location == ONNX_LOCATION_SOURCE)
        return im->source->read(im->source->context, t->f, t->count, stored->file_offset);
    if (type == ONNX_FLOAT)
        return read_apart(t->f, bytes, im, stored, offset, name);
    TRY(sal_alloc(&buffer, bytes, 1, name));
    TRY(read_apart(buffer, bytes, im, stored, offset, name));
    decode(t, buffer, type);
done:
    sal_free(buffer);
    return st;
}

/* Before anything is allocated: the file must hold as many elements as the dimensions say. */
static sal_status check_stored(sal_shape *shape, uint64_t *offset, onnx_importer *im, const SalOnnx__Tensor *stored,
                               const char *name)
{
    int64_t stride[SAL_MAX_RANK];
    size_t size = type_size(stored->data_type);
    size_t bytes = 0;
    if (size == 0)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "tensor %.200s: salmap does not know element type %d", name,
                        stored->data_type);
    if (stored->n_dims > SAL_MAX_RANK)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "tensor %.200s: it has %zu dimensions; salmap knows at most %d", name,
                        stored->n_dims, SAL_MAX_RANK);
    shape->rank = (int)stored->n_dims;
    for (int a = 0; a < shape->rank; a++)
        shape->dim[a] = stored->dims[a];
    int64_t count = onnx_strides(stride, shape);
    if (count < 0)
        return sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its dimensions are negative or overflow", name);
    sal_status st = sal_size_mul(&bytes, (size_t)count, size, name);
    if (st != SAL_OK)
        return st;
    if (stored->data_location == 1)
        return onnx_external_find(offset, bytes, im, stored, name);
    if (stored->data_location == ONNX_LOCATION_SOURCE && im->source && stored->data_type == ONNX_FLOAT)
        return SAL_OK; /* the source has looked at it */
    size_t raw = stored->file_length > 0 ? (size_t)stored->file_length : stored->raw_data.len;
    if (raw > 0 ? raw != bytes : typed_count(stored) != (size_t)count)
        return sal_fail(SAL_ERROR_FORMAT,
                        "tensor %.200s: its dimensions say %lld elements, but the file holds another number", name,
                        (long long)count);
    return SAL_OK;
}

sal_status onnx_tensor_load(onnx_tensor *out, onnx_importer *im, const SalOnnx__Tensor *stored, const char *name)
{
    sal_status st = SAL_OK;
    sal_shape shape = {0};
    onnx_tensor t = {0};
    uint64_t offset = 0;
    TRY(check_stored(&shape, &offset, im, stored, name));
    TRY(make(&t, &im->stored_bytes, im->max_bytes, !onnx_is_float_type(stored->data_type), &shape, name));
    if (stored->data_location == 1 || stored->file_length > 0 ||
        (stored->data_location == ONNX_LOCATION_SOURCE && im->source))
        TRY(load_apart(&t, im, stored, offset, name));
    else if (stored->raw_data.len > 0)
        decode(&t, stored->raw_data.data, stored->data_type);
    else
        for (size_t k = 0; k < t.count; k++) {
            if (t.integer)
                t.i[k] = typed_int(stored, k);
            else
                t.f[k] = typed_float(stored, k);
        }
    *out = t;
    memset(&t, 0, sizeof t);
done:
    onnx_tensor_clear(&t);
    return st;
}

sal_status onnx_tensor_view(onnx_tensor *out, onnx_importer *im, const onnx_tensor *in, const sal_shape *shape,
                            const int64_t *stride, int64_t offset)
{
    int64_t at[SAL_MAX_RANK] = {0};
    sal_status st = onnx_tensor_new(out, im, in->integer, shape, "a folded constant");
    if (st != SAL_OK)
        return st;
    int64_t from = offset;
    for (size_t k = 0; k < out->count; k++) {
        if (in->integer)
            out->i[k] = in->i[from];
        else
            out->f[k] = in->f[from];
        for (int a = shape->rank - 1; a >= 0; a--) {
            from += stride[a];
            if (++at[a] < shape->dim[a])
                break;
            from -= stride[a] * shape->dim[a];
            at[a] = 0;
        }
    }
    return SAL_OK;
}
