foreach(name test_api_target test_api_engine test_pipeline test_pipeline_names test_pipeline_ring test_top_scores)
  sal_unit_test(${name} LIBRARIES salmap_static)
endforeach()
