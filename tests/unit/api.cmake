sal_unit_test(test_api_target LABELS api attribution LIBRARIES salmap_static)
sal_unit_test(test_api_engine LABELS api attribution program LIBRARIES salmap_static)
sal_unit_test(test_api_arguments LABELS api image map dataset sweep results LIBRARIES salmap_static)
sal_unit_test(test_api_threads LABELS api sweep LIBRARIES salmap_static)
