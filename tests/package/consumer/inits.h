/* X(type, its initialiser): every struct of the public headers that a caller begins with its size. */
#ifndef INITS_H
#define INITS_H

#include <salmap/plan.h>
#include <salmap/salmap.h>

#define INITS(X)                                                                                                       \
    X(sal_limits, SAL_LIMITS_INIT)                                                                                     \
    X(sal_model_info, SAL_MODEL_INFO_INIT)                                                                             \
    X(sal_model_options, SAL_MODEL_OPTIONS_INIT)                                                                       \
    X(sal_layer_info, SAL_LAYER_INFO_INIT)                                                                             \
    X(sal_method_options, SAL_METHOD_OPTIONS_INIT)                                                                     \
    X(sal_recipe_info, SAL_RECIPE_INFO_INIT)                                                                           \
    X(sal_recipe_file, SAL_RECIPE_FILE_INIT)                                                                           \
    X(sal_method_info, SAL_METHOD_INFO_INIT)                                                                           \
    X(sal_method_option_info, SAL_METHOD_OPTION_INFO_INIT)                                                             \
    X(sal_engine_options, SAL_ENGINE_OPTIONS_INIT)                                                                     \
    X(sal_attribution_info, SAL_ATTRIBUTION_INFO_INIT)                                                                 \
    X(sal_gradient_job, SAL_GRADIENT_JOB_INIT)                                                                         \
    X(sal_map_options, SAL_MAP_OPTIONS_INIT)                                                                           \
    X(sal_explain_options, SAL_EXPLAIN_OPTIONS_INIT)                                                                   \
    X(sal_dataset_options, SAL_DATASET_OPTIONS_INIT)                                                                   \
    X(sal_dataset_info, SAL_DATASET_INFO_INIT)                                                                         \
    X(sal_sweep_progress, SAL_SWEEP_PROGRESS_INIT)                                                                     \
    X(sal_sweep_options, SAL_SWEEP_OPTIONS_INIT)                                                                       \
    X(sal_explain_dataset_options, SAL_EXPLAIN_DATASET_OPTIONS_INIT)                                                   \
    X(sal_merge_info, SAL_MERGE_INFO_INIT)                                                                             \
    X(sal_export_options, SAL_EXPORT_OPTIONS_INIT)                                                                     \
    X(sal_render_options, SAL_RENDER_OPTIONS_INIT)                                                                     \
    X(sal_render_info, SAL_RENDER_INFO_INIT)                                                                           \
    X(sal_sheet_options, SAL_SHEET_OPTIONS_INIT)                                                                       \
    X(sal_sheet_info, SAL_SHEET_INFO_INIT)                                                                             \
    X(sal_overlay_options, SAL_OVERLAY_OPTIONS_INIT)                                                                   \
    X(sal_figure_options, SAL_FIGURE_OPTIONS_INIT)                                                                     \
    X(sal_figure_facts, SAL_FIGURE_FACTS_INIT)                                                                         \
    X(sal_plan_info, SAL_PLAN_INFO_INIT)                                                                               \
    X(sal_step_info, SAL_STEP_INFO_INIT)                                                                               \
    X(sal_pass_info, SAL_PASS_INFO_INIT)                                                                               \
    X(sal_gpu_plan_options, SAL_GPU_PLAN_OPTIONS_INIT)                                                                 \
    X(sal_gpu_plan_info, SAL_GPU_PLAN_INFO_INIT)                                                                       \
    X(sal_gpu_step_info, SAL_GPU_STEP_INFO_INIT)

/* In C and C++, static and automatic; 0 where one is not the size of its type. */
#define INITS_STATIC(type, init) static const type type##_static = init;
#define INITS_CHECK(type, init)                                                                                        \
    {                                                                                                                  \
        const type automatic = init;                                                                                   \
        right &= automatic.size == sizeof(type) && type##_static.size == sizeof(type);                                 \
    }
INITS(INITS_STATIC)
static int inits_are_right(void)
{
    int right = 1;
    INITS(INITS_CHECK)
    return right && sal_map_options_static.sigma == SAL_DEFAULT && sal_method_options_static.noise == SAL_DEFAULT &&
           sal_explain_options_static.alpha == SAL_DEFAULT && sal_overlay_options_static.alpha == SAL_DEFAULT &&
           sal_sweep_options_static.max_failures == SAL_UNLIMITED;
}

#endif
