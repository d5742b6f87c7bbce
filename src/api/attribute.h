/* Attributions and their maps, step by step where the engine's device has them: for the pipeline. */
#ifndef SAL_API_ATTRIBUTE_H
#define SAL_API_ATTRIBUTE_H

#include "attribution/method.h"

/* An engine is one call's until it is given back. Error: ARGUMENT where it is another's. What follows here, but for
 * makes_maps, is called on an engine that was taken. */
sal_status sal_engine_take(sal_engine *engine);
void sal_engine_give_back(sal_engine *engine);
/* Pictures (count, C, H, W) of a later job, which the device may fetch while it works on the next one: they stay as
 * they are until then. NULL: there is none after all; before their memory goes to anything else, say so. Where the
 * device does not fetch ahead, nothing happens. */
void sal_engine_prefetch(sal_engine *engine, const float *inputs, int64_t count);

/* From now on methods of several passes look at *stop between them: not 0 ends the job with CANCELLED. NULL: no more.
 */
void sal_engine_set_stop(sal_engine *engine, const atomic_int *stop);

/* A job: begin, then attribute for each of its targets in turn. The attribution of that target is the device's until
 * the next one: download it, or make maps of it, and overlays of them, as often as wanted. job->gradients is not looked
 * at. Errors as sal_engine_gradient. */
sal_status sal_engine_begin(sal_engine *engine, const sal_gradient_job *job);
sal_status sal_engine_attribute(sal_engine *engine, const sal_gradient_job *job, int64_t each);
/* attributions: (count, shape of sal_attribution_info). */
sal_status sal_engine_download(sal_engine *engine, float *attributions, int64_t count);
/* Whether its device makes maps; where not, the host makes them of what is downloaded, and there are no overlays. */
int sal_engine_makes_maps(const sal_engine *engine);
/* Maps (count, height, width), as sal_map_of. Errors also NUMERIC: an attribution is not finite. */
sal_status sal_engine_maps(sal_engine *engine, float *maps, sal_map_stats *stats, int64_t height, int64_t width,
                           int64_t count, const sal_map_options *options);
/* The overlay of one picture of the last maps, as sal_overlay_draw; complete after the finish. */
sal_status sal_engine_overlay(uint8_t *rgb, sal_engine *engine, int64_t picture, const sal_picture *shown,
                              const struct sal_placement *placement, const struct sal_overlay_style *style);
sal_status sal_engine_finish_maps(sal_engine *engine);

#endif
