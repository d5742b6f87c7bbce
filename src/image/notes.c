/* What was taken for granted of a picture. */
#include "image/channels.h"

#include "base/samples.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>

/* Text that grows until its room is full, a line for each note. */
typedef struct notes {
    int64_t kinds;
    char *text;
    size_t size;
    size_t used;
} notes;

__attribute__((format(printf, 3, 4))) static void note(notes *n, sal_note kind, const char *format, ...)
{
    va_list args;
    if (n->text && n->kinds && n->used + 1 < n->size)
        n->text[n->used++] = '\n';
    n->kinds |= kind;
    if (!n->text)
        return;
    va_start(args, format);
    const int length = vsnprintf(n->text + n->used, n->size - n->used, format, args);
    va_end(args);
    n->used += length > 0 ? (size_t)length : 0;
    n->used = n->used < n->size ? n->used : n->size - 1;
}

/* Samples that fill a quarter of their range at most are probably of fewer bits; a mask of a few values is 8-bit. */
static void note_integers(notes *n, const sal_picture *picture, int64_t channels)
{
    const double full = picture->type == SAL_SAMPLE_U16 ? 65535.0 : 255.0;
    const double most = picture->type == SAL_SAMPLE_U16 ? 16383.0 : 15.0;
    const sal_range range = sal_samples_range(picture, channels, most);
    if (!(range.high > 0.0) || range.high > most)
        return;
    const int bits = sal_bits_for(range.high);
    note(n, SAL_NOTE_DEPTH, "values reach %.0f of %.0f: %d bit? say --depth %d, or --depth %d where it is meant so",
         range.high, full, bits, bits, full > 255.0 ? 16 : 8);
}

/* Gray that a recipe takes Pillow's way, which cuts off or keeps what is above 255. */
static void note_gray_of_pillow(notes *n, const sal_picture *picture, const sal_mix *mix)
{
    const sal_range range = sal_samples_range(picture, 1, DBL_MAX);
    static const char *const meant = "say --depth pillow, or --depth 16 if the pictures were prepared otherwise";
    if (!(range.high > 255.0))
        return;
    if (mix->is_deep)
        note(n, SAL_NOTE_DEPTH,
             "16-bit gray goes in as it is stored (samples reach %.0f), as Keras's load_img leaves it: %s", range.high,
             meant);
    else
        note(n, SAL_NOTE_DEPTH, "Pillow makes samples above 255 white (they reach %.0f), and so did training: %s",
             range.high, meant);
}

static void note_floats(notes *n, const sal_picture *picture, int64_t channels)
{
    static const char meant[] = "or --depth 8 where it is meant so";
    const sal_range range = sal_samples_range(picture, channels, DBL_MAX);
    if (range.low > range.high || (range.low == 0.0 && range.high == 0.0))
        return;
    if (range.low < 0.0)
        note(n, SAL_NOTE_RANGE,
             "float values below 0 are used as 0..255: prepared already? say --depth 8 where it is "
             "meant so");
    else if (range.high <= 1.0)
        note(n, SAL_NOTE_RANGE, "float values within 0..1 are used as 0..255: say --depth unit, %s", meant);
    else if (range.high > 255.0 && sal_bits_for(range.high))
        note(n, SAL_NOTE_RANGE, "float values reach %.0f and are used as 0..255: say --depth %d, %s", range.high,
             sal_bits_for(range.high), meant);
    else if (range.high > 255.0)
        note(n, SAL_NOTE_RANGE, "float values reach %.0f and are used as 0..255: divide them, %s", range.high, meant);
}

/* Whether any pixel is less than opaque. */
static int is_transparent(const sal_picture *picture, int64_t channel, const sal_mix *mix)
{
    const int64_t pixels = picture->height * picture->width;
    for (int64_t i = 0; i < pixels; i++) {
        const int64_t at = i * picture->channels + channel;
        const float alpha = picture->type == SAL_SAMPLE_U8    ? (float)((const uint8_t *)picture->samples)[at]
                            : picture->type == SAL_SAMPLE_U16 ? (float)((const uint16_t *)picture->samples)[at]
                                                              : ((const float *)picture->samples)[at];
        if (alpha < mix->white)
            return 1;
    }
    return 0;
}

static sal_status check(const sal_picture *picture)
{
    if (picture->channels < 1 || picture->height < 1 || picture->width < 1 || !picture->samples)
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture is empty");
    if (sal_sample_size(picture->type) == 0 || !sal_picture_is_sound(picture))
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture has samples of type %d and meaning %d, which do not fit",
                        (int)picture->type, (int)picture->meaning);
    return SAL_OK;
}

sal_status sal_picture_notes(int64_t *kinds, char *text, size_t size, const sal_picture *picture,
                             const sal_preprocess *p, int64_t channels)
{
    sal_status st = SAL_OK;
    sal_mix mix;
    notes n = {.text = size ? text : NULL, .size = size};
    TRY(sal_require(kinds, "notes", __func__));
    *kinds = 0;
    if (n.text)
        text[0] = '\0';
    TRY(sal_require(picture, "picture", __func__));
    TRY(sal_require(p, "preprocess", __func__));
    TRY(check(picture));
    TRY(sal_mix_choose(&mix, picture, p, channels));
    const int64_t seen = mix.colours ? mix.colours : picture->channels;
    const int is_said = p->depth != 0 && p->depth != SAL_DEPTH_PILLOW_NOTED;
    if (!is_said && sal_is_gray_of_pillow(picture, p))
        note_gray_of_pillow(&n, picture, &mix);
    else if (!is_said && picture->type == SAL_SAMPLE_F32)
        note_floats(&n, picture, seen);
    else if (!is_said)
        note_integers(&n, picture, seen);
    if (p->alpha == SAL_ALPHA_AUTO && mix.has_alpha && is_transparent(picture, mix.colours, &mix))
        note(&n, SAL_NOTE_ALPHA,
             "transparent pixels are laid over white: say --alpha-over white, or --alpha-over drop as Pillow, Keras "
             "and torchvision have it");
    if (p->exif == SAL_EXIF_AUTO && picture->orientation > 1)
        note(&n, SAL_NOTE_EXIF,
             "turned as the file declares (orientation %d): say --exif apply, or --exif ignore as Keras and "
             "torchvision have it",
             (int)picture->orientation);
    if (p->jpeg_dct == SAL_JPEG_DCT_FAST && p->order == SAL_ORDER_AUTO && mix.how == SAL_MIX_GRAY && mix.colours == 3)
        note(
            &n, SAL_NOTE_GRAY,
            "TensorFlow makes gray of colour PNGs otherwise (up to 30 of 255): give gray pictures, or say --order gray "
            "for 0.299 R + 0.587 G + 0.114 B");
    *kinds = n.kinds;
done:
    return st;
}
