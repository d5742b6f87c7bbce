#include "runtime.hpp"

void emulator::add_times(double *to, const double *row, double factor, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        to[k] += factor * row[k];
}
