/* Convolutions, forward and backward-data: drawn from lists of awkward numbers, always the same draw. */
#include "conformance/cases.h"

enum { DRAWN = 260 };

static int64_t pick(dice *d, const int64_t *list, size_t count)
{
    return list[dice_below(d, (int64_t)count)];
}

/* Groups of one, of a few channels, depthwise and depthwise with two outputs a channel. */
static void draw_channels(problem *p, dice *d)
{
    static const int64_t groups[] = {2, 3, 4, 7, 8, 32};
    int64_t in = pick(d, odd_channels, COUNT_OF(odd_channels)), out = pick(d, odd_channels, COUNT_OF(odd_channels));
    int64_t g = 1;
    switch (dice_below(d, 6)) {
    case 0: g = in, out = in; break;
    case 1: g = in, out = 2 * in; break;
    case 2:
        g = pick(d, groups, COUNT_OF(groups));
        in = g * (1 + dice_below(d, 6));
        out = g * (1 + dice_below(d, 6));
        break;
    default: break;
    }
    p->inputs[0] = map_shape(in, 0, 0);
    p->outputs = out;
    p->window.groups = g;
}

static void draw_window(problem *p, dice *d)
{
    static const int64_t kernels[][2] = {{1, 1}, {3, 3}, {3, 3}, {5, 5}, {7, 7}, {2, 3}, {1, 7}};
    int64_t k = dice_below(d, COUNT_OF(kernels)), usual = dice_below(d, 4);
    for (int i = 0; i < 2; i++) {
        sal_window *w = &p->window;
        w->kernel[i] = kernels[k][i];
        w->stride[i] = 1 + (dice_below(d, 2) ? dice_below(d, 3) : 0);
        w->dilation[i] = 1 + (dice_below(d, 4) == 0);
        /* Mostly as networks pad, else up to a whole kernel, for which libraries have no fast path. */
        int64_t most = usual ? (w->kernel[i] - 1) * w->dilation[i] / 2 : w->kernel[i];
        w->pad_begin[i] = dice_below(d, most + 1);
        w->pad_end[i] = dice_below(d, most + 1);
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1 - w->pad_begin[i] - w->pad_end[i];
        p->inputs[0].dim[2 + i] = (reach > 1 ? reach : 1) + dice_below(d, 13);
    }
}

static void draw_activation(problem *p, dice *d)
{
    static const sal_activation kinds[] = {{SAL_ACT_NONE, 0, 0},
                                           {SAL_ACT_RELU, 0, 0},
                                           {SAL_ACT_CLIP, 0, 6},
                                           {SAL_ACT_CLIP, -1, 1},
                                           {SAL_ACT_LEAKY_RELU, 0.1f, 0}};
    p->activation = kinds[dice_below(d, COUNT_OF(kinds))];
}

static sal_shape output_of(const problem *p)
{
    sal_shape s = map_shape(p->outputs, 0, 0);
    for (int i = 0; i < 2; i++) {
        const sal_window *w = &p->window;
        s.dim[2 + i] =
            (p->inputs[0].dim[2 + i] + w->pad_begin[i] + w->pad_end[i] - w->dilation[i] * (w->kernel[i] - 1) - 1) /
                w->stride[i] +
            1;
    }
    return s;
}

/* The forward step, the mask that it makes, and the gradient of its input. */
static void try_both(suite *s, const problem *p, dice *d)
{
    problem f = *p, b = *p;
    f.kind = SAL_STEP_CONV;
    draw_activation(&f, d);
    f.bias = dice_below(d, 4) ? BIAS_CHANNELS : BIAS_NONE;
    if (dice_below(d, 3) == 0) {
        f.input_count = 2;
        f.inputs[1] = output_of(p);
        f.in_place = (int)dice_below(d, 2);
    }
    f.kept = f.activation.kind != SAL_ACT_NONE && dice_below(d, 2);
    suite_try(s, &f);
    if (f.kept) {
        f.kind = SAL_STEP_ACTIVATION_BACKWARD;
        f.kept = 0;
        f.in_place = (int)dice_below(d, 2);
        suite_try(s, &f);
    }
    b.kind = SAL_STEP_CONV_BACKWARD;
    b.addend = (int)dice_below(d, 2);
    b.in_place = b.addend && dice_below(d, 2);
    suite_try(s, &b);
    b.activated = s->backend->takes_relu != NULL;
    b.in_place = 0;
    if (b.activated)
        suite_try(s, &b);
}

void suite_convolutions(suite *s)
{
    dice d = {20240607};
    for (int k = 0; k < DRAWN; k++) {
        problem p = {.op = SAL_OP_CONV, .input_count = 1, .batch = 1 + dice_below(&d, 3)};
        draw_channels(&p, &d);
        draw_window(&p, &d);
        try_both(s, &p, &d);
    }
    /* What networks are made of; the larger ones are Winograd's ground, with and without odd sides. */
    static const int64_t rows[][4] = {{16, 32, 8, 8},   {16, 32, 28, 16}, {40, 56, 9, 14},
                                      {64, 80, 13, 11}, {64, 80, 28, 28}, {96, 64, 29, 31}};
    for (size_t k = 0; k < COUNT_OF(rows); k++)
        for (int again = 0; again < 3; again++) {
            problem p = {.op = SAL_OP_CONV, .input_count = 1, .batch = 1 + again % 2, .outputs = rows[k][1]};
            p.inputs[0] = map_shape(rows[k][0], rows[k][2], rows[k][3]);
            p.window = (sal_window){.kernel = {3, 3},
                                    .stride = {1, 1},
                                    .dilation = {1, 1},
                                    .pad_begin = {1, 1},
                                    .pad_end = {1, 1},
                                    .groups = 1};
            try_both(s, &p, &d);
        }
}

/* For our own Winograd: padding of every kind, maps down to one pixel, several groups of tiles, an odd number of
 * blocks, channels that do not fill theirs. */
void suite_winograd(suite *s)
{
    static const int64_t rows[][6] = {
        /* in, out, height, width, padding before and after */
        {64, 64, 3, 3, 0, 0},    {64, 72, 1, 1, 1, 1},   {70, 66, 7, 7, 1, 1},   {64, 64, 12, 9, 2, 2},
        {72, 200, 14, 14, 1, 1}, {65, 80, 15, 16, 0, 1}, {128, 64, 6, 5, 1, 0},  {64, 96, 2, 21, 2, 1},
        {72, 80, 30, 29, 1, 1},  {64, 64, 33, 28, 2, 0}, {64, 64, 29, 30, 3, 0}, {64, 64, 28, 27, 1, 1},
        {88, 104, 31, 44, 0, 1},
    };
    dice d = {20150930};
    for (size_t k = 0; k < COUNT_OF(rows); k++)
        for (int64_t batch = 1; batch <= 3; batch++) {
            problem p = {.op = SAL_OP_CONV, .input_count = 1, .batch = batch, .outputs = rows[k][1]};
            p.inputs[0] = map_shape(rows[k][0], rows[k][2], rows[k][3]);
            p.window = (sal_window){.kernel = {3, 3},
                                    .stride = {1, 1},
                                    .dilation = {1, 1},
                                    .pad_begin = {rows[k][4], rows[k][4]},
                                    .pad_end = {rows[k][5], rows[k][5]},
                                    .groups = 1};
            try_both(s, &p, &d);
        }
}

/* Convolutions of the picture: its layout is plain where it has few channels. */
void suite_first_layers(suite *s)
{
    static const int64_t channels[] = {1, 2, 3, 4, 7, 8, 12, 17};
    static const int64_t outputs[] = {3, 8, 16, 24, 33, 64};
    dice d = {19690720};
    for (int k = 0; k < 90; k++) {
        problem p = {.op = SAL_OP_CONV, .input_count = 1, .batch = 1 + dice_below(&d, 3), .picture = 1};
        p.inputs[0] = map_shape(pick(&d, channels, COUNT_OF(channels)), 0, 0);
        p.outputs = pick(&d, outputs, COUNT_OF(outputs));
        p.window.groups = 1;
        draw_window(&p, &d);
        if (k % 3 == 0)
            for (int i = 0; i < 2; i++)
                p.inputs[0].dim[2 + i] += 20 + dice_below(&d, 20);
        try_both(s, &p, &d);
    }
}

void suite_large_convolutions(suite *s)
{
    static const struct {
        int64_t c, side, k, kernel, stride, groups;
        int picture;
    } rows[] = {
        {3, 224, 64, 7, 2, 1, 1},   {3, 224, 64, 3, 1, 1, 1},    {64, 56, 64, 3, 1, 1, 0},  {64, 56, 256, 1, 1, 1, 0},
        {128, 28, 128, 3, 1, 1, 0}, {256, 28, 256, 3, 2, 1, 0},  {512, 7, 512, 3, 1, 1, 0}, {96, 56, 96, 3, 1, 96, 0},
        {96, 56, 96, 5, 2, 96, 0},  {128, 28, 128, 3, 1, 32, 0}, {96, 28, 96, 7, 1, 96, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        problem p = {
            .kind = SAL_STEP_CONV, .op = SAL_OP_CONV, .batch = 2, .input_count = 1, .large = 1, .bias = BIAS_CHANNELS};
        int64_t pad = rows[i].kernel / 2;
        p.inputs[0] = map_shape(rows[i].c, rows[i].side, rows[i].side);
        p.outputs = rows[i].k;
        p.picture = rows[i].picture;
        p.window = (sal_window){.kernel = {rows[i].kernel, rows[i].kernel},
                                .stride = {rows[i].stride, rows[i].stride},
                                .dilation = {1, 1},
                                .pad_begin = {pad, pad},
                                .pad_end = {pad, pad},
                                .groups = rows[i].groups};
        suite_try(s, &p);
        p.bias = BIAS_NONE;
        p.kind = SAL_STEP_CONV_BACKWARD;
        suite_try(s, &p);
        p.batch = 1;
        if (p.picture)
            suite_try(s, &p);
    }
}
