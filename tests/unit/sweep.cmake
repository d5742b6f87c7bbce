foreach(name test_pipeline test_pipeline_names test_pipeline_ring test_top_scores)
  sal_unit_test(${name} LABELS sweep LIBRARIES salmap_static)
endforeach()
sal_unit_test(test_sweep_bytes LABELS sweep results LIBRARIES salmap_static PkgConfig::SQLITE -Wl,--wrap=stat)
