/* Maps and overlays made on an engine's device, for the pipeline: gradients then never leave it. */
#ifndef SAL_API_DEVICE_MAPS_H
#define SAL_API_DEVICE_MAPS_H

#include "attribution/gradient.h"
#include "map/map.h"

/* An engine is one call's until it is given back. Error: ARGUMENT where it is another's. What follows here, but for
 * makes_maps, is called on an engine that was taken. */
sal_status sal_engine_take(sal_engine *engine);
void sal_engine_give_back(sal_engine *engine);
/* sal_engine_gradients of an engine that was taken. */
sal_status sal_engine_run(sal_engine *engine, const sal_gradient_job *job);
/* Whether its device makes maps; where not, the host makes them from gradients. */
int sal_engine_makes_maps(const sal_engine *engine);
/* Pictures (count, C, H, W) of a later job, which the device may fetch while it works on the next one: they stay as
 * they are until then. NULL: there is none after all; before their memory goes to anything else, say so. Where the
 * device does not fetch ahead, nothing happens. */
void sal_engine_prefetch(sal_engine *engine, const float *inputs, int64_t count);
/* As sal_engine_run, with maps; job->gradients may be NULL. Errors also NUMERIC: a gradient is not finite. */
sal_status sal_engine_device_maps(sal_engine *engine, const sal_gradient_job *job, const sal_attribution_maps *maps);
/* From maps->made only: the overlay of one picture of the job, as sal_overlay_make; complete after the finish. */
sal_status sal_engine_overlay(uint8_t *rgb, sal_engine *engine, int64_t picture, const sal_picture *shown,
                              const sal_placement *placement, const sal_overlay_style *style);
sal_status sal_engine_finish_maps(sal_engine *engine);

#endif
