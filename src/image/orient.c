#include "image/image.h"

#include "base/memory.h"

#include <string.h>

/* ---- The tag ------------------------------------------------------------ */

typedef struct exif_reader {
    const unsigned char *bytes;
    size_t size;
    int big_endian;
} exif_reader;

/* Callers have checked that the bytes are there. */
static uint32_t get16(const exif_reader *r, size_t at)
{
    const unsigned char *p = r->bytes + at;
    return r->big_endian ? (uint32_t)(p[0] << 8 | p[1]) : (uint32_t)(p[1] << 8 | p[0]);
}

static uint32_t get32(const exif_reader *r, size_t at)
{
    return r->big_endian ? get16(r, at) << 16 | get16(r, at + 2) : get16(r, at + 2) << 16 | get16(r, at);
}

int sal_exif_orientation(const unsigned char *segment, size_t size)
{
    enum { HEADER = 8, ENTRY = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };
    exif_reader r = {.bytes = segment, .size = size};
    if (size < HEADER)
        return 1;
    if (memcmp(segment, "MM\0*", 4) == 0)
        r.big_endian = 1;
    else if (memcmp(segment, "II*\0", 4) != 0)
        return 1;
    size_t at = get32(&r, 4);
    if (at > size - 2)
        return 1;
    size_t count = get16(&r, at);
    at += 2;
    for (size_t i = 0; i < count && size - at >= ENTRY; i++, at += ENTRY) {
        if (get16(&r, at) != TAG_ORIENTATION)
            continue;
        uint32_t value = get16(&r, at + 8);
        return get16(&r, at + 2) == TYPE_SHORT && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* ---- The turn ----------------------------------------------------------- */

/* Pixel (y, x) of the upright picture is at start + y * step_y + x * step_x, in pixels of the stored one. */
typedef struct turn {
    int64_t height;
    int64_t width;
    int64_t start;
    int64_t step_y;
    int64_t step_x;
} turn;

static turn turn_of(int orientation, int64_t height, int64_t width)
{
    int64_t last_row = (height - 1) * width;
    int64_t last_column = width - 1;
    switch (orientation) {
    case 2: return (turn){height, width, last_column, width, -1};
    case 3: return (turn){height, width, last_row + last_column, -width, -1};
    case 4: return (turn){height, width, last_row, -width, 1};
    case 5: return (turn){width, height, 0, 1, width};
    case 6: return (turn){width, height, last_row, 1, -width};
    case 7: return (turn){width, height, last_row + last_column, -1, -width};
    case 8: return (turn){width, height, last_column, -1, width};
    default: return (turn){height, width, 0, width, 1};
    }
}

/* In square blocks: by whole rows, a turned picture would be read at a cache line per pixel. */
static inline void copy_turned(unsigned char *to, const unsigned char *from, const turn *t, size_t pixel)
{
    enum { BLOCK = 64 };
    for (int64_t y0 = 0; y0 < t->height; y0 += BLOCK)
        for (int64_t x0 = 0; x0 < t->width; x0 += BLOCK) {
            int64_t y1 = y0 + BLOCK < t->height ? y0 + BLOCK : t->height;
            int64_t x1 = x0 + BLOCK < t->width ? x0 + BLOCK : t->width;
            for (int64_t y = y0; y < y1; y++)
                for (int64_t x = x0; x < x1; x++)
                    memcpy(to + (size_t)(y * t->width + x) * pixel,
                           from + (size_t)(t->start + y * t->step_y + x * t->step_x) * pixel, pixel);
        }
}

int sal_picture_is_turned(int orientation, const sal_image_source *source)
{
    return orientation >= 2 && orientation <= 8 && !(source->how && source->how->exif == SAL_EXIF_IGNORE);
}

sal_status sal_picture_orient(sal_picture *picture, int orientation, const sal_image_source *source)
{
    picture->orientation = orientation >= 1 && orientation <= 8 ? orientation : 0;
    if (!sal_picture_is_turned(orientation, source))
        return SAL_OK;
    turn t = turn_of(orientation, picture->height, picture->width);
    sal_picture upright;
    sal_status st = sal_picture_new(&upright, t.height, t.width, picture->channels, picture->type);
    if (st != SAL_OK)
        return st;
    size_t pixel = (size_t)picture->channels * sal_sample_size(picture->type);
    switch (pixel) { /* constants, so that the copy of a pixel is a move */
    case 1: copy_turned(upright.samples, picture->samples, &t, 1); break;
    case 3: copy_turned(upright.samples, picture->samples, &t, 3); break;
    default: copy_turned(upright.samples, picture->samples, &t, pixel); break;
    }
    upright.meaning = picture->meaning;
    upright.orientation = picture->orientation;
    sal_picture_clear(picture);
    *picture = upright;
    return SAL_OK;
}
