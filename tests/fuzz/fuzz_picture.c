/* Any bytes as a picture: decoded, rendered for the eye, and brought to a network's input. */
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

static void apply(const sal_picture *p)
{
    float input[CHANNELS * SIDE * SIDE];
    for (int fit = SAL_FIT_STRETCH; fit <= SAL_FIT_CENTER_CROP; fit++) {
        sal_placement placement;
        const sal_preprocess how = {.fit = (sal_fit)fit};
        if (fuzz_is_ok(sal_preprocess_apply(input, &placement, p, &how, CHANNELS, SIDE, SIDE)))
            FUZZ_REQUIRE(placement.scale_y > 0 && placement.scale_x > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_picture picture, seen;
    const sal_image_source source = {.bytes = bytes, .size = size, .path = "fuzz/picture", .max_pixels = 1 << 18};
    if (!fuzz_is_ok(sal_source_decode(&picture, &source))) {
        FUZZ_REQUIRE(!picture.samples);
        return 0;
    }
    check_samples(&picture, &source);
    if (fuzz_is_ok(sal_picture_to_rgb8(&seen, &picture))) {
        FUZZ_REQUIRE(seen.height == picture.height && seen.width == picture.width && seen.channels == 3);
        sal_picture_clear(&seen);
    }
    apply(&picture);
    sal_picture_clear(&picture);
    return 0;
}
