#include "sweep/run_options.h"

#include "base/struct.h"

sal_status sal_run_options_read(sal_run_options *out, const sal_explain_options *given)
{
    static const sal_run_options defaults = {SAL_EXPLAIN_OPTIONS_INIT, SAL_MAP_OPTIONS_INIT, SAL_LIMITS_INIT};
    sal_status st = SAL_OK;
    if (!given)
        return sal_fail(SAL_ERROR_ARGUMENT, "engines and options must be given");
    *out = defaults;
    TRY(sal_struct_read(&out->explain, sizeof out->explain, given, "sal_explain_options"));
    TRY(sal_struct_read(&out->map, sizeof out->map, out->explain.map, "sal_map_options"));
    TRY(sal_struct_read(&out->limits, sizeof out->limits, out->explain.limits, "sal_limits"));
    out->explain.map = &out->map;
    out->explain.limits = &out->limits;
done:
    return st;
}
