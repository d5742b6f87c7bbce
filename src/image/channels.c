#include "image/channels.h"

#include "base/samples.h"
#include "base/shade.h"

#include <float.h>

static sal_status mismatch(const sal_picture *picture, int64_t channels, const char *advice)
{
    return sal_fail(SAL_ERROR_ARGUMENT, "the picture has %lld channels, the network takes %lld; %s",
                    (long long)picture->channels, (long long)channels, advice);
}

static sal_status choose_order(sal_mixing *out, sal_channel_order order, int64_t channels)
{
    *out = SAL_MIX_NONE;
    switch (order) {
    case SAL_ORDER_AUTO:
        if (channels == 1)
            *out = SAL_MIX_GRAY;
        else if (channels == 3)
            *out = SAL_MIX_RGB;
        break;
    case SAL_ORDER_RGB: *out = SAL_MIX_RGB; break;
    case SAL_ORDER_BGR: *out = SAL_MIX_BGR; break;
    case SAL_ORDER_GRAY: *out = SAL_MIX_GRAY; break;
    case SAL_ORDER_ASIS: break;
    default: return sal_fail(SAL_ERROR_ARGUMENT, "order %d is unknown", (int)order);
    }
    return SAL_OK;
}

/* Why a picture is neither gray nor RGB. */
static sal_status refuse_planes(const sal_picture *picture, int64_t channels)
{
    const int64_t n = picture->channels;
    if (n == channels)
        return mismatch(picture, channels,
                        "they are planes, and nothing says that they are colours; --order asis gives them as they are");
    if (picture->meaning == SAL_CHANNELS_UNSAID && (n == 2 || n == 4))
        return mismatch(picture, channels,
                        "nothing says whether the last is alpha: --alpha-over drop leaves it out, and a PNG says that "
                        "it is");
    if (n > 4)
        return mismatch(picture, channels, "only pictures of 1 to 4 channels can be made gray or RGB");
    return mismatch(picture, channels,
                    "nothing says which of them are colours: give a picture that is gray or RGB, or one of its pages");
}

static sal_status check_colours(const sal_picture *picture, const sal_preprocess *p, int64_t channels)
{
    const sal_layout layout = sal_layout_of(picture, p);
    if (layout.colours == 0)
        return refuse_planes(picture, channels);
    if (layout.others)
        return mismatch(picture, channels,
                        layout.colours == 3
                            ? "behind red, green and blue are samples that are no alpha, such as near "
                              "infrared: --alpha-over drop leaves them out"
                            : "behind gray are samples that are no alpha: --alpha-over drop leaves them "
                              "out");
    if (layout.has_alpha && picture->type == SAL_SAMPLE_F32 && !sal_says_depth(p))
        return mismatch(picture, channels,
                        "the alpha of float samples has no known range: say --depth unit where 1 is white, or "
                        "--alpha-over drop");
    return SAL_OK;
}

/* An order of colours, for a network of one channel. */
static sal_status refuse_order(const sal_picture *picture, sal_channel_order order)
{
    const char *advice = order == SAL_ORDER_BGR
                             ? "order bgr is for networks of 3 channels: say --order gray, as cvtColor(..., "
                               "COLOR_BGR2GRAY) has it"
                             : "order rgb is for networks of 3 channels: say --order gray, as Pillow's convert(\"L\") "
                               "has it";
    return picture->channels == 1 ? sal_fail(SAL_ERROR_ARGUMENT, "the network takes 1 channel; %s", advice)
                                  : mismatch(picture, 1, advice);
}

static sal_status check_channels(sal_mixing *how, const sal_picture *picture, const sal_preprocess *p, int64_t channels)
{
    const char *stack =
        "give a picture with as many channels: a TIFF with one page per channel (--pages channels) or a "
        ".npy array, or use order gray";
    const int has_colours = sal_layout_of(picture, p).colours != 0;
    sal_status st = SAL_OK;
    TRY(choose_order(how, p->order, channels));
    /* Planes that are as many as the network's channels, and nobody said which order those have. */
    if (!has_colours && picture->channels == channels && (p->order == SAL_ORDER_AUTO || p->order == SAL_ORDER_RGB))
        *how = SAL_MIX_NONE;
    if (*how == SAL_MIX_NONE)
        return picture->channels == channels ? SAL_OK : mismatch(picture, channels, stack);
    if (*how != SAL_MIX_GRAY && channels == 1 && has_colours)
        return refuse_order(picture, p->order);
    if (*how != SAL_MIX_GRAY && channels != 3)
        return mismatch(picture, channels, "orders rgb and bgr are for 3; use order gray or asis");
    st = check_colours(picture, p, channels);
done:
    return st;
}

/* A depth that a picture goes beyond is another's: its bright parts would be cut off in silence. */
static sal_status check_depth(const sal_picture *picture, const sal_preprocess *p, const sal_mix *mix)
{
    if (p->depth <= 0 || picture->type == SAL_SAMPLE_F32)
        return SAL_OK;
    const int64_t channels = mix->how == SAL_MIX_NONE ? picture->channels : mix->colours + mix->has_alpha;
    const sal_range range = sal_samples_range(picture, channels, (double)mix->white);
    if (range.high > (double)mix->white)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "the picture has a sample of %.0f, more than --depth %d holds: its depth is %d", range.high,
                        (int)p->depth, sal_bits_for(range.high));
    return SAL_OK;
}

sal_status sal_mix_choose(sal_mix *mix, const sal_picture *picture, const sal_preprocess *p, int64_t channels)
{
    sal_status st = SAL_OK;
    const sal_layout layout = sal_layout_of(picture, p);
    *mix = (sal_mix){.how = SAL_MIX_NONE, .channels = picture->channels};
    TRY(check_channels(&mix->how, picture, p, channels));
    if (mix->how != SAL_MIX_NONE) {
        mix->channels = mix->colours = layout.colours;
        mix->has_alpha = layout.has_alpha;
        mix->flatten = layout.colours != picture->channels;
    }
    const int is_gray_of_pillow = sal_is_gray_of_pillow(picture, p);
    const double white = is_gray_of_pillow ? 255.0 : sal_white_of(picture, p);
    mix->is_deep = is_gray_of_pillow && channels == 1;
    mix->is_cut = is_gray_of_pillow && channels != 1;
    mix->flatten |= mix->is_cut;
    mix->white = (float)white;
    mix->unit = (float)(255.0 / white);
    sal_ground_of(mix->ground, p);
    for (int c = 0; c < 3; c++)
        mix->ground[c] = (float)((double)mix->ground[c] / 255.0 * white);
    /* Gray over a colour is no longer gray. */
    if (mix->has_alpha && mix->channels == 1 && (mix->ground[1] != mix->ground[0] || mix->ground[2] != mix->ground[0]))
        mix->channels = 3;
    st = check_depth(picture, p, mix);
done:
    return st;
}

static float sample_at(const sal_picture *picture, const void *row, size_t i)
{
    switch (picture->type) {
    case SAL_SAMPLE_U8: return ((const unsigned char *)row)[i];
    case SAL_SAMPLE_U16: return ((const uint16_t *)row)[i];
    case SAL_SAMPLE_F32: break;
    }
    return ((const float *)row)[i];
}

void sal_mix_flatten(float *out, const sal_picture *picture, const void *row, size_t n, const sal_mix *mix)
{
    const size_t colours = (size_t)mix->colours, to = (size_t)mix->channels, from = (size_t)picture->channels;
    for (size_t i = 0; i < n; i++) {
        const float part = mix->has_alpha ? sample_at(picture, row, i * from + colours) / mix->white : 1.0F;
        for (size_t c = 0; c < to; c++) {
            const float value = sample_at(picture, row, i * from + (colours == 1 ? 0 : c));
            const float cut = mix->is_cut && value > mix->white ? mix->white : value;
            out[i * to + c] = mix->has_alpha ? mix->ground[c] + (value - mix->ground[c]) * part : cut;
        }
    }
}
