sal_unit_test(test_api_target LABELS api attribution LIBRARIES salmap_internal)
sal_unit_test(test_api_engine LABELS api attribution program LIBRARIES salmap_internal)
sal_unit_test(test_api_model LABELS api import LIBRARIES salmap_internal PkgConfig::ZIP)
sal_unit_test(test_api_arguments LABELS api image map dataset sweep results LIBRARIES salmap_internal)
sal_unit_test(test_api_sizes LABELS api image map dataset sweep results LIBRARIES salmap_internal)
sal_unit_test(test_api_threads LABELS api sweep LIBRARIES salmap_internal)

# Engines that share a model, for the thread sanitizer as well.
add_executable(share_model unit/share_model.c)
target_include_directories(share_model PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(share_model PRIVATE salmap_internal Threads::Threads m)
sal_test(share_model COMMAND $<TARGET_FILE:share_model> ${PROJECT_SOURCE_DIR}/data/models/scale_age_honest.onnx LABELS unit api)
