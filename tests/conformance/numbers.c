#include "conformance/suite.h"

#include <math.h>

uint64_t dice_roll(dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

int64_t dice_below(dice *d, int64_t n)
{
    return (int64_t)(dice_roll(d) % (uint64_t)n);
}

double dice_between(dice *d, double low, double high)
{
    return low + (high - low) * (double)(dice_roll(d) >> 11) / 9007199254740992.0;
}

uint64_t dice_seed(uint64_t seed, const char *text)
{
    dice d = {seed};
    for (; *text; text++)
        d.state = dice_roll(&d) ^ (uint64_t)(unsigned char)*text;
    return dice_roll(&d);
}

double round_coarsely(double value)
{
    int exponent;
    const double part = frexp(value, &exponent);
    return ldexp(round(ldexp(part, 7)), exponent - 7);
}
