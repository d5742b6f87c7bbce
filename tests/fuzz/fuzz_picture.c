/* Any bytes as a picture: decoded, rendered for the eye, and brought to a network's input; and as the archive of a map
 * that a run kept. */
#include "support.h"

#include "image/image.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, SIDE = 9 };

static void check_samples(const sal_picture *p, const sal_image_source *source)
{
    FUZZ_REQUIRE(p->height > 0 && p->width > 0 && p->channels > 0 && p->samples);
    FUZZ_REQUIRE((uint64_t)p->height * (uint64_t)p->width <= source->max_pixels);
    /* Every sample is there, and was written. */
    const size_t bytes = (size_t)p->height * (size_t)p->width * (size_t)p->channels * sal_sample_size(p->type);
    unsigned char *copy = malloc(bytes);
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, p->samples, bytes);
    free(copy);
}

static void apply(const sal_picture *p, const sal_preprocess *given)
{
    float input[CHANNELS * SIDE * SIDE];
    for (int fit = SAL_FIT_STRETCH; fit <= SAL_FIT_CENTER_CROP; fit++) {
        sal_placement placement;
        sal_preprocess how = *given;
        how.fit = (sal_fit)fit;
        if (fuzz_is_ok(sal_preprocess_apply(input, &placement, p, &how, CHANNELS, SIDE, SIDE)))
            FUZZ_REQUIRE(placement.scale_y > 0 && placement.scale_x > 0);
    }
}

/* What a file may be read as: pages, turns, alpha and depths. */
typedef struct reading {
    sal_preprocess how;
    int64_t channels;
} reading;

static const reading readings[] = {
    {{.scale = 1.0F, .pages = SAL_PAGES_CHANNELS}, 0},
    {{.scale = 1.0F, .alpha = SAL_ALPHA_DROP, .depth = SAL_DEPTH_AUTO}, 9},
    {{.scale = 1.0F,
      .pages = SAL_PAGES_NUMBER,
      .page = 1,
      .exif = SAL_EXIF_IGNORE,
      .alpha = SAL_ALPHA_BLACK,
      .depth = 12},
     3},
    {{.scale = 1.0F,
      .pages = SAL_PAGES_MAX,
      .alpha = SAL_ALPHA_COLOUR,
      .alpha_colour = {9, 99, 199},
      .depth = SAL_DEPTH_UNIT},
     1},
    {{.scale = 1.0F, .alpha = SAL_ALPHA_DROP, .rounding = SAL_ROUND_PASSES, .depth = SAL_DEPTH_PILLOW}, 3},
    {{.scale = 1.0F, .jpeg_dct = SAL_JPEG_DCT_FAST, .depth = SAL_DEPTH_PILLOW_NOTED}, 1},
};

static void read_as(const reading *r, const uint8_t *bytes, size_t size)
{
    sal_picture picture, seen;
    char text[SAL_NOTE_SIZE_MAX];
    int64_t notes;
    const sal_image_source source = {.bytes = bytes,
                                     .size = size,
                                     .path = "fuzz/picture",
                                     .max_pixels = 1 << 18,
                                     .how = &r->how,
                                     .channels = r->channels};
    if (!fuzz_is_ok(sal_source_decode(&picture, &source))) {
        FUZZ_REQUIRE(!picture.samples);
        return;
    }
    check_samples(&picture, &source);
    if (fuzz_is_ok(sal_picture_to_rgb8(&seen, &picture, &r->how))) {
        FUZZ_REQUIRE(seen.height == picture.height && seen.width == picture.width && seen.channels == 3);
        sal_picture_clear(&seen);
    }
    if (fuzz_is_ok(sal_picture_notes(&notes, text, sizeof text, &picture, &r->how, CHANNELS)))
        FUZZ_REQUIRE((notes & ~(int64_t)SAL_NOTES) == 0 && (notes != 0) == (text[0] != '\0'));
    apply(&picture, &r->how);
    sal_picture_clear(&picture);
}

static void read_archive(const uint8_t *bytes, size_t size)
{
    sal_picture map;
    const sal_limits limits = {.size = sizeof limits, .max_pixels = 1 << 18, .max_memory = 1 << 21};
    if (!fuzz_is_ok(sal_npz_decode(&map, bytes, size, "map", "fuzz/map.npz", &limits))) {
        FUZZ_REQUIRE(!map.samples);
        return;
    }
    check_samples(&map, &(const sal_image_source){.max_pixels = limits.max_pixels});
    FUZZ_REQUIRE(size + sal_picture_bytes(&map) <= limits.max_memory);
    sal_picture_clear(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++)
        read_as(&readings[i], bytes, size);
    read_archive(bytes, size);
    return 0;
}
