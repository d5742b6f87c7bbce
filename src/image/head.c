#include "image/head.h"

#include <string.h>

/* Beside its pixels a file holds texts, profiles, previews. */
static const uint64_t metadata = (uint64_t)64 << 20;

static int starts_with(const sal_image_source *source, const char *magic, size_t length)
{
    return source->size >= length && memcmp(source->bytes, magic, length) == 0;
}

sal_picture_kind sal_picture_kind_of(const sal_image_source *source)
{
    if (starts_with(source, "\x89PNG", 4))
        return SAL_KIND_PNG;
    if (starts_with(source, "\xff\xd8\xff", 3))
        return SAL_KIND_JPEG;
    if (starts_with(source, "II*\0", 4) || starts_with(source, "MM\0*", 4) || starts_with(source, "II+\0", 4) ||
        starts_with(source, "MM\0+", 4))
        return SAL_KIND_TIFF;
    if (starts_with(source, "\x93NUMPY", 6))
        return SAL_KIND_NPY;
    return SAL_KIND_NONE;
}

/* Formats that people have pictures in, by what is in their files at a place, and what makes pictures of them that are
 * read. */
typedef struct foreign {
    size_t at;
    const char *magic;
    size_t length;
    const char *name;
    const char *advice;
} foreign;

#define MAGIC_CONVERT "convert it with ImageMagick: convert FILE picture.png"
#define MAGIC_BIOFORMATS "convert it with Bio-Formats: bfconvert FILE picture.tif"
#define MAGIC_NUMPY "read it with Python and save the array: numpy.save(\"picture.npy\", array)"
static const foreign foreigners[] = {
    {0, "BM", 2, "a BMP", MAGIC_CONVERT},
    {8, "WEBP", 4, "a WebP", "convert it with libwebp: dwebp FILE -o picture.png"},
    {4, "jP  \r\n\x87\n", 8, "a JPEG 2000", "convert it with OpenJPEG: opj_decompress -i FILE -o picture.png"},
    {0, "\xff\x4f\xff\x51", 4, "a JPEG 2000", "convert it with OpenJPEG: opj_decompress -i FILE -o picture.png"},
    {0, "GIF8", 4, "a GIF", "convert one of its frames with ImageMagick: convert 'FILE[0]' picture.png"},
    {4, "ftypavi", 7, "an AVIF", "convert it with libheif: heif-convert FILE picture.png"},
    {4, "ftyphei", 7, "a HEIC", "convert it with libheif: heif-convert FILE picture.png"},
    {4, "ftyphev", 7, "a HEIC", "convert it with libheif: heif-convert FILE picture.png"},
    {4, "ftypmif1", 8, "a HEIC", "convert it with libheif: heif-convert FILE picture.png"},
    {4, "JXL \r\n\x87\n", 8, "a JPEG XL", "convert it with libjxl: djxl FILE picture.png"},
    {0, "\xff\x0a", 2, "a JPEG XL", "convert it with libjxl: djxl FILE picture.png"},
    {128, "DICM", 4, "a DICOM", "read it with pydicom: numpy.save(\"picture.npy\", pydicom.dcmread(FILE).pixel_array)"},
    {0, "ZISRAWFILE", 10, "a CZI", MAGIC_BIOFORMATS},
    {0, "\xda\xce\xbe\x0a", 4, "an ND2", MAGIC_BIOFORMATS},
    {0, "\x70\0\0\0", 4, "a LIF", MAGIC_BIOFORMATS},
    {0, "\xd0\xcf\x11\xe0", 4, "an OIB or ZVI", MAGIC_BIOFORMATS},
    {0, "\x76\x2f\x31\x01", 4, "an OpenEXR", MAGIC_NUMPY},
    {0, "\x89HDF", 4, "an HDF5", MAGIC_NUMPY},
    {0, "SIMPLE  =", 9, "a FITS", MAGIC_NUMPY},
    {344, "n+1", 4, "a NIfTI", MAGIC_NUMPY},
    {0, "PK\3\4", 4, "a zip (.npz)", MAGIC_NUMPY},
    {0, "\x1f\x8b", 2, "a gzip", "unpack it: gunzip FILE"},
    {0, "8BPS", 4, "a Photoshop", "convert it with ImageMagick: convert 'FILE[0]' picture.png"},
    {0, "%PDF", 4, "a PDF", "convert it with poppler: pdftoppm -png FILE picture"},
    {0, "\0\0\1\0", 4, "an ICO", MAGIC_CONVERT},
};

static const foreign *find_foreign(const sal_image_source *source)
{
    for (size_t i = 0; i < sizeof foreigners / sizeof *foreigners; i++) {
        const foreign *f = &foreigners[i];
        if (source->size >= f->at + f->length && memcmp(source->bytes + f->at, f->magic, f->length) == 0)
            return f;
    }
    return NULL;
}

/* PNM: P1 to P6 and a blank. */
static int is_netpbm(const sal_image_source *source)
{
    return source->size > 2 && source->bytes[0] == 'P' && source->bytes[1] >= '1' && source->bytes[1] <= '7' &&
           (source->bytes[2] == '\n' || source->bytes[2] == ' ');
}

sal_status sal_picture_refuse_kind(const sal_image_source *source)
{
    static const foreign netpbm = {.name = "a Netpbm", .advice = MAGIC_CONVERT};
    const foreign *f = is_netpbm(source) ? &netpbm : find_foreign(source);
    if (f)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: is %s file, and salmap reads PNG, JPEG, TIFF and .npy: %s",
                        source->path, f->name, f->advice);
    return sal_fail(SAL_ERROR_FORMAT, "%s: not a PNG, JPEG, TIFF or .npy file", source->path);
}

static uint64_t big_endian(const unsigned char *at, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | at[i];
    return value;
}

/* What is declared, as far as the first bytes say; pixels 0: they do not. */
typedef struct declared {
    int64_t height;
    int64_t width;
    int64_t channels;
    uint64_t sample_bytes; /* most that one takes in the file */
} declared;

/* IHDR comes first. */
static declared declared_by_png(const sal_image_source *s)
{
    static const unsigned char channels[] = {1, 0, 3, 1, 2, 0, 4};
    declared d = {0};
    if (s->size < 33 || memcmp(s->bytes + 12, "IHDR", 4) != 0 || s->bytes[25] >= sizeof channels)
        return d;
    d.width = (int64_t)big_endian(s->bytes + 16, 4);
    d.height = (int64_t)big_endian(s->bytes + 20, 4);
    d.channels = channels[s->bytes[25]];
    d.sample_bytes = 4; /* 16 bits that do not compress, in chunks of a few bytes */
    return d;
}

/* The frame header comes after segments of up to 64 KB each: it may lie further on. */
static declared declared_by_jpeg(const sal_image_source *s)
{
    declared d = {0};
    for (size_t at = 2; at + 10 <= s->size && s->bytes[at] == 0xff;) {
        const unsigned marker = s->bytes[at + 1];
        const int is_frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (is_frame) {
            d.height = (int64_t)big_endian(s->bytes + at + 5, 2);
            d.width = (int64_t)big_endian(s->bytes + at + 7, 2);
            d.channels = s->bytes[at + 9];
            d.sample_bytes = 16; /* codes of up to 27 bits, in several scans */
            break;
        }
        at += marker == 0xff ? 1 : 2 + (size_t)big_endian(s->bytes + at + 2, 2);
    }
    return d;
}

static sal_status refuse_size(const sal_image_source *s, uint64_t file_size, uint64_t most)
{
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: %llu bytes, and what its beginning declares takes at most %llu: it is damaged", s->path,
                    (unsigned long long)file_size, (unsigned long long)most);
}

static sal_status judge_npy(const sal_image_source *s, uint64_t file_size)
{
    uint64_t bytes;
    sal_status st = sal_npy_measure(&bytes, s);
    if (st == SAL_OK && bytes < UINT64_MAX - metadata && file_size > bytes + metadata)
        st = refuse_size(s, file_size, bytes + metadata);
    return st;
}

sal_status sal_picture_judge(const sal_image_source *source, uint64_t file_size)
{
    sal_status st = SAL_OK;
    declared d = {0};
    switch (sal_picture_kind_of(source)) {
    case SAL_KIND_NONE: return sal_picture_refuse_kind(source);
    case SAL_KIND_NPY: return judge_npy(source, file_size);
    case SAL_KIND_TIFF: return SAL_OK; /* says where it says what it is */
    case SAL_KIND_PNG: d = declared_by_png(source); break;
    case SAL_KIND_JPEG: d = declared_by_jpeg(source); break;
    }
    if (d.height <= 0 || d.width <= 0 || d.channels <= 0)
        return SAL_OK;
    TRY(sal_picture_check_size(d.height, d.width, d.channels, source));
    /* No overflow: the sides have at most 32 bits. */
    const uint64_t pixels = (uint64_t)d.height * (uint64_t)d.width;
    uint64_t most;
    if (!__builtin_mul_overflow(pixels, (uint64_t)d.channels * d.sample_bytes, &most) &&
        !__builtin_add_overflow(most, metadata, &most) && file_size > most)
        st = refuse_size(source, file_size, most);
done:
    return st;
}
