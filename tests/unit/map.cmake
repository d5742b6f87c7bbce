foreach(name test_map test_smooth test_map_upsample test_colormap test_map_blend test_resize)
  sal_unit_test(${name} LABELS map MODULES base map)
endforeach()

# The committed colour tables against matplotlib itself, where it is installed.
sal_test(colormaps_match_matplotlib COMMAND ${SAL_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/make_colormaps.py --check
         LABELS golden map MAY_SKIP)
