#include "base/placement.h"

#include "base/error.h"

#include <math.h>

sal_status sal_placement_check(const sal_placement *p)
{
    if (p->source_height < 1 || p->source_width < 1 || p->net_height < 1 || p->net_width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "placement of %lld x %lld on %lld x %lld: all sides must be at least 1",
                        (long long)p->net_width, (long long)p->net_height, (long long)p->source_width,
                        (long long)p->source_height);
    if (!(p->scale_x > 0.0 && p->scale_y > 0.0 && isfinite(p->scale_x) && isfinite(p->scale_y) &&
          isfinite(p->offset_x) && isfinite(p->offset_y)))
        return sal_fail(SAL_ERROR_ARGUMENT, "placement with scales %g, %g and offsets %g, %g is no placement",
                        p->scale_x, p->scale_y, p->offset_x, p->offset_y);
    return SAL_OK;
}
